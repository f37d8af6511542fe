# SPDX-License-Identifier: Apache-2.0

"""Background model: moving regions, and people who are part of the background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, iou_matrix, shared_with
from stvg_ros.proposals.people.camera_motion import Image, difference, looks_equal

_SAMPLES = 31
_GHOST_FRAMES = 5
_SLIM = 0.6  # maximum width of a place over its height
_LEAST_PIXELS = 20
_FRAGMENT = 0.75  # of a standing person's height; a lower region may be a part of them


@dataclass(frozen=True, eq=False)
class BackgroundModel:
    """The background image `(h, w, 3)`, without moving objects."""

    image: Image

    @classmethod
    def of(cls, images: Sequence[Image]) -> BackgroundModel:
        """The median over up to `_SAMPLES` stabilized copies spread over the clip."""
        picks = np.unique(np.linspace(0, len(images) - 1, _SAMPLES).round().astype(int))
        stack = np.stack([images[i] for i in picks])
        stack.sort(axis=0)  # in bytes; np.median would need a copy in floats
        return cls(np.asarray(stack[len(stack) // 2], np.uint8))

    @cached_property
    def smooth(self) -> Image:
        """The image, slightly blurred for comparison."""
        return _smooth(self.image)

    @cached_property
    def gradient(self) -> NDArray[np.float32]:
        """Strength of the edges, `(h, w)`."""
        return _gradient(self.image)


@dataclass(frozen=True, eq=False)
class Regions:
    """Differences of a frame from the background, boxes `(N, 4)` each.

    Attributes:
        people: upright regions.
        ghosts: places of people in the background who are no longer there.
        parts: regions that are too small or too wide for a person.
    """

    people: Boxes = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    ghosts: Boxes = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    parts: Boxes = field(default_factory=lambda: np.zeros((0, 4), np.float32))


def moving_regions(image: Image, background: BackgroundModel, min_height_px: float) -> Regions:
    """The regions of a stabilized copy that differ from the background.

    A person who is part of the median and leaves produces a ghost: its outline is an edge of the
    background but not of the frame. The place is empty now but was occupied.
    """
    strength = difference(_smooth(image), background.smooth)
    level = max(16, 4 * _median(strength))
    mask = (strength > level).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    here, empty = _gradient(image), background.gradient
    boxes: list[tuple[int, ...]] = []
    ghosts: list[tuple[int, ...]] = []
    parts: list[tuple[int, ...]] = []
    for index in range(1, count):
        x, y, w, h, pixels = (int(value) for value in stats[index])
        if pixels < _LEAST_PIXELS:
            continue
        odd = h < min_height_px or w > 1.1 * h or h > 6 * w or pixels < 0.25 * w * h
        rows, columns = slice(max(0, y - 1), y + h + 1), slice(max(0, x - 1), x + w + 1)
        region = (labels[rows, columns] == index).astype(np.uint8)
        outline = cv2.morphologyEx(region, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
        is_ghost = here[rows, columns][outline].mean() < empty[rows, columns][outline].mean()
        if not (odd and is_ghost):
            kind = ghosts if is_ghost else parts if odd else boxes
            kind.append((x, y, x + w, y + h))
    return Regions(*(np.array(rows, np.float32).reshape(-1, 4) for rows in (boxes, ghosts, parts)))


def standing_places(shaped: Boxes, ghosts: Sequence[Boxes]) -> Boxes:
    """Boxes `(N, 4)` of people who are part of the background.

    Args:
        shaped: people whom the shape detector finds in the background image.
        ghosts: of every frame; a place is valid if `_GHOST_FRAMES` frames agree on it and no
            person was recognised there. Short-lived shapes are ignored.
    """
    every = np.concatenate([np.zeros((0, 4), np.float32), *ghosts])
    alike = iou_matrix(every, every) > 0.7
    places = list(shaped)
    while alike.any() and (votes := alike.sum(axis=1)).max() >= _GHOST_FRAMES:
        group = alike[int(votes.argmax())].copy()
        box = np.median(every[group], axis=0).astype(np.float32)
        slim = box[2] - box[0] <= _SLIM * (box[3] - box[1])  # wider ones contain two people
        if slim and (not places or shared_with(box[None], np.stack(places)).max() < 0.4):
            places.append(box)
        alike[group] = False
        alike[:, group] = False
    return np.array(places, np.float32).reshape(-1, 4)


def people_at(
    image: Image, background: BackgroundModel, regions: Regions, places: Boxes
) -> tuple[Boxes, NDArray[np.int64]]:
    """Boxes `(N, 4)` of the moving regions and of the people in the background.

    If a place equals the background, its person is there, at rest. If it does not, small regions
    that touch it are parts of its person, who moves an arm or jumps: one box joins them.

    Returns:
        The boxes, and the number of each box's place, -1 for none, `(N,)`.
    """
    boxes: list[NDArray[np.float32]] = []
    numbers: list[int] = []
    moving = np.concatenate([regions.people, regions.parts])
    part_of = np.full(len(moving), -1)
    for index, place in enumerate(places):
        if looks_equal(image, background.image, place):
            boxes.append(place)
            numbers.append(index)
            continue
        low = np.maximum(moving[:, :2], place[:2])
        high = np.minimum(moving[:, 2:], place[2:])
        touches = (high > low).all(axis=1)
        small = moving[:, 3] - moving[:, 1] < _FRAGMENT * (place[3] - place[1])
        part_of[touches & small] = index
    for index in np.unique(part_of[part_of >= 0]).tolist():
        together = np.concatenate([moving[part_of == index], places[index][None]])
        boxes.append(np.concatenate([together[:, :2].min(axis=0), together[:, 2:].max(axis=0)]))
        numbers.append(index)
    free = regions.people[part_of[: len(regions.people)] < 0]
    everyone = np.concatenate([free, np.array(boxes, np.float32).reshape(-1, 4)])
    return everyone.astype(np.float32), np.array([-1] * len(free) + numbers, np.int64)


def _median(levels: Image) -> int:
    counts = np.bincount(levels.ravel(), minlength=256)
    return int(np.searchsorted(counts.cumsum(), levels.size / 2))


def _smooth(image: Image) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (3, 3), 0), np.uint8)


def _gradient(image: Image) -> NDArray[np.float32]:
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    x, y = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(x, y), np.float32)
