# SPDX-License-Identifier: Apache-2.0

"""Detectors and trackers from a folder or the hub, checked and frozen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers.utils.hub import cached_file

from stvg_ros.errors import ConfigError, ModelError

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FILES = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True)
class DetectorPreprocessing:
    """Numbers of an image processor.

    Attributes:
        size: as in the file: `height` and `width`, or `shortest_edge` and `longest_edge`.
    """

    size: dict[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def tensor(self, image: NDArray[np.uint8], height: int, width: int) -> torch.Tensor:
        """`(1, 3, height, width)` float32: the whole image, stretched and normalised."""
        values = torch.tensor(image).permute(2, 0, 1)[None].float()
        values = torch.nn.functional.interpolate(
            values, (height, width), mode="bilinear", antialias=True, align_corners=False
        )
        mean, std = (
            torch.tensor(v, dtype=torch.float32)[:, None, None] for v in (self.mean, self.std)
        )
        return (values.round().clamp(0, 255) / 255 - mean) / std


@dataclass(frozen=True, eq=False)
class DetectorCheckpoint:
    """A checkpoint in memory, on its device, in evaluation mode and without gradients."""

    path: str
    model: Any
    pixels: DetectorPreprocessing
    device: torch.device


def load(path: str, setting: str, classes: dict[str, str], device: str) -> DetectorCheckpoint:
    """Loads a checkpoint; no code of it is run, and no pickle is read.

    Args:
        path: a local folder or a hub id; a folder causes no access to the network.
        setting: its name, for error messages.
        classes: names of the transformers classes by `model_type`.
        device: "auto", "cpu", "cuda", ...

    Raises:
        ModelError: it is absent, incomplete, damaged or of another kind.
        ConfigError: the device cannot be used.
    """
    where = _device(device)
    folder = Path(path).expanduser()
    source = str(folder) if folder.is_dir() else path
    try:
        kind = transformers.AutoConfig.from_pretrained(source).model_type
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{setting} {path!r}: no checkpoint that can be read ({_short(error)}); expected a "
            "folder with config.json, or a hub id that can be reached"
        ) from error
    if kind not in classes:
        raise ModelError(
            f"{setting} {path!r}: expected a checkpoint of {' or '.join(sorted(classes))}, "
            f"got {kind!r}"
        )
    try:
        model = getattr(transformers, classes[kind]).from_pretrained(source, use_safetensors=True)
    except ImportError as error:
        raise ModelError(
            f"{setting} {path!r}: its backbone needs a library that is not installed "
            f"({_short(error)})"
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{setting} {path!r}: the weights cannot be loaded ({_short(error)}); expected "
            "model.safetensors of this kind; download it again"
        ) from error
    model = model.eval().requires_grad_(False).to(where)
    return DetectorCheckpoint(source, model, _pixels(source), where)


def tokenizer_of(loaded: DetectorCheckpoint, setting: str) -> Any:
    """The checkpoint's tokenizer.

    Raises:
        ModelError: it has none.
    """
    try:
        return transformers.AutoTokenizer.from_pretrained(loaded.path)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{setting} {loaded.path!r}: no tokenizer ({_short(error)}); expected tokenizer.json"
        ) from error


def _device(name: str) -> torch.device:
    try:
        device = torch.device(
            ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
        )
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"proposals.device: {name!r} cannot be used here ({_short(error)}); expected 'auto', "
            "'cpu' or a device of this machine such as 'cuda:0'"
        ) from error
    return device


def _pixels(source: str) -> DetectorPreprocessing:
    values: dict[str, Any] = {}
    for name in _FILES:
        try:
            file = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
            if file is not None:
                values = json.loads(Path(str(file)).read_text())
                values = values.get("video_processor") or values.get("image_processor") or values
                break
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{source}: {name} cannot be read ({_short(error)}); download it again"
            ) from error
    size = {key: int(number) for key, number in (values.get("size") or {}).items() if number}
    if values.get("do_normalize") is False:  # as RT-DETR, which names a mean all the same
        return DetectorPreprocessing(size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    mean, std = values.get("image_mean"), values.get("image_std")
    return DetectorPreprocessing(size, _triple(mean, _MEAN), _triple(std, _STD))


def _triple(values: Sequence[float] | None, default: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(float(value) for value in values) if values else default


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
