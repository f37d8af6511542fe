# SPDX-License-Identifier: Apache-2.0

"""The published files with tiny random weights: every check of `stvg-ros models verify`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import published
import pytest
import torch

from stvg_ros.cli import doctor
from stvg_ros.cli.main import main
from stvg_ros.cli.model_verification import verified
from stvg_ros.config import Config
from stvg_ros.doctor.findings import Finding

torch.set_num_threads(1)
COMPARED = ["prompt", "pixels", "positions", "rows", "answer"]


@pytest.fixture(scope="module")
def findings(folder: Path) -> dict[str, Finding]:
    return {found.about: found for found in verified(str(folder), "cpu")}


def test_weights_have_the_published_names(folder: Path) -> None:
    if folder.name == "llava_next_video_32k":
        pytest.skip("no list of its weights is published")
    name = "qwen3_vl" if folder.name == "v5_saved_processor" else folder.name
    saved = published.saved_names(folder)
    if folder.name == "qwen3_5_moe":  # published without its vision tower
        saved = {weight for weight in saved if not weight.startswith("model.visual.")}
    assert saved == published.published_names(name)


def test_everything_but_the_librarys_processor_is_verified(
    folder: Path, findings: dict[str, Finding]
) -> None:
    about = [about for about in findings if about not in (*COMPARED, "library")]
    assert about == ["weights", "answers", "candidates", "grounding"]
    assert {findings[each].level for each in about} == {"ok"}
    role = "[/INST]" if folder.name == "llava_next_video_32k" else "assistant"
    assert "'?'" in findings["candidates"].text
    assert role in findings["candidates"].text.replace("', '", "")


def test_the_librarys_processor_and_forward_pass(
    folder: Path, findings: dict[str, Finding]
) -> None:
    if importlib.util.find_spec("torchvision") is None:
        assert findings["library"].level == "note"
        assert "torchvision" in findings["library"].text
        return
    assert [about for about in COMPARED if about in findings] == COMPARED
    levels = {about: findings[about].level for about in COMPARED}
    assert set(levels.values()) == {"ok"}, findings


def test_the_doctor_finds_nothing_bad(folder: Path) -> None:
    config = Config.from_flat({"model.path": str(folder), "model.device": "cpu"})
    assert [item.level for item in doctor.model_findings(config)] == ["ok"] * 3


def test_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify", str(tmp_path), "--device", "cpu"]) == 1
    assert capfd.readouterr().out.startswith("bad  weights")
