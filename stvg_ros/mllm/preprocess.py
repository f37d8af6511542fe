# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""Camera images to what the vision towers take, by the numbers of preprocessor_config.json.

Dimensions: T frames, S slots of P frames, patches of p x p pixels, m x m patches to a token.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stvg_ros.errors import ModelError

Images = Sequence[NDArray[np.uint8]]
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class ImageNumbers:
    """Resizing and normalising.

    Attributes:
        size: as in the file: `height` and `width`, or `shortest_edge` and `longest_edge`.
        crop: `(height, width)` of the centre crop, if the file asks for one.
        patch, merge, pair: p, m, P of the families that cut patches themselves.
        resample: PIL's number of the filter.
    """

    size: Mapping[str, int]
    crop: tuple[int, int] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    rescale: float
    resample: int
    patch: int
    merge: int
    pair: int

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: str) -> ImageNumbers:
        """Reads a preprocessor_config.json.

        Raises:
            ModelError: a number of the wrong kind.
        """
        try:
            size = values.get("size") or {}
            size = {"shortest_edge": size} if isinstance(size, int) else dict(size)
            for key, name in (("min_pixels", "shortest_edge"), ("max_pixels", "longest_edge")):
                if values.get(key):
                    size[name] = values[key]
            crop = values.get("crop_size") if values.get("do_center_crop") else None
            if isinstance(crop, int):
                crop = {"height": crop, "width": crop}
            return cls(
                size={name: int(number) for name, number in size.items() if number is not None},
                crop=(int(crop["height"]), int(crop["width"])) if crop else None,
                mean=tuple(float(x) for x in values.get("image_mean") or CLIP_MEAN),
                std=tuple(float(x) for x in values.get("image_std") or CLIP_STD),
                rescale=float(values.get("rescale_factor") or 1 / 255),
                resample=int(values.get("resample", Image.Resampling.BICUBIC)),
                patch=int(values.get("patch_size", 14)),
                merge=int(values.get("merge_size", 2)),
                pair=int(values.get("temporal_patch_size", 2)),
            )
        except (TypeError, ValueError, KeyError) as error:
            raise ModelError(
                f"{source}: expected the numbers of an image processor, got {error!r}; "
                "download the checkpoint's file again"
            ) from error


def normalised(images: Images, height: int, width: int, numbers: ImageNumbers) -> NDArray[Any]:
    """`(T, 3, height, width)` float32; the whole image is stretched to that size."""
    mean = np.array(numbers.mean, np.float32)
    std = np.array(numbers.std, np.float32)
    out = np.empty((len(images), 3, height, width), np.float32)
    for index, image in enumerate(images):
        if image.shape[:2] != (height, width):
            resample = Image.Resampling(numbers.resample)
            image = np.asarray(Image.fromarray(image).resize((width, height), resample))
        scaled = image.astype(np.float32) * np.float32(numbers.rescale)
        out[index] = ((scaled - mean) / std).transpose(2, 0, 1)
    return out


def square_size(numbers: ImageNumbers, default: int) -> tuple[int, int]:
    """`(height, width)` in pixels for towers that take one size.

    Where the file asks for a centre crop, the whole image is stretched to the crop's size
    instead: a crop would hide what stands at the sides, and boxes could not be mapped.
    """
    if numbers.crop:
        return numbers.crop
    edge = numbers.size.get("shortest_edge", default)
    return numbers.size.get("height", edge), numbers.size.get("width", edge)


def fitted_size(
    height: int,
    width: int,
    factor: int,
    min_pixels: int,
    max_pixels: int,
    frames: int = 1,
    pair: int = 1,
) -> tuple[int, int]:
    """The size nearest to the image's whose sides are multiples of `factor`.

    Args:
        min_pixels, max_pixels: bounds on `frames` x height x width.
        frames: 1 when the bounds are for one image.
        pair: the bounds are checked for `frames` rounded to a multiple of it, as the library does.

    Raises:
        ModelError: an image more than 200 times longer than wide.
    """
    if max(height, width) > 200 * min(height, width):
        raise ModelError(
            f"image of {width} x {height} px: expected sides of a ratio below 200; crop the image"
        )
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    counted = round(frames / pair) * pair
    if counted * rows * columns > max_pixels:
        shrink = math.sqrt(frames * height * width / max_pixels)
        rows = max(factor, math.floor(height / shrink / factor) * factor)
        columns = max(factor, math.floor(width / shrink / factor) * factor)
    elif counted * rows * columns < min_pixels:
        grow = math.sqrt(min_pixels / (frames * height * width))
        rows = math.ceil(height * grow / factor) * factor
        columns = math.ceil(width * grow / factor) * factor
    return rows, columns


def slots_of(frames: int, pair: int) -> tuple[tuple[int, ...], ...]:
    """Which frames each slot covers; the last one may cover fewer."""
    return tuple(tuple(range(start, min(start + pair, frames))) for start in range(0, frames, pair))


def patches(pixels: NDArray[Any], numbers: ImageNumbers) -> NDArray[Any]:
    """`(T, 3, H, W)` to `(S * H/p * W/p, 3 * P * p * p)`, the m x m patches of a token together.

    A last slot that lacks frames repeats the last one.
    """
    p, m, pair = numbers.patch, numbers.merge, numbers.pair
    lacking = -len(pixels) % pair
    if lacking:
        pixels = np.concatenate([pixels, np.repeat(pixels[-1:], lacking, axis=0)])
    frames, channels, height, width = pixels.shape
    slots, rows, columns = frames // pair, height // (p * m), width // (p * m)
    cut = pixels.reshape(slots, pair, channels, rows, m, p, columns, m, p)
    flat: NDArray[Any] = cut.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(
        slots * rows * columns * m * m, channels * pair * p * p
    )
    return flat
