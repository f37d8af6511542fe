# SPDX-License-Identifier: Apache-2.0

"""Folders and hub ids that hold no model: what is said, and what to do."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from huggingface_hub import constants

from stvg_ros.checkpoints.devices import device_of
from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.errors import ConfigError, ModelError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.settings import ModelConfig
from stvg_ros.proposals.open_vocabulary.mask_tracker import MaskTracker
from stvg_ros.proposals.open_vocabulary.text_detector import TextDetector
from stvg_ros.proposals.people.transformer_detector import PeopleDetector

READERS: dict[str, Callable[[str], Any]] = {
    "model.path": lambda path: load_mllm(ModelConfig(path=path, device="cpu"), AttentionConfig()),
    "proposals.people_detector": lambda path: PeopleDetector(path, "cpu", 0.4),
    "proposals.detector": lambda path: TextDetector(path, "cpu", 0.4, 0.4),
    "proposals.tracker": lambda path: MaskTracker.load(path, "cpu"),
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save(
        "qwen2_vl", "Qwen2VLForConditionalGeneration", tmp_path_factory.mktemp("saved")
    )


def adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "owner/base"}')


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def lora_alone(folder: Path) -> None:
    empty(folder)
    adapter(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"")


def config_text(text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / "config.json").write_text(text) and None


FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (empty, r"no config\.json.*check {setting}"),
    "LoRA": (lora_alone, "{setting}.*an adapter .*made for 'owner/base'.*merge"),
    "LoRA beside a config": (adapter, "{setting}.*an adapter .*made for 'owner/base'.*merge"),
    "config is a list": (config_text("[]"), "expected a JSON object, got list"),
    "config is cut": (config_text('{"model_type": "qw'), "no valid JSON.*download the file again"),
    "config is empty": (config_text(""), "no valid JSON.*download the file again"),
    "LFS pointer": (
        config_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        "no valid JSON.*download the file again",
    ),
    "no type": (config_text("{}"), "got 'None'|unknown model_type 'None'"),
    "another type": (config_text('{"model_type": "bert"}'), "'bert'"),
    "type is a number": (config_text('{"model_type": 7}'), "'7'"),
}


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("setting", READERS)
def test_a_folder_that_holds_no_model(saved: Path, tmp_path: Path, setting: str, name: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "model"))
    spoil, words = FOLDERS[name]
    spoil(folder)
    with pytest.raises(ModelError, match=words.format(setting=setting)):
        READERS[setting](str(folder))


@pytest.mark.parametrize("path", ["", "nowhere", "./a/b", "~/none", "/none/here", "a/b/c", "a/"])
@pytest.mark.parametrize("setting", READERS)
def test_neither_a_folder_nor_a_hub_id(setting: str, path: str) -> None:
    with pytest.raises(ModelError, match=rf"{setting} '{path}': no such folder"):
        READERS[setting](path)


@pytest.mark.parametrize("setting", READERS)
def test_a_file_in_place_of_its_folder(
    saved: Path, tmp_path: Path, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = tmp_path / "models" / "weights.safetensors"
    alone.parent.mkdir()
    alone.write_bytes(b"")
    monkeypatch.chdir(tmp_path)  # relative to it, the path looks like a hub id
    for path, remedy in (
        (str(saved / "config.json"), f"give '{saved}'"),
        ("models/weights.safetensors", "no config.json beside it: download the whole checkpoint"),
    ):
        words = f"{setting} '{path}': a file; expected the folder.*{re.escape(remedy)}"
        with pytest.raises(ModelError, match=words):
            READERS[setting](path)


@pytest.mark.parametrize("setting", READERS)
def test_a_hub_id_that_was_never_fetched_without_a_network(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=rf"{setting} 'owner/name': not in the local cache.*fetch"):
        READERS[setting]("owner/name")


METHODS = ["awq", "gptq", "compressed-tensors", "aqlm", "quanto", "hqq", "torchao", "mxfp4"]


@pytest.mark.parametrize(
    "stored", [*({"quant_method": name} for name in METHODS), "awq", {"bits": 4}]
)
def test_quantized_weights_of_other_methods_are_named(
    saved: Path, tmp_path: Path, stored: Any
) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "model"))
    values = json.loads((folder / "config.json").read_text())
    values["quantization_config"] = stored
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"quantized by .*full precision.*model\.quantization"):
        READERS["model.path"](str(folder))


def test_an_entry_that_is_empty_names_no_format(saved: Path, tmp_path: Path) -> None:
    """As transformers reads it."""
    folder = Path(shutil.copytree(saved, tmp_path / "model"))
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "quantization_config": {}}))
    READERS["model.path"](str(folder))


@pytest.mark.parametrize("name", ["tokenizer.json"])
def test_no_tokenizer(saved: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "model"))
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(ModelError, match=r"no tokenizer\.json.*download"):
        READERS["model.path"](str(folder))


@pytest.mark.parametrize(
    "values",
    [
        {"size": "large"}, {"size": {"height": "tall"}}, {"image_mean": 3}, {"image_std": [1, 2]},
        {"image_mean": ["a", "b", "c"]}, {"size": [1, 2]}, {"rescale_factor": "x"},
        {"do_center_crop": True, "crop_size": {"height": 2}}, {"patch_size": []},
        {"image_mean": [0.5]}, {"resample": "bicubic"},
    ],
)  # fmt: skip
def test_wrong_numbers_of_images_are_named(saved: Path, tmp_path: Path, values: Any) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "model"))
    (folder / "preprocessor_config.json").write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r"preprocessor_config\.json: expected the numbers"):
        READERS["model.path"](str(folder))


def test_a_folder_wins_over_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert CheckpointFiles.of("owner/name", "model.path").local
    assert not CheckpointFiles.of("owner/other", "model.path").local


@pytest.mark.parametrize("name", ["teapot", "cuda:99", "cpu:x", "", "gpu"])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(ConfigError, match=f"own.setting: '{name}' cannot be used here"):
        device_of(name, "own.setting")
