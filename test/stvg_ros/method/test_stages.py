# SPDX-License-Identifier: Apache-2.0

"""Sampling, attention, assembling, scoring, span and presence, on numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from fakes import noise_clip, reading

from stvg_ros.errors import WindowError
from stvg_ros.method.assembling import assembled
from stvg_ros.method.attention import grounding_map, relative
from stvg_ros.method.presence import confidence, evidence
from stvg_ros.method.sampling import cut, grid_indices, uniform_indices
from stvg_ros.method.scoring import box_scores, cells_inside, slot_of_frames
from stvg_ros.method.settings import AttentionConfig, SpanConfig
from stvg_ros.method.span import adaptive, change_points, contiguous, find_span, span_ns, top_k
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.types import SplitQuery


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


# Sampling


@pytest.mark.parametrize(
    ("count", "wanted", "expected"),
    [
        (1, 1, [0]),
        (3, 20, [0, 1, 2]),
        (10, 5, [1, 3, 5, 7, 9]),
        (10, 1, [5]),
        (7, 3, [1, 3, 5]),
    ],
)
def test_uniform_indices(count: int, wanted: int, expected: list[int]) -> None:
    assert uniform_indices(count, wanted).tolist() == expected


def test_uniform_indices_of_nothing() -> None:
    with pytest.raises(ValueError, match="count=0"):
        uniform_indices(0, 5)


TENTH = 10**8


def test_grid_takes_the_first_frame_of_each_cell_that_began() -> None:
    stamps = np.arange(3, 24) * TENTH  # cells of 0.5 s begin at 0.5, 1.0, 1.5 and 2.0 s
    taken = grid_indices(stamps, 5 * TENTH, 4, 1)
    assert taken is not None
    assert (stamps[taken] // TENTH).tolist() == [5, 10, 15, 20]
    later = np.arange(4, 25) * TENTH  # the same frames, though the window moved on
    again = grid_indices(later, 5 * TENTH, 4, 1)
    assert again is not None
    assert later[again].tolist() == stamps[taken].tolist()


@pytest.mark.parametrize(
    ("cells", "wanted", "per_slot", "taken"),
    [
        (3, 4, 1, 3), (2, 4, 1, None), (4, 4, 1, 4), (5, 4, 1, 4), (6, 4, 1, 4), (7, 4, 1, None),
        (1, 1, 1, 1), (1, 2, 1, 1), (2, 1, 1, 1), (3, 1, 1, 1), (4, 1, 1, None),
        (4, 4, 2, 4), (5, 4, 2, 3), (6, 4, 2, 4), (8, 4, 2, 4), (9, 4, 2, None), (10, 4, 2, None),
        (0, 4, 1, None), (6, 8, 2, 6), (5, 8, 2, None),
    ],
)  # fmt: skip
def test_a_grid_has_about_the_wanted_frames(
    cells: int, wanted: int, per_slot: int, taken: int | None
) -> None:
    # From the middle of cell 1 on, so that the cells 2, 3, ... begin in the clip.
    stamps = (np.arange(15, 10 * (cells + 2), 1)) * 10**7
    found = grid_indices(stamps, TENTH, wanted, per_slot)
    assert (None if found is None else len(found)) == taken


def test_grid_of_pairs_begins_with_a_whole_pair() -> None:
    stamps = np.arange(3, 28) * TENTH
    taken = grid_indices(stamps, 5 * TENTH, 4, 2)
    assert taken is not None
    assert (stamps[taken] // TENTH).tolist() == [10, 15, 20, 25]
    longer = np.arange(3, 33) * TENTH  # a fifth cell: the oldest pair goes, not half of it
    taken = grid_indices(longer, 5 * TENTH, 4, 2)
    assert taken is not None
    assert (longer[taken] // TENTH).tolist() == [20, 25, 30]


@pytest.mark.parametrize("frames", [1, 2, 12, 80])
def test_no_grid_for_a_clip_of_another_length(frames: int) -> None:
    assert grid_indices(np.arange(frames) * TENTH, 5 * TENTH, 4, 1) is None


def test_cut_includes_both_ends() -> None:
    clip = noise_clip(10)
    assert cut(clip, None, None).frames == clip.frames
    part = cut(clip, 1_200_000_000, 1_400_000_000)
    assert (part.stamps_ns // 10**8).tolist() == [12, 13, 14]
    assert len(cut(clip, 0, 1_000_000_000)) == 1


def test_cut_outside_names_both_windows() -> None:
    with pytest.raises(WindowError, match=r"0\.000 s to 0\.500 s .* 1\.000 s to 1\.900 s"):
        cut(noise_clip(10), 0, 500_000_000)


# Attention

ROWS = torch.tensor([[[[0.2, 0.1]]], [[[0.3, 0.4]]]])
NEUTRAL_ROWS = torch.tensor([[[[0.01, 0.1]]], [[[0.3, 0.4]]]])


def test_relative_attention_by_hand() -> None:
    result = relative(torch.tensor([[[[0.2]]]]), torch.tensor([[[[0.0399]]]]))
    assert float(result) == pytest.approx(5.0)


def test_relative_attention_of_unlike_prompts() -> None:
    with pytest.raises(ValueError, match=r"\(2, 1, 1, 2\).*\(1, 1, 1, 2\)"):
        relative(ROWS, NEUTRAL_ROWS[:1])


@pytest.mark.parametrize(
    ("options", "token"),
    [
        ({}, "a"),
        ({"rank_relative": False}, "b"),
        ({"selection": "fixed"}, "b"),
        ({"selection": "fixed", "index": 0}, "a"),
        ({"selection": "fixed", "index": 9}, "b"),
        ({"selection": "fixed", "index": -9}, "a"),
        ({"selection": "mean"}, "mean"),
        ({"relative": False, "rank_relative": False}, "b"),
    ],
)
def test_grounding_token(options: dict[str, bool | str | int], token: str) -> None:
    config = AttentionConfig(**options)  # type: ignore[arg-type]
    asked, neutral = reading(ROWS, ("a", "b")), reading(NEUTRAL_ROWS, ("a", "b"))
    heat, label = grounding_map(asked, neutral, config)
    rows = ROWS / (NEUTRAL_ROWS + 1e-4) if config.relative else ROWS
    expected = {"a": rows[0], "b": rows[1], "mean": rows.mean(0)}[token]
    assert label == token
    torch.testing.assert_close(heat, expected)


def test_the_grounding_token_has_the_highest_attention_to_any_cell() -> None:
    rows = torch.tensor([[[[0.2, 0.9]]], [[[0.3, 0.4]]]])
    asked, neutral = reading(rows, ("a", "b")), reading(torch.ones_like(rows), ("a", "b"))
    assert grounding_map(asked, neutral, AttentionConfig())[1] == "a"


# Reversal and assembling


def test_reversed_tokens_keep_the_inside_of_slots() -> None:
    tokens = VisualTokens(torch.arange(4.0)[:, None], (2, 1, 2), ((0,), (1,)))
    back = tokens.reversed()
    assert back.features.flatten().tolist() == [2, 3, 0, 1]
    assert back.slots == ((1,), (0,))
    assert back.reversed().features.tolist() == tokens.features.tolist()


def test_assembled_flips_and_averages() -> None:
    forward = torch.tensor([[[1.0]], [[2.0]], [[3.0]]])
    heat, agreement = assembled(forward, torch.tensor([[[6.0]], [[4.0]], [[2.0]]]))
    assert heat.flatten().tolist() == [1.5, 3.0, 4.5]
    assert agreement == pytest.approx(1)
    assert assembled(forward, forward)[1] == pytest.approx(-1)
    # Centred (-1, 0, 1) and (-4/3, 5/3, -1/3): 1 / sqrt(2 * 42/9).
    _, agreement = assembled(forward, torch.tensor([[[1.0]], [[3.0]], [[0.0]]]))
    assert agreement == pytest.approx(1 / math.sqrt(2 * 42 / 9))


@pytest.mark.parametrize("seed", range(5))
def test_agreement_is_a_correlation(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    for _ in range(50):
        heat = torch.rand(3, 2, 2, generator=draw)
        assert 1 - 1e-12 < assembled(heat, heat.flip(0))[1] <= 1
        assert -1 <= assembled(heat, 1 - heat.flip(0))[1] < -1 + 1e-6


def test_a_constant_map_agrees_with_nothing() -> None:
    flat = torch.full((7, 3, 3), 0.1)
    assert assembled(flat, flat)[1] == 0.0


# Scoring


def test_cells_whose_centre_is_inside() -> None:
    inside = cells_inside(floats(0, 0, 60, 41), (120, 80), (2, 4))
    assert inside.astype(int).tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    inside = cells_inside(floats(20, 10, 120, 80), (120, 80), (2, 4))
    assert inside.astype(int).tolist() == [[0, 1, 1, 1], [0, 1, 1, 1]]


def test_a_small_box_counts_its_own_cell() -> None:
    inside = cells_inside(floats(91, 41, 93, 43), (120, 80), (2, 4))
    assert inside.astype(int).tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]
    outside = cells_inside(floats(200, 200, 210, 210), (120, 80), (2, 4))
    assert outside[1, 3]
    assert outside.sum() == 1


def test_cell_centres_on_the_edges_of_a_box() -> None:
    # Centres at 15, 45, 75, 105 px and 20, 60 px; the first edge is inside, the second is not.
    inside = cells_inside(floats(15, 20, 45, 60), (120, 80), (2, 4))
    assert inside.astype(int).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    for box in (floats(-300, -300, -100, -100), floats(-1, -1, 0, 0)):
        inside = cells_inside(box, (120, 80), (2, 4))
        assert inside.astype(int).tolist() == [[1, 0, 0, 0], [0, 0, 0, 0]]


def test_box_scores_of_a_grid_that_is_not_square() -> None:
    heat = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    boxes = np.array([[80, 0, 120, 40], [0, 40, 40, 80]], np.float32)
    scores = box_scores(heat, boxes, np.ones(2, np.bool_), np.zeros(2, np.int64), (120, 80))
    assert scores.tolist() == [2, 3]


def test_box_scores_by_hand() -> None:
    heat = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    boxes = np.array([[0, 0, 50, 100], [50, 0, 100, 50], [0, 0, 100, 100]], np.float32)
    present = np.array([True, True, False])
    scores = box_scores(heat, boxes, present, np.array([0, 1, 1]), (100, 100))
    np.testing.assert_array_equal(scores, floats(2, 5, np.nan))


def test_slot_of_frames_of_pairs_with_a_padded_frame() -> None:
    assert slot_of_frames(((0, 1), (2, 3)), 3).tolist() == [0, 0, 1]


# Span


def test_top_k_spans_first_to_last_of_the_best() -> None:
    scores = np.array([0.0, 5, 1, 1, 4, 3, 0])
    assert top_k(scores, 1) == (1, 1)
    assert top_k(scores, 3) == (1, 5)


def test_contiguous_grows_towards_the_larger_neighbour() -> None:
    scores = np.array([0.0, 2, 3, 9, 1, 4, 0])
    assert contiguous(scores, 1) == (3, 3)
    assert contiguous(scores, 3) == (1, 3)
    assert contiguous(scores, 5) == (1, 5)
    assert contiguous(np.array([9.0, 1, 1]), 2) == (0, 1)


def test_adaptive_by_hand() -> None:
    # Floor (lower quartile) 1, peak 9, threshold at 5.
    assert adaptive(np.array([1.0, 1, 1, 6, 9, 7, 1, 1]), 0.5) == (3, 5)
    # A dip of one frame is bridged, one of two frames is not.
    assert adaptive(np.array([1.0, 1, 6, 1, 9, 1, 1, 7]), 0.5) == (2, 4)
    assert adaptive(np.array([1.0, 1.05, 1, 1.02]), 0.5) == (0, 3)
    assert adaptive(np.array([2.0]), 0.5) == (0, 0)
    assert adaptive(np.zeros(3), 0.5) == (0, 2)


def test_a_failed_split_is_not_a_query_without_an_action() -> None:
    assert SplitQuery("Q", "Q_s", "Q", "rules", ("action",)).lasts
    assert not SplitQuery("Q", "Q_s", "Q_t", "rules").lasts
    assert not SplitQuery("Q", "Q", "Q", "mllm", ("attribute", "action")).lasts


@pytest.mark.parametrize("method", ["adaptive", "change_points", "top_k", "contiguous", "window"])
def test_find_span_of_one_frame_and_of_an_invisible_target(method: str) -> None:
    config = SpanConfig(method=method)
    assert find_span(floats(3.0), config) == (0, 0)
    first, last = find_span(floats(np.nan, np.nan), config)
    assert 0 <= first <= last <= 1
    with pytest.raises(ValueError, match="one score or more"):
        find_span(floats(), config)


def test_fixed_lengths_are_scaled_from_twenty() -> None:
    scores = np.linspace(0, 1, 10, dtype=np.float32)
    assert find_span(scores, SpanConfig(method="top_k", top_k=8)) == (6, 9)
    assert find_span(scores, SpanConfig(method="contiguous", length=10)) == (5, 9)
    assert find_span(scores, SpanConfig(method="window")) == (0, 9)


def test_frames_without_the_target_are_lowest() -> None:
    scores = floats(np.nan, 1, 5, 1, np.nan)
    assert find_span(scores, SpanConfig(method="contiguous", length=4)) == (2, 2)
    assert find_span(scores, SpanConfig(method="adaptive")) == (2, 2)


def test_span_ns_takes_half_a_sampling_interval_more() -> None:
    clip_ns = np.arange(0, 100, 10)
    sampled = clip_ns[[1, 3, 5, 7, 9]]
    assert span_ns(1, 2, sampled, clip_ns) == (20, 60)
    assert span_ns(0, 4, sampled, clip_ns) == (0, 90)
    assert span_ns(0, 0, clip_ns[:1], clip_ns[:1]) == (0, 0)


def test_change_points_by_hand() -> None:
    assert change_points(np.array([1.0, 1.1, 0.9, 3, 3.2, 2.9, 1, 1.1])) == (3, 5)
    assert change_points(np.array([1.0, 1.1, 0.9, 1, 1.1, 2.9, 3, 3.1])) == (5, 7)
    # One frame that stands far out is a run of one; a dip inside a run does not end it.
    assert change_points(np.array([1.0, 1, 1.1, 9, 1, 1, 1.1, 1])) == (3, 3)
    assert change_points(np.array([1.0, 1, 3, 3.1, 1.9, 3.2, 3, 1, 1.1, 1])) == (2, 6)


@pytest.mark.parametrize(
    "scores",
    [[2.0], [1.0, 9.0], [0.0] * 6, [1.0] * 20, [1.0, 1.001] * 5],
)
def test_change_points_without_two_levels_is_the_whole_window(scores: list[float]) -> None:
    assert change_points(np.array(scores)) == (0, len(scores) - 1)


def test_change_points_seldom_finds_a_run_in_noise() -> None:
    draw = np.random.default_rng(0)
    noise = np.exp(0.2 * draw.standard_normal((100, 20)))
    found = sum(change_points(row) == (0, 19) for row in noise)
    assert found > 90
    noise[:, 6:13] *= 3
    assert sum(change_points(row) == (6, 12) for row in noise) > 95


# Presence


def test_evidence_is_the_smallest_margin_and_the_track_that_stands_out() -> None:
    assert evidence([2.0, 0.5, 5.0], 4.0, 0.0) == 0.5
    assert evidence([2.0, 0.5, 5.0], math.e**2, 0.5) == pytest.approx(1.5)
    assert evidence([2.0], 0.0, 1.0) == pytest.approx(2 + math.log(1e-6))
    assert evidence([2.0], -math.inf, 1.0) == 2.0


@pytest.mark.parametrize("margins", [[], [math.nan, 3.0]])
def test_no_margin_no_evidence(margins: list[float]) -> None:
    assert confidence(evidence(margins, 5.0, 1.0), 0.0) == 0.0


def test_confidence_is_half_at_the_threshold() -> None:
    assert confidence(0.0, 0.0) == pytest.approx(0.5)
    assert confidence(1.0, 0.0) == pytest.approx(1 / (1 + math.exp(-1)))
    assert confidence(2.0, 3.0) < 0.5
    assert confidence(-1e9, 0.0) == 0.0
    assert confidence(1e9, 0.0) == 1.0
