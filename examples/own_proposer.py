# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes of your own: here, whatever is strongly red.

python examples/own_proposer.py factory.mp4 "the red trolley that moves to the left" MODEL

A `Proposer` has a name and a method `propose`; `BaseProposer` has the rest. The grounder chooses
among its tubes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np

from stvg_ros.build import build_local
from stvg_ros.config import Config
from stvg_ros.io.clip import file_clip
from stvg_ros.method.base import BaseProposer
from stvg_ros.types import CandidateTube, Clip, Query, SplitQuery


class RedThings(BaseProposer):
    """The largest red region of each frame, as one tube."""

    name = "red things"

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """A box for every frame of the clip, in pixels of the camera's image."""
        boxes = np.zeros((len(clip), 4), np.float32)
        present = np.zeros(len(clip), np.bool_)
        for index, frame in enumerate(clip.frames):
            red, green, blue = frame.image.astype(np.int16).transpose(2, 0, 1)
            mask = ((red - np.maximum(green, blue)) > 80).astype(np.uint8)
            count, _, regions, _ = cv2.connectedComponentsWithStats(mask)
            if count < 2:
                continue  # region 0 is the background
            x, y, width, height, _ = max(regions[1:], key=lambda region: region[4])
            scale = frame.source_width_px / frame.image.shape[1]
            boxes[index] = scale * np.array([x, y, x + width, y + height])
            present[index] = True
        if not present.any():
            return ()
        return (CandidateTube(0, boxes, present, np.zeros(len(clip), np.bool_)),)


def main(video: str, sentence: str, model: str = "embedded") -> None:
    """Prints the span and the last box."""
    # The own source knows what it is looking for, so the model need not judge whether it is there.
    config = Config.from_flat({"model.path": model, "presence.enabled": False})
    grounder = build_local(config, lambda configured: RedThings())
    clip = file_clip(Path(video), start_s=0.0, end_s=10.0, long_side_px=640, max_rate_hz=15.0)
    tube = grounder.ground(clip, Query(sentence), lambda stage, progress: None).best
    print(f"{tube.status.name}: {len(tube.boxes)} boxes by '{RedThings.name}'")
    if tube.boxes:
        print("last box", *map(round, tube.boxes[-1].box_xyxy_px))


if __name__ == "__main__":
    main(*sys.argv[1:])
