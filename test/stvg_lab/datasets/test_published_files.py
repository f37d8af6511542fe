# SPDX-License-Identifier: Apache-2.0

"""The annotation files as their authors publish them: all of their queries are read."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from paths import ROOT
from recordings import SquareGrounder

from stvg_lab.datasets import open_dataset
from stvg_lab.runs.runner import EvaluationSettings, evaluate
from stvg_ros.errors import AnnotationError
from stvg_ros.window import WindowConfig

PUBLISHED = ROOT.parent / "shared" / "data"
QUERIES = {"test": 10303, "val": 8956}


@pytest.mark.parametrize("split", QUERIES)
def test_every_query_of_vidstg_is_read(split: str) -> None:
    root = PUBLISHED / "vidstg"
    if not (root / f"{split}_annotations.json").exists():
        pytest.skip(f"the published file of the {split} split is not here")
    data = open_dataset("vidstg", root, split)
    assert len(data.samples) == QUERIES[split]
    assert [sample.problem for sample in data.samples if sample.problem] == []
    assert data.notes == ()
    assert all(0 <= s.frames[0] < s.frames[1] and s.rate_hz > 0 for s in data.samples)


def test_every_query_of_hcstvg_is_read() -> None:
    root = PUBLISHED / "hcstvg_v1"
    if not (root / "test.json").exists():
        pytest.skip("the published file is not here")
    data = open_dataset("hcstvg-v1", root)
    assert [sample.problem for sample in data.samples if sample.problem] == []
    for sample, values in zip(
        data.samples, json.loads((root / "test.json").read_text()).values(), strict=True
    ):
        count = values["img_num"]
        tube = sample.truth(np.arange(count), np.arange(count))
        assert tube.span.sum() == len(values["bbox"])
        assert sample.rate_hz == count / 20
        assert tube.boxes_xyxy_px.min() >= 0
        assert (tube.boxes_xyxy_px.max(axis=0) <= [values["width"], values["height"]] * 2).all()


RECORD = {
    "vid": "24", "fps": 25.0, "frame_count": 100, "width": 64, "height": 48,
    "subject/objects": [{"tid": 0, "category": "dog"}], "questions": [],
    "captions": [{"description": "a dog runs", "type": "subject", "target_id": 0}],
}  # fmt: skip


def opened(folder: Path, segment: tuple[Any, Any], true: tuple[Any, Any], box=(1, 2, 30, 40)):
    ranges = {
        name: {"begin_fid": begin, "end_fid": end}
        for name, (begin, end) in (("used_segment", segment), ("temporal_gt", true))
    }
    (folder / "test_annotations.json").write_text(json.dumps([{**RECORD, **ranges}]))
    edges = dict(zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    boxes = [[{"tid": 0, "bbox": edges}]] * 100
    (folder / "24.json").write_text(json.dumps({"trajectories": boxes}))
    data = open_dataset("vidstg", folder)
    return data, data.samples[0]


@pytest.mark.parametrize(
    ("segment", "true", "frames", "noted"),
    [
        ((10, 90), (20, 40), (20, 40), False),
        ((10, 90), (10, 90), (10, 90), False),
        ((10, 90), (10, 91), (10, 90), False),  # as published
        ((10, 90), (89, 91), (89, 90), False),
        ((10, 90), (20, 92), (20, 90), True),
        ((10, 90), (20, 100), (20, 90), True),
        ((0, 100), (0, 100), (0, 100), False),
        ((0, 100), (0, 101), (0, 100), False),
        ((0, 101), (50, 101), (50, 100), False),
        ((0, 101), (99, 101), (99, 100), False),
        ((0, 1), (0, 1), (0, 1), False),
        ((0, 1), (0, 2), (0, 1), False),
    ],
)
def test_ends_of_segment_and_truth(
    tmp_path: Path, segment, true, frames: tuple[int, int], noted: bool
) -> None:
    data, sample = opened(tmp_path, segment, true)
    assert sample.problem == ""
    tube = sample.truth(np.arange(100), np.arange(100))
    assert np.flatnonzero(tube.span).tolist() == list(range(*frames))
    assert (tube.present == tube.span).all()
    assert sample.frames == (segment[0], min(segment[1], 100))
    assert bool(data.notes) == noted


@pytest.mark.parametrize(
    ("segment", "true"),
    [
        ((10, 90), (9, 40)),
        ((10, 90), (90, 91)),
        ((10, 90), (95, 99)),
        ((10, 90), (0, 10)),
        ((10, 90), (40, 40)),
        ((10, 90), (41, 40)),
        ((10, 90), (20, 102)),
        ((10, 102), (20, 40)),
        ((-1, 90), (20, 40)),
        ((90, 10), (20, 40)),
        ((10, 90), (20, "40")),
        ((10, None), (20, 40)),
    ],
)
def test_ranges_that_cannot_be_meant_are_named(tmp_path: Path, segment, true) -> None:
    _, sample = opened(tmp_path, segment, true)
    assert sample.problem
    assert "field temporal_gt" in sample.problem or "field used_segment" in sample.problem
    job = EvaluationSettings(WindowConfig())
    (result,) = evaluate([sample], SquareGrounder(), job)
    assert (result.outcome, result.scores["answer"].v_iou) == ("failed", 0.0)


BOXES = [
    # A box x1, y1, x2, y2 of a 64 x 48 image, and what of it is in the image.
    ((1, 2, 30, 40), (1, 2, 30, 40)),
    ((-5, 2, 30, 40), (0, 2, 30, 40)),
    ((1, -9, 30, 40), (1, 0, 30, 40)),
    ((1, 2, 90, 40), (1, 2, 64, 40)),
    ((1, 2, 30, 60), (1, 2, 30, 48)),
    ((-1, -1, 65, 49), (0, 0, 64, 48)),
    ((0, 0, 64, 48), (0, 0, 64, 48)),
    ((63.5, 47.5, 70, 50), (63.5, 47.5, 64, 48)),
    ((64, 2, 70, 40), None),
    ((-9, 2, 0, 40), None),
    ((70, 60, 90, 80), None),
]


@pytest.mark.parametrize(("box", "inside"), BOXES)
def test_vidstg_truth_is_cut_to_the_image(tmp_path: Path, box, inside) -> None:
    _, sample = opened(tmp_path, (10, 90), (20, 40), box)
    check(sample.truth(np.arange(100), np.arange(100)), inside)


@pytest.mark.parametrize(("box", "inside"), BOXES)
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_hcstvg_truth_is_cut_to_the_image(tmp_path: Path, version: str, box, inside) -> None:
    x1, y1, x2, y2 = box
    entry: dict[str, Any] = {
        "bbox": [[x1, y1, x2 - x1, y2 - y1]] * 20, "st_time": 4.0, "ed_time": 8.0, "img_num": 100,
        "st_frame": 21,
    }  # fmt: skip
    if version == "v1":
        entry |= {"caption": "a man", "width": 64, "height": 48}
        (tmp_path / "test.json").write_text(json.dumps({"a.mp4": entry}))
    else:
        entry |= {"English": "a man", "img_size": [48, 64, 3]}
        (tmp_path / "val_v2.json").write_text(json.dumps({"a.mp4": entry}))
    (sample,) = open_dataset(f"hcstvg-{version}", tmp_path).samples
    check(sample.truth(np.arange(100), np.arange(100)), inside)


def check(tube, inside) -> None:
    assert np.flatnonzero(tube.span).tolist() == list(range(20, 40))
    if inside is None:
        assert not tube.present.any()
    else:
        assert (tube.present == tube.span).all()
        assert np.allclose(tube.boxes_xyxy_px[20:40], inside)


def test_a_size_that_is_not_known_leaves_the_truth(tmp_path: Path) -> None:
    entry = {"bbox": [[-5, 2, 100, 40]], "img_num": 100, "st_frame": 21, "caption": "a man"}
    (tmp_path / "test.json").write_text(json.dumps({"a.mp4": entry}))
    (sample,) = open_dataset("hcstvg-v1", tmp_path).samples
    tube = sample.truth(np.arange(100), np.arange(100))
    assert tube.boxes_xyxy_px[20].tolist() == [-5, 2, 95, 42]
    with pytest.raises(AnnotationError, match="missing"):
        open_dataset("hcstvg-v2", tmp_path)
