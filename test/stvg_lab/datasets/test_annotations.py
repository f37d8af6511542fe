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
    track_tube,
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


# A person who is there from +10 to +30, another who stands, and a sentence about the first.
STANDS = (KeyFrame(BEGIN, (40.0, 0.0, 50.0, 20.0)), KeyFrame(BEGIN + 40, (40.0, 0.0, 50.0, 20.0)))
WALKS = Entry("walk", "the one who walks", (BEGIN, BEGIN + 40), person="walker")
TRACKED = Annotations((WALKS,), "run1", "", (64, 48), {"walker": KEYS, "stands": STANDS})


def test_a_person_is_absent_outside_its_key_frames() -> None:
    stamps = BEGIN + np.array([0, 9, 10, 20, 30, 31])
    tube = track_tube(KEYS, stamps)
    assert tube.present.tolist() == tube.span.tolist() == [False, False, True, True, True, False]
    assert tube.boxes_xyxy_px[3].tolist() == [10, 2, 20, 22]
    truth = true_tube(WALKS, stamps, TRACKED.tracks)
    assert truth.span.all()
    assert truth.present.tolist() == tube.present.tolist()
    assert truth.boxes_xyxy_px[3].tolist() == [10, 2, 20, 22]


def test_a_file_with_people_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "run1.json"
    write_annotations(path, TRACKED)
    assert read_annotations(path) == TRACKED
    values = json.loads(path.read_text())
    assert list(values["tracks"]) == ["walker", "stands"]
    assert values["entries"][0]["person"] == "walker"
    # A file without people is what it was.
    written = annotations_to_json(FILE)
    assert not {"tracks", "person"} & {*written, *written["entries"][0]}


def test_everybody_is_each_track_and_each_target_without_one() -> None:
    assert TRACKED.people() == TRACKED.tracks
    # The same boxes again are the same person, also in a part of the time.
    part = Entry("part", "who walks", (BEGIN + 10, BEGIN + 20), (KEYS[0],))
    assert Annotations((ENTRY, part, WALKS), tracks=TRACKED.tracks).people() == TRACKED.tracks
    own = Annotations((ENTRY, part, ABSENT), tracks={"stands": STANDS}).people()
    assert list(own) == ["stands", "entry wave"]
    # Own boxes are held to the ends of the span.
    assert own["entry wave"] == (
        KeyFrame(BEGIN, KEYS[0].box_xyxy_px), *KEYS, KeyFrame(BEGIN + 40, KEYS[1].box_xyxy_px)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e, v: v.update(tracks=[]), r"f: tracks: expected an object of key frames by"),
        (lambda e, v: v["tracks"].update({" ": []}), r"f: tracks: expected an object of key fr"),
        (lambda e, v: v["tracks"].update(dog=[]), r"f: tracks \(dog\): expected at least one box"),
        (
            lambda e, v: v["tracks"]["stands"][1].update(stamp_ns=BEGIN),
            rf"f: tracks \(stands\)\[1\].stamp_ns: expected a stamp after {BEGIN}, got",
        ),
        (
            lambda e, v: v["tracks"]["stands"][0].update(box_xyxy_px=[64, 0, 70, 9]),
            r"tracks \(stands\)\[0\].box_xyxy_px: expected a box that meets the image",
        ),
        (
            lambda e, v: e.update(person="dog"),
            r"\(walk\).person: expected a name of tracks \('walker', 'stands'\), got 'dog'",
        ),
        (lambda e, v: e.update(person=3), r"person: expected a name of tracks .* got 3"),
        (
            lambda e, v: e.update(key_frames=v["tracks"]["walker"]),
            r"key_frames: expected none, for the boxes are those of person, got ",
        ),
        (lambda e, v: e.update(span_ns=None), r"person: expected none, for the target is absent"),
        (
            lambda e, v: e.update(span_ns=[BEGIN + 31, BEGIN + 40]),
            r"\(walk\).person: expected a person with a box in the span",
        ),
    ],
)
def test_wrong_people_are_named(change: Any, said: str) -> None:
    values = copy.deepcopy(annotations_to_json(TRACKED))
    change(values["entries"][0], values)
    with pytest.raises(AnnotationError, match=said):
        annotations_from_json(values, "f")


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
        (
            lambda e, v: e["key_frames"][0].update(box_xyxy_px=[float("-inf"), 0, 9, 9]),
            r"box_xyxy_px: expected a box with x1 < x2",
        ),
        (
            lambda e, v: e["key_frames"][0].update(box_xyxy_px=[0, 0, 10**400, 9]),
            r"box_xyxy_px: expected finite numbers",
        ),
        (lambda e, v: e.update(command_ns=2**63), r"command_ns: expected a stamp or null"),
        (lambda e, v: e.update(span_ns=[BEGIN, 10**30]), r"span_ns: expected two stamps or null"),
    ],
)
def test_file_entry_and_field_are_named(change: Any, said: str) -> None:
    with pytest.raises(AnnotationError, match=said):
        annotations_from_json(changed(change), "f")


def test_a_person_who_is_there_twice_is_refused(tmp_path: Path) -> None:
    """JSON keeps the last one, and the other one's boxes would be lost."""
    track = '"tracks": {"A": [], "A": []}'
    (tmp_path / "a.json").write_text(f'{{"format": "{FORMAT}", "entries": [], {track}}}')
    with pytest.raises(AnnotationError, match="'A' is there twice in one object; rename"):
        read_annotations(tmp_path / "a.json")


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


def test_fields_of_other_programs_come_back(tmp_path: Path) -> None:
    values = copy.deepcopy(annotations_to_json(FILE))
    values["reviewed_by"] = "anna"
    values["entries"][0]["others"] = [1, {"difficulty": None}]
    (tmp_path / "f.json").write_text(json.dumps(values))
    write_annotations(tmp_path / "g.json", read_annotations(tmp_path / "f.json"))
    assert json.loads((tmp_path / "g.json").read_text()) == values


def test_a_file_of_an_editor_that_marks_its_encoding(tmp_path: Path) -> None:
    text = json.dumps(annotations_to_json(FILE))
    (tmp_path / "f.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_annotations(tmp_path / "f.json") == FILE


@pytest.mark.parametrize("text", ["", "[" * 100_000, "{", "\0", "{" + '"a":[' * 50_000])
def test_what_is_no_json_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(AnnotationError, match="cannot be read as an annotation file"):
        read_annotations(tmp_path / "f.json")
