# SPDX-License-Identifier: Apache-2.0

"""The sampled images with numbers drawn on them, and one pass over them.

The model is asked for the number of a candidate (`painted_ids`) or of an image
(`stated_interval`). Both are read from one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from stvg_ros.images import resized
from stvg_ros.method.interfaces import Mllm, Prefix
from stvg_ros.method.tube_view import TubeView
from stvg_ros.number_marks import with_numbers
from stvg_ros.types import CandidateTube

MOST_NUMBERS = 20  # more of them hide what they mark


@dataclass(frozen=True, eq=False)
class MarkedVideo:
    """A pass over marked images.

    Attributes:
        prefix: keys and values.
        view: the clip, the sampled frames and their slots.
        tracks: track ids of the candidates with the numbers 1, 2, ...; empty if none are drawn.
        ordinals: whether each image has the number of its slot, from 1 on.
    """

    prefix: Prefix
    view: TubeView
    tracks: tuple[int, ...]
    ordinals: bool


def marked_video(
    mllm: Mllm,
    view: TubeView,
    candidates: Sequence[CandidateTube],
    times_s: tuple[float, ...],
    *,
    numbers: bool,
    ordinals: bool,
) -> MarkedVideo:
    """Draws numbers on candidates or images or both, and runs the model over the images.

    Args:
        mllm: the model.
        view: the frames that it saw.
        candidates: tubes over the clip; of more than 20 those that are seen most get a number.
        times_s: time of each sampled frame.
        numbers: of the candidates.
        ordinals: of the slots, in a corner of each of their images.
    """
    seen = [(int(view.seen(one).sum()), one) for one in candidates] if numbers else []
    most = sorted((pair for pair in seen if pair[0]), key=lambda pair: -pair[0])[:MOST_NUMBERS]
    kept = {one.track_id for _, one in most}
    marked = [one for one in candidates if one.track_id in kept]
    slot_of = {frame: slot for slot, frames in enumerate(view.slots) for frame in frames}
    corner = (0.0, 0.0) if view.crop is None else (view.crop[0], view.crop[1])
    height, width = view.clip.frames[-1].image.shape[:2]
    scale = np.array([width / view.clip.size_px[0], height / view.clip.size_px[1]] * 2)
    images = []
    for place, frame in enumerate(view.sampled):
        boxes = {
            number: (one.boxes_xyxy_px[frame] * scale).tolist()
            for number, one in enumerate(marked, 1)
            if one.present[frame]
        }
        image = resized(view.clip.frames[frame].image, width, height)
        ordinal = slot_of[place] + 1 if ordinals else None
        images.append(with_numbers(image, boxes, ordinal, corner))
    with torch.no_grad():
        visual = replace(mllm.encode(images), times_s=times_s)
        prefix = mllm.prefill(visual)
    return MarkedVideo(prefix, view, tuple(one.track_id for one in marked), ordinals)
