# SPDX-License-Identifier: Apache-2.0

"""Writes the measured tables of docs/identity.md: `python docs/appearance.py`.

Descriptors are compared; with `--tokens`, the layers of the embedded model instead. With `--video`
and `--tracks` on people of a real video who were marked by eye: the first quarter of each track
among the last quarters. With `--rendered` on rendered people who come back, and with `--rooms` on
those who walk into another room, in scenes of the split "train". With `--figures`, the tables of
the file that `stvg-ros identity --json` wrote.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm
from tube_sources import Marked, real

from stvg_lab.identity.reappearance_ranks import recognitions
from stvg_lab.identity.token_descriptor import POOLINGS, TokenDescriptor, every_pooling
from stvg_lab.identity.track_rows import true_rows
from stvg_lab.identity.visual_layers import VisualLayers
from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.queries import split_seed
from stvg_lab.rendered.reappearances import reappearance_scene
from stvg_lab.rendered.render import render
from stvg_lab.rendered.room import draw_background
from stvg_ros.config import Config
from stvg_ros.identity.descriptor import (
    SAME_PERSON,
    AppearanceDescriptor,
    TubeDescriptor,
    qualities,
)
from stvg_ros.identity.descriptor_choice import build_descriptor
from stvg_ros.identity.settings import IdentityConfig
from stvg_ros.types import Clip

PAGE = Path(__file__).resolve().parent / "identity.md"
DESCRIPTORS = ("garments", "mobilenet", "both")
FIRST_SCENE = 22_000  # of the rendered ones
ROOM_FRAMES = ((3, 9), (23, 29))  # of the scene that are shown in the first and in the other room
EVERY = 2  # frames of a quarter
LEAST = 0.01  # quality of a hidden person, who is described nevertheless
ROWS = (
    (
        "rank1_distinct",
        None,
        "recognised after 3 to 20 s, nobody else in the same shirt or trousers",
    ),
    ("rank1_shared", None, "the same, one other in the same shirt"),
    ("rank1_trousers", None, "the same, one other in the same trousers"),
    ("hota", "ours", "HOTA of the tubes"),
    ("hota", "without appearance", "HOTA, linked by motion alone"),
    ("hota", "ByteTrack", "HOTA, ByteTrack of the library `trackers`"),
    ("id_switches", "ours", "identity switches of the tubes"),
    ("id_switches", "without appearance", "switches, linked by motion alone"),
    ("id_switches", "ByteTrack", "switches, ByteTrack"),
    ("losses", None, "losses in a stream of ten minutes"),
    ("found_again", None, "found again"),
    ("silent_swaps", None, "another person followed for a second or more"),
    ("delay_s", None, "seconds from the return to the first box"),
)


def quarters(people: Sequence[Marked]) -> Iterator[tuple[int, int, bool]]:
    """Frame, number of the person, and whether it belongs to the last quarter."""
    for number, (_, shown) in enumerate(people):
        frames = np.flatnonzero(shown)
        quarter = max(1, len(frames) // 4)
        for last, part in ((False, frames[:quarter]), (True, frames[-quarter:])):
            yield from ((int(frame), number, last) for frame in part[::EVERY])


def vectors(
    clip: Clip, people: Sequence[Marked], descriptor: AppearanceDescriptor
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Of the first and the last quarters, `(P, D)` each, and milliseconds a person."""
    looks = [[TubeDescriptor(descriptor) for _ in people] for _ in range(2)]
    wanted: dict[int, list[tuple[int, bool]]] = {}
    for frame, number, last in quarters(people):
        wanted.setdefault(frame, []).append((number, last))
    spent = count = 0.0
    for frame, asked in wanted.items():
        image = clip.frames[frame].image
        height, width = image.shape[:2]
        there = [number for number, (_, shown) in enumerate(people) if shown[frame]]
        scale = width / clip.frames[frame].source_width_px
        boxes = np.stack([people[number][0][frame] for number in there]) * np.float32(scale)
        begin = time.process_time()
        rows = descriptor(image, boxes)
        spent, count = spent + time.process_time() - begin, count + len(boxes)
        good = qualities(boxes, width, height)
        for number, last in asked:
            at = there.index(number)
            looks[last][number].add(rows[at], float(good[at]) + LEAST)
    first, second = (np.stack([look.vector for look in part]) for part in looks)  # type: ignore[misc]
    return first, second, 1e3 * spent / count


Windows = Sequence[tuple[Clip, list[Marked]]]


