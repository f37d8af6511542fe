# SPDX-License-Identifier: Apache-2.0

"""Loads a multimodal language model from a folder or the hub, checked and frozen."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from stvg_ros.checkpoints.devices import SPREAD, devices_of
from stvg_ros.checkpoints.files import CheckpointFiles, first_line
from stvg_ros.checkpoints.image_preprocessing import preprocessing_of
from stvg_ros.checkpoints.weights import LoadedWeights, loaded_weights
from stvg_ros.errors import ConfigError, ModelError
from stvg_ros.models.architectures import check_architecture
from stvg_ros.models.attention_capture import NAME
from stvg_ros.models.chat_template import choose_template
from stvg_ros.models.device_spread import layer_devices, place, spread
from stvg_ros.models.embedded_checkpoint import FOLDER, SCOPE, SETTINGS_FILE, read_settings
from stvg_ros.models.families import FAMILIES, unsupported
from stvg_ros.models.family import Family, LoadedCheckpoint
from stvg_ros.models.quantized_formats import INSTEAD, PRODUCER_FILE, format_of, method_of
from stvg_ros.models.settings import ModelConfig
from stvg_ros.models.vision_tower import PatchProduct

# Small compared with the language model, and their errors would affect every later step.
KEPT_WHOLE = [
    "lm_head",
    "model.visual",
    "model.vision_tower",
    "model.vision_model",
    "model.projector",
    "model.connector",
    "model.merger",
    "model.multi_modal_projector",
]
SETTING = "model.path"
_TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")


def load(config: ModelConfig) -> LoadedCheckpoint:
    """Loads `config.path`; runs no code of the checkpoint, and reads no pickle.

    Raises:
        ModelError: the checkpoint is absent, incomplete, damaged, or of an unknown family.
        ConfigError: a device or quantization that this machine lacks.
    """
    files = _files(config.path)
    values = files.config(SETTING)
    kind = str(values.get("model_type"))
    if kind not in FAMILIES:
        raise ModelError(
            f"{files.source}: {unsupported(kind)}; expected one of {', '.join(sorted(FAMILIES))}"
        )
    row = FAMILIES[kind]
    stored = method_of(values, files.json(PRODUCER_FILE))
    if stored is not None:
        _check_stored(files, stored)
    check_language_model(files)
    family = importlib.import_module(row.module).FAMILY
    tokenizer = _tokenizer(files, family)
    preprocessing = preprocessing_of(files)
    settings_file = files.path(SETTINGS_FILE)
    settings = read_settings(Path(settings_file) if settings_file else None)
    preprocessing = replace(preprocessing, aspect_ratio=settings.aspect_ratio)
    weights = _weights(files, row.class_name, config, stored)
    name = f"{row.title} ({SCOPE})" if config.path == "embedded" else Path(files.source).name
    return LoadedCheckpoint(
        name,
        files.source,
        weights.model,
        tokenizer,
        preprocessing,
        family,
        settings,
        weights.unused,
        _markup(files, family.markup),
    )


def check_language_model(files: CheckpointFiles) -> None:
    """Refuses a language model that would run wrongly, before anything is loaded.

    Raises:
        ModelError: a configuration that cannot be read, or see `check_architecture`.
    """
    values = files.config(SETTING)
    precision = values.get("dtype", values.get("torch_dtype"))
    if isinstance(precision, str) and not isinstance(getattr(torch, precision, None), torch.dtype):
        raise ModelError(
            f"{files.source}: config.json names the precision {precision!r}; expected a name of "
            "torch such as 'bfloat16'; correct its entry dtype"
        )
    config = _from_files(
        transformers.AutoConfig,
        files,
        "config.json is not as transformers expects it",
        "download it again",
    )
    check_architecture(config.get_text_config(), files.source)


def _from_files(kind: Any, files: CheckpointFiles, problem: str, remedy: str) -> Any:
    """What a class of transformers reads from the files. Raises: ModelError."""
    try:
        return kind.from_pretrained(
            files.source, local_files_only=files.local, trust_remote_code=False
        )
    except ImportError as error:
        raise ModelError(
            f"{files.source}: it needs a library that is not installed ({first_line(error)})"
        ) from error
    except Exception as error:  # transformers raises errors of many kinds
        raise ModelError(f"{files.source}: {problem} ({first_line(error)}); {remedy}") from error


def checkpoint_folder(path: str) -> Path:
    """The local folder of a model's files; the files of a hub id must be in the cache.

    Raises:
        ModelError: there are none.
    """
    files = _files(path)
    files.config(SETTING)
    return Path(str(files.path("config.json"))).parent


def _files(path: str) -> CheckpointFiles:
    """Raises: ModelError."""
    return CheckpointFiles.of(str(FOLDER) if path == "embedded" else path, SETTING)


def untrained(checkpoint: LoadedCheckpoint, seed: int) -> LoadedCheckpoint:
    """The same model with random initial weights, as a control."""
    model = checkpoint.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = type(model)(model.config)
    fresh, devices = frozen(fresh.to(dtype=model.dtype)), layer_devices(model)
    if len(set(devices)) > 1:
        place(fresh, devices, model.device)
    else:
        fresh.to(model.device)
    return replace(checkpoint, name=f"{checkpoint.name}, untrained", model=fresh)


def dtype_of(name: str, device: torch.device) -> torch.dtype:
    """The precision of `model.dtype`."""
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    kind: torch.dtype = getattr(torch, name)
    return kind


def _markup(files: CheckpointFiles, names: tuple[str, ...]) -> dict[str, bool]:
    """Options of the checkpoint's processor; those of the images' stand in for them."""
    if not names:
        return {}
    whole = files.json("processor_config.json") or {}
    images = files.json("preprocessor_config.json") or {}
    places: dict[str, Any] = {**images, **(whole.get("image_processor") or {}), **whole}
    return {name: bool(places[name]) for name in names if places.get(name) is not None}


def _tokenizer(files: CheckpointFiles, family: Family) -> Any:
    """The tokenizer with its chat template, or with the family's if it has one."""
    if not any(files.path(name) for name in _TOKENIZERS):
        # transformers would create one silently.
        raise ModelError(
            f"{files.source}: no tokenizer.json; expected the tokenizer's files beside "
            "config.json; download the checkpoint's files"
        )
    tokenizer = _from_files(
        transformers.AutoTokenizer,
        files,
        "the tokenizer cannot be loaded",
        "expected tokenizer.json and tokenizer_config.json; download the checkpoint's files again",
    )
    if family.template:
        tokenizer.chat_template = family.template
    else:
        choose_template(tokenizer, files, family.medium)
    return tokenizer


