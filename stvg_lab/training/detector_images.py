# SPDX-License-Identifier: Apache-2.0

"""Images of rendered scenes with the boxes of their people, for the training of the detector.

P people in an image. Boxes are (centre x, centre y, width, height), as shares of the image's size.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from stvg_lab.rendered.character import figure_box
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.queries import HARD_SPLITS, SPLIT_SEEDS, TRAIN_HARD, split_seed
from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import Scene
from stvg_lab.rendered.visible_parts import visible_shares

HEIGHT, WIDTH = 256, 320  # multiples of the coarsest stride, 32
_SCENE_FRAMES = 4  # images of one scene
_HARD = 0.65  # share of hard scenes
_LEAST_INSIDE = 0.25  # minimum share of a person's box in the image
_LEAST_SEEN = 0.15  # minimum share of a person that nothing hides


def scene_of(split: str, number: int) -> Scene | HardScene:
    """A scene of a split."""
    seed = split_seed(split, number)
    return HardScene.from_seed(seed) if split in HARD_SPLITS else Scene.from_seed(seed)


def boxes_of(scene: Scene | HardScene, frame: int) -> NDArray[np.float32]:
    """The visible people of a frame, `(P, 4)`, the farthest first."""
    limit = np.array([scene.width, scene.height] * 2, np.float32)
    people = len(scene.people)
    shares = visible_shares(scene, people + len(getattr(scene, "things", ())), [frame])[:, 0]
    kept = []
    for layer in scene.layers(frame):
        if not 0 <= layer.owner < people or shares[layer.owner] < _LEAST_SEEN:
            continue
        box = figure_box(layer.props) + np.tile(layer.shift_px, 2)
        inside = np.clip(box, 0, limit)
        sides, whole = inside[2:] - inside[:2], box[2:] - box[:2]
        if sides.min() > 0 and sides.prod() >= _LEAST_INSIDE * whole.prod():
            kept.append(np.concatenate([(inside[:2] + inside[2:]) / 2, sides]) / limit)
    return np.array(kept, np.float32).reshape(-1, 4)


class Images(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless random frames of training scenes: `(3, HEIGHT, WIDTH)` uint8, and boxes."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields without end."""
        cv2.setNumThreads(1)
        rng = np.random.default_rng((self._seed, 5))
        while True:
            scene = _drawn(rng)
            for frame in rng.integers(scene.frame_count, size=_SCENE_FRAMES).tolist():
                size = (scene.width, scene.height) if rng.random() < 0.25 else (320, 240)
                image = render(scene, frame, *size)
                image, boxes = _disturbed(image, boxes_of(scene, frame), rng)
                yield pixels(image), torch.from_numpy(boxes)


def _drawn(rng: np.random.Generator) -> Scene | HardScene:
    number = int(rng.integers(SPLIT_SEEDS))
    if rng.random() < _HARD:
        return HardScene.from_seed(split_seed(TRAIN_HARD, number))
    return Scene.from_seed(split_seed("train", number), difficulty=float(rng.uniform(0, 1)))


def pixels(image: NDArray[np.uint8]) -> Tensor:
    """The image resized to the size of the model, `(3, HEIGHT, WIDTH)` uint8."""
    shrinks = image.shape[1] > WIDTH
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.resize(image, (WIDTH, HEIGHT), interpolation=how)).permute(2, 0, 1)


def _disturbed(
    image: NDArray[np.uint8], boxes: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Randomly mirrored, tinted and compressed."""
    if rng.random() < 0.5:
        image = np.ascontiguousarray(image[:, ::-1])
        boxes = np.concatenate([1 - boxes[:, :1], boxes[:, 1:]], axis=1)
    tint = rng.normal(1, 0.04, 3) * rng.uniform(0.8, 1.15)
    image = np.clip(image * tint + rng.normal(0, 6), 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    return np.asarray(image, np.uint8), boxes
