# SPDX-License-Identifier: Apache-2.0

"""HC-STVG v1 and v2: a JSON object by video name, videos of 20 s, one person each.

The first frame is number 1; a box is x, y, width, height; there is one for each frame of the tube.
Boxes are clipped to the image if the entry has its size, like answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stvg_lab.datasets import DataSet, DatasetEntry
from stvg_lab.datasets.file_tree import FileTree, shown, source_json
from stvg_lab.datasets.samples import Sample, numbered_truth
from stvg_ros.errors import AnnotationError
from stvg_ros.io.recording import Source

DURATION_S = 20.0  # of a published video; own videos give theirs in "duration_s"
# Field of the sentence in the two versions.
SENTENCE = {"hcstvg-v1": "caption", "hcstvg-v2": "English"}
# Maximum difference between a span's seconds and frames without a note.
TOLERANCE_S = 1.0


def read(name: str, about: DatasetEntry, root: Path, split: str, queries: str) -> DataSet:
    """The queries of a split; see `datasets.open_dataset`."""
    tree = FileTree(root)
    file, entries = _annotation(name, about, tree, split)
    samples, missing, notes = [], [], []
    for video, values in entries.items():
        source = tree.video(video)
        if source is None:
            missing.append(video)
        where = f"{shown(file)}: entry {video!r}"
        problem = _problem(values, SENTENCE[name])
        first, boxes = 0, np.zeros((1, 4), np.float32)
        text, count, size_px = "?", 1, None
        if not problem:
            size_px = _size(values)
            first, boxes = values["st_frame"] - 1, _xyxy(values["bbox"])
            text, count = values[SENTENCE[name]], values["img_num"]
            notes += [f"{where}, {note}" for note in _notes(values)]
        samples.append(
            Sample(
                id=video,
                group=f"{about.title} {split}",
                query=text,
                source=source or Source(str(root / video)),
                truth=numbered_truth(first, boxes, np.ones(len(boxes), np.bool_), size_px),
                frames=(0, count),
                duration_s=_duration_s(values),
                rate_hz=count / _duration_s(values),
                problem=f"{where}, {problem}" if problem else "",
            )
        )
    return DataSet(about, split, tuple(samples), tuple(missing), tuple(notes))


def _annotation(
    name: str, about: DatasetEntry, tree: FileTree, split: str
) -> tuple[Source, Mapping[str, Any]]:
    """The annotation file of the split: its name gives the split, its fields the version."""
    version = name[-2:]
    wanted = {f"{split}{version}", f"{version}{split}", f"{split}", f"hcstvg{split}"}
    wanted |= {f"hcstvg{version}{split}", f"hcstvg{split}{version}", f"{split}annotations"}
    for file_name, source in tree:
        stem = re.sub(r"[^a-z0-9]", "", file_name.lower().rpartition(".")[0])
        if not file_name.endswith(".json") or stem not in wanted:
            continue
        entries = source_json(source)
        if isinstance(entries, Mapping) and any(
            isinstance(values, Mapping) and SENTENCE[name] in values for values in entries.values()
        ):
            return source, entries
    usual = f"{split}.json" if version == "v1" else f"{split}v2.json or {split}_v2.json"
    raise AnnotationError(
        f"{tree.root}: the annotation of {about.title} {split} is missing; expected {usual}, a "
        f"JSON object by video name whose entries have {SENTENCE[name]!r}; published at "
        f"{about.where}"
    )


def _problem(values: Any, sentence: str) -> str:
    """The error of an entry that cannot be scored: field, expectation, value."""
    if not isinstance(values, Mapping):
        return f"expected an object, got {type(values).__name__}"
    if not isinstance(values.get(sentence), str) or not values[sentence].strip():
        return f"field {sentence}: expected a sentence, got {values.get(sentence)!r}"
    for field in ("img_num", "st_frame"):
        if not isinstance(values.get(field), int) or values[field] < 1:
            return f"field {field}: expected a whole number from 1 on, got {values.get(field)!r}"
    boxes = values.get("bbox")
    if not isinstance(boxes, list) or not boxes:
        return "field bbox: expected a list of boxes, got none"
    last = values["st_frame"] - 1 + len(boxes)
    if last > values["img_num"]:
        return (
            f"field bbox: expected at most {values['img_num'] - values['st_frame'] + 1} boxes from "
            f"frame {values['st_frame']} of {values['img_num']}, got {len(boxes)}"
        )
    for index, box in enumerate(boxes):
        if not (
            isinstance(box, list)
            and len(box) == 4
            and all(isinstance(edge, (int, float)) for edge in box)
            and np.isfinite(box).all()
            and box[2] > 0
            and box[3] > 0
        ):
            return (
                f"field bbox[{index}]: expected x, y, width, height with sizes above 0, got {box!r}"
            )
    return ""


def _notes(values: Mapping[str, Any]) -> list[str]:
    """Inconsistencies of an entry that can be scored."""
    notes = []
    start_s, end_s = values.get("st_time"), values.get("ed_time")
    times = isinstance(start_s, (int, float)) and isinstance(end_s, (int, float))
    if not times or not 0 <= start_s < end_s:  # type: ignore[operator]
        notes.append(
            f"fields st_time, ed_time: expected two times in order, got {start_s}, {end_s}"
        )
    else:
        boxes_s = len(values["bbox"]) * _duration_s(values) / values["img_num"]
        if abs(end_s - start_s - boxes_s) > TOLERANCE_S:  # type: ignore[operator]
            notes.append(f"field bbox: {boxes_s:.1f} s of boxes for {start_s:.1f} to {end_s:.1f} s")
    size_px = _size(values)
    if size_px is not None:
        wide, high = size_px
        outside = [
            index for index, (x, y, width, height) in enumerate(values["bbox"])
            if x >= wide or y >= high or x + width <= 0 or y + height <= 0
        ]  # fmt: skip
        if outside:
            notes.append(
                f"field bbox[{outside[0]}]: {len(outside)} boxes outside the {wide} x {high} image"
            )
    else:
        got = values.get("img_size") or [values.get("height"), values.get("width")]
        notes.append(f"fields width and height, or img_size: expected pixels, got {got}")
    return notes


def _duration_s(values: Any) -> float:
    """Duration of the entry's video in seconds."""
    given = values.get("duration_s") if isinstance(values, Mapping) else None
    is_time = isinstance(given, (int, float)) and np.isfinite(given) and given > 0
    return float(given) if is_time else DURATION_S  # type: ignore[arg-type]


def _size(values: Mapping[str, Any]) -> tuple[int, int] | None:
    """Width and height of the images, if the entry has them."""
    size = values.get("img_size") or [values.get("height"), values.get("width")]
    if not isinstance(size, list) or len(size) < 2:
        return None
    high, wide = size[:2]
    if not all(isinstance(side, int) and side > 0 for side in (high, wide)):
        return None
    return wide, high


def _xyxy(boxes: list[list[float]]) -> np.ndarray[Any, np.dtype[np.float32]]:
    array = np.array(boxes, np.float32)
    array[:, 2:] += array[:, :2]
    return array
