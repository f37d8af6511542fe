# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import noise_clip

from stvg_ros.commands.command import Command, Relation
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
from stvg_ros.method.tube_view import TubeView
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


WIDE = (0, 0, 100, 10)  # its centre, (50, 5), is right of and above those of ...
SMALL = (40, 2, 50, 12)  # (45, 7), though its left and its lower edge are left of and below it


@pytest.mark.parametrize(
    ("kind", "one", "other", "share"),
    [
        ("left of", WIDE, SMALL, 0.0),
        ("left of", SMALL, WIDE, 1.0),
        ("right of", WIDE, SMALL, 1.0),
        ("right of", SMALL, WIDE, 0.0),
        ("above", WIDE, SMALL, 1.0),
        ("above", SMALL, WIDE, 0.0),
        ("below", WIDE, SMALL, 0.0),
        ("below", SMALL, WIDE, 1.0),
        *[(kind, WIDE, WIDE, 0.0) for kind in ("left of", "right of", "above", "below")],
        # Heights of 20 and 60: near is less than 60 px, as the crow flies.
        ("near", (10, 0, 20, 20), (70, -20, 80, 40), 0.0),
        ("near", (10, 0, 20, 20), (69, -20, 79, 40), 1.0),
        ("near", (10, 100, 20, 120), (46, 32, 56, 92), 0.0),  # 36 and 48 px
        ("near", (10, 100, 20, 120), (46, 33, 56, 93), 1.0),
    ],
)
def test_relations_are_those_of_centres(
    kind: str, one: tuple[float, ...], other: tuple[float, ...], share: float
) -> None:
    assert relation_share(kind, tube(0, one), [tube(1, other)], noise_clip()) == share


@pytest.mark.parametrize(
    ("box", "share"),
    [(LEFT, 0.0), (RIGHT, 0.0), ((1, 0, 20, 9), 1.0), ((99, 0, 120, 9), 1.0), (HIGH, 1.0)],
)
def test_between_is_strictly_inside(box: tuple[float, ...], share: float) -> None:
    for anchors in ([tube(1, LEFT), tube(2, RIGHT)], [tube(2, RIGHT), tube(1, LEFT)]):
        assert relation_share("between", tube(0, box), anchors, noise_clip()) == share
    gone = [tube(1, LEFT), tube(2, RIGHT, slice(0, 5))]
    late = tube(0, box, slice(5, 10))
    assert relation_share("between", late, gone, noise_clip()) is None


ROW_COLUMN_M = np.add.outer(1000.0 * np.arange(1, 81), np.arange(120)).astype(np.float32)


def deep(*metres: np.ndarray | None, at: int = 1) -> Clip:
    """A clip whose first frames have depth images, `at` pixels of the image a depth pixel."""
    frames = list(noise_clip().frames)
    for number, values in enumerate(metres):
        if values is not None:
            depth = Depth(values[::at, ::at].copy(), Intrinsics(100.0, 100.0, 60.0, 40.0))
            frames[number] = replace(frames[number], depth=depth)
    return Clip(tuple(frames))


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((20, 8, 60, 48), slice(18, 38), slice(30, 50)),  # the middle half
        ((0, 0, 120, 80), slice(20, 60), slice(30, 90)),
        ((-40, -60, 40, 20), slice(0, 1), slice(0, 20)),
        ((-40, -40, -10, 40), slice(0, 20), slice(0, 1)),
        ((0, 0, 2, 2), slice(0, 1), slice(0, 1)),
        ((100, 60, 140, 100), slice(70, 90), slice(110, 130)),
    ],
)
def test_the_distance_is_the_median_of_the_middle_half(
    box: tuple[float, ...], rows: slice, columns: slice
) -> None:
    metres = ROW_COLUMN_M
    here = float(np.median(metres[rows, columns]))
    for kind, other_m, share in [
        ("in front of", here + 0.5, 1.0),
        ("in front of", here, 0.0),
        ("in front of", here - 0.5, 0.0),
        ("behind", here + 0.5, 0.0),
        ("behind", here, 0.0),
        ("behind", here - 0.5, 1.0),
    ]:
        # The other target is in a second tube, whose box is all of one distance.
        clip = deep(metres)
        flat = np.full((80, 120), other_m, np.float32)
        joined = np.concatenate([metres, flat], axis=1)
        frames = (
            replace(
                clip.frames[0],
                source_width_px=240,
                depth=Depth(joined, Intrinsics(100.0, 100.0, 60.0, 40.0)),
            ),
        )
        if columns.stop > 120:
            continue
        pair = [
            replace(
                tube(track, corners),
                boxes_xyxy_px=np.array([corners], np.float32),
                present=np.ones(1, np.bool_),
                interpolated=np.zeros(1, np.bool_),
            )
            for track, corners in ((0, box), (1, (130, 10, 230, 70)))
        ]
        assert relation_share(kind, pair[0], pair[1:], Clip(frames)) == share


