"""Images to model inputs, by the numbers of a checkpoint's own preprocessor configuration.

transformers' video processors need torchvision; this is the same arithmetic in PIL and NumPy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from stvg_ros.errors import ModelError

_FILES = ("video_preprocessor_config.json", "preprocessor_config.json")
_BICUBIC = 3  # PIL's number, as checkpoints write it


@dataclass(frozen=True)
class Pixels:
    """How pixels become numbers: resample (PIL's number), rescale, mean and deviation."""

    resample: int
    rescale: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def scaled(self, image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32]:
        """One `(h, w, 3)` uint8 image resized and normalised, `(3, height, width)` float32."""
        resized = Image.fromarray(image).resize(
            (width, height), resample=Image.Resampling(self.resample)
        )
        array = np.asarray(resized, np.float32) * np.float32(self.rescale)
        mean, deviation = np.array([self.mean, self.deviation], np.float32)
        array = (array - mean) / deviation
        return np.ascontiguousarray(array.transpose(2, 0, 1), dtype=np.float32)


def read_config(folder: Path) -> dict[str, Any]:
    """The checkpoint's preprocessor configuration; the video one where there is one.

    Raises:
        ModelError: none there, or not JSON.
    """
    for name in _FILES:
        path = folder / name
        if path.is_file():
            try:
                config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ModelError(f"{path}: not valid JSON ({error}); fetch it again") from error
            return config
    raise ModelError(
        f"{folder}: expected one of {', '.join(_FILES)}; copy the checkpoint's whole folder"
    )


def pixels(config: dict[str, Any]) -> Pixels:
    """The pixel arithmetic of a preprocessor configuration."""
    rescale = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
    normalize = config.get("do_normalize", True)
    return Pixels(
        resample=int(config.get("resample", _BICUBIC)),
        rescale=float(rescale),
        mean=tuple(config["image_mean"]) if normalize else (0.0, 0.0, 0.0),
        deviation=tuple(config["image_std"]) if normalize else (1.0, 1.0, 1.0),
    )


def smart_size(
    width: int, height: int, factor: int, min_pixels: int, max_pixels: int
) -> tuple[int, int]:
    """Qwen2-VL's rule: multiples of `factor`, area within bounds, aspect about kept."""
    new_w, new_h = round(width / factor) * factor, round(height / factor) * factor
    if new_w * new_h > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        new_w = max(factor, math.floor(width / shrink / factor) * factor)
        new_h = max(factor, math.floor(height / shrink / factor) * factor)
    elif new_w * new_h < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        new_w = math.ceil(width * grow / factor) * factor
        new_h = math.ceil(height * grow / factor) * factor
    return new_w, new_h


@dataclass(frozen=True)
class PatchVideo:
    """Qwen-VL's layout of a video: flat patches of frame groups.

    Attributes:
        patch: side of a patch in pixels.
        merge: patches that become one token, along each side.
        group: frames that share a token (temporal patch size).
    """

    pixels: Pixels
    patch: int
    merge: int
    group: int
    min_pixels: int
    max_pixels: int

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> PatchVideo:
        """Reads the layout from a preprocessor configuration."""
        size = config.get("size") or {}
        return cls(
            pixels=pixels(config),
            patch=int(config["patch_size"]),
            merge=int(config["merge_size"]),
            group=int(config["temporal_patch_size"]),
            min_pixels=int(config.get("min_pixels") or size["shortest_edge"]),
            max_pixels=int(config.get("max_pixels") or size["longest_edge"]),
        )

    def patches(
        self, images: Sequence[NDArray[np.uint8]]
    ) -> tuple[torch.Tensor, tuple[int, int, int], tuple[tuple[int, ...], ...]]:
        """Flat patches `(P, 3 * group * patch^2)`, the patch grid (groups, rows, columns), slots.

        A last group that lacks frames repeats its last one, as the library does.
        """
        height, width = images[0].shape[:2]
        w, h = smart_size(width, height, self.patch * self.merge, self.min_pixels, self.max_pixels)
        frames = [self.pixels.scaled(image, w, h) for image in images]
        slots = tuple(
            tuple(range(i, min(i + self.group, len(frames))))
            for i in range(0, len(frames), self.group)
        )
        frames += [frames[-1]] * (-len(frames) % self.group)
        rows, columns, m, p = h // self.patch, w // self.patch, self.merge, self.patch
        # (slot, group, channel, row block, merge row, y, column block, merge column, x)
        video = np.stack(frames).reshape(
            len(slots), self.group, 3, rows // m, m, p, columns // m, m, p
        )
        flat = video.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(len(slots) * rows * columns, -1)
        return torch.from_numpy(np.ascontiguousarray(flat)), (len(slots), rows, columns), slots
