# SPDX-License-Identifier: Apache-2.0

"""Data sets on disk: read back, they hold the scenes' own tubes."""

import json
from pathlib import Path

import numpy as np
import pytest

from stvg_lab.datasets import open_dataset
from stvg_lab.datasets.annotations import read_annotations, true_tube
from stvg_lab.rendered import export
from stvg_lab.rendered.export import hc_stvg_entry, write_dataset
from stvg_lab.rendered.hard.hard_queries import hard_queries
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.queries import scene_queries, split_seed
from stvg_lab.rendered.scene import Scene
from stvg_ros.cli.main import main
from stvg_ros.config import Config
from stvg_ros.errors import RecordingError
from stvg_ros.io.recording import read_frames


def test_entries_count_frames_from_one_and_have_sides_instead_of_corners() -> None:
    scene = Scene.from_seed(0)
    query = next(q for q in scene_queries(scene) if q.kind == "action" and q.target is not None)
    first = hc_stvg_entry(scene, query, second=False)
    second = hc_stvg_entry(scene, query, second=True)
    assert set(first) == {
        "bbox", "st_time", "ed_time", "st_frame", "img_num", "caption", "width", "height",
    }  # fmt: skip
    assert set(second) == set(first) - {"caption", "width", "height"} | {"English", "img_size"}
    assert (first["width"], first["height"], second["img_size"]) == (640, 480, [480, 640])
    assert first["caption"] == second["English"] == query.text
    assert first["st_frame"] == query.start_frame + 1
    assert len(first["bbox"]) == query.end_frame - query.start_frame
    assert first["ed_time"] - first["st_time"] == pytest.approx(len(first["bbox"]) / 10)
    x1, y1, x2, y2 = scene.boxes_xyxy_px[query.target or 0, query.start_frame].tolist()
    assert first["bbox"][0] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.01)
    absent = next(q for q in scene_queries(scene) if q.target is None)
    with pytest.raises(ValueError, match="no absent targets"):
        hc_stvg_entry(scene, absent, second=False)


def test_videos_with_the_annotations_of_hc_stvg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.HC_STVG_S == 20
    monkeypatch.setattr(export, "HC_STVG_S", 3.0)
    out = tmp_path / "out"
    assert main(["synthesize", "--out", str(out), "--count", "1", "--split", "val"]) == 0
    # Otherwise the default detector of a machine without a hub is one of real people.
    name, _, value = capsys.readouterr().out.split("--set ")[1].strip().partition("=")
    assert Config.from_flat({name: value}).proposals.people_detector == "embedded"
    entries = json.loads((out / "val.json").read_text())
    assert len(entries) == 1
    for name, values in entries.items():
        frames = list(read_frames(out / "videos" / name))
        assert len(frames) == values["img_num"] == 30
        assert values["img_size"] == list(frames[0].image.shape[:2])
        assert frames[1].stamp_ns == 100_000_000
        assert values["English"].endswith(".")
        assert (np.array(values["bbox"])[:, 2:] > 0).all()
        assert values["st_frame"] - 1 + len(values["bbox"]) <= 30


@pytest.mark.parametrize(("version", "split"), [("v1", "test"), ("v2", "val")])
def test_the_reader_of_hc_stvg_finds_nothing_odd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, split: str
) -> None:
    # One frame a second spares time; the reader looks at seconds and frames.
    whole = Scene.from_seed
    monkeypatch.setattr(Scene, "from_seed", lambda seed, **how: whole(seed, **how, fps=1.0))
    write_dataset(tmp_path, f"hc-stvg-{version}", split, 5, 2, lambda: None)
    found = open_dataset(f"hcstvg-{version}", tmp_path, split)
    assert (len(found.samples), found.missing, found.notes) == (2, (), ())
    for sample in found.samples:
        assert not sample.problem
        scene = Scene.from_seed(split_seed(split, int(sample.id[-11:-4])), duration_s=20.0)
        query = next(q for q in scene_queries(scene, seed=2) if q.text == sample.query)
        truth = sample.truth(scene.stamps_ns, np.arange(20))
        assert truth is not None
        assert np.flatnonzero(truth.span)[[0, -1]].tolist() == [
            query.start_frame,
            query.end_frame - 1,
        ]
        boxes = scene.boxes_xyxy_px[query.target or 0][truth.span]
        np.testing.assert_allclose(truth.boxes_xyxy_px[truth.span], boxes, atol=0.02)


