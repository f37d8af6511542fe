# SPDX-License-Identifier: Apache-2.0

"""A model's own tokens as appearance: their layers, pooling, and who resembles whom."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from stvg_lab.identity.token_descriptor import POOLINGS, TokenDescriptor, every_pooling
from stvg_lab.identity.visual_layers import TokenMaps, VisualLayers
from stvg_ros.config import Config

Image = NDArray[np.uint8]


class FixedLayers:
    """Tokens of 2 x 2 that are given."""

    name = "fixed"
    names = ("a", "b")

    def __init__(self, crop: tuple[float, float, float, float] | None = None) -> None:
        grid = np.array([[[1.0, 3.0], [5.0, 7.0]]], np.float32)  # (1, 2, 2)
        self._tokens = TokenMaps({"a": grid, "b": 10 * grid}, crop)

    def __call__(self, image: Image) -> TokenMaps:
        return self._tokens


def layers(**given: object) -> VisualLayers:
    return cast(VisualLayers, FixedLayers(**given))  # type: ignore[arg-type]


IMAGE = np.zeros((100, 200, 3), np.uint8)
LEFT = np.array([[0.0, 0.0, 100.0, 100.0]], np.float32)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("whole", [3.0]),
        ("halves", [1.0, 5.0]),
        ("centred", [-1.0]),
        ("centred halves", [-3.0, 1.0]),
    ],
)
def test_tokens_are_pooled_in_boxes(pooling: str, expected: list[float]) -> None:
    assert TokenDescriptor(layers(), "a", pooling)(IMAGE, LEFT).tolist() == [expected]


def test_a_box_counts_where_it_covers_tokens() -> None:
    box = np.array([[50.0, 0.0, 150.0, 50.0]], np.float32)  # half of both upper tokens
    assert TokenDescriptor(layers(), "b", "whole")(IMAGE, box).tolist() == [[20.0]]


def test_a_model_that_sees_the_middle_of_an_image() -> None:
    found = TokenDescriptor(layers(crop=(0.25, 0.0, 0.75, 1.0)), "a", "whole")
    box = np.array([[50.0, 0.0, 100.0, 100.0]], np.float32)
    assert found(IMAGE, box).tolist() == [[3.0]]


def test_nobody_has_no_rows() -> None:
    empty = np.zeros((0, 4), np.float32)
    assert TokenDescriptor(layers(), "a", "halves")(IMAGE, empty).shape == (0, 2)


@pytest.mark.parametrize(("layer", "pooling"), [("c", "whole"), ("a", "thirds")])
def test_unknown_layers_and_poolings_are_named(layer: str, pooling: str) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        TokenDescriptor(layers(), layer, pooling)


@pytest.fixture(scope="module")
def embedded() -> VisualLayers:
    return VisualLayers.of(Config.from_flat({"model.path": "embedded", "model.device": "cpu"}))


def test_every_layer_of_the_embedded_model_has_tokens(embedded: VisualLayers) -> None:
    image = np.full((96, 128, 3), 90, np.uint8)
    image[:, :64] = (200, 40, 40)
    tokens = embedded(image)
    assert embedded.names == (
        "vision 1", "vision 2", "vision 3", "T_v",
        "language 1", "language 2", "language 3", "language 4",
    )  # fmt: skip
    assert tuple(tokens.maps) == embedded.names
    grids = {each.shape[1:] for each in tokens.maps.values()}
    assert len(grids) == 1 and min(next(iter(grids))) > 2
    for name in ("vision 1", "T_v", "language 4"):
        row = tokens.maps[name][:, 1].T  # the second row of tokens, from left to right
        ends = np.linalg.norm(row[0] - row[-1])
        assert ends > 2 * np.linalg.norm(row[0] - row[1])  # where the colour changes
    assert embedded(image) is tokens  # computed once
    assert len(every_pooling(embedded)) == len(embedded.names) * len(POOLINGS)


def test_without_the_language_model() -> None:
    config = Config.from_flat({"model.path": "embedded", "model.device": "cpu"})
    tower = VisualLayers.of(config, tower_only=True)
    assert tower.names[-1] == "T_v"
    assert tuple(tower(IMAGE).maps) == tower.names


def test_a_person_resembles_themself(embedded: VisualLayers) -> None:
    red, blue = IMAGE.copy(), IMAGE.copy()
    red[20:90, 20:60], blue[20:90, 20:60] = (210, 30, 30), (30, 40, 210)
    box = np.array([[20.0, 20.0, 60.0, 90.0]], np.float32)
    moved = np.roll(red, 100, axis=1)
    describe = TokenDescriptor(embedded)
    own, other = describe(red, box), describe(blue, box)
    again = describe(moved, box + np.array([[100, 0, 100, 0]], np.float32))
    assert describe.similarity(own, again)[0, 0] > describe.similarity(own, other)[0, 0] + 0.05
