# SPDX-License-Identifier: Apache-2.0

"""Checkpoints of every kind with a fault: an error that names the weight, never a random model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file
from tiny_detectors import save_detector, save_people_detector, save_tracker

from stvg_ros.errors import ModelError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.settings import ModelConfig
from stvg_ros.proposals.open_vocabulary.mask_tracker import MaskTracker
from stvg_ros.proposals.open_vocabulary.text_detector import TextDetector
from stvg_ros.proposals.people.transformer_detector import FOLDER, PeopleDetector

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 80, 3), dtype=np.uint8)
BOX = np.array([0.1, 0.1, 0.6, 0.9], np.float32)


def ask_people(path: str) -> Any:
    return PeopleDetector(path, "cpu", 0.0)(IMAGE)[1]


def ask_text(path: str) -> Any:
    return TextDetector(path, "cpu", 0.0, 0.0)(IMAGE, "person")[1]


def ask_tracker(path: str) -> Any:
    tracker = MaskTracker.load(path, "cpu")
    tracker.set_image(IMAGE, 0)
    return tracker.start(BOX)[1].mask


def ask_model(path: str) -> Any:
    mllm = load_mllm(ModelConfig(path=path, device="cpu"), AttentionConfig())
    prefix = mllm.prefill(mllm.encode([IMAGE, IMAGE]))
    return mllm.ask(prefix, ["Is there a man in this video?"])[0].rows.numpy()


def save_model(folder: Path) -> Path:
    return tiny_models.save("qwen2_vl", "Qwen2VLForConditionalGeneration", folder)


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[str], Any]]] = {
    "rt_detr": (lambda to: save_people_detector(to, "rt_detr"), ask_people),
    "rt_detr_v2": (lambda to: save_people_detector(to, "rt_detr_v2"), ask_people),
    "d_fine": (lambda to: save_people_detector(to, "d_fine"), ask_people),
    "deimv2": (lambda to: save_people_detector(to, "deimv2"), ask_people),
    "lw_detr": (lambda to: save_people_detector(to, "lw_detr"), ask_people),
    "embedded": (lambda to: Path(shutil.copytree(FOLDER, to)), ask_people),
    "grounding-dino": (lambda to: save_detector(to, "grounding-dino"), ask_text),
    "mm-grounding-dino": (lambda to: save_detector(to, "mm-grounding-dino"), ask_text),
    "sam2_video": (lambda to: save_tracker(to, "sam2_video"), ask_tracker),
    "edgetam_video": (lambda to: save_tracker(to, "edgetam_video"), ask_tracker),
    "qwen2_vl": (save_model, ask_model),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("whole")
    return {kind: save(root / kind) for kind, (save, _) in KINDS.items()}


def changed(
    folder: Path, to: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> str:
    shutil.copytree(folder, to)
    weights = change(load_file(to / "model.safetensors"))
    save_file(weights, to / "model.safetensors", {"format": "pt"})
    return str(to)


def floats(weights: dict[str, torch.Tensor]) -> list[str]:
    return [name for name, each in weights.items() if each.is_floating_point() and each.ndim]


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_checkpoint_answers_with_finite_numbers(whole: dict[str, Path], kind: str) -> None:
    assert np.isfinite(KINDS[kind][1](str(whole[kind]))).all()


def without(position: float) -> Any:
    def change(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        names = floats(weights)
        weights.pop(names[int(position * (len(names) - 1))])
        return weights

    return change


def without_layers(part: int) -> Any:
    def change(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: each for at, (name, each) in enumerate(weights.items()) if at % 3 != part}

    return change


def filled_with(value: float, *, one: bool) -> Any:
    def change(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        name = floats(weights)[len(floats(weights)) // 2]
        weights[name] = weights[name].clone()
        (weights[name].view(-1)[:1] if one else weights[name]).fill_(value)
        return weights

    return change


def longer(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = floats(weights)[len(floats(weights)) // 2]
    weights[name] = torch.cat([weights[name], weights[name]])
    return weights


FAULTS = {
    "the first weight is missing": (without(0), "missing or of another shape, such as"),
    "a middle weight is missing": (without(0.5), "missing or of another shape, such as"),
    "the last weight is missing": (without(1), "missing or of another shape, such as"),
    "a third is missing": (without_layers(1), "missing or of another shape, such as"),
    "one of another shape": (longer, "1 weights are missing or of another shape, such as"),
    "one NaN": (filled_with(np.nan, one=True), "holds NaN or infinity"),
    "a layer of NaN": (filled_with(np.nan, one=False), "holds NaN or infinity"),
    "one infinity": (filled_with(np.inf, one=True), "holds NaN or infinity"),
    "minus infinity": (filled_with(-np.inf, one=True), "holds NaN or infinity"),
    "other names": (
        lambda weights: {f"other.{name}": each for name, each in weights.items()},
        "missing or of another shape, such as",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_with_a_fault_is_refused(
    whole: dict[str, Path], tmp_path: Path, kind: str, fault: str
) -> None:
    change, words = FAULTS[fault]
    folder = changed(whole[kind], tmp_path / "faulty", change)
    with pytest.raises(ModelError, match=words) as raised:
        KINDS[kind][1](folder)
    assert "faulty" in str(raised.value)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_any_precision_answer(
    whole: dict[str, Path], tmp_path: Path, kind: str, dtype: torch.dtype
) -> None:
    def narrow(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {n: w.to(dtype) if w.is_floating_point() else w for n, w in weights.items()}

    folder = changed(whole[kind], tmp_path / "narrow", narrow)
    config = json.loads((Path(folder) / "config.json").read_text())
    config["dtype"] = str(dtype).removeprefix("torch.")
    (Path(folder) / "config.json").write_text(json.dumps(config))
    answer = KINDS[kind][1](folder)
    assert answer.dtype in (np.float32, np.bool_)
    assert np.isfinite(answer).all()


def test_counters_that_older_files_lack_are_no_missing_weights(tmp_path: Path) -> None:
    whole = save_people_detector(tmp_path / "whole", "d_fine")
    names = [n for n, w in load_file(whole / "model.safetensors").items() if w.dtype == torch.int64]
    assert names
    older = changed(
        whole, tmp_path / "older", lambda w: {n: each for n, each in w.items() if n not in names}
    )
    assert np.array_equal(ask_people(older), ask_people(str(whole)))


def test_loading_writes_nothing_into_a_log(
    whole: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    for kind, (_, ask) in KINDS.items():
        ask(str(whole[kind]))
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_without_the_numbers_of_its_images_is_refused(
    whole: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    folder = Path(shutil.copytree(whole[kind], tmp_path / "faulty"))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"faulty.*no preprocessor_config\.json; expected"):
        KINDS[kind][1](str(folder))


@pytest.mark.parametrize("end", ["_scale_inv", "_scale"])
@pytest.mark.parametrize("kind", ["qwen2_vl", "rt_detr", "sam2_video"])
def test_quantized_weights_that_no_format_is_named_for_are_refused(
    whole: dict[str, Path], tmp_path: Path, kind: str, end: str
) -> None:
    """They have the names and shapes of whole ones, and would be read without their scales."""

    def quantized(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        name = next(n for n, w in weights.items() if w.ndim == 2 and n.endswith("weight"))
        scale = {f"{name}{end}": torch.full((1, 1), 0.01)}
        return {**weights, name: weights[name].to(torch.float8_e4m3fn), **scale}

    folder = changed(whole[kind], tmp_path / "faulty", quantized)
    with pytest.raises(ModelError, match=r"scales of quantized weights, such as .*names no f"):
        KINDS[kind][1](folder)
