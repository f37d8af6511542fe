# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stvg_lab.runs.losses import choice_of, kind_of, loss_table, losses
from stvg_lab.runs.records import Choice, Result, result_from_json, result_to_json
from stvg_lab.runs.scores import Score
from stvg_ros.io.recording import Source
from stvg_ros.types import Evidence, Grounding, Query, SourceFinding, SplitQuery, Status, Tube


def result(kind: str, best: float, own: float, answer: float, **changes) -> Result:
    scores = {
        "answer": Score(0.5, answer, 0.0),
        "own_track_true_span": Score(1.0, own, 0.0),
        "best_track_true_span": Score(1.0, best, 0.0),
    }
    one = Result("a", "run", "x", Source("a"), "found", scores=scores, kind=kind)
    return replace(one, **changes)


@pytest.mark.parametrize(
    ("method", "fallbacks", "kind"),
    [
        ("rules", (), "both"),
        ("rules", ("action",), "attribute"),
        ("rules", ("attribute",), "action"),
        ("rules", ("attribute", "action"), "not split"),
        ("none", (), "not split"),
    ],
)
def test_kinds_of_sentences(method: str, fallbacks: tuple[str, ...], kind: str) -> None:
    assert kind_of(SplitQuery("q", "q", "q", method, fallbacks)) == kind
    assert kind_of(None) == "not split"


def test_losses_and_the_score_add_up_to_one() -> None:
    present = [
        result("action", 0.9, 0.9, 0.5, choice=Choice(True, 4)),
        result("action", 0.8, 0.0, 0.0, choice=Choice(False, 2)),
        result("both", 0.7, 0.0, 0.0, outcome="not_found", choice=Choice(True, 2)),
    ]
    action, both, everything = losses(present)
    assert (action["kind"], both["kind"], everything["kind"]) == ("action", "both", "all")
    expected = {
        "v_iou": 0.25, "tubes": 0.15, "refused": 0.0, "choice": 0.4, "time": 0.2,
        "right": 0.5, "chance": 0.375, "t_iou": 0.5,
    }  # fmt: skip
    assert {name: action[name] for name in expected} == pytest.approx(expected)
    assert (action["samples"], action["choices"]) == (2, 2)
    # A refused target is a loss of its own, whatever its tubes and choice were.
    assert (both["refused"], both["choice"], both["time"]) == pytest.approx((0.7, 0, 0))
    assert (both["right"], both["t_iou"]) == (1.0, None)
    for line in (action, both, everything):
        parts = ("v_iou", "tubes", "refused", "choice", "time")
        assert sum(line[name] for name in parts) == pytest.approx(1)
    text = loss_table([action, both])
    assert text[2].split() == [
        "action", "2", "25.0", "15.0", "0.0", "40.0", "20.0", "50.0", "of", "2", "(chance", "37.5)",
        "50.0",
    ]  # fmt: skip
    assert text[3].split()[-1] == "-"


def test_nothing_known_about_the_candidates_gives_no_line() -> None:
    unknown = replace(result("action", 0, 0, 0), scores={"answer": Score(0, 0, 0)})
    assert losses([]) == losses([unknown]) == [] == loss_table([])
    assert len(losses([unknown, result("action", 1, 1, 1)])) == 1


def grounding(scores: dict[int, float]) -> Grounding:
    nothing = np.zeros((1, 1, 1), np.float32)
    evidence = Evidence(
        np.zeros(1, np.int64), ((0,),), nothing, nothing, np.zeros(1, np.float32), scores, "."
    )
    return Grounding((Tube(Query("x"), Status.NOT_FOUND),), evidence)


def test_the_first_choice_counts_also_where_the_answer_is_not_found() -> None:
    assert choice_of(grounding({3: 1.0, 5: 2.0}), 5) == Choice(True, 2)
    assert choice_of(grounding({3: 1.0, 5: 2.0}), 3) == Choice(False, 2)
    # No choice: one candidate only, none on the target, or nothing known.
    assert choice_of(grounding({3: 1.0}), 3) is None
    assert choice_of(grounding({3: 1.0, 5: 2.0}), None) is None
    assert choice_of(Grounding((Tube(Query("x"), Status.FOUND),)), 3) is None


def test_all_sources_of_evidence_choose() -> None:
    missing = grounding({3: 1.0, 5: 2.0})
    assert missing.evidence is not None
    findings = (
        SourceFinding("colour", "red", {3: 4.0, 5: -4.0}),
        SourceFinding("attention", "x", {5: 1.0}),
    )
    fused = replace(missing, evidence=replace(missing.evidence, findings=findings))
    assert choice_of(fused, 3) == Choice(True, 2)
    found = Tube(Query("x"), Status.FOUND, track_id=5)
    assert choice_of(replace(fused, tubes=(found,)), 3) == Choice(False, 2)


def test_kind_and_choice_come_back_and_older_runs_are_read() -> None:
    one = result("action", 1, 1, 1, choice=Choice(True, 4))
    values = result_to_json(one)
    again = result_from_json(values)
    assert (again.kind, again.choice) == ("action", Choice(True, 4))
    del values["kind"], values["choice"]
    assert (result_from_json(values).kind, result_from_json(values).choice) == ("", None)
