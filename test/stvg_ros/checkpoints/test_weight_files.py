# SPDX-License-Identifier: Apache-2.0

"""The files of weights by their headers: what is counted, and what is wrong with damaged ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
import torch
from safetensors.torch import save_file

from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.checkpoints.weight_files import INDEX, WEIGHTS, stored_numbers
from stvg_ros.errors import ModelError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.settings import ModelConfig

PARTS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


def counted(folder: Path) -> int:
    return stored_numbers(CheckpointFiles(str(folder), True))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_file(
        {"a": torch.zeros(2, 3), "b": torch.zeros((), dtype=torch.int64)}, tmp_path / WEIGHTS,
        {"format": "pt"},
    )  # fmt: skip
    return tmp_path


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    for name, count in zip(PARTS, (4, 5), strict=True):
        save_file({name: torch.zeros(count)}, tmp_path / name)
    names = {name: name for name in PARTS} | {"more": PARTS[0]}
    (tmp_path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return tmp_path


def test_numbers_of_a_whole_file_and_of_shards(folder: Path, shards: Path) -> None:
    assert counted(folder) == 7  # and the index is not read
    (folder / WEIGHTS).unlink()
    assert counted(shards) == 9


def test_no_weights_at_all(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"neither model\.safetensors nor .*index\.json.*found none"
    ):
        counted(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"")
    (tmp_path / "model-q4.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match=r"found model-q4\.gguf, weights\.safetensors; download"):
        counted(tmp_path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda to: (to / PARTS[1]).unlink(),
            f"1 of the 2 safetensors files .* such as {PARTS[1]}",
        ),
        (lambda to: (to / PARTS[0]).rename(to / "part.safetensors"), f"such as {PARTS[0]}"),
        (lambda to: (to / INDEX).write_text("{"), "no valid JSON"),
        (lambda to: (to / INDEX).write_text("[]"), "expected a JSON object, got list"),
        (lambda to: (to / INDEX).write_text("{}"), "has no weight_map"),
        (lambda to: (to / INDEX).write_text('{"weight_map": []}'), "has no weight_map"),
        (lambda to: (to / INDEX).unlink(), "neither .*found model-00001.*, model-00002"),
    ],
)
def test_shards_that_do_not_fit_their_index(
    shards: Path, change: Callable[[Path], object], words: str
) -> None:
    change(shards)
    with pytest.raises(ModelError, match=words):
        counted(shards)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no whole safetensors file"),
        (b"no weights", "is no whole safetensors file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
            "is a pointer of Git LFS.*lfs pull",
        ),
        (b"<!doctype html><html></html>", "is no whole safetensors file"),
        (b"\x02" + bytes(7) + b"xx", "has no header"),
        (b"\x02" + bytes(7) + b"[]", "has no header"),
        (b"\x08" + bytes(7) + b'{"a": 1}', "has no header"),
        (b"\x09" + bytes(7) + b'{"a": {}}', "has no header"),
    ],
)
def test_what_is_no_file_of_weights(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / WEIGHTS).write_bytes(content)
    with pytest.raises(ModelError, match=rf"model\.safetensors {words}"):
        counted(tmp_path)


@pytest.mark.parametrize("lost", [1, 20, 31])
def test_a_file_whose_end_is_lost(folder: Path, lost: int) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-lost])
    with pytest.raises(ModelError, match=f"has {len(whole) - lost} bytes, expected {len(whole)}"):
        counted(folder)


@pytest.mark.parametrize("change", ["text_config", "vision_config"])
def test_a_model_much_larger_than_its_files_is_refused_before_memory_is_taken(
    tmp_path: Path, change: str
) -> None:
    """Without its sizes in config.json, transformers takes those of its default, a large model."""
    folder = tiny_models.save("qwen2_vl", "Qwen2VLForConditionalGeneration", tmp_path)
    values = json.loads((folder / "config.json").read_text())
    values[change] = None
    (folder / "config.json").write_text(json.dumps(values))
    with pytest.raises(
        ModelError, match=r"config\.json describes a Qwen2VLFor.*but the files hold"
    ):
        load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())