def test_bags_with_annotations_of_every_kind(tmp_path: Path) -> None:
    calls: list[int] = []
    said = write_dataset(tmp_path / "out", "bag", "test", 3, 1, lambda: calls.append(1))
    assert len(calls) == 1
    annotations = read_annotations(tmp_path / "out" / "test_0000003.json")
    assert len(annotations.entries) == said
    assert {entry.span_ns is None for entry in annotations.entries} == {True, False}
    frames = list(read_frames(tmp_path / "out" / annotations.recording, annotations.topic))
    stamps = np.array([frame.stamp_ns for frame in frames])
    scene = Scene.from_seed(split_seed("test", 3))
    np.testing.assert_array_equal(stamps - stamps[0], scene.stamps_ns)
    texts = {query.text: query for query in scene_queries(scene, seed=2)}
    for entry in annotations.entries:
        query = texts[entry.query]
        tube = true_tube(entry, stamps)
        assert tube.span.sum() == query.end_frame - query.start_frame
        if query.target is not None:
            boxes = scene.boxes_xyxy_px[query.target][tube.span]
            np.testing.assert_allclose(tube.boxes_xyxy_px[tube.span], boxes, atol=1e-3)


def test_bags_of_hard_scenes_have_people_and_things(tmp_path: Path) -> None:
    said = write_dataset(tmp_path / "out", "bag", "test-hard", 1, 1, lambda: None)
    annotations = read_annotations(tmp_path / "out" / "test-hard_0000001.json")
    assert len(annotations.entries) == said > 8
    scene = HardScene.from_seed(split_seed("test-hard", 1))
    texts = {query.text: query for query in hard_queries(scene, "test-hard", 1)}
    assert {entry.query for entry in annotations.entries} <= set(texts)
    frames = list(read_frames(tmp_path / "out" / annotations.recording, annotations.topic))
    stamps = np.array([frame.stamp_ns for frame in frames])
    things = 0
    for entry in annotations.entries:
        query = texts[entry.query]
        assert (entry.span_ns is None) == (query.target is None)
        if query.target is not None:
            tube = true_tube(entry, stamps)
            assert tube.span.sum() == query.end_frame - query.start_frame
            boxes = scene.boxes_xyxy_px[query.target][tube.span]
            np.testing.assert_allclose(tube.boxes_xyxy_px[tube.span], boxes, atol=1e-3)
            things += query.of_things
    assert things


def test_hard_videos_with_the_annotations_of_hc_stvg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "HC_STVG_S", 5.0)
    assert write_dataset(tmp_path, "hc-stvg-v2", "test-hard", 2, 1, lambda: None) == 1
    ((name, values),) = json.loads((tmp_path / "test-hard.json").read_text()).items()
    assert len(list(read_frames(tmp_path / "videos" / name))) == values["img_num"] == 50
    assert values["English"].endswith(".") and (np.array(values["bbox"])[:, 2:] > 1).all()


def test_wrong_requests_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(RecordingError, match="is not empty"):
        write_dataset(tmp_path, "bag", "test", 0, 1, lambda: None)
    with pytest.raises(RecordingError, match="cannot be written"):
        write_dataset(tmp_path / "a" / "b", "bag", "test", 0, 1, lambda: None)
    with pytest.raises(ValueError, match="format: expected one of hc-stvg-v1, hc-stvg-v2, bag"):
        write_dataset(tmp_path / "out", "zip", "test", 0, 1, lambda: None)
    assert main(["synthesize", "--out", str(tmp_path / "out"), "--seed", "10000000"]) == 2
    assert "--seed: index: expected 0 to 9999999" in capsys.readouterr().err
