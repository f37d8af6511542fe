# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros models verify` on detectors and trackers of the real classes, small and random."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_detectors import save_detector, save_people_detector, save_tracker

from stvg_ros.cli.detector_verification import verified_part
from stvg_ros.cli.main import main
from stvg_ros.doctor.findings import Finding
from stvg_ros.proposals.open_vocabulary.mask_tracker import MaskTracker
from stvg_ros.proposals.people.transformer_detector import FOLDER, PeopleDetector

torch.set_num_threads(1)


def findings(folder: Path) -> dict[str, Finding]:
    found = verified_part(str(folder), "cpu")
    assert found is not None
    return {item.about: item for item in found}


@pytest.mark.parametrize("kind", ["rt_detr", "rt_detr_v2", "d_fine", "deimv2", "lw_detr"])
def test_a_people_detector(tmp_path: Path, kind: str) -> None:
    found = findings(save_people_detector(tmp_path, kind))
    assert {about: item.level for about, item in found.items()} == dict.fromkeys(
        ["weights", "class", "pixels", "boxes"], "ok"
    )
    assert "number 1 of 2" in found["class"].text
    assert "128 x 64" in found["pixels"].text
    assert "among the library's" in found["boxes"].text


def test_the_embedded_detector() -> None:
    found = findings(FOLDER)
    assert {item.level for item in found.values()} == {"ok"} and "boxes" in found


@pytest.mark.parametrize("kind", ["sam2_video", "edgetam_video"])
def test_a_tracker(tmp_path: Path, kind: str) -> None:
    found = findings(save_tracker(tmp_path, kind))
    assert {about: item.level for about, item in found.items()} == dict.fromkeys(
        ["weights", "masks"], "ok"
    )
    assert found["masks"].text.startswith("0 of ")


def test_other_pixels_boxes_and_masks_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = save_people_detector(tmp_path / "people")
    with monkeypatch.context() as patch:
        patch.setattr(PeopleDetector, "size", (64, 64))
        assert findings(people)["pixels"].level == "bad"
    with monkeypatch.context() as patch:
        whole = PeopleDetector.__call__
        patch.setattr(
            PeopleDetector, "__call__", lambda *given: (whole(*given)[0] + 3, whole(*given)[1])
        )
        assert findings(people)["boxes"].level == "bad"
    step = MaskTracker.step
    tracker = save_tracker(tmp_path / "tracker")
    monkeypatch.setattr(
        MaskTracker, "step", lambda *given: (seen := step(*given), seen.mask.__ior__(True))[0]
    )
    assert findings(tracker)["masks"].level == "bad"


def test_unused_weights_are_named(tmp_path: Path) -> None:
    folder = save_people_detector(tmp_path)
    weights = {**load_file(folder / "model.safetensors"), "other.head": torch.zeros(2)}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert findings(folder)["unused"].text == "1 tensors of the files are unused: other.head"


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = save_detector(tmp_path / "whole")
    command = ["models", "verify", "--device", "cpu"]
    main([*command, str(folder)])
    lines = capfd.readouterr().out.splitlines()
    lines = [line for line in lines if line.startswith(("ok", "bad"))]  # not the unknown hashes
    assert lines[0].startswith("ok") and "GroundingDinoForObjectDetection" in lines[0]
    (folder / "model.safetensors").unlink()
    assert main([*command, str(folder)]) == 1
    assert "\nbad  weights" in capfd.readouterr().out
    assert verified_part(str(tmp_path), "cpu") is None
