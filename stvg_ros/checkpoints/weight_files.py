# SPDX-License-Identifier: Apache-2.0

"""The files of a folder's weights, by their headers, before anything is read into memory."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.errors import ModelError

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"  # which file holds which weight
_OF_WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".onnx")
_LFS = b"version https://git-lfs"
_LENGTH = 8  # bytes in front of a header, its length


def stored_numbers(files: CheckpointFiles) -> int:
    """How many numbers the weights of a folder hold.

    Raises:
        ModelError: files are missing, or are not what they should be.
    """
    return sum(_numbers(path) for path in _paths(files))


def _paths(files: CheckpointFiles) -> list[Path]:
    """The files that transformers reads: one whole file, else those of the index."""
    whole = files.path(WEIGHTS)
    if whole is not None:
        return [Path(whole)]
    index = files.json(INDEX)
    if index is None:
        there = sorted(
            path.name for path in Path(files.source).iterdir() if path.suffix in _OF_WEIGHTS
        )
        raise ModelError(
            f"neither {WEIGHTS} nor {INDEX}; expected safetensors files under the names of the "
            f"release, found {', '.join(there[:3]) or 'none'}; download them (other formats are "
            "not read)"
        )
    named = index.get("weight_map")
    if not isinstance(named, dict) or not named:
        raise ModelError(f"{INDEX} has no weight_map; download it again")
    names = sorted(set(map(str, named.values())))
    found = [files.path(name) for name in names]
    lost = [name for name, path in zip(names, found, strict=True) if path is None]
    if lost:
        raise ModelError(
            f"{len(lost)} of the {len(names)} safetensors files that {INDEX} names are missing, "
            f"such as {lost[0]}; download them again"
        )
    return [Path(path) for path in found if path is not None]


def _numbers(path: Path) -> int:
    """Raises: ModelError."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        begin = stream.read(_LENGTH)
        length = int.from_bytes(begin, "little")
        if _LFS.startswith(begin) and begin:
            raise ModelError(
                f"{path.name} is a pointer of Git LFS in place of the safetensors file; run "
                "`git lfs pull` in the folder, or download it"
            )
        if len(begin) < _LENGTH or length > size - _LENGTH:
            raise ModelError(f"{path.name} is no whole safetensors file; download it again")
        try:
            header: dict[str, Any] = json.loads(stream.read(length))
            tensors = [each for name, each in header.items() if name != "__metadata__"]
            end = max((int(each["data_offsets"][1]) for each in tensors), default=0)
            numbers = sum(int(math.prod(each["shape"])) for each in tensors)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ModelError(
                f"{path.name} has no header of a safetensors file; download it again"
            ) from error
    if _LENGTH + length + end > size:
        raise ModelError(
            f"{path.name} has {size} bytes, expected {_LENGTH + length + end} of this safetensors "
            "file; download it again"
        )
    return numbers
