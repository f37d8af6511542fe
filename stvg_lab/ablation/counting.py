# SPDX-License-Identifier: Apache-2.0

"""Accuracy of counting: "how many people sit", asked about hard scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stvg_lab.rendered.scene_questions import CountSample, SceneQuestion
from stvg_lab.runs.scores import bootstrap
from stvg_ros.types import Grounding


@dataclass(frozen=True)
class CountAnswer:
    """What was asked for (a pose, a doing, or "worn"), the true number, and the answer."""

    what: str
    number: int
    said: int | None


@dataclass
class Counting:
    """Asks for numbers and compares the answers."""

    ground: Callable[[SceneQuestion], Grounding]
    answers: list[CountAnswer] = field(default_factory=list)

    def add(self, samples: Iterable[CountSample]) -> None:
        """Asks about one scene."""
        for sample in samples:
            said = self.ground(sample.question).number
            what = sample.question.query.act or "worn"
            self.answers.append(CountAnswer(what, sample.number, said))

    def table(self) -> dict[str, Any]:
        """Share of exact numbers in all, by what is counted and by true number, with intervals.

        Raises:
            ValueError: nothing was asked.
        """
        if not self.answers:
            raise ValueError("no question with a certain number in these scenes")
        whats = sorted({one.what for one in self.answers})
        numbers = sorted({one.number for one in self.answers})
        return {
            "all": _line("all", self.answers),
            "by_what": [_line(what, [a for a in self.answers if a.what == what]) for what in whats],
            "by_number": [
                _line(str(number), [a for a in self.answers if a.number == number])
                for number in numbers
            ],
        }


def _line(name: str, answers: Sequence[CountAnswer]) -> dict[str, Any]:
    exact = bootstrap([float(one.said == one.number) for one in answers], seed=0)
    wrong = [abs((one.said or 0) - one.number) for one in answers]
    return {
        "name": name,
        "exact": exact.mean,
        "interval": [exact.low, exact.high],
        "mean_error": sum(wrong) / len(wrong),
        "samples": len(answers),
    }
