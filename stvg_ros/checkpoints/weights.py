# SPDX-License-Identifier: Apache-2.0

"""Loads all weights of a checkpoint or raises; runs no code of the checkpoint."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers.utils import logging

from stvg_ros.checkpoints.files import CheckpointFiles, first_line
from stvg_ros.checkpoints.weight_files import stored_numbers
from stvg_ros.errors import ModelError

MOST_DRAWN = 3.0  # times the stored numbers; weights that are tied are stored once
# Ends of names beside quantized weights that have the name and shape of whole ones.
SCALES = ("weight_scale", "weight_scale_inv", "scale_weight", "weight.scale", ".SCB")


@dataclass(frozen=True, eq=False)
class LoadedWeights:
    """A transformers model with the checkpoint's weights.

    Attributes:
        model: all of its weights are from the files.
        unused: names of weights in the files that the model does not have, sorted.
    """

    model: Any
    unused: tuple[str, ...]


def loaded_weights(
    files: CheckpointFiles, class_name: str, setting: str, dtype: torch.dtype, **options: Any
) -> LoadedWeights:
    """Loads the weights of language models, detectors and trackers; reads no pickle.

    Args:
        files: the checkpoint.
        class_name: class in transformers.
        setting: name of the setting, for messages.
        dtype: of the weights, independent of the files' precision.
        options: further arguments of `from_pretrained`.

    Raises:
        ModelError: weights are missing, damaged, of another shape or not finite.
    """
    where = f"{setting} {files.source!r}"
    if files.local:
        _check_files(files, class_name, where, options)
    try:
        with _without_output():
            model, report = getattr(transformers, class_name).from_pretrained(
                files.source,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=files.local,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are in the report, which is checked
                **options,
            )
    except ImportError as error:
        raise ModelError(
            f"{where}: it needs a library that is not installed ({first_line(error)})"
        ) from error
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{where}: the device's memory does not hold the weights ({first_line(error)}); set "
            "model.quantization to '4bit', or choose a smaller checkpoint"
        ) from error
    except Exception as error:  # the library raises errors of many kinds
        raise ModelError(
            f"{where}: the weights cannot be loaded ({first_line(error)}); expected safetensors "
            f"files that fit {class_name}; download them again"
        ) from error
    _check_complete(model, report, where, class_name)
    known = options.get("quantization_config") or getattr(model.config, "quantization_config", None)
    if known is None:
        _check_unscaled(report, where)
    _check_finite(model, where)
    return LoadedWeights(model, tuple(sorted(map(str, report["unexpected_keys"]))))


def _check_files(
    files: CheckpointFiles, class_name: str, where: str, options: Mapping[str, Any]
) -> None:
    """Raises: ModelError: also of a model much larger than its files, whose rest would be drawn."""
    try:
        stored = stored_numbers(files)
    except ModelError as error:
        raise ModelError(f"{where}: the weights cannot be loaded: {error}") from error
    try:
        config = transformers.AutoConfig.from_pretrained(files.source, local_files_only=True)
        with torch.device("meta"):
            model = getattr(transformers, class_name)(config)
        needed = sum(weight.numel() for weight in model.parameters())
    except Exception:  # of many kinds; loading says what is wrong
        return
    quantized = options.get("quantization_config") or getattr(config, "quantization_config", None)
    if quantized is None and needed > MOST_DRAWN * max(1, stored):
        raise ModelError(
            f"{where}: config.json describes a {class_name} of {needed / 1e6:.3g} M numbers, but "
            f"the files hold {stored / 1e6:.3g} M; weights are missing, or the config.json is that "
            "of another model; download both again"
        )


def _check_complete(model: Any, report: Mapping[str, Any], where: str, class_name: str) -> None:
    """Raises: ModelError."""
    state = model.state_dict()
    lacking = {str(name) for name in report["missing_keys"]}
    # Counters and indices that older files lack are created with the model.
    lacking -= {name for name in lacking & set(state) if not state[name].is_floating_point()}
    # An entry is a name, or a name and both shapes.
    lacking |= {
        str(entry if isinstance(entry, str) else entry[0]) for entry in report["mismatched_keys"]
    }
    if lacking:
        raise ModelError(
            f"{where}: {len(lacking)} weights are missing or of another shape, such as "
            f"{min(lacking)}; expected all of {class_name}; download the weights again"
        )


def _check_unscaled(report: Mapping[str, Any], where: str) -> None:
    """Raises: ModelError: quantized weights whose scales would not be used."""
    scales = [str(name) for name in report["unexpected_keys"] if str(name).endswith(SCALES)]
    if scales:
        raise ModelError(
            f"{where}: scales of quantized weights, such as {min(scales)}, but "
            "config.json names no format (quantization_config); expected weights in full "
            "precision; give the config.json of the release, or the checkpoint that it was made "
            "from"
        )


@torch.no_grad()
def _check_finite(model: Any, where: str) -> None:
    """Raises: ModelError."""
    for name, weight in model.state_dict().items():
        if not weight.is_floating_point() or not weight.numel() or weight.dtype.itemsize < 2:
            continue
        # Both propagate NaN without a second copy of the weights.
        if not torch.isfinite(torch.stack(torch.aminmax(weight))).all():
            raise ModelError(
                f"{where}: the weight {name} holds NaN or infinity; the file is damaged, its "
                "training diverged, or its numbers exceed the range of model.dtype; download it "
                "again, or choose another checkpoint or precision"
            )


@contextmanager
def _without_output() -> Iterator[None]:
    """Disables progress bars, and the warnings for conditions that are errors here."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
