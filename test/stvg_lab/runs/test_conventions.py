# SPDX-License-Identifier: Apache-2.0


import numpy as np
import pytest
from paths import ROOT

from stvg_lab.runs.conventions import CONVENTIONS, convention, scored
from stvg_lab.runs.scores import FrameTube, Score
from stvg_ros.boxes import paired_iou
from stvg_ros.errors import ConfigError

Box = tuple[float, float, float, float]


def tube(first: int, last: int, box: Box, count: int) -> FrameTube:
    span = np.zeros(count, bool)
    span[first : last + 1] = True
    return FrameTube(np.tile(np.array(box, np.float32), (count, 1)), span.copy(), span)


# True frames 20..59, answered 40..79, of 100; boxes overlap by a third (50 of 150 px).
TRUTH = tube(20, 59, (0, 0, 10, 10), 100)
FOUND = tube(40, 79, (5, 0, 15, 10), 100)
# Worked by hand.
EXPECTED = {
    # 40..59 shared, 20..79 in either.
    "frames": (20 / 60, 20 / 3 / 60),
    # At 25 Hz every fifth frame: 40, 45, 50, 55 of 20, 25, ..., 75.
    "tubedetr": (20 / 60, 4 / 3 / 12),
    # The truth is [21, 61), the answer [40, 80): 40, 45, ..., 60 of 25, 30, ..., 75.
    "tubedetr-hcstvg": (21 / 59, 5 / 3 / 11),
    # [20, 59) and [40, 80): 40..58 of 20..79.
    "stcat": (19 / 60, 19 / 3 / 60),
    "hcstvg": (20 / 60, 20 / 3 / 60),
    # On the grid 2..5 and 4..7: tIoU of [2, 5) and [4, 7), vIoU of 4, 5 in 2..7.
    "paper": (1 / 5, 2 / 3 / 6),
    # The same without the ends: 4 in 2..6.
    "paper-vidstg": (1 / 5, 1 / 3 / 5),
}
EXPECTED_GT = {"tubedetr-hcstvg": 5 / 3 / 8}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_hand_worked_case(name: str) -> None:
    result = scored(FOUND, TRUTH, convention(name), rate_hz=25.0)
    assert (result.t_iou, result.v_iou) == pytest.approx(EXPECTED[name])
    # 20 of 40 true frames, 4 of 8 sampled ones, 2 of 4 on the grid have overlapping boxes.
    assert result.gt_v_iou == pytest.approx(EXPECTED_GT.get(name, 1 / 6))


# What a perfect answer gets: the ends cost it something where they are treated differently.
PERFECT = {"stcat": (39 / 40, 39 / 40), "tubedetr-hcstvg": (39 / 41, 7 / 9)}
PERFECT_GT = {"tubedetr-hcstvg": 7 / 8}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_perfect_and_missing_answers(name: str) -> None:
    how = convention(name)
    perfect = scored(TRUTH, TRUTH, how, rate_hz=25.0)
    assert (perfect.t_iou, perfect.v_iou) == pytest.approx(PERFECT.get(name, (1, 1)))
    assert perfect.gt_v_iou == PERFECT_GT.get(name, 1.0)
    assert scored(FrameTube.nothing(100), TRUTH, how, rate_hz=25.0) == Score(0.0, 0.0, 0.0)
    elsewhere = scored(tube(70, 90, (0, 0, 10, 10), 100), TRUTH, how, rate_hz=25.0)
    assert (elsewhere.t_iou, elsewhere.v_iou) == (0.0, 0.0)


def test_the_official_script_counts_boxes_for_t_iou() -> None:
    holes = FrameTube(FOUND.boxes_xyxy_px, FOUND.present & (np.arange(100) % 2 == 0), FOUND.span)
    assert scored(holes, TRUTH, convention("hcstvg")).t_iou == pytest.approx(10 / 60)
    assert scored(holes, TRUTH, convention("frames")).t_iou == pytest.approx(20 / 60)


def of_sets(found: FrameTube, truth: FrameTube) -> Score:
    """The own scorer's definition, with sets of frames."""
    both, either = found.span & truth.span, found.span | truth.span
    overlap = paired_iou(found.boxes_xyxy_px, truth.boxes_xyxy_px)
    overlap = np.where(found.present & truth.present, overlap, 0.0)
    return Score(
        float(both.sum() / either.sum()),
        float(overlap[both].sum() / either.sum()),
        float(overlap[truth.span].mean()),
    )


def test_frames_is_the_own_scorer() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        first, last = sorted(rng.integers(100, size=2))
        x = float(rng.integers(10))
        found = tube(int(first), int(last), (x, 0, x + 10, 10), 100)
        assert vars(scored(found, TRUTH, convention("frames"))) == pytest.approx(
            vars(of_sets(found, TRUTH))
        )


def test_sampling_at_the_published_rate_and_at_most_200() -> None:
    how = convention("tubedetr")
    # 1,500 frames at 25 Hz: 300 at 5 Hz, of which 200 stay.
    truth, found = tube(0, 1499, (0, 0, 10, 10), 1500), tube(0, 749, (0, 0, 10, 10), 1500)
    assert scored(found, truth, how, rate_hz=25.0).v_iou == pytest.approx(0.5)
    # A camera slower than 5 Hz: every frame.
    slow = scored(FOUND, TRUTH, how, rate_hz=2.0)
    assert slow.v_iou == pytest.approx(EXPECTED["frames"][1])
    with pytest.raises(ValueError, match="rate_hz: expected the frames per second"):
        scored(FOUND, TRUTH, how)


def test_short_spans_between_the_frames_of_a_grid_score_nothing() -> None:
    short = tube(41, 44, (0, 0, 10, 10), 100)
    assert scored(short, short, convention("paper")) == Score(0.0, 0.0, 0.0)


def test_the_documentation_lists_every_convention() -> None:
    page = ROOT / "docs" / "evaluation.md"
    rows = [line.split("`")[1] for line in page.read_text().splitlines() if line.startswith("| `")]
    assert set(CONVENTIONS) <= set(rows)


def test_unknown_names() -> None:
    with pytest.raises(ConfigError, match="expected one of frames, tubedetr, .* got 'other'"):
        convention("other")
