# SPDX-License-Identifier: Apache-2.0

"""Training clips, rendered by a background process into a ring buffer in shared memory.

At most P people, T frames per clip, h x w visual tokens per frame.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file

from stvg_lab.rendered.character import figure_box
from stvg_lab.rendered.queries import split_seed
from stvg_lab.rendered.render import Drawable, render
from stvg_lab.rendered.scene import ACTIONS, SHIRTS, Scene
from stvg_lab.rendered.scene_generator import MOST_PEOPLE
from stvg_lab.training.packed_questions import COLUMNS, HEIGHT, ROWS, WIDTH

FRAMES = 16
PEOPLE = MOST_PEOPLE
STANDS = len(ACTIONS)  # index of "stand" after the actions
NOBODY = -1
BAG_KINDS = (None, "backpack", "handbag")


@dataclass(frozen=True, eq=False)
class TrainingClip:
    """A sampled and resized scene with its labels.

    Attributes:
        frames: `(T, HEIGHT, WIDTH, 3)` uint8.
        shirts: `(P,)` index into `SHIRTS`, or -1 without a person.
        bags: `(P,)` index into `BAG_KINDS`.
        acts: `(P, T)` index into `ACTIONS`, or `STANDS`; -1 without a person.
        carries: `(P, T)` whether the person holds a carton.
        places: `(P, T)` x of the feet, as a share of the image width.
        cover: `(P, T, h * w)` share of each visual token's area inside the person's box.
        boxes: `(P, T, 4)` boxes as shares of the image size.
    """

    frames: NDArray[np.uint8]
    shirts: NDArray[np.int64]
    bags: NDArray[np.int64]
    acts: NDArray[np.int64]
    carries: NDArray[np.bool_]
    places: NDArray[np.float32]
    cover: NDArray[np.float32]
    boxes: NDArray[np.float32]


def sampled(scene: Drawable, rng: np.random.Generator | None) -> NDArray[np.int64]:
    """Frames of a clip, `(T,)`: uniform over the scene, or over a random part of it."""
    if rng is None:
        return np.round((np.arange(FRAMES) + 0.5) * scene.frame_count / FRAMES - 0.5).astype(int)
    length = scene.frame_count * (rng.uniform(0.55, 1) if rng.random() < 0.25 else 1.0)
    first = rng.uniform(0, scene.frame_count - length)
    steps = (np.arange(FRAMES) + rng.uniform(0, 1) + rng.uniform(-0.15, 0.15, FRAMES)) / FRAMES
    return np.clip(first + steps * length, 0, scene.frame_count - 1).astype(int)


def covered(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of each visual token inside each box, `(N, 4)` to `(N, h * w)`."""
    parts = []
    for low, high, count in ((0, 2, COLUMNS), (1, 3, ROWS)):
        edges = np.arange(count + 1) / count
        overlap = np.minimum(boxes[:, high, None], edges[1:]) - np.maximum(
            boxes[:, low, None], edges[:-1]
        )
        parts.append(np.clip(overlap, 0, None) * count)
    shares = parts[1][:, :, None] * parts[0][:, None, :]
    return shares.reshape(len(boxes), ROWS * COLUMNS).astype(np.float32)


def make_clip(scene: Scene, rng: np.random.Generator | None = None) -> TrainingClip:
    """Renders a clip. Without `rng`: uniform samples of full-size images, no augmentation."""
    chosen = sampled(scene, rng)
    frames = drawn_frames(scene, chosen, rng)
    shirts, bags = np.full(PEOPLE, NOBODY), np.zeros(PEOPLE, np.int64)
    acts = np.full((PEOPLE, FRAMES), NOBODY)
    carries = np.zeros((PEOPLE, FRAMES), np.bool_)
    places = np.zeros((PEOPLE, FRAMES), np.float32)
    boxes = np.zeros((PEOPLE, FRAMES, 4), np.float32)
    limit = np.array([scene.width, scene.height] * 2)
    for index, person in enumerate(scene.people):
        shirts[index] = list(SHIRTS).index(person.shirt)
        bags[index] = BAG_KINDS.index(person.bag)
        places[index] = scene.feet_px[index, chosen] / scene.width
        for at, frame in enumerate(chosen):
            act = person.act_at(int(frame))
            acts[index, at] = STANDS if act is None else ACTIONS.index(act.name)
            carries[index, at] = person.carries(int(frame))
            box = figure_box(person.figure(int(frame), scene.fps))
            boxes[index, at] = np.clip((box + np.tile(scene.shake_px[frame], 2)) / limit, 0, 1)
    cover = covered(boxes.reshape(-1, 4)).reshape(PEOPLE, FRAMES, -1)
    return TrainingClip(frames, shirts, bags, acts, carries, places, cover, boxes)


