# SPDX-License-Identifier: Apache-2.0

"""Converts camera images to inputs of the vision towers, as preprocessor_config.json specifies.

Dimensions: T frames, S slots of P frames, patches of p x p pixels, m x m patches to a token.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.errors import ModelError
from stvg_ros.method.visual_tokens import Crop

Images = Sequence[NDArray[np.uint8]]
CPU = torch.device("cpu")


def common_size(images: Images) -> tuple[int, int]:
    """`(height, width)` px of images of one size."""
    height, width, _ = images[0].shape
    return height, width


def normalised(
    images: Images,
    height: int,
    width: int,
    preprocessing: ImagePreprocessing,
    device: torch.device = CPU,
) -> Tensor:
    """`(T, 3, height, width)` float32; the whole image is resized without cropping."""
    pixels = stretched(images, height, width, preprocessing).to(device, non_blocking=True)
    return scaled(pixels.permute(0, 3, 1, 2).contiguous(), preprocessing)


def patches(
    images: Images,
    height: int,
    width: int,
    preprocessing: ImagePreprocessing,
    device: torch.device = CPU,
) -> Tensor:
    """`(S * H/p * W/p, 3 * P * p * p)` float32, the m x m patches of a token together.

    An incomplete last slot repeats its last frame.
    """
    p, m, pair = preprocessing.patch, preprocessing.merge, preprocessing.pair
    images = [*images, *[images[-1]] * (-len(images) % pair)]
    pixels = stretched(images, height, width, preprocessing).to(device, non_blocking=True)
    rows, columns = height // (p * m), width // (p * m)
    cut = pixels.view(-1, pair, rows, m, p, columns, m, p, 3)
    # Bytes are rearranged: they need a quarter of the memory of floats.
    ordered = cut.permute(0, 2, 5, 3, 6, 8, 1, 4, 7).reshape(-1, 3, pair * p * p)
    return scaled(ordered, preprocessing).flatten(1)


def stretched(images: Images, height: int, width: int, preprocessing: ImagePreprocessing) -> Tensor:
    """`(T, height, width, 3)` bytes; resized in threads, since resizing releases the GIL."""
    resample = Image.Resampling(preprocessing.resample)

    def resized(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if image.shape[:2] == (height, width):
            return image
        return np.asarray(Image.fromarray(image).resize((width, height), resample))

    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        return torch.from_numpy(np.stack(list(threads.map(resized, images))))


def scaled(pixels: Tensor, preprocessing: ImagePreprocessing) -> Tensor:
    """`(n, 3, ...)` bytes to float32, per channel, in the operation order of transformers."""
    shape = (3, *[1] * (pixels.ndim - 2))
    mean, std = (
        torch.tensor(values, dtype=torch.float32).view(shape).to(pixels.device, non_blocking=True)
        for values in (preprocessing.mean, preprocessing.std)
    )
    return pixels.float().mul_(preprocessing.rescale).sub_(mean).div_(std)


def centre_cropped(
    images: Images, preprocessing: ImagePreprocessing
) -> tuple[list[NDArray[np.uint8]], Crop | None]:
    """The middle of images whose shorter side is resized to `shortest_edge`, as in transformers.

    Args:
        images: `(h, w, 3)` RGB images of one shape.
        preprocessing: with a crop.

    Returns:
        The cut images, and what they cover of the whole ones; None for all.

    Raises:
        ModelError: the crop is larger than the resized image.
    """
    assert preprocessing.crop is not None
    tall, wide = preprocessing.crop
    height, width = common_size(images)
    edge = preprocessing.size.get("shortest_edge", min(tall, wide))
    size = (edge, int(edge * width / height))
    if width < height:
        size = (int(edge * height / width), edge)
    size = preprocessing.size.get("height", size[0]), preprocessing.size.get("width", size[1])
    if size[0] < tall or size[1] < wide:
        raise ModelError(
            f"the image processor's crop of {wide} x {tall} px is larger than the image resized to "
            f"{size[1]} x {size[0]} px; download the checkpoint's preprocessor_config.json again"
        )
    top, left = (size[0] - tall) // 2, (size[1] - wide) // 2
    whole = stretched(images, *size, preprocessing).numpy()
    cut = list(whole[:, top : top + tall, left : left + wide])
    if size == (tall, wide):
        return cut, None
    return cut, (
        left / size[1], top / size[0], (left + wide) / size[1], (top + tall) / size[0]
    )  # fmt: skip


def square_size(preprocessing: ImagePreprocessing, default: int) -> tuple[int, int]:
    """`(height, width)` in pixels for towers with a fixed input size."""
    edge = preprocessing.size.get("shortest_edge", default)
    return preprocessing.size.get("height", edge), preprocessing.size.get("width", edge)


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
        pair: the bounds are checked for `frames` rounded to a multiple of it, as in transformers.

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


def letterboxed(
    images: Images, size_px: tuple[int, int], cells: tuple[int, int], resample: int
) -> tuple[list[NDArray[np.uint8]], tuple[slice, slice]]:
    """Images in the middle of a grey frame, along the borders of its cells.

    Args:
        images: `(h, w, 3)` RGB images of one shape.
        size_px: height and width of the frame.
        cells: rows and columns of its grid.
        resample: PIL's number of the filter.

    Returns:
        The frames, and the rows and columns that the images cover. One side is covered whole; the
        other one is rounded to cells, at least one.
    """
    height, width = common_size(images)
    share = (height / width) / (size_px[0] / size_px[1])  # the image's height at full width
    shares = (min(1.0, share), min(1.0, 1 / share))
    covered, pixels = [], []
    for side, count, length in zip(shares, cells, size_px, strict=True):
        number = max(1, round(count * side))
        begin = (count - number) // 2
        covered.append(slice(begin, begin + number))
        pixels.append(slice(begin * length // count, (begin + number) * length // count))
    rows, columns = pixels
    picture = columns.stop - columns.start, rows.stop - rows.start
    frames = []
    for image in images:
        frame = np.full((*size_px, 3), 128, np.uint8)
        small = Image.fromarray(image).resize(picture, Image.Resampling(resample))
        frame[rows, columns] = np.asarray(small)
        frames.append(frame)
    return frames, (covered[0], covered[1])


def video_size(
    preprocessing: ImagePreprocessing,
    height: int,
    width: int,
    total: int,
    min_pixels: int,
    max_pixels: int,
) -> tuple[int, int]:
    """`(height, width)` px of frames of a video of `total`; the bounds are for all of them.

    Args:
        preprocessing: its size takes precedence over the bounds.
        height, width: of a frame, in pixels.
        total: frames of the video.
        min_pixels, max_pixels: bounds where the checkpoint has none.
    """
    factor = preprocessing.patch * preprocessing.merge
    if min(height, width) < factor:
        scale = factor / min(height, width)
        height, width = int(height * scale), int(width * scale)
    return fitted_size(
        height,
        width,
        factor,
        preprocessing.size.get("shortest_edge", min_pixels),
        preprocessing.size.get("longest_edge", max_pixels),
        frames=max(total, preprocessing.pair),
        pair=preprocessing.pair,
    )


def slots_of(frames: int, pair: int) -> tuple[tuple[int, ...], ...]:
    """The frames of each slot; the last one may have fewer."""
    return tuple(tuple(range(start, min(start + pair, frames))) for start in range(0, frames, pair))
