# SPDX-License-Identifier: Apache-2.0

"""What an answer says about each candidate."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.identity.query_evidence import MOST_NATS, query_odds
from stvg_ros.types import Evidence, Grounding, Query, SourceFinding, Status, Tube


def answer(scores, status=Status.FOUND, confidence=0.8, findings=(), calibrated=True):
    maps = np.zeros((1, 1, 1), np.float32)
    evidence = Evidence(
        np.array([1], np.int64), ((0,),), maps, maps, np.zeros(1, np.float32), scores, ".",
        findings=findings,
    )  # fmt: skip
    tube = Tube(Query("x"), status, confidence=confidence, calibrated=calibrated)
    return Grounding((tube,), evidence)


def test_a_failed_answer_says_nothing():
    assert query_odds(answer({1: 0.5}, Status.FAILED)) is None
    assert query_odds(Grounding((Tube(Query("x"), Status.FOUND),))) is None
    assert query_odds(answer({})) is None


def test_measured_words_count_by_their_sums():
    body = SourceFinding("body", "red shirt", {1: 2.0, 2: -9.0})
    assert query_odds(answer({1: 2.0, 2: -9.0}, findings=(body,))) == {1: 2.0, 2: -MOST_NATS}


def test_sources_that_compare_tubes_speak_for_none_if_nobody_was_found():
    painted = SourceFinding("painted ids", "the one in red", {1: 2.0})
    scores = {1: 2.0, 2: -1.0}
    assert query_odds(answer(scores, findings=(painted,))) == scores
    absent = query_odds(answer(scores, Status.NOT_FOUND, findings=(painted,)))
    assert absent == {1: 0.0, 2: -1.0}


def test_attention_ranks_relative_to_the_best():
    odds = query_odds(answer({1: 1.0, 2: 0.5}))
    assert odds[1] == pytest.approx(np.log(4))
    assert odds[2] == pytest.approx(np.log(4) + 3 * np.log(0.5))


def test_an_absent_target_contradicts_everybody():
    odds = query_odds(answer({1: 1.0, 2: 0.5}, Status.NOT_FOUND, 0.1))
    assert odds == {1: pytest.approx(np.log(1 / 9)), 2: pytest.approx(np.log(1 / 9))}


def test_a_confidence_that_is_not_calibrated_does_not_count():
    assert query_odds(answer({1: 1.0}, Status.NOT_FOUND, 0.01, calibrated=False)) == {1: 0.0}
    assert query_odds(answer({1: 1.0}, confidence=0.99, calibrated=False)) == {1: 0.0}