def drawn_frames(
    scene: Drawable,
    chosen: NDArray[np.int64],
    rng: np.random.Generator | None,
    mark: Callable[[int, NDArray[np.uint8]], NDArray[np.uint8]] | None = None,
) -> NDArray[np.uint8]:
    """These frames of a scene, `(T, HEIGHT, WIDTH, 3)`; with `rng`, tinted and mostly drawn small.

    Without `rng` full-size images are resized as those of a camera.

    Args:
        scene: the scene.
        chosen: `(T,)` its frames.
        rng: of sizes, tint and JPEG.
        mark: draws on an image before it is resized, given its place among the T.
    """
    draw = 1.0 if rng is None else rng.random()
    if mark is not None:
        images = [
            _shrunk(mark(t, render(scene, int(i), 320, 240)), rng) for t, i in enumerate(chosen)
        ]
    elif rng is None or draw < 0.02:
        images = [_shrunk(render(scene, int(i)), rng) for i in chosen]
    elif draw < 0.12:
        images = [_shrunk(render(scene, int(i), 320, 240), rng) for i in chosen]
    else:
        images = [render(scene, int(i), WIDTH, HEIGHT) for i in chosen]
    frames = np.stack(images)
    if rng is not None:
        tint = rng.normal(1, 0.04, 3) * rng.uniform(0.8, 1.15)
        frames = np.clip(frames * tint + rng.normal(0, 6), 0, 255).astype(np.uint8)
    return frames


def draw_clip(rng: np.random.Generator) -> TrainingClip:
    """A clip of a random scene of the split train."""
    scene = Scene.from_seed(
        split_seed("train", int(rng.integers(10_000_000))), difficulty=float(rng.uniform(0, 1))
    )
    return make_clip(scene, rng)


def _shrunk(image: NDArray[np.uint8], rng: np.random.Generator | None) -> NDArray[np.uint8]:
    if rng is not None and rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))]
        image = cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR)
    small = Image.fromarray(image).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(small)


ArrayShapes = Mapping[str, tuple[tuple[int, ...], torch.dtype]]
ARRAYS: ArrayShapes = {  # shape and type of each array of the pool
    "frames": ((FRAMES, HEIGHT, WIDTH, 3), torch.uint8),
    "shirts": ((PEOPLE,), torch.int64),
    "bags": ((PEOPLE,), torch.int64),
    "acts": ((PEOPLE, FRAMES), torch.int64),
    "carries": ((PEOPLE, FRAMES), torch.bool),
    "places": ((PEOPLE, FRAMES), torch.float32),
    "cover": ((PEOPLE, FRAMES, ROWS * COLUMNS), torch.float16),
}


class Pool:
    """A ring buffer of clips that a background process refills.

    Only the process writes the arrays and `count`; only the trainer reads them. The clip that is
    being written is never sampled.
    """

    def __init__(
        self,
        size: int,
        seed: int,
        arrays: ArrayShapes = ARRAYS,
        draw: Callable[[np.random.Generator], Any] = draw_clip,
    ) -> None:
        """Starts the process.

        Args:
            size: clips that are kept.
            seed: of the clips.
            arrays: shape and type of each array of a clip.
            draw: draws a clip, which has these arrays as attributes; a function of a module.
        """
        self.size = size
        self.arrays = {
            name: torch.zeros(size, *shape, dtype=kind) for name, (shape, kind) in arrays.items()
        }
        self.count = torch.zeros(1, dtype=torch.int64)
        for array in (*self.arrays.values(), self.count):
            array.share_memory_()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(
            target=_fill, args=(self.arrays, self.count, size, seed, draw), daemon=True
        )
        self._process.start()

    def draw(self, rng: np.random.Generator, clips: int) -> NDArray[np.int64]:
        """Indices of complete clips."""
        done = int(self.count[0])
        if done <= self.size:
            return rng.integers(done, size=clips)
        return (done + 2 + rng.integers(self.size - 4, size=clips)) % self.size

    def close(self) -> None:
        """Ends the background process."""
        self._process.terminate()
        self._process.join()


class KeptPool:
    """The clips of a file: the same for every run, whatever its speed. No process renders more."""

    def __init__(
        self,
        file: Path,
        size: int,
        seed: int,
        arrays: ArrayShapes = ARRAYS,
        draw: Callable[[np.random.Generator], Any] = draw_clip,
    ) -> None:
        """Reads `file`; if there is none, renders `size` clips and writes it first; see `Pool`."""
        if not file.exists():
            pool = Pool(size, seed, arrays, draw)
            while int(pool.count[0]) < size:
                time.sleep(0.2)
            pool.close()  # maybe while it replaces the first clip
            file.parent.mkdir(parents=True, exist_ok=True)
            save_file({name: array[1:] for name, array in pool.arrays.items()}, file)
        self.arrays = load_file(file)
        self.size = len(self.arrays["frames"])
        self.count = torch.tensor([self.size])

    def draw(self, rng: np.random.Generator, clips: int) -> NDArray[np.int64]:
        """Indices of clips."""
        return rng.integers(int(self.count[0]), size=clips)

    def close(self) -> None:
        """Nothing is open."""


def _fill(
    arrays: dict[str, torch.Tensor],
    count: torch.Tensor,
    size: int,
    seed: int,
    draw: Callable[[np.random.Generator], Any],
) -> None:
    torch.set_num_threads(1)
    os.nice(19)  # the trainer has priority
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, 77))
    index = 0
    threading.Thread(target=_end_with_trainer, daemon=True).start()
    while True:
        clip = draw(rng)
        for name, array in arrays.items():
            array[index % size] = torch.from_numpy(getattr(clip, name))
        index += 1
        count[0] = index
        if index > size:
            time.sleep(0.1)  # a full buffer is refreshed slowly


def _end_with_trainer() -> None:
    """Ends this process as soon as the trainer has ended, also when it was killed."""
    trainer = multiprocessing.parent_process()
    if trainer is not None:
        trainer.join()
        os._exit(1)
