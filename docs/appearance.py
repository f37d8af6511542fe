# SPDX-License-Identifier: Apache-2.0

"""Writes the measured tables of docs/identity.md: `python docs/appearance.py`.

With `--video` and `--tracks`, people of a real video who were marked by eye are recognised: the
first quarter of each track among the last quarters. With `--figures`, the table of the file that
`stvg-ros identity --json` wrote.
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
from tube_sources import Marked, real

from stvg_ros.identity.descriptor import AppearanceDescriptor, TubeDescriptor, qualities
from stvg_ros.identity.descriptor_choice import build_descriptor
from stvg_ros.identity.settings import IdentityConfig
from stvg_ros.types import Clip

PAGE = Path(__file__).resolve().parent / "identity.md"
DESCRIPTORS = ("garments", "mobilenet", "both")
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


def real_rows(video: Path, tracks: Path) -> list[list[str]]:
    """How many people each descriptor recognises in their window, and among everybody."""
    windows = list(real(video, tracks))
    rows = []
    for name in DESCRIPTORS:
        descriptor = build_descriptor(IdentityConfig(descriptor=name, device="cpu"))
        found = [vectors(clip, people, descriptor) for clip, people in windows]
        right = sum(_right(descriptor.similarity(one, two)) for one, two, _ in found)
        first, second = (np.concatenate([part[k] for part in found]) for k in (0, 1))
        every = _right(descriptor.similarity(first, second))
        chance = sum(1 for _ in found)
        spent = float(np.mean([part[2] for part in found]))
        rows.append(
            [f"`{name}`", f"{right} of {len(first)} (chance {chance})",
             f"{every} of {len(first)} (chance 1)", f"{spent:.1f}"]
        )  # fmt: skip
    return rows


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
    parser.add_argument("--figures", type=Path, help="file of `stvg-ros identity --json`")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    if given.video is not None and given.tracks is not None:
        head = ["descriptor", "in its window", "among all", "ms a person"]
        _write("appearance", head, real_rows(given.video, given.tracks))
    if given.figures is not None:
        figures = json.loads(given.figures.read_text(encoding="utf-8"))
        _write("identity", ["what", "value", "95 % interval", "samples"], figure_rows(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
