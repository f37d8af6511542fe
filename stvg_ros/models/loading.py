# SPDX-License-Identifier: Apache-2.0

"""A checkpoint from a folder or the hub, checked and frozen."""

from __future__ import annotations

import importlib
import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers.utils.hub import cached_file

from stvg_ros.errors import ConfigError, ModelError
from stvg_ros.models.attention_capture import NAME
from stvg_ros.models.embedded_checkpoint import FOLDER, SCOPE, SETTINGS_FILE, read_settings
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.family import LoadedCheckpoint
from stvg_ros.models.preprocess import ImagePreprocessing
from stvg_ros.models.settings import ModelConfig
from stvg_ros.models.vision_tower import PatchProduct

# Small beside the language model, and what they lose every later step would see.
KEPT_WHOLE = [
    "lm_head",
    "model.visual",
    "model.vision_tower",
    "model.vision_model",
    "model.projector",
    "model.multi_modal_projector",
]
PREPROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json")


def load(config: ModelConfig) -> LoadedCheckpoint:
    """Loads `config.path`; no code of the checkpoint is run, and no pickle is read.

    Raises:
        ModelError: the checkpoint is absent, incomplete, damaged, or of no known family.
        ConfigError: a device or quantization that this machine lacks.
    """
    path = str(FOLDER) if config.path == "embedded" else str(Path(config.path).expanduser())
    local = Path(path).is_dir()
    if not local and (config.path == "embedded" or not _hub_id(config.path)):
        raise ModelError(
            f"model.path {config.path!r}: no such folder ({path}); expected a folder with "
            "config.json, a hub id such as 'Qwen/Qwen2-VL-7B-Instruct', or 'embedded'"
        )
    path = path if local else config.path
    values = _json(path, "config.json", local)
    if values is None:
        raise ModelError(
            f"{path}: no config.json; expected a transformers checkpoint; check model.path"
        )
    kind = str(values.get("model_type"))
    if kind not in FAMILIES:
        raise ModelError(
            f"{path}: unknown model_type {kind!r}; expected one of {', '.join(sorted(FAMILIES))}"
        )
    row = FAMILIES[kind]
    family = importlib.import_module(row.module).FAMILY
    tokenizer = _tokenizer(path, local)
    numbers = _numbers(path, local)
    settings_file = _file(path, SETTINGS_FILE, local)
    settings = read_settings(Path(settings_file) if settings_file else None)
    model = _weights(path, local, row.class_name, config)
    name = f"{row.title} ({SCOPE})" if config.path == "embedded" else Path(path).name
    return LoadedCheckpoint(name, path, model, tokenizer, numbers, family, settings)


def checkpoint_folder(path: str) -> Path:
    """The local folder of a model's files; those of a hub id must have been fetched.

    Raises:
        ModelError: there are none.
    """
    if path == "embedded":
        return FOLDER
    local = Path(path).expanduser().is_dir()
    file = _file(str(Path(path).expanduser()) if local else path, "config.json", local)
    if file is None:
        raise ModelError(f"{path}: no config.json; expected a transformers checkpoint")
    return Path(file).parent


def untrained(checkpoint: LoadedCheckpoint, seed: int) -> LoadedCheckpoint:
    """The same model at the random weights from which a training begins: a control."""
    model = checkpoint.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(model)(model.config)
    fresh = frozen(fresh.to(device=model.device, dtype=model.dtype))
    return replace(checkpoint, name=f"{checkpoint.name}, untrained", model=fresh)


def device_of(name: str) -> torch.device:
    """The device of `model.device`.

    Raises:
        ConfigError: not a device, or not on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"model.device: {name!r} cannot be used here ({error}); expected 'auto', 'cpu' or a "
            "device of this machine such as 'cuda:0'"
        ) from error
    return device


def dtype_of(name: str, device: torch.device) -> torch.dtype:
    """The precision of `model.dtype`."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    kind: torch.dtype = getattr(torch, name)
    return kind


