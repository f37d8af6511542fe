# SPDX-License-Identifier: Apache-2.0

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_datasets as tiny
from recordings import SquareGrounder

from stvg_lab.datasets import open_dataset
from stvg_lab.runs.runner import EvaluationSettings, evaluate
from stvg_ros.errors import AnnotationError, ConfigError, RecordingError
from stvg_ros.window import WindowConfig

JOB = EvaluationSettings(WindowConfig(duration_s=10.0, max_rate_hz=5.0, long_side_px=160), "stcat")


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    tiny.hcstvg(root / "hcstvg-v1", "v1", "test")
    tiny.hcstvg(root / "hcstvg-v2", "v2", "val")
    tiny.vidstg(root / "vidstg")
    return root


def truth_of(sample, count: int):
    return sample.truth(np.arange(count), np.arange(count))


@pytest.mark.parametrize("name", ["hcstvg-v1", "hcstvg-v2"])
def test_hcstvg(roots: Path, name: str) -> None:
    data = open_dataset(name, roots / name)
    assert (data.missing, data.notes, [s.problem for s in data.samples]) == ((), (), ["", ""])
    for sample, seed in zip(data.samples, tiny.SEEDS, strict=True):
        text, truth, _ = tiny.question(seed)
        count = tiny.scene_of(seed).frame_count
        assert (sample.query, sample.frames) == (text, (0, count))
        tube = truth_of(sample, count)
        assert tube.span.tolist() == truth.span.tolist()
        assert np.allclose(
            tube.boxes_xyxy_px[tube.span], truth.boxes_xyxy_px[truth.span] / 2, atol=0.02
        )
    results = list(evaluate(data.samples, SquareGrounder(), JOB))
    assert [result.outcome for result in results] == ["found", "found"]
    assert [len(result.stamps_ns) for result in results] == [
        tiny.scene_of(seed).frame_count for seed in tiny.SEEDS
    ]
    assert all(result.scores["answer"].t_iou > 0 for result in results)
    assert data.report() == [f"{data.about.title} {data.split}: 2 queries of "
                             f"{data.about.counts[data.split]} published"]  # fmt: skip


def test_vidstg(roots: Path) -> None:
    data = open_dataset("vidstg", roots / "vidstg")
    assert (data.missing, [s.problem for s in data.samples]) == ((), [""] * 4)
    assert [sample.group.split()[-1] for sample in data.samples] == [
        "declarative", "interrogative",
    ] * 2  # fmt: skip
    sample, seed = data.samples[0], tiny.SEEDS[0]
    _, truth, _ = tiny.question(seed)
    count = tiny.scene_of(seed).frame_count
    tube = truth_of(sample, count)
    assert tube.span.tolist() == truth.span.tolist()
    assert np.allclose(
        tube.boxes_xyxy_px[tube.span], truth.boxes_xyxy_px[truth.span] / 2, atol=0.02
    )
    results = list(evaluate(data.samples, SquareGrounder(), JOB))
    assert [result.outcome for result in results] == ["found"] * 4
    begin, end = sample.frames
    assert len(results[0].stamps_ns) == end - begin < count
    assert np.flatnonzero(results[0].truth.span)[0] == np.flatnonzero(truth.span)[0] - begin
    asked = open_dataset("vidstg", roots / "vidstg", queries="interrogative")
    assert [sample.id[-2:] for sample in asked.samples] == ["i0", "i0"]


