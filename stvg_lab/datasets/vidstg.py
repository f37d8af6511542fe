# SPDX-License-Identifier: Apache-2.0

"""VidSTG: queries about parts of VidOR videos, with VidOR's boxes.

`used_segment` is the clip and `temporal_gt` the true span, ends excluded, in frames of the whole
video. The true span is clipped to the segment: `temporal_gt` of every sixth query ends one frame
after it. Declarative queries are the captions, interrogative ones the questions. VidOR's file of a
video lists the boxes of every frame; it is read when the video's first query is scored.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stvg_lab.datasets import DataSet, DatasetEntry
from stvg_lab.datasets.file_tree import FileTree, shown, source_json
from stvg_lab.datasets.samples import Sample, Truth, numbered_truth
from stvg_lab.runs.scores import FrameTube
from stvg_ros.errors import AnnotationError
from stvg_ros.io.recording import Source

# Kind of query, the field of its list, the letter in sample ids.
KINDS = (("declarative", "captions", "d"), ("interrogative", "questions", "i"))

ENDS = ("begin_fid", "end_fid")


def read(name: str, about: DatasetEntry, root: Path, split: str, queries: str) -> DataSet:
    """The queries of a split; see `datasets.open_dataset`."""
    tree = FileTree(root)
    wanted = f"{split}_annotations.json"
    file = tree.get(wanted)
    if file is None:
        raise AnnotationError(
            f"{root}: the annotation of {about.title} {split} is missing; expected {wanted}; "
            f"published at {about.where}"
        )
    records = source_json(file)
    if not isinstance(records, list):
        raise AnnotationError(f"{shown(file)}: expected a list, got {type(records).__name__}")
    samples: list[Sample] = []
    missing: dict[str, None] = {}
    notes: list[str] = []
    for number, record in enumerate(records):
        video = str(record.get("vid", "?")) if isinstance(record, Mapping) else "?"
        where = f"{shown(file)}: entry {number} ({video})"
        source, boxes = tree.video(f"{video}.mp4"), tree.get(f"{video}.json")
        for found, missed in ((source, f"{video}.mp4"), (boxes, f"{video}.json")):
            if found is None and video != "?":
                missing[missed] = None
        problem = _problem(record)
        if not problem and (outside := _outside(record)) > 1:
            notes.append(f"{where}, field temporal_gt: {outside} frames outside used_segment, cut")
        for kind, field, letter in KINDS:
            if queries not in (kind, "both"):
                continue
            listed = record.get(field, []) if isinstance(record, Mapping) else []
            for index, query in enumerate(listed if isinstance(listed, list) else []):
                wrong = problem or _query_problem(query, record, f"{field}[{index}]")
                fine = not wrong
                segment = _range(record, "used_segment") if fine else (0, 1)
                samples.append(
                    Sample(
                        id=f"{number:05d}-{video}-{letter}{index}",
                        group=f"{about.title} {kind}",
                        query=query["description"] if fine else "?",
                        source=source or Source(str(root / f"{video}.mp4")),
                        truth=_truth(boxes, record, query, where) if fine else _nowhere,
                        frames=segment,
                        duration_s=(segment[1] - segment[0]) / record["fps"] if fine else 1.0,
                        rate_hz=float(record["fps"]) if fine else 0.0,
                        problem=f"{where}, {wrong}" if wrong else "",
                    )
                )
    return DataSet(about, split, tuple(samples), tuple(missing), tuple(notes))


def _range(record: Mapping[str, Any], field: str) -> tuple[int, int]:
    begin, end = (record[field][name] for name in ENDS)
    return begin, min(end, record["frame_count"])


def _problem(record: Any) -> str:
    """The error of a record that cannot be scored: field, expectation, value."""
    if not isinstance(record, Mapping):
        return f"expected an object, got {type(record).__name__}"
    for field in ("vid", "subject/objects", "captions", "questions"):
        kind = str if field == "vid" else list
        if not isinstance(record.get(field), kind):
            return f"field {field}: expected a {kind.__name__}, got {record.get(field)!r}"
    for field in ("fps", "frame_count", "width", "height"):
        value = record.get(field)
        if not isinstance(value, (int, float)) or not value > 0:
            return f"field {field}: expected more than 0, got {value!r}"
    count = record["frame_count"]
    for field in ("used_segment", "temporal_gt"):
        value = record.get(field)
        ends: list[Any] = [value.get(name) for name in ENDS] if isinstance(value, Mapping) else []
        if not ends or not all(isinstance(end, int) for end in ends):
            return f"field {field}: expected begin_fid and end_fid, got {value!r}"
        begin, end = ends
        # One frame beyond the end is accepted: some records end as if the end were included.
        if not 0 <= begin < end <= count + 1:
            return (
                f"field {field}: expected frames in order from 0 to {count}, got {begin} to {end}"
            )
    (low, high), (begin, end) = _range(record, "used_segment"), _range(record, "temporal_gt")
    if not low <= begin < min(end, high):
        return (
            f"field temporal_gt: expected frames in used_segment, {low} to {high}, "
            f"got {begin} to {end}"
        )
    return ""


def _true_range(record: Mapping[str, Any]) -> tuple[int, int]:
    """The true frames inside the segment."""
    begin, end = _range(record, "temporal_gt")
    return begin, min(end, _range(record, "used_segment")[1])


def _outside(record: Mapping[str, Any]) -> int:
    """Number of true frames after the segment."""
    return _range(record, "temporal_gt")[1] - _true_range(record)[1]


def _query_problem(query: Any, record: Mapping[str, Any], field: str) -> str:
    if not isinstance(query, Mapping):
        return f"field {field}: expected an object, got {type(query).__name__}"
    text, target = query.get("description"), query.get("target_id")
    if not isinstance(text, str) or not text.strip():
        return f"field {field}.description: expected a sentence, got {text!r}"
    known = [item.get("tid") for item in record["subject/objects"] if isinstance(item, Mapping)]
    if target not in known:
        return f"field {field}.target_id: expected one of {known}, got {target!r}"
    return ""


def _nowhere(stamps_ns: NDArray[np.int64], numbers: NDArray[np.int64]) -> FrameTube:
    return FrameTube.nothing(len(stamps_ns))


def _truth(
    file: Source | None, record: Mapping[str, Any], query: Mapping[str, Any], where: str
) -> Truth:
    """The truth of a query; boxes are read on demand."""
    begin, end = _true_range(record)
    size_px = (int(record["width"]), int(record["height"]))

    def truth(stamps_ns: NDArray[np.int64], numbers: NDArray[np.int64]) -> FrameTube | None:
        if file is None:
            raise AnnotationError(f"{where}: VidOR's file {record['vid']}.json is missing")
        boxes, present = _boxes(file, query["target_id"], begin, end)
        return numbered_truth(begin, boxes, present, size_px)(stamps_ns, numbers)

    return truth


@lru_cache(maxsize=1)
def _vidor(file: Source) -> Any:
    """VidOR's file of a video, cached, since queries about one video follow one another."""
    return source_json(file)


