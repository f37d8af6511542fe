# SPDX-License-Identifier: Apache-2.0

"""Names and folders that a user will try: what is said where they do not work, and what does."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError

from stvg_ros.checkpoints import files as files_module
from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.cli import doctor
from stvg_ros.cli.options import flat_settings
from stvg_ros.config import Config
from stvg_ros.errors import ModelError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.families import ORIGINALS
from stvg_ros.models.quantized_formats import FORMATS, formats_table
from stvg_ros.models.settings import ModelConfig

REFUSED = [method for method, row in FORMATS.items() if row.bytes_per_weight is None]


def written(folder: Path, **values: Any) -> str:
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen2_vl", **values}))
    header = (2).to_bytes(8, "little") + b"{}"
    (folder / "model.safetensors").write_bytes(header + bytes(1000 - len(header)))
    return str(folder)


def load(path: str) -> Any:
    return load_mllm(ModelConfig(path=path, device="cpu"), AttentionConfig())


def checked(path: str) -> Any:
    return list(
        doctor.model_findings(Config.from_flat({"model.device": "cpu", "model.path": path}))
    )


def test_a_hub_id_without_a_network_names_cache_and_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any) -> str:
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(files_module, "hf_hub_download", unreachable)
    words = (
        rf"model\.path 'owner/name': not in the local cache of the hub \({tmp_path}\), and "
        r".*cannot be reached from here; .*\(hf download owner/name --local-dir FOLDER\)"
    )
    with pytest.raises(ModelError, match=words):
        load("owner/name")


def test_an_optional_file_of_a_cached_repository_is_none_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "models--owner--name"
    snapshot = repository / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0")
    (snapshot / "config.json").write_text("{}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    files = CheckpointFiles.of("owner/name", "model.path")
    assert files.config("model.path") == {}
    assert files.path("chat_template.json") is None


def test_a_relative_folder_is_the_same_from_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some" / "model").mkdir(parents=True)
    (tmp_path / "embedded").mkdir()
    monkeypatch.chdir(tmp_path)

    def path_of(model: str) -> Any:
        return flat_settings(Namespace(model=model, device="cpu", settings=[]))["model.path"]

    for given in ("some/model", "./some/model", "some/../some/model/"):
        assert path_of(given) == os.path.realpath(tmp_path / "some" / "model")
    for unchanged in ("embedded", "owner/name", "nowhere", ""):
        assert path_of(unchanged) == unchanged


@pytest.mark.parametrize("method", [*REFUSED, "hqq"])
def test_formats_that_are_not_read(tmp_path: Path, method: str) -> None:
    path = written(tmp_path, quantization_config={"quant_method": method})
    with pytest.raises(ModelError, match=rf"'{method}': its kernels.*model\.quantization") as error:
        load(path)
    assert "again" not in str(error.value)
    found = checked(path)[-1]
    assert (found.level, found.about) == ("bad", "quantized")
    assert method in found.text and "4bit" in found.remedy


def test_formats_that_are_read_name_the_packages_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method, row in FORMATS.items():
        if row.bytes_per_weight is None:
            continue
        path = written(tmp_path, quantization_config={"quant_method": method}, dtype="bfloat16")
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(ModelError, match=rf"'{method}', which needs accelerate.*install"):
            load(path)
        found = checked(path)[-1]
        assert (found.level, found.about) == ("bad", "quantized")
        assert found.remedy == f"install {' and '.join(row.packages)}"
        monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
        assert [item.about for item in checked(path)][-2:] == ["quantized", "memory"]
        monkeypatch.undo()


def test_memory_of_fp8_is_that_of_the_precision_it_is_read_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, quantization_config={"quant_method": "fp8"}, dtype="bfloat16")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setattr(doctor, "free_memory_bytes", lambda: 5199)
    assert checked(path)[-1].level == "bad"  # 1000 weights in float32 and 1.3 of it
    monkeypatch.setattr(doctor, "free_memory_bytes", lambda: 5200)
    assert checked(path)[-1].level == "ok"


def test_the_table_of_formats_has_a_row_for_each() -> None:
    assert [row[1] for row in formats_table()] == [*FORMATS, "others"]


@pytest.mark.parametrize("kind", ORIGINALS)
def test_the_authors_own_layouts_lead_to_the_repositories_that_work(
    tmp_path: Path, kind: str
) -> None:
    path = written(tmp_path, model_type=kind)
    with pytest.raises(ModelError, match=rf"'{kind}' is the layout of .*own code.*/.*(?i:hf)"):
        load(path)
    assert "own code" in checked(path)[-1].text


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("OpenGVLab/InternVL3-8B", "bad"), ("OpenGVLab/InternVL3-8B-hf", "note"),
        ("OpenGVLab/InternVL3_5-8B", "bad"), ("OpenGVLab/InternVL3_5-8B-HF", "note"),
        ("DAMO-NLP-SG/VideoLLaMA3-7B", "bad"), ("lkhl/VideoLLaMA3-2B-Image-HF", "note"),
        ("Qwen/Qwen2.5-VL-7B-Instruct", "note"),
    ],
)  # fmt: skip
def test_names_of_the_authors_own_layouts(name: str, level: str) -> None:
    found = checked(name)[-1]
    assert found.level == level
    assert ("-hf" in found.text.lower()) == (level == "bad" or "hf" in name.lower())
