"""Checkpoints to `Mllm`s: families, paths, precision, and one clear error for each failure."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from stvg_ros.config import AttentionConfig, ModelConfig
from stvg_ros.core.interfaces import MllmSettings
from stvg_ros.errors import ModelError
from stvg_ros.mllm.hf_common import HfMllm
from stvg_ros.mllm.rows import NAME, register

EMBEDDED = Path(__file__).resolve().parent / "embedded"
_OWN_SETTINGS = "stvg.json"


@dataclass(frozen=True)
class FamilyEntry:
    """One line of the table of families."""

    title: str
    model_class: str
    module: str
    adapter: str
    tokens: str


FAMILIES: dict[str, FamilyEntry] = {
    "qwen2_vl": FamilyEntry(
        "Qwen2-VL", "Qwen2VLForConditionalGeneration", "qwen_vl", "QwenVl", "per pair of frames"
    ),
    "qwen2_5_vl": FamilyEntry(
        "Qwen2.5-VL",
        "Qwen2_5_VLForConditionalGeneration",
        "qwen_vl",
        "QwenVl",
        "per pair of frames",
    ),
    "llava_onevision": FamilyEntry(
        "LLaVA-OneVision",
        "LlavaOnevisionForConditionalGeneration",
        "llava_onevision",
        "LlavaOnevision",
        "per frame, 14 x 14",
    ),
}


def load_mllm(model: ModelConfig, attention: AttentionConfig) -> HfMllm:
    """Loads a checkpoint from a folder, a hub id, or the package ("embedded").

    Raises:
        ModelError: says what the checkpoint lacks and what to do.
    """
    import transformers

    path = str(EMBEDDED) if model.path == "embedded" else model.path
    folder = _folder(path)
    entry = FAMILIES[_family(folder)]
    register()
    loaded, tokenizer = _loaded(getattr(transformers, entry.model_class), folder, model)
    module = importlib.import_module(f"stvg_ros.mllm.{entry.module}")
    family = getattr(module, entry.adapter)(loaded, folder)
    family.language_model.set_attn_implementation(NAME)
    settings = _settings(folder)
    for name in ("first_layer", "last_layer"):
        if getattr(attention, name) >= 0:
            settings = replace(settings, **{name: getattr(attention, name)})
    return HfMllm(model.path, loaded, tokenizer, family, settings)


def _folder(path: str) -> Path:
    """The local folder of a checkpoint; a hub id is looked up in the cache or fetched."""
    folder = Path(path).expanduser()
    looks_local = path.startswith((".", "/", "~")) or path.count("/") != 1
    if not folder.is_dir() and looks_local:
        raise ModelError(
            f"model.path: no folder {path!r}; give the folder of a checkpoint, a hub id such as "
            "'Qwen/Qwen2.5-VL-3B-Instruct', or 'embedded'"
        )
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        try:
            wanted = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"]
            folder = Path(snapshot_download(path, allow_patterns=wanted))
        except Exception as error:
            raise ModelError(
                f"model.path: {path!r} is no folder and could not be fetched from the hub "
                f"({type(error).__name__}: {error}); give a local folder"
            ) from error
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: expected a config.json; give a transformers checkpoint")
    return folder


def _family(folder: Path) -> str:
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'}: not valid JSON ({error})") from error
    if kind not in FAMILIES:
        raise ModelError(
            f"{folder}: model_type {kind!r} is not supported; expected one of {', '.join(FAMILIES)}"
        )
    return str(kind)


def _loaded(model_class: Any, folder: Path, config: ModelConfig) -> tuple[Any, Any]:
    """The frozen model in evaluation mode, and its tokenizer."""
    import torch
    from transformers import AutoTokenizer

    device = config.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = config.dtype
    if dtype == "auto":
        dtype = "float32" if device == "cpu" else "bfloat16"
    try:
        model, info = model_class.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation="sdpa",
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        model.to(device)
    except Exception as error:
        raise ModelError(
            f"{folder}: cannot be loaded on {device} as {dtype} "
            f"({type(error).__name__}: {error}); check model.device, and fetch the files again"
        ) from error
    if info["missing_keys"] or info.get("mismatched_keys"):
        missing = sorted(map(str, info["missing_keys"] or info["mismatched_keys"]))
        raise ModelError(
            f"{folder}: {len(missing)} weights are missing or of another shape, such as "
            f"{missing[0]}; the weights do not belong to this config.json"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:
        raise ModelError(
            f"{folder}: the tokenizer cannot be loaded ({type(error).__name__}: {error}); copy "
            "the checkpoint's whole folder"
        ) from error
    model.requires_grad_(False)
    return model.eval(), tokenizer


def _settings(folder: Path) -> MllmSettings:
    """The model's own settings from stvg.json, else the paper's."""
    path = folder / _OWN_SETTINGS
    if not path.is_file():
        return MllmSettings()
    known = {item.name for item in fields(MllmSettings)}
    values = json.loads(path.read_text(encoding="utf-8"))
    unknown = sorted(set(values) - known)
    if unknown:
        raise ModelError(f"{path}: unknown keys {unknown}; expected some of {sorted(known)}")
    return MllmSettings(**values)


def families_table() -> list[list[str]]:
    """Header and rows for the README."""
    header = ["family", "`model_type`", "transformers class", "visual tokens"]
    return [
        header,
        *([e.title, f"`{kind}`", f"`{e.model_class}`", e.tokens] for kind, e in FAMILIES.items()),
    ]