def real_rights(windows: Windows, descriptor: AppearanceDescriptor) -> tuple[int, int, int, float]:
    """Number of people recognised in their window, among all, of how many; ms a person."""
    found = [vectors(clip, people, descriptor) for clip, people in windows]
    right = sum(_right(descriptor.similarity(one, two)) for one, two, _ in found)
    first, second = (np.concatenate([part[k] for part in found]) for k in (0, 1))
    every = _right(descriptor.similarity(first, second))
    return right, every, len(first), float(np.mean([part[2] for part in found]))


def rendered_rights(
    count: int, descriptors: Sequence[AppearanceDescriptor]
) -> list[dict[str, list[bool]]]:
    """For each descriptor, who is recognised in rendered scenes, by what two people share."""
    found: list[dict[str, list[bool]]] = [{} for _ in descriptors]
    for index in tqdm(range(count), desc="scenes", leave=False, disable=None):
        made = reappearance_scene(split_seed("train", FIRST_SCENE + index))
        frames = tuple(scene_frames(made.scene))
        boxes = [np.array(list(row.values()), np.float32).reshape(-1, 4) for row in true_rows(made)]
        for rights, ranks in zip(
            found, recognitions(made, frames, boxes, descriptors), strict=True
        ):
            for one in ranks:
                rights.setdefault(one.shares, []).append(one.right)
    return found


def described() -> list[AppearanceDescriptor]:
    """Those of `DESCRIPTORS`."""
    return [build_descriptor(IdentityConfig(descriptor=name, device="cpu")) for name in DESCRIPTORS]


def embedded_tokens() -> list[TokenDescriptor]:
    """Every layer and pooling of the embedded model."""
    config = Config.from_flat({"model.path": "embedded", "model.device": "cpu"})
    return every_pooling(VisualLayers.of(config))


def write_real(windows: Windows, *, tokens: bool) -> None:
    """Writes the table of the real people."""
    if tokens:
        cells = []
        every = embedded_tokens()
        for one in tqdm(every, desc="poolings", leave=False, disable=None):
            right, among, people, _ = real_rights(windows, one)
            cells.append(f"{right} and {among} of {people}")
        _write("tokens", ["layer", *POOLINGS], _by_layer(every, cells))
        return
    rows = []
    for name, descriptor in zip(DESCRIPTORS, described(), strict=True):
        right, among, people, spent_ms = real_rights(windows, descriptor)
        rows.append(
            [f"`{name}`", f"{right} of {people} (chance {len(windows)})",
             f"{among} of {people} (chance 1)", f"{spent_ms:.1f}"]
        )  # fmt: skip
    _write("appearance", ["descriptor", "in its window", "among all", "ms a person"], rows)


def write_rendered(count: int, *, tokens: bool) -> None:
    """Writes the table of the rendered people."""
    if tokens:
        every = embedded_tokens()
        found = rendered_rights(count, every)
        cells = [_of([one for part in rights.values() for one in part]) for rights in found]
        _write("rendered_tokens", ["layer", *POOLINGS], _by_layer(every, cells))
        return
    rows = [
        [f"`{name}`", *(_of(rights.get(what, [])) for what in ("", "shirt", "trousers"))]
        for name, rights in zip(DESCRIPTORS, rendered_rights(count, described()), strict=True)
    ]
    head = [
        "descriptor",
        "nobody in the same clothes",
        "one in the same shirt",
        "in the same trousers",
    ]
    _write("rendered", head, rows)


def write_rooms(count: int) -> None:
    """Writes the table of people who walk from one rendered room into another."""
    rows = []
    every = described()
    alike: list[list[NDArray[np.float32]]] = [[] for _ in every]
    for index in tqdm(range(count), desc="rooms", leave=False, disable=None):
        seen = [_looks_in_room(FIRST_SCENE + index, room, every) for room in range(2)]
        for at, descriptor in enumerate(every):
            here, there = (look[at] for look in seen)
            alike[at].append(descriptor.similarity(here, there))
    for name, found in zip(DESCRIPTORS, alike, strict=True):
        people = sum(len(one) for one in found)
        own = np.concatenate([np.diag(one) for one in found])
        others = np.concatenate([one[~np.eye(len(one), dtype=bool)] for one in found])
        rows.append(
            [f"`{name}`", f"{sum(map(_right, found))} of {people}",
             f"{int((own >= SAME_PERSON).sum())} of {people}",
             f"{int((others >= SAME_PERSON).sum())} of {len(others)}"]
        )  # fmt: skip
    head = [
        "descriptor",
        "most similar in the room",
        "similarity of at least 0.5",
        "others with that",
    ]
    _write("rooms", head, rows)


