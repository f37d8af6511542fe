# SPDX-License-Identifier: Apache-2.0

"""Counting: questions with true numbers, exact and wrong answers."""

from __future__ import annotations

import pytest

from stvg_lab.ablation.counting import Counting
from stvg_lab.rendered.hard.hard_queries import count_questions
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.queries import split_seed
from stvg_lab.rendered.scene_questions import CountSample, SceneQuestion, count_samples
from stvg_ros.cli.main import main
from stvg_ros.types import Grounding, Query, Status, Tube

NOTHING = (Tube(Query("x"), Status.NOT_FOUND),)


@pytest.fixture(scope="module")
def scene_samples() -> tuple[CountSample, ...]:
    return next(count_samples("val-hard", 5, 1))


def test_samples_are_the_scene_s_questions(scene_samples: tuple[CountSample, ...]) -> None:
    scene = HardScene.from_seed(split_seed("val-hard", 5))
    asked = count_questions(scene, "val-hard", 5)
    assert [(s.question.query.text, s.number) for s in scene_samples] == [
        (one.text, one.number) for one in asked
    ]
    assert {len(sample.question.people) for sample in scene_samples} <= {len(scene.people)}
    assert all(sample.question.query.kind == "count" for sample in scene_samples)


def test_exact_numbers_are_counted(scene_samples: tuple[CountSample, ...]) -> None:
    true = {id(sample.question): sample.number for sample in scene_samples}

    def right(question: SceneQuestion) -> Grounding:
        return Grounding(NOTHING, number=true[id(question)])

    def more(question: SceneQuestion) -> Grounding:
        return Grounding(NOTHING, number=true[id(question)] + 2)

    for ground, exact, error in ((right, 1.0, 0.0), (more, 0.0, 2.0)):
        counting = Counting(ground)
        counting.add(scene_samples)
        table = counting.table()
        assert (table["all"]["exact"], table["all"]["mean_error"]) == (exact, error)
        assert table["all"]["samples"] == len(scene_samples)
        assert sum(line["samples"] for line in table["by_what"]) == len(scene_samples)
        assert sum(line["samples"] for line in table["by_number"]) == len(scene_samples)


def test_no_answer_is_not_exact(scene_samples: tuple[CountSample, ...]) -> None:
    counting = Counting(lambda question: Grounding(NOTHING))
    counting.add(scene_samples)
    assert counting.table()["all"]["exact"] == 0
    with pytest.raises(ValueError, match="no question"):
        Counting(lambda question: Grounding(NOTHING)).table()


def test_the_command_counts(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    few = ["--count", "1", "--device", "cpu", "--set", "sampling.frames=4"]
    assert main(["ablate", "--counts", "--split", "test-hard", *few]) == 0
    assert "exact" in capsys.readouterr().out
    assert main(["ablate", "--counts", "--split", "test", *few]) == 2
    assert "a hard split" in capsys.readouterr().err
