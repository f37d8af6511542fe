# SPDX-License-Identifier: Apache-2.0

"""Relations to people who are described, or to anybody."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import noise_clip

from stvg_ros.commands.command import Relation, others_of
from stvg_ros.method.relations import related
from stvg_ros.types import CandidateTube

CLIP = noise_clip(3)


def people(*middles: float) -> list[CandidateTube]:
    there = np.ones(3, np.bool_)
    return [
        CandidateTube(
            n, np.tile(np.array([x - 5, 10, x + 5, 50], np.float32), (3, 1)), there, ~there
        )
        for n, x in enumerate(middles)
    ]


def relation(kind: str, other: str) -> Relation:
    return Relation(kind, other, f"{kind} {other}")


@pytest.mark.parametrize(
    ("kind", "other", "parts"),
    [
        ("near", "the man in red", ["the man in red"]),
        ("near", "the table", []),
        ("near", "somebody", ["somebody"]),
        (
            "between",
            "the man in red and the woman in blue",
            ["the man in red", "the woman in blue"],
        ),
        ("between", "two people", ["two people"]),
        ("between", "two men in red and blue", ["two men in red and blue"]),
        ("between", "the man and the table", []),
    ],
)
def test_who_the_others_are(kind: str, other: str, parts: list[str]) -> None:
    assert others_of(relation(kind, other)) == parts
    assert others_of(None) == []


def best(kind: str, fits: list[list[float] | None], *middles: float) -> int:
    found = related(relation(kind, "people"), fits, people(*middles), CLIP)
    return max(found, key=lambda track: found[track])


def test_the_one_between_two_others() -> None:
    assert best("between", [[5, -5, -5, 5], [-5, 5, -5, -5]], 10, 90, 50, 110) == 2
    assert best("between", [[5, -5, -5], [-5, 5, -5]], 10, 90, 50) == 2
    assert best("between", [[5, 4, -5]], 10, 90, 50) == 2  # "two people in red"
    assert best("between", [None], 10, 90, 50) == 2  # "two people"


def test_the_nearest_of_those_who_are_near() -> None:
    red = [-5.0, 5, -5, -5]
    found = related(relation("near", "red"), [red], people(10, 40, 60, 115), CLIP)
    assert found[2] > found[0] > found[3]
    assert found[1] == -4
    assert found[3] < 0


def test_somebody_is_anybody() -> None:
    found = related(relation("near", "somebody"), [None], people(10, 20, 115), CLIP)
    assert found[0] == found[1] > 0 > found[2]
    described = related(relation("near", "red"), [[-5, 5, -5]], people(10, 20, 115), CLIP)
    assert found[0] == pytest.approx(described[0] / 2)


@pytest.mark.parametrize(
    ("red", "nats"), [([-3.0, -2, -4], {0: -2.0, 1: -2.0, 2: -2.0}), ([0.5, -2, -4], {}), ([], {})]
)
def test_a_relation_to_somebody_who_is_not_there(red: list[float], nats: dict[int, float]) -> None:
    assert related(relation("near", "red"), [red], people(10, 20, 60)[: len(red)], CLIP) == nats


def test_without_depth_nobody_is_behind() -> None:
    assert related(relation("behind", "red"), [[5, -5]], people(10, 50), CLIP) == {0: -4.0}