def test_depth_of_another_size_and_pixels_without_depth() -> None:
    metres = np.full((80, 120), 5.0, np.float32)
    metres[:, :60] = 2.0
    metres[::2, ::3] = np.nan
    metres[1::4, ::3] = 0.0
    metres[3::4, ::3] = np.inf
    left, right = tube(0, (5, 20, 55, 60)), tube(1, (65, 20, 115, 60))
    for at in (1, 2, 4):
        assert relation_share("in front of", left, [right], deep(metres, at=at)) == 1.0
        assert relation_share("behind", left, [right], deep(metres, at=at)) == 0.0
    nothing = np.zeros((80, 120), np.float32)
    assert relation_share("behind", left, [right], deep(nothing, None, nothing)) is None
    # Only frames in which both distances are known count.
    clip = deep(metres, metres[:, ::-1], nothing, None, metres)
    assert relation_share("in front of", left, [right], clip) == pytest.approx(2 / 3)


def command(negated: str = "", kind: str = "") -> Command:
    relation = Relation(kind, "the woman in red", f"{kind} the woman in red") if kind else None
    return Command("find", "the man", noun="the man", negated=negated, relation=relation)


@pytest.mark.parametrize("margin", [-1.0, 0.0, 1.0, 3.0])
def test_a_tube_loses_half_of_the_share_that_it_attracts(margin: float) -> None:
    sure = 1 / (1 + math.exp(-margin))
    seen = TubeView(noise_clip(), np.arange(9), tuple((i,) for i in range(9)))
    tubes = [*TUBES, tube(3, MIDDLE, slice(9, 10))]  # the last one in no sampled frame
    found = condition_factors(command("a hat"), [Condition(heat(0), margin)], seen, tubes, DEFAULT)
    expected = {0: 1 - 0.5 * sure, 1: 1 - 0.05 * sure, 2: 1 - 0.05 * sure}
    assert found == pytest.approx(expected)
    dark = Condition(torch.zeros(10, 2, 3), margin)
    assert condition_factors(command("a hat"), [dark], view(), TUBES, DEFAULT) == {}


def test_a_tube_keeps_a_fifth_and_the_share_of_frames_of_a_relation() -> None:
    moving = replace(TUBES[0], boxes_xyxy_px=np.array([LEFT] * 5 + [RIGHT] * 5, np.float32))
    tubes, asked = [moving, *TUBES[1:]], command(kind="left of")
    found = condition_factors(asked, [Condition(heat(1), 0.0)], view(), tubes, DEFAULT)
    assert found == pytest.approx({1: 0.2, 0: 0.6, 2: 0.2})  # margin 0 is as likely as not
    assert condition_factors(asked, [Condition(heat(1), -0.01)], view(), tubes, DEFAULT) == {}
    two = condition_factors(asked, [Condition(heat(1), 1.0)], view(), tubes[:2], DEFAULT)
    assert two == pytest.approx({1: 0.2, 0: 0.6})


def test_between_has_two_anchors_where_there_are_three_tubes() -> None:
    warm = heat(0)
    warm[:, :, 2] = 9.0
    asked = command(kind="between")
    three = condition_factors(asked, [Condition(warm, 2.0)], view(), TUBES, DEFAULT)
    assert three == pytest.approx({0: 0.2, 2: 0.2, 1: 1.0})
    two = condition_factors(asked, [Condition(warm, 2.0)], view(), TUBES[1:], DEFAULT)
    assert two == pytest.approx({2: 0.2})  # cannot be decided for the other one


def test_factors_of_both_questions_are_multiplied() -> None:
    answers = [Condition(heat(0), 100.0), Condition(heat(1), 100.0)]
    found = condition_factors(command("a hat", "left of"), answers, view(), TUBES, DEFAULT)
    assert found == pytest.approx({0: 0.5 * 1.0, 1: 0.95 * 0.2, 2: 0.95 * 0.2})
    only = condition_factors(command("a hat", "left of"), answers[:1], view(), TUBES, DEFAULT)
    assert only == pytest.approx({0: 0.5, 1: 0.95, 2: 0.95})
