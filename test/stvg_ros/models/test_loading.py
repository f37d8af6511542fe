# SPDX-License-Identifier: Apache-2.0

"""Every refusal names the path or value; the numbers of images equal the library's."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from safetensors.torch import load_file, save_file
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.errors import ConfigError, ModelError
from stvg_ros.method.interfaces import Mllm
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm, load_untrained
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.preprocess import fitted_size, patches, slots_of
from stvg_ros.models.settings import ModelConfig


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    return tiny_models.save("qwen2_vl", "Qwen2VLForConditionalGeneration", folder)


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def load(folder: Path | str, **attention: int) -> Mllm:
    return load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig(**attention))


def test_absent_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such folder.*nowhere"):
        load(tmp_path / "nowhere")


def test_no_config(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        load(tmp_path)


def test_unknown_family_lists_the_known(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="'bert'.*internvl.*qwen2_vl"):
        load(folder)


def test_missing_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop("model.visual.patch_embed.proj.weight", None) or weights.pop(
        next(name for name in weights if "patch_embed" in name)
    )
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="1 weights are missing.*patch_embed"):
        load(folder)


def test_corrupt_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match="cannot be loaded.*safetensors"):
        load(folder)


def test_pickled_weights_are_not_read(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="safetensors"):
        load(folder)


def test_code_of_the_checkpoint_does_not_run(folder: Path) -> None:
    trace = folder / "ran"
    (folder / "own.py").write_text(f"import pathlib\npathlib.Path({str(trace)!r}).touch()\n")
    for name, kind in (("tokenizer_config.json", "AutoTokenizer"), ("config.json", "AutoModel")):
        values = json.loads((folder / name).read_text())
        values["auto_map"] = {kind: ["own.Own", None] if kind == "AutoTokenizer" else "own.Own"}
        if kind == "AutoTokenizer":
            values["tokenizer_class"] = "Own"
        (folder / name).write_text(json.dumps(values))
    with contextlib.suppress(ModelError):  # refused or loaded without it
        load(folder)
    assert not trace.exists()


def test_no_chat_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        load(folder)


def test_template_in_the_older_file(folder: Path) -> None:
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template}))
    assert load(folder).name == "model"


VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (VIDEO, "<video>", "the chat template gives"),
        (VIDEO, VIDEO * 2, "the chat template gives"),
        ("<|im_end|>", f"<|im_end|>{VIDEO}", "the chat template gives"),
    ],
)
def test_a_template_that_does_not_fit_is_refused_while_loading(
    folder: Path, old: str, new: str, words: str
) -> None:
    file = folder / "chat_template.jinja"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ModelError, match=f"{folder}: {words}"):
        load(folder)


def test_a_visual_token_of_another_name_is_refused_while_loading(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        file = folder / name
        file.write_text(file.read_text().replace("<|video_pad|>", "<|other_pad|>"))
    with pytest.raises(ModelError, match=r"gives .*video_pad.*; expected '<\|other_pad\|>' once"):
        load(folder)


@pytest.mark.parametrize("kind", ["internvl", "minicpmv4_6"])
def test_tokens_that_the_tokenizer_does_not_name_are_refused_while_loading(
    tmp_path: Path, kind: str
) -> None:
    folder = tiny_models.save(kind, FAMILIES[kind].class_name, tmp_path)
    file = folder / "tokenizer_config.json"
    values = json.loads(file.read_text())
    for name in [name for name in values if "image" in name or name == "extra_special_tokens"]:
        values.pop(name)
    file.write_text(json.dumps(values))
    with pytest.raises(ModelError, match="the tokenizer lacks a token that the model's prompt nee"):
        load(folder)


def test_no_token_for_yes(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text()
    for word in ("yes", "Yes", "YES"):
        text = text.replace(f'"{word}"', f'"q{word}"')
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match="no single token for 'yes'"):
        load(folder)


def test_no_preprocessor(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match="no preprocessor_config"):
        load(folder)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"patch_size": 8}, "do not fit the vision tower"),
        ({"merge_size": 1}, "do not fit the vision tower"),
        ({"temporal_patch_size": 1}, "do not fit the vision tower"),
        ({"patch_size": 14, "merge_size": 2, "size": None}, "do not fit the vision tower"),
        ({"resample": 99}, "do not fit the vision tower.*Resampling"),
        ({"image_std": [0, 0, 0]}, "the vision tower gives NaN or infinity"),
        ({"rescale_factor": 1e300}, "the vision tower gives NaN or infinity"),
    ],
)
def test_numbers_of_images_that_do_not_fit_are_refused_while_loading(
    folder: Path, values: dict[str, object], words: str
) -> None:
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
    with pytest.raises(ModelError, match=words):
        load(folder)


@pytest.mark.parametrize("name", ["bf16", "torch.bfloat16", "auto", "fp8", "Tensor"])
def test_a_precision_that_torch_does_not_have(folder: Path, name: str) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, "dtype": name}))
    with pytest.raises(ModelError, match=f"names the precision '{name}'; expected a name of torch"):
        load(folder)


def test_settings_of_the_checkpoint(folder: Path) -> None:
    (folder / "stvg.json").write_text('{"first_layer": 1, "learning_rate": 2, "step": "rms"}')
    settings = load(folder).settings
    assert (settings.first_layer, settings.learning_rate, settings.step) == (1, 2, "rms")
    (folder / "stvg.json").write_text('{"first": 1}')
    with pytest.raises(ModelError, match=r"stvg\.json.*first_layer"):
        load(folder)


def test_layer_band_outside_the_model(folder: Path) -> None:
    with pytest.raises(ConfigError, match="last_layer 3.*3 layers"):
        load(folder, last_layer=3)


def test_device_that_is_not_there(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.device: 'abacus'"):
        load_mllm(ModelConfig(path=str(folder), device="abacus"), AttentionConfig())


def test_weights_are_frozen_and_no_image_is_refused(folder: Path) -> None:
    mllm = load(folder)
    assert not any(p.requires_grad for p in mllm._model.parameters())  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="T >= 1"):
        mllm.encode([])


@pytest.mark.parametrize(("height", "width"), [(48, 64), (30, 100), (200, 40)])
def test_patches_equal_the_librarys(height: int, width: int) -> None:
    size = {"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 16}
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    theirs = Qwen2VLImageProcessorPil(size=size)([image], return_tensors="np")
    numbers = ImagePreprocessing.from_json({"size": size}, "test")
    fitted = fitted_size(height, width, 28, size["shortest_edge"], size["longest_edge"])
    ours = patches([image], *fitted, numbers)
    assert theirs["image_grid_thw"][0].tolist() == [1, fitted[0] // 14, fitted[1] // 14]
    np.testing.assert_allclose(ours, theirs["pixel_values"], atol=1e-6)


def test_slots() -> None:
    assert slots_of(1, 2) == ((0,),)
    assert slots_of(5, 2) == ((0, 1), (2, 3), (4,))
    assert slots_of(2, 1) == ((0,), (1,))


def test_an_untrained_model_has_other_weights_of_the_same_shape(folder: Path) -> None:
    model = ModelConfig(path=str(folder), device="cpu")
    trained = load_mllm(model, AttentionConfig())
    before = torch.random.get_rng_state()
    one, again, other = (load_untrained(model, AttentionConfig(), seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    images = [np.full((32, 32, 3), 40 * index, np.uint8) for index in range(4)]
    features = [mllm.encode(images).features for mllm in (trained, one, again, other)]
    assert {value.shape for value in features} == {features[0].shape}
    assert torch.equal(features[1], features[2])
    assert not torch.allclose(features[1], features[0])
    assert not torch.allclose(features[1], features[3])
    (reading,) = one.ask(one.prefill(one.encode(images)), ["Is there a man in this video?"])
    assert torch.isfinite(reading.margin)
    assert one.name.endswith(", untrained")
