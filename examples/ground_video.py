# SPDX-License-Identifier: Apache-2.0

"""Ground a sentence in a video file, without ROS.

python examples/ground_video.py street.mp4 "the person who waves" Qwen/Qwen2.5-VL-7B-Instruct
"""

from __future__ import annotations

import sys
from pathlib import Path

from stvg_ros.build import build_grounder
from stvg_ros.config import Config
from stvg_ros.io.clip import file_clip
from stvg_ros.types import Query, Status


def main(video: str, sentence: str, model: str = "embedded") -> None:
    """Prints the span and a few boxes of the best tube."""
    grounder = build_grounder(
        Config.from_flat({"model.path": model})
    )  # loads the model: seconds to minutes
    clip = file_clip(Path(video), start_s=0.0, end_s=10.0, long_side_px=640, max_rate_hz=15.0)
    grounding = grounder.ground(clip, Query(sentence), lambda stage, progress: None)

    tube = grounding.best
    print(f"{tube.status.name}, confidence {tube.confidence:.2f}, by {tube.model}")
    if tube.status == Status.FOUND:
        first_ns = clip.frames[0].stamp_ns
        print(f"{(tube.start_ns - first_ns) / 1e9:.2f} s to {(tube.end_ns - first_ns) / 1e9:.2f} s")
        for box in tube.boxes[:: max(1, len(tube.boxes) // 5)]:
            print(f"{(box.stamp_ns - first_ns) / 1e9:6.2f} s", *map(round, box.box_xyxy_px))


if __name__ == "__main__":
    main(*sys.argv[1:])
