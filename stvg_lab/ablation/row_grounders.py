# SPDX-License-Identifier: Apache-2.0

"""The models of all rows of an ablation over the same candidates, with shared computations."""

from __future__ import annotations

import time

from stvg_lab.ablation.ablation_rows import AblationRow, rows_of
from stvg_lab.ablation.control_directions import negated, random_direction
from stvg_lab.ablation.experiment import TruePeople
from stvg_lab.ablation.memoised_mllm import MemoisedMllm, MemoisedProposer
from stvg_lab.rendered.scene_questions import SceneQuestion
from stvg_ros.build import build_proposer, build_sources, build_splitter
from stvg_ros.config import Config
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.interfaces import Mllm, Proposer
from stvg_ros.method.query import question
from stvg_ros.method.reattention import Direction, descent
from stvg_ros.method.sampling import uniform_indices
from stvg_ros.models import load_mllm, load_untrained
from stvg_ros.types import CandidateTube, Grounding, Query


class RowGrounders:
    """Grounds with the settings and the model of a row. One thread uses it.

    Attributes:
        rows: those of the method, which the model can fill.
    """

    def __init__(self, config: Config, tubes: str, seed: int) -> None:
        """Loads the models.

        Args:
            config: settings that the rows change.
            tubes: "true" for the people's true boxes, otherwise those of the source in `config`.
            seed: of the random directions and the untrained model.
        """
        self._config = config
        self._plain = load_mllm(config.model, config.attention)
        self._own = MemoisedMllm(self._plain)
        fresh = MemoisedMllm(load_untrained(config.model, config.attention, seed))
        self._splitter = build_splitter(config.split, self._own)
        self._people = TruePeople()
        self._proposer: Proposer = self._people
        if tubes != "true":
            self._proposer = MemoisedProposer(build_proposer(config.proposals))
        self._sources = build_sources(config)
        self.rows = rows_of(self._own.settings, bool(self._sources))
        models: dict[str, tuple[Mllm, Direction]] = {
            "own": (self._own, descent),
            "random direction": (self._own, random_direction(seed)),
            "negated gradient": (self._own, negated),
            "untrained": (fresh, descent),
        }
        self._grounders = {
            name: self._grounder(mllm, direction) for name, (mllm, direction) in models.items()
        }

    def _grounder(self, mllm: Mllm, direction: Direction = descent) -> LocalGrounder:
        return LocalGrounder(
            mllm, self._splitter, self._proposer, self._config, direction, self._sources
        )

    def ground(self, row: AblationRow, sample: SceneQuestion) -> Grounding:
        """The answer of a row."""
        return self._answer(self._grounders[row.model], row, sample)

    def seconds(self, row: AblationRow, sample: SceneQuestion) -> float:
        """The time of a row's answer, without the work that rows share."""
        grounder = self._grounder(self._plain)
        begin = time.perf_counter()
        self._answer(grounder, row, sample)
        return time.perf_counter() - begin

    def _answer(
        self, grounder: LocalGrounder, row: AblationRow, sample: SceneQuestion
    ) -> Grounding:
        self._people.people = sample.people
        grounder.reconfigure(Config.from_flat({**self._config.flat(), **row.values}))
        query = Query(sample.query.text)
        return grounder.ground(sample.clip, query, lambda stage, share: None)

    def candidates(self, sample: SceneQuestion) -> tuple[CandidateTube, ...]:
        """The candidate tubes of all rows."""
        self._people.people = sample.people
        return self._proposer.propose(sample.clip, self._splitter.split(sample.query.text))

    def says_yes(self, sample: SceneQuestion) -> bool:
        """Whether the model answers the whole question with yes."""
        mllm = self._own
        frames = self._config.sampling.frames or mllm.settings.frame_count
        chosen = uniform_indices(len(sample.clip), frames)
        visual = mllm.encode([sample.clip.frames[index].image for index in chosen])
        text = self._splitter.split(sample.query.text).text
        (reading,) = mllm.ask(mllm.prefill(visual), [question(text)])
        return float(reading.margin) > 0
