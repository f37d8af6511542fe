# SPDX-License-Identifier: Apache-2.0

"""Measures the sources of candidate tubes for docs/tubes.md: `python docs/tube_sources.py`.

Each source runs in a process of its own on one core: over rendered scenes of the splits test and
entering and, with `--video` and `--tracks`, over windows of a video with people marked by eye.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.queries import split_scene
from stvg_ros.boxes import paired_iou
from stvg_ros.build import build_proposer
from stvg_ros.io.clip import file_clip
from stvg_ros.method.query import RuleSplitter
from stvg_ros.proposals.people.ssdlite import SsdliteDetector
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import CandidateTube, Clip

PAGE = Path(__file__).resolve().parent / "tubes.md"
SOURCES = {
    "classical": {"source": "classical"},
    "ssdlite": {"source": "people_detector", "people_detector": "ssdlite"},
    "embedded": {"source": "people_detector", "people_detector": "embedded"},
}
WINDOWS_S = {"a": (0.0, 8.05), "b": (41.0, 49.45), "c": (54.0, 61.95)}  # of vtest.avi
SHARES = (0.12, 0.2, 0.35, 0.6, 0.95)  # of the picture's height
INPUTS = (
    ("240 x 320", 240 * 320, False),
    ("336 x 448", 336 * 448, False),
    ("384 x 512", 384 * 512, False),
    ("336 x 448, and four tiles", 336 * 448, True),
)
PIECE = 5  # frames; shorter parts of a person do not count as a tube of them
HEAD = (
    "source", "on", "recall at IoU 0.5", "identity switches", "tubes a person",
    "tubes on nobody", "ms an image", "MB",
)  # fmt: skip

Image = NDArray[np.uint8]
Box = NDArray[np.float32]
# One person: boxes `(F, 4)` and the frames in which they are marked, `(F,)`.
Marked = tuple[NDArray[np.float32], NDArray[np.bool_]]


def quality(people: Sequence[Marked], tubes: Sequence[CandidateTube]) -> dict[str, float]:
    """How tubes cover marked people: hits and boxes, switches, pieces, tubes on nobody."""
    hits = boxes = switches = pieces = 0
    touched: set[int] = set()
    for marked, shown in people:
        overlaps = np.stack(
            [np.where(t.present, paired_iou(t.boxes_xyxy_px, marked), 0) for t in tubes]
            or [np.zeros(len(shown))]
        )[:, shown]
        best, score = overlaps.argmax(axis=0), overlaps.max(axis=0)
        boxes, hits = boxes + len(score), hits + int((score >= 0.5).sum())
        touched |= set(best[score >= 0.3].tolist())
        covered = best[score >= 0.5]
        switches += int((np.diff(covered) != 0).sum())
        pieces += int((np.unique(covered, return_counts=True)[1] >= PIECE).sum())
    return {
        "hits": hits, "boxes": boxes, "switches": switches, "people": len(people),
        "pieces": pieces, "nobody": len(tubes) - len(touched),
    }  # fmt: skip


def rendered(split: str, count: int) -> Iterator[tuple[Clip, list[Marked]]]:
    """Scenes of a split and their people."""
    for index in range(count):
        scene = split_scene(split, 2000 + index)
        yield (
            Clip(tuple(scene_frames(scene))),
            list(zip(scene.boxes_xyxy_px, scene.visible, strict=True)),
        )


def real(video: Path, tracks: Path) -> Iterator[tuple[Clip, list[Marked]]]:
    """Windows of vtest.avi and the people marked in them."""
    people = json.loads(tracks.read_text(encoding="utf-8"))
    for name, (start_s, end_s) in WINDOWS_S.items():
        clip = file_clip(video, start_s=start_s, end_s=end_s, long_side_px=640, max_rate_hz=15.0)
        seconds = clip.stamps_ns / 1e9
        marked = []
        for rows in map(np.array, people[name].values()):
            boxes = np.stack([np.interp(seconds, rows[:, 0], rows[:, k]) for k in range(1, 5)], 1)
            shown = (seconds >= rows[0, 0] - 0.03) & (seconds <= rows[-1, 0] + 0.03)
            marked.append((boxes.astype(np.float32), shown))
        yield clip, marked


def measured(source: str, count: int, video: Path | None, tracks: Path | None) -> list[list[str]]:
    """The rows of a source, in this process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    split = RuleSplitter().split("the person")
    worlds = {name: (lambda name=name: rendered(name, count)) for name in ("test", "entering")}
    if video is not None and tracks is not None:
        worlds["real video"] = lambda: real(video, tracks)
    clip, _ = next(rendered("test", 1))
    before = _memory_mb()
    proposer = build_proposer(ProposalConfig(device="cpu", **SOURCES[source]))
    proposer.propose(clip, split)  # the first image takes longer
    memory = _memory_mb() - before
    rows = []
    for world, clips in worlds.items():
        sums: dict[str, float] = {}
        spent = images = 0.0
        for clip, people in clips():
            begin = time.process_time()
            tubes = proposer.renewed().propose(clip, split)
            spent += time.process_time() - begin
            images += len(clip)
            for name, value in quality(people, tubes).items():
                sums[name] = sums.get(name, 0) + value
        rows.append(_row(source, world, sums, 1e3 * spent / images, memory))
    return rows


