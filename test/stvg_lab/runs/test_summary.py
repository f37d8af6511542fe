# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace

import numpy as np
import pytest

from stvg_lab.runs.records import Result
from stvg_lab.runs.scores import FrameTube, Score
from stvg_lab.runs.summary import summary, summary_table
from stvg_ros.io.recording import Source
from stvg_ros.types import Query, Status, Tube

NOTHING = {"answer": Score(0.0, 0.0, 0.0)}


def result(name: str, v_iou: float, group: str = "run") -> Result:
    tube = Tube(Query("x"), Status.FOUND, confidence=0.9, timings_s={"forward pass": v_iou})
    scores = {
        "answer": Score(0.5, v_iou, 1.0), "whole_window": Score(0.25, 0.1, 1.0),
        "answer@frames": Score(0.5, v_iou, 1.0), "answer@paper": Score(0.5, 0.2, 1.0),
    }  # fmt: skip
    truth = FrameTube(np.zeros((1, 4)), np.ones(1, bool), np.ones(1, bool))
    return Result(
        name, group, "x", Source("a"), "found", truth=truth, tubes=(tube,), scores=scores,
        images={"read": 3, "dropped": 0}, timings_s={"ground": v_iou},
    )  # fmt: skip


FAILED = Result("c", "run", "x", Source("b"), "failed", scores=NOTHING, error_code="NO_IMAGES",
                error="cut short")  # fmt: skip
ABSENT = Result(
    "d", "run", "x", Source("a"), "not_found",
    tubes=(Tube(Query("x"), Status.NOT_FOUND, confidence=0.2),),
)  # fmt: skip
BROKEN = Result("e", "run", "x", Source("b"), "failed", error_code="MODEL", error="no memory")


def test_failures_count_0_in_every_row() -> None:
    values = summary([result("a", 0.4), result("b", 0.6), FAILED], convention="frames", planned=9)
    (group,) = values["groups"]
    answer, whole = group["scores"]["answer"], group["scores"]["whole_window"]
    assert answer["m_vIoU"]["mean"] == pytest.approx(1.0 / 3)
    assert answer["vIoU@0.5"]["mean"] == pytest.approx(1 / 3)
    assert whole["m_tIoU"]["mean"] == pytest.approx(0.5 / 3)
    assert group["conventions"]["paper"]["m_vIoU"] == pytest.approx(0.4 / 3)
    assert answer["m_vIoU"]["low"] <= answer["m_vIoU"]["mean"] <= answer["m_vIoU"]["high"]
    assert group["outcomes"] == {"found": 2, "failed": 1}
    assert group["latency_s"]["ground"]["median"] == pytest.approx(0.5)
    assert group["latency_s"]["stage forward pass"]["max"] == pytest.approx(0.6)
    assert group["images"] == {"dropped": 0, "read": 3}  # of one source
    assert (values["done"], values["planned"]) == (3, 9)
    assert values["failure_counts"] == {"NO_IMAGES": 1}
    assert values["failures"] == [{"id": "c", "code": "NO_IMAGES", "message": "cut short"}]
    text = summary_table(values)
    assert "3 of 9 samples done" in text
    assert "c: cut short" in text
    assert "33.3 [0, " in text


def test_absent_targets_count_apart() -> None:
    values = summary([result("a", 0.4), ABSENT, BROKEN], convention="frames", planned=3)
    (group,) = values["groups"]
    assert (group["samples"], group["present"]) == (3, 1)
    assert group["absent"] == {"samples": 2, "refused": 0.5, "auroc": 1.0}
    assert group["scores"]["answer"]["m_vIoU"]["mean"] == pytest.approx(0.4)
    assert "absent targets: 50.0 % of 2 refused, AUROC 1.00" in summary_table(values)


def test_only_absent_targets_and_no_results_at_all() -> None:
    (group,) = summary([ABSENT], convention="frames", planned=1)["groups"]
    assert group["scores"] == {}
    assert summary_table(summary([], convention="frames", planned=2)).endswith(
        "0 of 2 samples done"
    )


def test_the_order_of_the_results_does_not_matter() -> None:
    results = [result(str(n), n / 40, "even" if n % 2 == 0 else "odd") for n in range(30)]
    values = summary(results, convention="frames", planned=30)
    groups = [group["name"] for group in values["groups"]]
    assert groups == ["even", "odd", "all"]
    again = summary(results[::-1], convention="frames", planned=30)
    assert again["groups"] == values["groups"]


def test_odd_images_are_named_and_counted() -> None:
    odd = replace(result("b", 0.5), images={"read": 9, "late": 2, "refused": 1, "missing": 0})
    values = summary([result("a", 0.4), odd], convention="frames", planned=2)
    assert values["odd_images"] == {"b": {"late": 2, "refused": 1}}
    assert "1 with odd images:\n  b: 2 late, 1 refused" in summary_table(values)


def test_what_the_model_computed_is_a_mean_over_the_answers() -> None:
    costs = ({"passes": 5, "tokens": 0}, {"passes": 2, "tokens": 3}, {})
    results = [
        replace(one := result(name, 0.5), tubes=(replace(one.tubes[0], cost=cost),))
        for name, cost in zip("abc", costs, strict=True)
    ]
    values = summary([*results, FAILED], convention="frames", planned=4)
    assert values["groups"][0]["cost"] == {"passes": 3.5, "tokens": 1.5}
    assert "model, a sample: 3.5 passes, 1.5 tokens" in summary_table(values)
    without = summary([results[2]], convention="frames", planned=1)
    assert without["groups"][0]["cost"] == {}
    assert "model, a sample" not in summary_table(without)
