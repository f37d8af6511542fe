# SPDX-License-Identifier: Apache-2.0

"""HOTA and identity switches of cases computed by hand."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from stvg_lab.identity.tracking_scores import THRESHOLDS, tracking_score

HERE = np.array([0, 0, 10, 10], np.float32)
THERE = HERE + 100
HALF = np.array([0, 0, 10, 5], np.float32)  # IoU 0.5 with HERE


def test_perfect_tracks() -> None:
    truth = [{0: HERE, 1: THERE}] * 4
    score = tracking_score(truth, [{7: HERE, 9: THERE}] * 4)
    assert (score.hota, score.detection, score.association, score.switches) == (1, 1, 1, 0)


def test_no_track() -> None:
    score = tracking_score([{0: HERE}] * 2, [{}] * 2)
    assert (score.hota, score.switches) == (0, 0)


def test_one_person_in_two_tracks() -> None:
    """Each of the 4 hits has 2 hits of its track and 2 of the other: 2 / 4."""
    score = tracking_score([{0: HERE}] * 4, [{1: HERE}] * 2 + [{2: HERE}] * 2)
    assert (score.detection, score.association) == (1, 0.5)
    assert score.hota == pytest.approx(0.5**0.5)
    assert score.switches == 1


def test_two_people_in_one_track() -> None:
    """A track of 4 boxes has 2 of each: 2 / 4 for every hit."""
    score = tracking_score([{0: HERE}] * 2 + [{1: HERE}] * 2, [{1: HERE}] * 4)
    assert score.association == 0.5
    assert score.switches == 0  # each person has one track


def test_half_of_the_people_and_a_track_on_nobody() -> None:
    """2 hits, 2 people without a box, 2 boxes without a person: 2 / 6."""
    far = HERE + 500
    score = tracking_score([{0: HERE, 1: THERE}] * 2, [{1: HERE, 2: far}] * 2)
    assert score.detection == pytest.approx(2 / 6)
    assert score.association == 1


def test_half_of_the_overlap_is_enough_for_thresholds_up_to_it() -> None:
    score = tracking_score([{0: HERE}] * 3, [{1: HALF}] * 3)
    assert len(THRESHOLDS) == 19
    assert score.hota == pytest.approx(10 / 19)


def test_two_tracks_that_are_exchanged_and_back() -> None:
    truth = [{0: HERE, 1: THERE}] * 3
    found = [{0: HERE, 1: THERE}, {1: HERE, 0: THERE}, {0: HERE, 1: THERE}]
    score = tracking_score(truth, found)
    assert score.switches == 4
    # The most frequent matching has 2 of 3 frames: (2 hits * 2/4 + 1 hit * 1/5) / 3, per person.
    assert score.association == pytest.approx((2 * 2 / 4 + 1 / 5) / 3)


@pytest.mark.parametrize(
    ("truth", "found", "said"),
    [([{0: HERE}], [], "of 1 frames, got 0"), ([{}], [{0: HERE}], "a true box, got none")],
)
def test_what_cannot_be_scored(truth: list, found: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tracking_score(truth, found)


def test_random_tracks_agree_with_the_library() -> None:
    try:
        library = importlib.import_module("trackers.eval")
    except ModuleNotFoundError:
        pytest.skip("requirements/trackers.txt is not installed")
    rng = np.random.default_rng(0)
    truth, found = [], []
    for _ in range(30):
        corner = np.array([[0, 0], [30, 0], [60, 0]]) + rng.normal(0, 2, (3, 2))
        boxes = np.concatenate([corner, corner + 20], axis=1).astype(np.float32)
        names = rng.permutation(3) if rng.random() < 0.2 else np.arange(3)
        truth.append(dict(enumerate(boxes)))
        moved = boxes + rng.normal(0, 2, (3, 4)).astype(np.float32)
        found.append({int(n): moved[k] for k, n in enumerate(names) if rng.random() < 0.9})
    own = tracking_score(truth, found)
    theirs = library_hota(library, truth, found)
    assert own.hota == pytest.approx(theirs, abs=1e-9)


def library_hota(library, truth, found) -> float:
    from stvg_ros.boxes import iou_matrix

    def stacked(rows):
        return np.array(list(rows.values()), np.float32).reshape(-1, 4)

    similar = [iou_matrix(stacked(t), stacked(f)) for t, f in zip(truth, found, strict=True)]
    names = [[np.array(list(rows), np.int64) for rows in side] for side in (truth, found)]
    return float(library.compute_hota_metrics(*names, similar)["HOTA"])
