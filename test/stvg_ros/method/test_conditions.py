# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import noise_clip

from stvg_ros.commands.reader import grammar_reader
from stvg_ros.depth import Depth, Intrinsics
from stvg_ros.method.conditions import (
    Condition,
    condition_factors,
    conditions,
    relation_share,
    unmeasured,
)
from stvg_ros.method.settings import ConditionConfig
from stvg_ros.method.tube_selection import TubeView
from stvg_ros.types import CandidateTube, Clip

LEFT, MIDDLE, RIGHT = (0, 20, 20, 60), (50, 20, 70, 60), (100, 20, 120, 60)
HIGH, LOW = (50, 0, 70, 20), (50, 60, 70, 80)


def tube(track: int, box: tuple[float, ...], present: slice = slice(None)) -> CandidateTube:
    shown = np.zeros(10, np.bool_)
    shown[present] = True
    boxes = np.tile(np.array(box, np.float32), (10, 1))
    return CandidateTube(track, boxes, shown, np.zeros(10, np.bool_))


@pytest.mark.parametrize(
    ("kind", "one", "other", "share"),
    [
        ("left of", LEFT, RIGHT, 1.0),
        ("left of", RIGHT, LEFT, 0.0),
        ("right of", RIGHT, LEFT, 1.0),
        ("right of", LEFT, MIDDLE, 0.0),
        ("above", HIGH, LOW, 1.0),
        ("above", LOW, HIGH, 0.0),
        ("below", LOW, HIGH, 1.0),
        ("below", HIGH, LOW, 0.0),
        ("near", LEFT, MIDDLE, 1.0),
        ("near", LEFT, RIGHT, 0.0),
        ("near", MIDDLE, MIDDLE, 1.0),
        ("behind", LEFT, RIGHT, None),  # no depth
        ("in front of", LEFT, RIGHT, None),
        ("between", LEFT, RIGHT, None),  # needs two others
        ("inside", LEFT, RIGHT, None),
    ],
)
def test_relations_by_geometry(
    kind: str, one: tuple[float, ...], other: tuple[float, ...], share: float | None
) -> None:
    assert relation_share(kind, tube(0, one), [tube(1, other)], noise_clip()) == share


def test_between_two_others() -> None:
    anchors = [tube(1, LEFT), tube(2, RIGHT)]
    assert relation_share("between", tube(0, MIDDLE), anchors, noise_clip()) == 1.0
    assert relation_share("between", tube(0, LEFT), anchors[::-1], noise_clip()) == 0.0


def test_only_common_frames_count() -> None:
    early, late = tube(0, LEFT, slice(0, 5)), tube(1, RIGHT, slice(5, 10))
    assert relation_share("left of", early, [late], noise_clip()) is None
    moving = np.array([LEFT] * 5 + [RIGHT] * 5, np.float32)
    one = replace(tube(0, LEFT), boxes_xyxy_px=moving)
    assert relation_share("left of", one, [tube(1, MIDDLE)], noise_clip()) == 0.5


def test_in_front_and_behind_by_depth() -> None:
    metres = np.full((8, 12), 5.0, np.float32)
    metres[:, :4] = 1.0
    depth = Depth(metres, Intrinsics(100.0, 100.0, 60.0, 40.0))
    frames = [replace(frame, depth=depth) for frame in noise_clip().frames]
    deep = Clip(tuple(frames))
    assert relation_share("in front of", tube(0, LEFT), [tube(1, RIGHT)], deep) == 1.0
    assert relation_share("behind", tube(0, LEFT), [tube(1, RIGHT)], deep) == 0.0
    assert relation_share("behind", tube(0, RIGHT), [tube(1, LEFT)], deep) == 1.0


RULES = grammar_reader("rules")


@pytest.mark.parametrize(
    ("sentence", "asked"),
    [
        ("find the man without a hat", ["the man with a hat"]),
        ("find someone who is not wearing a mask", ["someone wearing a mask"]),
        ("the woman who doesn't move", ["the woman who does move"]),
        ("anyone but the man in blue", ["the man in blue"]),
        ("the guy on the left, not the one sitting", ["the one sitting"]),
        ("the man who isn't in black", ["the man in black"]),
        ("the woman with no shoes", ["the woman with shoes"]),
        ("the man left of the woman in red", ["the woman in red"]),
        ("the man next to the table", []),
        ("the man behind the dog without a hat", ["the man with a hat", "the dog without a hat"]),
        ("the man in red", []),
        ("the man who hugs the adult without shirts", []),
    ],
)
def test_questions_beside_the_query(sentence: str, asked: list[str]) -> None:
    assert conditions(RULES.read(sentence))[: len(asked) or 1] == asked


def view() -> TubeView:
    return TubeView(noise_clip(), np.arange(10), tuple((i,) for i in range(10)))


def heat(column: int) -> torch.Tensor:
    """Attention 1 everywhere, 10 in one of three columns."""
    result = torch.ones(10, 2, 3)
    result[:, :, column] = 10.0
    return result


DEFAULT = ConditionConfig(negation_weight=0.5, relation_weight=0.8)
TUBES = [tube(0, LEFT), tube(1, MIDDLE), tube(2, RIGHT)]


def test_what_is_denied_lowers_its_tube() -> None:
    command = RULES.read("find the man without a hat")
    factors = condition_factors(command, [Condition(heat(0), 20.0)], view(), TUBES, DEFAULT)
    assert factors[0] == pytest.approx(0.5)
    assert factors[2] == pytest.approx(0.95)
    unsure = condition_factors(command, [Condition(heat(0), -20.0)], view(), TUBES, DEFAULT)
    assert unsure[0] == pytest.approx(1.0)


def test_a_relation_keeps_the_tubes_on_its_side() -> None:
    command = RULES.read("find the man to the left of the woman in red")
    factors = condition_factors(command, [Condition(heat(1), 20.0)], view(), TUBES, DEFAULT)
    assert factors[0] == pytest.approx(1.0)
    assert factors[1] == factors[2] == pytest.approx(0.2)


def test_a_relation_to_nobody_changes_nothing() -> None:
    command = RULES.read("find the man to the left of the woman in red")
    for margin in (-20.0, math.nan):
        assert (
            condition_factors(command, [Condition(heat(1), margin)], view(), TUBES, DEFAULT) == {}
        )
    assert condition_factors(command, [Condition(heat(1), 9.0)], view(), TUBES[:1], DEFAULT) == {}
    assert condition_factors(None, [], view(), TUBES, DEFAULT) == {}


@pytest.mark.parametrize(
    ("sentence", "measured"),
    [
        ("the man next to the table", False),
        ("the man next to the dog", True),
        ("the man in red", True),
    ],
)
def test_a_relation_to_a_thing_is_said_to_be_unmeasured(sentence: str, measured: bool) -> None:
    reason = unmeasured(RULES.read(sentence))
    assert reason == "" if measured else "'next to the table' is not measured" in reason


def test_weights_of_zero_ignore_negation_and_relation() -> None:
    off = ConditionConfig(negation_weight=0.0, relation_weight=0.0)
    for sentence in ("find the man without a hat", "the man left of the woman in red"):
        command = RULES.read(sentence)
        factors = condition_factors(command, [Condition(heat(1), 20.0)], view(), TUBES, off)
        assert set(factors.values()) <= {1.0}
