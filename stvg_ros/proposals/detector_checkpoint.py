# SPDX-License-Identifier: Apache-2.0

"""Loads detectors and trackers from a folder or the hub, checked and frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from stvg_ros.checkpoints.devices import device_of
from stvg_ros.checkpoints.files import CheckpointFiles, first_line
from stvg_ros.checkpoints.image_preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ImagePreprocessing,
    preprocessing_of,
)
from stvg_ros.checkpoints.weights import loaded_weights
from stvg_ros.errors import ModelError

# The library's processors of these resize without smoothing, and do not round.
SHARP = ("rf_detr",)
_TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt")


@dataclass(frozen=True, eq=False)
class DetectorCheckpoint:
    """A detector or tracker on its device, in evaluation mode and without gradients.

    Attributes:
        unused: names of weights in its files that the model does not have.
    """

    files: CheckpointFiles
    model: Any
    preprocessing: ImagePreprocessing
    device: torch.device
    unused: tuple[str, ...] = ()

    def pixels(self, image: NDArray[np.uint8], height: int, width: int) -> torch.Tensor:
        """`(1, 3, height, width)` float32: the whole image, resized and normalised."""
        values = torch.tensor(image).permute(2, 0, 1)[None].float()
        sharp = self.model.config.model_type in SHARP
        values = torch.nn.functional.interpolate(
            values, (height, width), mode="bilinear", antialias=not sharp, align_corners=False
        )
        values = values if sharp else values.round().clamp(0, 255)
        mean, std = (
            torch.tensor(each, dtype=torch.float32)[:, None, None]
            for each in (self.preprocessing.mean, self.preprocessing.std)
        )
        return (values / (1 / self.preprocessing.rescale) - mean) / std


def load(path: str, setting: str, classes: dict[str, str], device: str) -> DetectorCheckpoint:
    """Loads a checkpoint in float32, independent of the precision of its files.

    Args:
        path: a local folder or a hub id; a folder needs no network access.
        setting: name of the setting, for error messages.
        classes: names of the transformers classes by `model_type`.
        device: "auto", "cpu", "cuda", ...

    Raises:
        ModelError: it is absent, incomplete, damaged or of another class.
        ConfigError: the device cannot be used.
    """
    where = device_of(device, "proposals.device")
    files = CheckpointFiles.of(path, setting)
    kind = str(files.config(setting).get("model_type"))
    if kind not in classes:
        raise ModelError(
            f"{setting} {path!r}: expected a checkpoint of {' or '.join(sorted(classes))}, "
            f"got {kind!r}"
        )
    _check_config(files, setting)
    weights = loaded_weights(files, classes[kind], setting, torch.float32)
    model = weights.model.eval().requires_grad_(False).to(where)
    preprocessing = preprocessing_of(files, IMAGENET_MEAN, IMAGENET_STD)
    return DetectorCheckpoint(files, model, preprocessing, where, weights.unused)


def _check_config(files: CheckpointFiles, setting: str) -> None:
    """Raises: ModelError: a configuration that this version of transformers cannot read."""
    try:
        transformers.AutoConfig.from_pretrained(
            files.source, local_files_only=files.local, trust_remote_code=False
        )
    except Exception as error:  # transformers raises errors of many kinds
        version = files.config(setting).get("transformers_version")
        written = f" (written by transformers {version})" if version else ""
        raise ModelError(
            f"{setting} {files.source!r}: its config.json{written} cannot be read "
            f"({first_line(error)}); download the file of the current release"
        ) from error


def tokenizer_of(loaded: DetectorCheckpoint, setting: str) -> Any:
    """The checkpoint's tokenizer.

    Raises:
        ModelError: it has none.
    """
    if not any(loaded.files.path(name) for name in _TOKENIZERS):
        # transformers would create one silently, without any word.
        raise ModelError(
            f"{setting} {loaded.files.source!r}: no tokenizer: expected tokenizer.json beside "
            "config.json; download the checkpoint's files"
        )
    try:
        return transformers.AutoTokenizer.from_pretrained(
            loaded.files.source, local_files_only=loaded.files.local
        )
    except Exception as error:  # transformers raises errors of many kinds
        raise ModelError(
            f"{setting} {loaded.files.source!r}: no tokenizer ({first_line(error)}); expected "
            "tokenizer.json"
        ) from error
