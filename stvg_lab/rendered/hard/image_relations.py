# SPDX-License-Identifier: Apache-2.0

"""Where people are to one another in the image, as long as all of them are in it.

Clearly: in every frame and by a margin. At all: in some frame, without a margin. Who is related at
all, but not clearly, is ambiguous.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.hard.hard_scene import HardScene

ANCHORS = {"left of": 1, "right of": 1, "between": 2, "in front of": 1, "behind": 1}
_MARGIN = 0.03  # between the middles of two people who are clearly beside each other, image widths
_NEARER = 0.15  # between the feet of two people of whom one is clearly in front, body heights
_NEAR, _APART = 0.35, 0.8  # distances to the side of one who is clearly, or not at all, in front


def holds_clearly(scene: HardScene, kind: str, person: int, others: Sequence[int]) -> bool:
    """Whether the relation holds by a margin in all frames that show everybody."""
    values = _values(scene, kind, person, others)
    if values is None:
        return False
    beyond, aside = values
    return bool((beyond > 1).all() and (aside < _NEAR).all())


def holds_at_all(scene: HardScene, kind: str, person: int, others: Sequence[int]) -> bool:
    """Whether the relation might be said in any of these frames."""
    values = _values(scene, kind, person, others)
    if values is None:
        return False
    beyond, aside = values
    return bool(((beyond > -1) & (aside < _APART)).any())


def _values(
    scene: HardScene, kind: str, person: int, others: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """How far the relation holds, in margins, and the distance to the side, in body heights.

    None if never all of them are in the image.

    Raises:
        ValueError: an unknown relation.
    """
    if kind not in ANCHORS:
        raise ValueError(f"relation: expected one of {tuple(ANCHORS)}, got {kind!r}")
    frames = scene.visible[[person, *others]].all(axis=0)
    if not frames.any():
        return None
    boxes = scene.boxes_xyxy_px[[person, *others]][:, frames].astype(np.float64)
    middles = boxes[..., [0, 2]].mean(axis=-1)  # (1 + anchors, frames)
    away = (middles[1:] - middles[0]) / (_MARGIN * scene.width)
    none = np.zeros(away.shape[1])
    if kind == "left of":
        return away[0], none
    if kind == "right of":
        return -away[0], none
    if kind == "between":
        return np.minimum(away.max(axis=0), -away.min(axis=0)), none
    me, other = scene.people[person], scene.people[others[0]]
    tall = max(me.height_px, other.height_px)
    # The nearer to the camera, the lower the feet are in the image.
    nearer = (me.ground_y_px - other.ground_y_px) / (_NEARER * tall)
    sign = 1.0 if kind == "in front of" else -1.0
    aside = np.abs(middles[1] - middles[0]) / tall
    return np.full(len(none), sign * nearer), aside