def _looks_in_room(
    index: int, room: int, every: Sequence[AppearanceDescriptor]
) -> list[NDArray[np.float32]]:
    """For each descriptor, what the cast of a scene looks like in a room of its own, `(P, D)`."""
    scene = reappearance_scene(split_seed("train", index)).scene
    rng = np.random.default_rng((index, room))
    scene = replace(
        scene, background=draw_background(rng), foreground=(),
        gain=float(1 + rng.uniform(-0.2, 0.15)), noise=float(rng.uniform(0, 6)),
    )  # fmt: skip
    looks = [[TubeDescriptor(one) for _ in scene.people] for one in every]
    for frame in ROOM_FRAMES[room]:
        image, boxes = render(scene, frame), scene.boxes_xyxy_px[:, frame]
        good = qualities(boxes, scene.width, scene.height) + LEAST
        for descriptor, tubes in zip(every, looks, strict=True):
            for tube, vector, quality in zip(tubes, descriptor(image, boxes), good, strict=True):
                tube.add(vector, float(quality))
    return [np.stack([tube.vector for tube in tubes]) for tubes in looks]  # type: ignore[misc]


def _by_layer(every: Sequence[TokenDescriptor], cells: Sequence[str]) -> list[list[str]]:
    """A row for each layer, with the cells of its poolings."""
    rows: dict[str, list[str]] = {}
    for one, cell in zip(every, cells, strict=True):
        rows.setdefault(one.layer, []).append(cell)
    return [[layer, *row] for layer, row in rows.items()]


def _of(rights: Sequence[bool]) -> str:
    return f"{sum(rights)} of {len(rights)}"


def _right(alike: NDArray[np.float32]) -> int:
    return int((alike.argmax(axis=1) == np.arange(len(alike))).sum())


def figure_rows(figures: dict[str, Any]) -> list[list[str]]:
    """The table of `stvg-ros identity --json`."""
    rows = []
    for key, part, said in ROWS:
        value = figures[key] if part is None else figures[key].get(part)
        if value is None:
            rows.append([said, "not measured", "", ""])
            continue
        digits = 0 if "total" in value else 3
        main = value.get("total", value.get("mean"))
        ends = [value["low"], value["high"]]
        between = "" if None in ends else " to ".join(f"{end:.{digits}f}" for end in ends)
        rows.append([said, f"{main:.{digits}f}", between, str(value["samples"])])
    return rows


def cost_rows(cost: dict[str, Any]) -> list[list[str]]:
    """The costs of a stream."""
    spent, kept, resident = cost["ms_an_image"], cost["remembered_mb"], cost["resident_mb"]
    half = len(kept) // 2
    return [
        ["processor time an image without memory, ms", f"{spent['observing']:.1f}"],
        ["for the memory, ms", f"{spent['remembering']:.1f}"],
        ["for following and searching, ms", f"{spent['following']:.1f}"],
        [f"memory beyond the window after {half} minutes, MB", f"{kept[half - 1]:.1f}"],
        [f"after {len(kept)} minutes, MB", f"{kept[-1]:.1f}"],
        [f"the whole process after {half} minutes, MB", f"{resident[half - 1]:.0f}"],
        [f"after {len(kept)} minutes, MB", f"{resident[-1]:.0f}"],
    ]


def _write(name: str, head: list[str], rows: list[list[str]]) -> None:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    table = "\n".join([f"<!-- table: {name} -->", *lines, "<!-- end -->"])
    text = PAGE.read_text(encoding="utf-8")
    marks = rf"<!-- table: {name} -->.*?<!-- end -->"
    PAGE.write_text(re.sub(marks, lambda found: table, text, flags=re.S), encoding="utf-8")


def main() -> int:
    """Measures and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path, help="vtest.avi of Debian's package opencv-doc")
    parser.add_argument("--tracks", type=Path, help="JSON file with the people marked in it")
    parser.add_argument("--rendered", type=int, default=0, help="number of rendered scenes")
    parser.add_argument("--rooms", type=int, default=0, help="number of pairs of rendered rooms")
    parser.add_argument("--tokens", action="store_true", help="compare the embedded model's tokens")
    parser.add_argument("--figures", type=Path, help="file of `stvg-ros identity --json`")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if given.video is not None and given.tracks is not None:
        write_real(list(real(given.video, given.tracks)), tokens=given.tokens)
    if given.rooms:
        write_rooms(given.rooms)
    if given.rendered:
        write_rendered(given.rendered, tokens=given.tokens)
    if given.figures is not None:
        figures = json.loads(given.figures.read_text(encoding="utf-8"))
        _write("identity", ["what", "value", "95 % interval", "samples"], figure_rows(figures))
        if figures["costs"]:
            _write("memory", ["what", "value"], cost_rows(figures["costs"][0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
