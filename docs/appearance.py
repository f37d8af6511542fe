# SPDX-License-Identifier: Apache-2.0

"""Writes the measured tables of docs/identity.md: `python docs/appearance.py`.

With `--video` and `--tracks`, descriptors are compared, and the layers of the embedded model: on
people of a real video who were marked by eye, the first quarter of each track among the last
quarters, and on rendered people who come back, in `--count` scenes of the split "train". With
`--figures`, the tables of the file that `stvg-ros identity --json` wrote.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm
from tube_sources import Marked, real

from stvg_lab.identity.reappearance_ranks import recognitions
from stvg_lab.identity.token_descriptor import LAYER as TOKEN_LAYER
from stvg_lab.identity.token_descriptor import POOLING as TOKEN_POOLING
from stvg_lab.identity.token_descriptor import POOLINGS, every_pooling
from stvg_lab.identity.track_rows import true_rows
from stvg_lab.identity.visual_layers import VisualLayers
from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.queries import split_seed
from stvg_lab.rendered.reappearances import reappearance_scene
from stvg_ros.config import Config
from stvg_ros.identity.descriptor import AppearanceDescriptor, TubeDescriptor, qualities
from stvg_ros.identity.descriptor_choice import build_descriptor
from stvg_ros.identity.settings import IdentityConfig
from stvg_ros.types import Clip

PAGE = Path(__file__).resolve().parent / "identity.md"
DESCRIPTORS = ("garments", "mobilenet", "both")
FIRST_SCENE = 22_000  # of the rendered ones
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


def compare(windows: Windows, count: int) -> None:
    """Writes the tables of descriptors, and of layers and poolings of the embedded model."""
    described = [
        build_descriptor(IdentityConfig(descriptor=name, device="cpu")) for name in DESCRIPTORS
    ]
    layers = VisualLayers.of(Config.from_flat({"model.path": "embedded", "model.device": "cpu"}))
    tokens = every_pooling(layers)
    rendered = rendered_rights(count, [*described, *tokens])
    real = [real_rights(windows, one) for one in (*described, *tokens)]
    chosen = [
        at
        for at, one in enumerate(tokens, len(described))
        if (one.layer, one.pooling) == (TOKEN_LAYER, TOKEN_POOLING)
    ]
    rows = []
    for at in (*range(len(described)), *chosen):
        right, every, people, spent_ms = real[at]
        name = DESCRIPTORS[at] if at < len(described) else "tokens"
        cost = f"{spent_ms:.1f}" if at < len(described) else "those of the model"
        shares = [_of(rendered[at].get(what, [])) for what in ("", "shirt", "trousers")]
        rows.append([f"`{name}`", *shares, f"{right} of {people}", f"{every} of {people}", cost])
    head = [
        "descriptor", "rendered: clothes of their own", "another in the same shirt",
        "in the same trousers", f"real: in their window (chance {len(windows)})",
        "among all (chance 1)", "ms a person",
    ]  # fmt: skip
    _write("appearance", head, rows)
    rows = []
    for layer in layers.names:
        cells = []
        for at, one in enumerate(tokens, len(described)):
            if one.layer == layer:
                every_one = [right for part in rendered[at].values() for right in part]
                cells.append(f"{_of(every_one)}; {real[at][0]} of {real[at][2]}")
        rows.append([layer, *cells])
    _write("tokens", ["layer", *POOLINGS], rows)


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
    parser.add_argument("--count", type=int, default=20, help="rendered scenes (default 20)")
    parser.add_argument("--figures", type=Path, help="file of `stvg-ros identity --json`")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if given.video is not None and given.tracks is not None:
        compare(list(real(given.video, given.tracks)), given.count)
    if given.figures is not None:
        figures = json.loads(given.figures.read_text(encoding="utf-8"))
        _write("identity", ["what", "value", "95 % interval", "samples"], figure_rows(figures))
        if figures["costs"]:
            _write("memory", ["what", "value"], cost_rows(figures["costs"][0]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