def _boxes(
    file: Source, target: int, begin: int, end: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The target's boxes in frames `[begin, end)`, and the frames that have one.

    Raises:
        AnnotationError: the file or one of the boxes is wrong, or the target has none at all.
    """
    values = _vidor(file)
    tracks = values.get("trajectories") if isinstance(values, Mapping) else None
    if not isinstance(tracks, list) or len(tracks) < end:
        count = len(tracks) if isinstance(tracks, list) else 0
        raise AnnotationError(
            f"{shown(file)}: field trajectories: expected at least {end} frames, got {count}"
        )
    boxes, present = np.zeros((end - begin, 4), np.float32), np.zeros(end - begin, np.bool_)
    for number in range(begin, end):
        for item in tracks[number]:
            if item.get("tid") != target:
                continue
            box = [item.get("bbox", {}).get(e) for e in ("xmin", "ymin", "xmax", "ymax")]
            if any(not isinstance(e, (int, float)) for e in box) or not (
                box[0] < box[2] and box[1] < box[3]
            ):
                raise AnnotationError(
                    f"{shown(file)}: field trajectories[{number}], target {target}: expected "
                    f"xmin < xmax and ymin < ymax, got {item.get('bbox')!r}"
                )
            boxes[number - begin], present[number - begin] = box, True
    if not present.any():
        raise AnnotationError(
            f"{shown(file)}: field trajectories: target {target} has no box in the frames "
            f"{begin} to {end}"
        )
    return boxes, present
