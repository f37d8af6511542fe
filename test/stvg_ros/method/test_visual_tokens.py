# SPDX-License-Identifier: Apache-2.0

"""T_v: shapes, the maps of the picture, the reversed order and joined slots, by small numbers."""

from __future__ import annotations

import pytest
import torch

from stvg_ros.method.visual_tokens import VisualTokens, joined_slots, reversed_slots

GRID = (2, 2, 3)
SLOTS = ((0, 1), (2, 3))


def tokens(begin: float = 0.0, **fields: object) -> VisualTokens:
    """Two slots of 2 x 3 tokens of one number each, from `begin` on; deep ones are 100 more."""
    features = torch.arange(begin, begin + 12.0)[:, None]
    given = {"features": features, "grid": GRID, "slots": SLOTS, "deep": (features + 100,)}
    return VisualTokens(**(given | fields))  # type: ignore[arg-type]


def test_sizes() -> None:
    assert tokens().slot_size == 6
    assert tokens(deep=()).nbytes == 12 * 4
    assert tokens().nbytes == 2 * 12 * 4
    assert VisualTokens(torch.zeros(6, 5), (1, 2, 3), ((0,),)).nbytes == 6 * 5 * 4


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"features": torch.zeros(11, 1)}, r"features: expected \(12, D\) .* got \(11, 1\)"),
        ({"features": torch.zeros(13, 1)}, r"features: expected \(12, D\) .* got \(13, 1\)"),
        ({"features": torch.zeros(12)}, r"features: expected \(12, D\) .* got \(12,\)"),
        ({"features": torch.zeros(12, 1, 1)}, r"features: expected \(12, D\)"),
        ({"slots": ((0, 1, 2, 3),)}, "slots: expected 2, got 1"),
        ({"slots": ((0,), (1,), (2, 3))}, "slots: expected 2, got 3"),
        ({"times_s": (0.0,) * 3}, "times_s: expected 4 times, got 3"),
        ({"times_s": (0.0,) * 5}, "times_s: expected 4 times, got 5"),
    ],
)
def test_what_does_not_fit_the_grid_is_named(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=f"VisualTokens.{reason}"):
        tokens(**fields)


def test_times_may_be_unknown() -> None:
    assert tokens().times_s == ()
    assert tokens(times_s=(0.0, 0.5, 1.0, 1.5)).times_s[3] == 1.5


def test_maps_have_a_row_for_each_row_of_values() -> None:
    rows = torch.stack([torch.arange(12.0), torch.arange(12.0) * 10])
    maps = tokens().on_picture(rows)
    assert maps.shape == (2, 2, 2, 3)
    assert maps[1, 1].tolist() == [[60, 70, 80], [90, 100, 110]]
    part = tokens(picture=(slice(1, 2), slice(0, 2))).on_picture(rows)
    assert part.tolist() == [[[[3, 4]], [[9, 10]]], [[[30, 40]], [[90, 100]]]]


def test_the_reversed_order_is_that_of_slots() -> None:
    back = tokens().reversed()
    assert back.features.flatten().tolist() == [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5]
    assert torch.equal(back.deep[0], back.features + 100)
    assert back.slots == ((2, 3), (0, 1))
    values = torch.arange(6.0).reshape(3, 2)  # slots of one token, with two numbers
    assert reversed_slots(values, (3, 1, 1)).tolist() == [[4, 5], [2, 3], [0, 1]]


def test_joined_slots_count_their_frames_on() -> None:
    fields = {"picture": (slice(0, 1), slice(0, 3)), "crop": (0.25, 0.0, 0.75, 1.0)}
    parts = [tokens(0.0, **fields), tokens(12.0, **fields), tokens(24.0, **fields)]
    whole = joined_slots(parts)
    assert whole.grid == (6, 2, 3)
    assert whole.slots == ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11))
    assert whole.features.flatten().tolist() == list(range(36))
    assert len(whole.deep) == 1
    assert torch.equal(whole.deep[0], whole.features + 100)
    assert (whole.picture, whole.crop) == (fields["picture"], fields["crop"])


def test_one_part_is_joined_to_itself() -> None:
    whole = joined_slots([tokens()])
    assert (whole.grid, whole.slots) == (GRID, SLOTS)


def test_parts_of_different_models_are_not_joined() -> None:
    with pytest.raises(ValueError, match="shorter"):
        joined_slots([tokens(), tokens(deep=())])