def _hub_id(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and not name.startswith((".", "~"))


def _file(path: str, name: str, local: bool) -> str | None:
    if local:
        file = Path(path) / name
        return str(file) if file.is_file() else None
    try:
        found = cached_file(path, name, _raise_exceptions_for_missing_entries=False)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be fetched ({error}); expected a folder or a hub id that can be "
            "reached; check model.path and the network"
        ) from error
    return None if found is None else str(found)


def _json(path: str, name: str, local: bool) -> dict[str, Any] | None:
    file = _file(path, name, local)
    if file is None:
        return None
    try:
        values = json.loads(Path(file).read_text())
    except ValueError as error:
        raise ModelError(f"{file}: no valid JSON ({error}); download the file again") from error
    if not isinstance(values, dict):
        raise ModelError(f"{file}: expected a JSON object, got {type(values).__name__}")
    return values


def _numbers(path: str, local: bool) -> ImagePreprocessing:
    for name in PREPROCESSORS:
        values = _json(path, name, local)
        if values is not None:
            return ImagePreprocessing.from_json(values, f"{path}/{name}")
    both = _json(path, "processor_config.json", local) or {}
    values = both.get("video_processor") or both.get("image_processor")
    if values is None:
        raise ModelError(
            f"{path}: no {' and no '.join(PREPROCESSORS)}; expected the image processor's "
            "numbers; download the checkpoint's file"
        )
    return ImagePreprocessing.from_json(values, f"{path}/processor_config.json")


def _tokenizer(path: str, local: bool) -> Any:
    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(
            path, local_files_only=local, trust_remote_code=False
        )
    except Exception as error:  # the library raises errors of many kinds
        raise ModelError(
            f"{path}: the tokenizer cannot be loaded ({error}); expected tokenizer.json and "
            "tokenizer_config.json; download the checkpoint's files again"
        ) from error
    if not tokenizer.chat_template:
        tokenizer.chat_template = (_json(path, "chat_template.json", local) or {}).get(
            "chat_template"
        )
    return tokenizer


def _weights(path: str, local: bool, class_name: str, config: ModelConfig) -> Any:
    device = device_of(config.device)
    dtype = dtype_of(config.dtype, device)
    quantized = _quantization(config.quantization, dtype, device)
    try:
        model, report = getattr(transformers, class_name).from_pretrained(
            path,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=local,
            attn_implementation="sdpa",
            output_loading_info=True,
            **quantized,
        )
    except Exception as error:  # the library raises errors of many kinds
        raise ModelError(
            f"{path}: the weights cannot be loaded ({error}); expected safetensors files that "
            f"fit {class_name}; download them again"
        ) from error
    absent = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))
    if absent:
        raise ModelError(
            f"{path}: {len(absent)} weights are missing or of another shape, such as "
            f"{absent[0]}; expected all of {class_name}; download the weights again"
        )
    if quantized:
        _keep_plain_layout(model)
    else:
        model.to(device)
    return frozen(model)


def frozen(model: Any) -> Any:
    """The model, for asking only: its attention can be read, its weights get no gradient."""
    # Only the language model's attention is read; the vision tower keeps plain fused attention.
    model.model.language_model.config._attn_implementation = NAME
    embedding = getattr(getattr(model.model, "visual", None), "patch_embed", None)
    if embedding is not None and isinstance(embedding.proj, nn.Conv3d):
        embedding.proj = PatchProduct(embedding.proj)
    return model.eval().requires_grad_(False)


def _quantization(kind: str, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    if kind == "none":
        return {}
    for package in ("bitsandbytes", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"model.quantization: {kind!r} needs the package {package}, which is not "
                "installed; install it or choose 'none'"
            )
    make: Any = transformers.BitsAndBytesConfig
    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
    bits = four if kind == "4bit" else {"load_in_8bit": True}
    made = make(**bits, llm_int8_skip_modules=KEPT_WHOLE)
    return {"quantization_config": made, "device_map": {"": device}}


def _keep_plain_layout(model: Any) -> None:
    """On some CPUs bitsandbytes repacks 4-bit weights in a way that has no backward pass."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
