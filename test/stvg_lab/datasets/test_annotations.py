# SPDX-License-Identifier: Apache-2.0

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stvg_lab.datasets.annotations import (
    FORMAT,
    Annotations,
    Entry,
    KeyFrame,
    annotations_from_json,
    annotations_to_json,
    read_annotations,
    true_tube,
    write_annotations,
)
from stvg_ros.errors import AnnotationError

BEGIN = 1_700_000_000_000_000_001
KEYS = (KeyFrame(BEGIN + 10, (0.0, 0.0, 10.0, 20.0)), KeyFrame(BEGIN + 30, (20.0, 4.0, 30.0, 24.0)))
ENTRY = Entry("wave", "the person who waves", (BEGIN, BEGIN + 40), KEYS, BEGIN + 50)
ABSENT = Entry("dog", "the dog", None)
FILE = Annotations((ENTRY, ABSENT), "run1", "/cam", (64, 48))


def test_boxes_are_linear_between_key_frames_and_held_outside() -> None:
    stamps = BEGIN + np.array([-10, 0, 10, 15, 20, 40, 50])
    tube = true_tube(ENTRY, stamps)
    assert tube.span.tolist() == [False, True, True, True, True, True, False]
    assert tube.present.tolist() == tube.span.tolist()
    assert tube.boxes_xyxy_px[1:6].tolist() == [
        [0, 0, 10, 20], [0, 0, 10, 20], [5, 1, 15, 21], [10, 2, 20, 22], [20, 4, 30, 24],
    ]  # fmt: skip
    assert not true_tube(ABSENT, stamps).span.any()


def test_a_file_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "run1.json"
    write_annotations(path, FILE)
    assert read_annotations(path) == FILE
    bare = {"format": FORMAT, "entries": [{"id": "a", "query": "b", "span_ns": None}]}
    assert annotations_from_json(bare, "x") == Annotations((Entry("a", "b", None),))


def changed(change: Any) -> Any:
    values = copy.deepcopy(annotations_to_json(FILE))
    change(values["entries"][0], values)
    return values


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e, v: v.update(format="other"), "f: expected the format .* got 'other'"),
        (lambda e, v: v.update(entries=3), "f: entries: expected a list, got 3"),
        (lambda e, v: v["entries"].append(7), r"f: entries\[2\]: expected an object, got 7"),
        (lambda e, v: v.update(size_px=[1]), "f: size_px: expected two whole numbers or null"),
        (lambda e, v: v.update(topic=1), "f: topic: expected a text, got 1"),
        (lambda e, v: e.update(id=""), r"entries\[0\].id: expected a text, got ''"),
        (lambda e, v: e.update(id="dog"), r"entries\[1\].id: expected an id that no other"),
        (lambda e, v: e.update(query=" "), r"f: entries\[0\] \(wave\).query: expected a sentence"),
        (lambda e, v: e.update(span_ns=[5, 4]), r"span_ns: expected an end that is not before"),
        (lambda e, v: e.update(span_ns=[1.5, 4]), r"span_ns: expected two stamps or null, got"),
        (lambda e, v: e.update(span_ns=None), r"key_frames: expected none, for the target is abs"),
        (lambda e, v: e.update(command_ns=-1), r"command_ns: expected a stamp or null, got -1"),
        (lambda e, v: e.update(key_frames=[]), r"key_frames: expected at least one box"),
        (lambda e, v: e["key_frames"].reverse(), r"key_frames\[1\].stamp_ns: expected a stamp af"),
        (
            lambda e, v: e["key_frames"][1].update(stamp_ns=BEGIN + 41),
            r"key_frames\[1\].stamp_ns: expected a stamp in the span",
        ),
        (
            lambda e, v: e["key_frames"][0].update(box_xyxy_px=[4, 0, 2, 9]),
            r"key_frames\[0\].box_xyxy_px: expected a box with x1 < x2 .* got \[4, 0, 2, 9\]",
        ),
        (
            lambda e, v: e["key_frames"][0].update(box_xyxy_px=[64, 0, 70, 9]),
            r"box_xyxy_px: expected a box that meets the image of 64 x 48 px",
        ),
        (
            lambda e, v: e["key_frames"][0].update(box_xyxy_px=[0, 0, 9]),
            r"box_xyxy_px: expected four numbers",
        ),
    ],
)
def test_file_entry_and_field_are_named(change: Any, said: str) -> None:
    with pytest.raises(AnnotationError, match=said):
        annotations_from_json(changed(change), "f")


def test_all_wrong_fields_are_listed_and_nothing_wrong_is_written(tmp_path: Path) -> None:
    wrong = Annotations((Entry("a", "", (3, 2)),))
    with pytest.raises(AnnotationError) as raised:
        write_annotations(tmp_path / "a.json", wrong)
    assert len(str(raised.value).splitlines()) == 2
    assert not (tmp_path / "a.json").exists()
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(AnnotationError, match=r"b\.json: cannot be read as an annotation file"):
        read_annotations(tmp_path / "b.json")
    (tmp_path / "c.json").write_text(json.dumps([1]))
    with pytest.raises(AnnotationError, match="got 'list'"):
        read_annotations(tmp_path / "c.json")