def _row(
    source: str, world: str, sums: Mapping[str, float], spent_ms: float, memory_mb: float
) -> list[str]:
    return [
        f"`{source}`", world if world == "real video" else f"rendered, {world}",
        f"{sums['hits'] / sums['boxes']:.2f}", f"{sums['switches']:.0f}",
        f"{sums['pieces'] / sums['people']:.2f}", f"{sums['nobody']:.0f}",
        f"{spent_ms:.0f}", f"{memory_mb:.0f}",
    ]  # fmt: skip


def pictures(video: Path, tracks: Path, share: float) -> Iterator[tuple[Image, Box]]:
    """Cut-outs of 4:3 around marked people, who are `share` of the cut-out's height."""
    for clip, people in real(video, tracks):
        for frame in (len(clip) // 2,):
            image = clip.frames[frame].image
            scale = image.shape[1] / clip.frames[frame].source_width_px
            for marked, shown in people:
                if not shown[frame]:
                    continue
                box = marked[frame] * scale
                rows = (box[3] - box[1]) / share
                columns, centre = rows * 4 / 3, (box[:2] + box[2:]) / 2
                corner = centre - (columns / 2, rows / 2)
                zoom = 480 / rows
                move = np.array([[zoom, 0, -zoom * corner[0]], [0, zoom, -zoom * corner[1]]])
                cut = cv2.warpAffine(image, move, (640, 480), borderMode=cv2.BORDER_REFLECT)
                yield np.asarray(cut, np.uint8), (box - np.tile(corner, 2)) * zoom


def tiled(detect: SsdliteDetector, image: Image) -> NDArray[np.float32]:
    """Boxes in the whole picture and in four overlapping tiles of it, `(N, 4)`."""
    height, width = image.shape[:2]
    boxes = [detect(image)[0]]
    for x in (0, int(0.4 * width)):
        for y in (0, int(0.4 * height)):
            tile = np.ascontiguousarray(image[y : y + int(0.6 * height), x : x + int(0.6 * width)])
            boxes.append(detect(tile)[0] + np.array([x, y, x, y], np.float32))
    return np.concatenate(boxes)


def heights(video: Path, tracks: Path) -> list[list[str]]:
    """Rows of single pictures: which people are found, by their height and the input's size."""
    torch.set_num_threads(1)
    rows = []
    for name, area_px, tiles in INPUTS:
        detect = SsdliteDetector(torch.device("cpu"), area_px=area_px)
        found, spent, count = [], 0.0, 0
        for share in SHARES:
            hits = []
            for image, box in pictures(video, tracks, share):
                begin = time.process_time()
                boxes = tiled(detect, image) if tiles else detect(image)[0]
                spent, count = spent + time.process_time() - begin, count + 1
                overlap = paired_iou(boxes, np.tile(box, (len(boxes), 1)))
                hits.append(bool((overlap >= 0.5).any()))
            found.append(f"{np.mean(hits):.2f}")
        rows.append([name, f"{1e3 * spent / count:.0f}", *found])
    return rows


def _memory_mb() -> float:
    """Peak so far; getrusage would include that of the process that started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return float(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1e3


def main() -> int:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4, help="rendered scenes of each split")
    parser.add_argument("--video", type=Path, help="vtest.avi of Debian's package opencv-doc")
    parser.add_argument("--tracks", type=Path, help="JSON file with the people marked in it")
    parser.add_argument("--source", choices=SOURCES, help="measure this one, print its rows")
    given = parser.parse_args()
    if given.source is not None:
        print(json.dumps(measured(given.source, given.count, given.video, given.tracks)))
        return 0
    if given.video is not None and given.tracks is not None:
        head = ["input", "ms a picture", *(f"{share:g} of the height" for share in SHARES)]
        _write("ssdlite_heights", head, heights(given.video, given.tracks))
    rows = []
    for source in SOURCES:
        command = [sys.executable, *sys.argv, "--source", source]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows += json.loads(done.stdout.splitlines()[-1])
    _write("tube_sources", list(HEAD), rows)
    return 0


def _write(name: str, head: list[str], rows: list[list[str]]) -> None:
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    table = "\n".join([f"<!-- table: {name} -->", *lines, "<!-- end -->"])
    text = PAGE.read_text(encoding="utf-8")
    marks = rf"<!-- table: {name} -->.*?<!-- end -->"
    PAGE.write_text(re.sub(marks, lambda found: table, text, flags=re.S), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