def zipped(path: Path, root: Path, *, inside: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(item for item in root.rglob("*") if item.is_file()):
            archive.write(file, f"{inside}{file.relative_to(root)}")
    return path


@pytest.mark.parametrize("name", ["hcstvg-v1", "vidstg"])
def test_zip_files_as_the_root_or_below_it(roots: Path, tmp_path: Path, name: str) -> None:
    folder = open_dataset(name, roots / name)
    plain = [vars(r.scores["answer"]) for r in evaluate(folder.samples, SquareGrounder(), JOB)]
    archive = zipped(tmp_path / "all.zip", roots / name, inside="published/")
    for root in (archive, tmp_path):
        data = open_dataset(name, root)
        assert [sample.source.member != "" for sample in data.samples] == [True] * len(plain)
        results = list(evaluate(data.samples, SquareGrounder(), JOB))
        assert [vars(result.scores["answer"]) for result in results] == plain


def test_missing_videos_are_listed_fail_and_score_0(roots: Path, tmp_path: Path) -> None:
    tiny.hcstvg(tmp_path, "v1", "test")
    (tmp_path / "video" / "3_scene.mp4").unlink()
    data = open_dataset("hcstvg-v1", tmp_path)
    lines = data.report()
    assert "1 missing files (their queries fail):" in lines
    assert "  3_scene.mp4" in lines
    assert lines[-1].startswith("published at https://github.com/tzhhhh123/HC-STVG")
    first, second = evaluate(data.samples, SquareGrounder(), JOB)
    assert (first.outcome, first.scores["answer"].v_iou) == ("failed", 0.0)
    assert "no such video file" in first.error
    assert second.outcome == "found"


def test_missing_annotations_say_where_they_are_published(roots: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotationError, match=r"expected test\.json.*published at https://github"):
        open_dataset("hcstvg-v1", tmp_path / "empty")
    # The other version's file is not taken for this one's.
    with pytest.raises(AnnotationError, match=r"expected testv2|expected valv2\.json"):
        open_dataset("hcstvg-v2", roots / "hcstvg-v1")
    with pytest.raises(AnnotationError, match=r"expected test_annotations\.json.*vidor"):
        open_dataset("vidstg", tmp_path / "empty")
    with pytest.raises(ConfigError, match="expected a folder or a zip file"):
        open_dataset("vidstg", tmp_path / "none")
    with pytest.raises(ConfigError, match="expected one of val, train for hcstvg-v2, got 'test'"):
        open_dataset("hcstvg-v2", tmp_path, "test")
    (tmp_path / "bad.zip").write_bytes(b"nothing")
    with pytest.raises(RecordingError, match="cannot be read as a zip file"):
        open_dataset("vidstg", tmp_path / "bad.zip")
    (tmp_path / "test_annotations.json").write_text("[")
    (tmp_path / "bad.zip").unlink()
    with pytest.raises(AnnotationError, match=r"test_annotations\.json: cannot be read as JSON"):
        open_dataset("vidstg", tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"caption": ""}, "field caption: expected a sentence, got ''"),
        ({"st_frame": 0}, "field st_frame: expected a whole number from 1 on, got 0"),
        ({"img_num": 20}, r"field bbox: expected at most .* boxes from frame"),
        ({"bbox": []}, "field bbox: expected a list of boxes"),
        ({"bbox": [[1, 2, 3, 4], [1, 2, -3, 4]]}, r"field bbox\[1\]: expected x, y, width, height"),
        ({"bbox": [[1, 2, 3]]}, r"field bbox\[0\]: expected x, y, width, height.*got \[1, 2, 3\]"),
    ],
)
def test_wrong_hcstvg_entries_are_named_and_fail(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    entry = {
        "bbox": [[1, 2, 30, 40]] * 10, "st_time": 5.0, "ed_time": 5.4, "img_num": 500,
        "st_frame": 126, "caption": "a man", "width": 64, "height": 48,
    }  # fmt: skip
    whole = {"a.mp4": entry, "b.mp4": {**entry, **change}}
    (tmp_path / "test.json").write_text(json.dumps(whole))
    data = open_dataset("hcstvg-v1", tmp_path)
    assert data.samples[0].problem == ""
    with pytest.raises(AssertionError, match=rf"test\.json: entry 'b\.mp4', {said}"):
        raise AssertionError(data.samples[1].problem)
    (result,) = evaluate(data.samples[1:], SquareGrounder(), JOB)
    assert (result.error_code, result.error) == ("CONFIGURATION", data.samples[1].problem)
    assert any(data.samples[1].problem in line for line in data.report())


def test_odd_hcstvg_entries_are_noted_and_scored(tmp_path: Path) -> None:
    entry = {
        "bbox": [[70, 2, 30, 40]] * 10, "st_time": 5.0, "ed_time": 9.0, "img_num": 500,
        "st_frame": 126, "caption": "a man", "width": 64, "height": 48,
    }  # fmt: skip
    (tmp_path / "test.json").write_text(json.dumps({"a.mp4": entry}))
    notes = open_dataset("hcstvg-v1", tmp_path).notes
    assert [note.partition("'a.mp4', ")[2] for note in notes] == [
        "field bbox: 0.4 s of boxes for 5.0 to 9.0 s",
        "field bbox[0]: 10 boxes outside the 64 x 48 image",
    ]


RECORD = {
    "vid": "24", "fps": 25.0, "frame_count": 100, "width": 64, "height": 48,
    "subject/objects": [{"tid": 0, "category": "dog"}], "captions": [],
    "used_segment": {"begin_fid": 10, "end_fid": 90},
    "temporal_gt": {"begin_fid": 20, "end_fid": 40},
    "questions": [{"description": "what runs?", "type": "subject", "target_id": 0}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fps": 0}, "field fps: expected more than 0, got 0"),
        ({"temporal_gt": {"begin_fid": 5, "end_fid": 40}}, "field temporal_gt: expected frames in"),
        ({"used_segment": {"begin_fid": 10}}, "field used_segment: expected begin_fid and end_fid"),
        ({"captions": None}, "field captions: expected a list, got None"),
        (
            {"questions": [{"description": "what runs?", "target_id": 4}]},
            r"field questions\[0\].target_id: expected one of \[0\], got 4",
        ),
        (
            {"questions": [{"description": " ", "target_id": 0}]},
            r"field questions\[0\].description: expected a sentence",
        ),
    ],
)
def test_wrong_vidstg_records_are_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    (tmp_path / "test_annotations.json").write_text(json.dumps([{**RECORD, **change}]))
    (sample,) = open_dataset("vidstg", tmp_path).samples
    with pytest.raises(AssertionError, match=rf"entry 0 \(24\), {said}"):
        raise AssertionError(sample.problem)


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        (None, r"VidOR's file 24\.json is missing"),
        ([], "field trajectories: expected at least 40 frames, got 0"),
        ([[]] * 100, "target 0 has no box in the frames 20 to 40"),
        (
            [[{"tid": 0, "bbox": {"xmin": 5, "ymin": 0, "xmax": 4, "ymax": 9}}]] * 100,
            r"field trajectories\[20\], target 0: expected xmin < xmax",
        ),
    ],
)
def test_wrong_vidor_files_are_named(tmp_path: Path, boxes: Any, said: str) -> None:
    (tmp_path / "test_annotations.json").write_text(json.dumps([RECORD]))
    if boxes is not None:
        (tmp_path / "24.json").write_text(json.dumps({"trajectories": boxes}))
    data = open_dataset("vidstg", tmp_path)
    assert set(data.missing) == {"24.mp4"} | ({"24.json"} if boxes is None else set())
    with pytest.raises(AnnotationError, match=said):
        truth_of(data.samples[0], 100)