def _weights(
    files: CheckpointFiles, class_name: str, config: ModelConfig, stored: str | None
) -> LoadedWeights:
    """The frozen model; `stored` is the format of quantized weights in the files."""
    devices = devices_of(config.device, "model.device")
    device, dtype = devices[0], dtype_of(config.dtype, devices[0])
    if len(devices) > 1 and (stored or config.quantization != "none"):
        raise ConfigError(
            f"model.device: {SPREAD!r} is for weights in full precision; those of "
            f"{files.source!r} are quantized ({stored or config.quantization}), which are loaded "
            "to one device; set model.device to 'cuda:0'"
        )
    quantized: dict[str, Any]
    if stored:
        quantized = _stored_quantization(files, stored, config.quantization, device)
    else:
        quantized = _quantization(config.quantization, dtype, device)
    weights = loaded_weights(
        files, class_name, SETTING, dtype, attn_implementation="sdpa", **quantized
    )
    if quantized:
        _keep_plain_layout(weights.model)
    elif len(devices) > 1:
        free = [torch.cuda.mem_get_info(each)[0] for each in devices]
        return replace(weights, model=spread(frozen(weights.model), devices, free))
    else:
        weights.model.to(device)
    return replace(weights, model=frozen(weights.model))


def frozen(model: Any) -> Any:
    """Freezes the model: its attention can be captured, its weights have no gradient."""
    # Only the language model's attention is captured; the vision tower keeps fused attention.
    model.get_decoder().config._attn_implementation = NAME
    embedding = getattr(getattr(model.model, "visual", None), "patch_embed", None)
    if embedding is not None and isinstance(embedding.proj, nn.Conv3d):
        embedding.proj = PatchProduct(embedding.proj)
    return model.eval().requires_grad_(False)


def _quantization(kind: str, dtype: torch.dtype, device: torch.device) -> dict[str, Any]:
    if kind == "none":
        return {}
    _check_quantizer(f"model.quantization: {kind!r}", "choose 'none'")
    make: Any = transformers.BitsAndBytesConfig
    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
    bits = four if kind == "4bit" else {"load_in_8bit": True}
    made = make(**bits, llm_int8_skip_modules=KEPT_WHOLE)
    return {"quantization_config": made, "device_map": {"": device}}


def _check_stored(files: CheckpointFiles, method: str) -> None:
    """Raises: ModelError: a format that is not read."""
    kind = format_of(method)
    if kind.bytes_per_weight is None:
        raise ModelError(
            f"{SETTING} {files.source!r}: its weights are quantized by {method!r}: {kind.note}; "
            f"expected weights in full precision, bitsandbytes or FP8; {INSTEAD}"
        )
    if kind.missing:
        raise ModelError(
            f"{SETTING} {files.source!r}: its weights are quantized by {method!r}, which needs "
            f"{' and '.join(kind.missing)}; install what is missing, or {INSTEAD}"
        )


def _stored_quantization(
    files: CheckpointFiles, method: str, kind: str, device: torch.device
) -> dict[str, Any]:
    """Arguments for a checkpoint with quantized weights."""
    if kind != "none":
        raise ConfigError(
            f"model.quantization: expected 'none' for {files.source!r}, whose weights are "
            f"quantized already, got {kind!r}"
        )
    where: dict[str, Any] = {"device_map": {"": device}}
    if method == "fp8":
        make: Any = transformers.FineGrainedFP8Config
        where["quantization_config"] = make(dequantize=True)
    return where


def _check_quantizer(what: str, otherwise: str) -> None:
    """Raises: ConfigError."""
    for package in ("bitsandbytes", "accelerate"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"{what} needs the package {package}, which is not installed; install it or "
                f"{otherwise}"
            )


def _keep_plain_layout(model: Any) -> None:
    """Disables the CPU format of bitsandbytes' 4-bit weights, which has no backward pass."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
