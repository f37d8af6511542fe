# SPDX-License-Identifier: Apache-2.0

"""Published files of detectors with tiny random weights; no tracker's files are published here."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from published import material
from safetensors.torch import load_file
from tiny_detectors import save_people_detector, save_tracker

from stvg_ros.cli.detector_verification import verified_part
from stvg_ros.doctor.findings import Finding
from stvg_ros.errors import ModelError
from stvg_ros.proposals.open_vocabulary.text_detector import TextDetector

torch.set_num_threads(1)


def findings(folder: Path) -> dict[str, Finding]:
    found = verified_part(str(folder), "cpu")
    assert found is not None
    return {item.about: item for item in found}


@pytest.fixture(scope="module")
def dino(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files; of config.json the sizes, and the name that its text part has today."""
    folder = tmp_path_factory.mktemp("grounding_dino")
    for file in material("grounding_dino").iterdir():
        if file.name != "SOURCES.txt":
            shutil.copyfile(file, folder / file.name)
    values: dict[str, Any] = json.loads((folder / "config.json").read_text())
    values["backbone_config"] |= {
        "embed_dim": 8, "depths": [1] * 4, "num_heads": [1] * 4, "hidden_size": 64,
    }  # fmt: skip
    values["text_config"] = {
        "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 16,
    }  # fmt: skip
    values |= {
        "d_model": 32, "num_queries": 6, "encoder_layers": 1, "decoder_layers": 2,
        "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(values))
    torch.manual_seed(1)
    config = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.GroundingDinoForObjectDetection(config)
    model.save_pretrained(folder / "saved")
    (folder / "saved" / "model.safetensors").rename(folder / "model.safetensors")
    shutil.rmtree(folder / "saved")
    return folder


def test_grounding_dino_with_its_published_tokens_and_sizes(dino: Path) -> None:
    found = findings(dino)
    assert {about: item.level for about, item in found.items()} == dict.fromkeys(
        ["weights", "prompt", "pixels", "boxes"], "ok"
    )
    assert "4 tokens of 'person'" in found["prompt"].text
    assert "1066 x 800" in found["pixels"].text


def test_words_of_the_published_vocabulary(dino: Path) -> None:
    detect = TextDetector(str(dino), "cpu", 0.0, 0.0)
    ids = detect.prompt_ids("tall man")
    assert detect._meant(ids) == [False, True, True, False, False]


def test_the_published_configuration_of_a_development_version_is_refused(
    dino: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(dino, tmp_path / "old"))
    shutil.copyfile(material("grounding_dino") / "config.json", folder / "config.json")
    with pytest.raises(
        ModelError, match=r"written by transformers 4\.38\.0\.dev0\).*prenet.*current release"
    ):
        TextDetector(str(folder), "cpu", 0.4, 0.4)


def test_edgetam_with_the_backbone_of_its_release(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    folder = save_tracker(tmp_path, "edgetam_video", timm=True)
    found = findings(folder)
    assert {about: item.level for about, item in found.items()} == dict.fromkeys(
        ["weights", "masks"], "ok"
    )
    names = load_file(folder / "model.safetensors")
    assert any("timm_model" in name for name in names)


def test_rf_detr_whose_processor_needs_torchvision(tmp_path: Path) -> None:
    found = findings(save_people_detector(tmp_path, "rf_detr"))
    assert [found[about].level for about in ("weights", "class")] == ["ok", "ok"]
    if importlib.util.find_spec("torchvision") is None:
        assert found["library"].level == "note" and "torchvision" in found["library"].text
    else:
        assert [found[about].level for about in ("pixels", "boxes")] == ["ok", "ok"], found


def test_rt_detr_with_published_numbers(tmp_path: Path) -> None:
    """Those of a checkpoint whose images have a height that the model cannot halve five times."""
    folder = save_people_detector(tmp_path, "rt_detr")
    values = json.loads((material("rt_detr") / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(json.dumps(values))
    found = findings(folder)
    assert "360 x 640; expected multiples of 32" in found["weights"].text
    values["size"] = {"height": 352, "width": 640}
    (folder / "preprocessor_config.json").write_text(json.dumps(values))
    found = findings(folder)
    assert {item.level for item in found.values()} == {"ok"}
    assert "640 x 352" in found["pixels"].text and "library's" in found["boxes"].text
