# SPDX-License-Identifier: Apache-2.0

"""A model that evaluates parts of a run, in this process or as a worker of several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from stvg_lab.datasets.samples import Sample
from stvg_lab.runs.environment import environment
from stvg_lab.runs.records import Result
from stvg_lab.runs.runner import EvaluationSettings, evaluate
from stvg_ros import build
from stvg_ros.config import Config
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.interfaces import Grounder
from stvg_ros.models import load_mllm
from stvg_ros.setting import Value

Make = Callable[[Config, EvaluationSettings], Grounder]


def evaluation_grounder(config: Config, job: EvaluationSettings) -> Grounder:
    """The grounder of an evaluation, with the true tubes if the job has them."""
    if job.true_tubes is None:
        return build.build_grounder(config)
    mllm = load_mllm(config.model, config.attention)
    splitter = build.build_splitter(config.split, mllm)
    sources = build.build_sources(config)
    return LocalGrounder(mllm, splitter, job.true_tubes, config, sources=sources)


class EvaluationWorker:
    """A grounder and the settings of an evaluation.

    Thread contract: one thread uses it.
    """

    def __init__(self, make: Make, settings: Mapping[str, Value], job: EvaluationSettings) -> None:
        """Loads the model.

        Args:
            make: makes the grounder.
            settings: settings that differ from their defaults, by name.
            job: settings of grounding and scoring.
        """
        self._config, self._job = Config.from_flat(settings), job
        self._grounder = make(self._config, job)

    def environment(self) -> dict[str, Any]:
        """Versions, machine and model of this worker."""
        import torch

        gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
        folder = build.checkpoint_folder(self._config)
        return environment(self._config.model.path, folder, gpu)

    def results(self, samples: Sequence[Sample]) -> Iterator[Result]:
        """The result of each sample; see `runner.evaluate`."""
        yield from evaluate(samples, self._grounder, self._job)
