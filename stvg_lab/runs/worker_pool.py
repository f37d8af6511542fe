# SPDX-License-Identifier: Apache-2.0

"""Evaluation by several workers on Ray: each has a model, and takes the next recording."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import ray

from stvg_lab.datasets.samples import Sample
from stvg_lab.runs.evaluation_worker import EvaluationWorker, Make
from stvg_lab.runs.records import Result
from stvg_lab.runs.runner import EvaluationSettings, failed, in_order
from stvg_ros.errors import StvgError
from stvg_ros.setting import Value

_MOST_DEATHS = 2  # of workers at one sample
# A process or its machine died, before its result was received.
_DEATHS = (
    ray.exceptions.RayActorError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.ObjectLostError,
)


@dataclass(eq=False)
class _Shift:
    """Samples that a worker evaluates, without those whose result was received."""

    worker: Any
    results: Any
    samples: dict[str, Sample]


class WorkerPool(AbstractContextManager["WorkerPool"]):
    """Workers on this machine or a Ray cluster.

    A worker that dies is replaced, and its samples without a result are evaluated again. A sample
    at which two workers died has failed.

    Thread contract: one thread uses it.
    """

    def __init__(
        self, count: int, make: Make, settings: Mapping[str, Value], job: EvaluationSettings,
        address: str = "",
    ) -> None:  # fmt: skip
        """Starts the workers; their models load in the background.

        Args:
            count: workers. Each has an equal share of the GPUs, at most one.
            make: makes a worker's grounder; pickled by reference.
            settings: settings that differ from their defaults, by name.
            job: settings of grounding and scoring.
            address: of the head of a Ray cluster, such as "10.0.0.5:6379"; empty: this machine.

        Raises:
            StvgError: Ray cannot start or be reached.
        """
        options: dict[str, Any] = {"address": address} if address else {
            "address": "local", "include_dashboard": False, "_node_ip_address": "127.0.0.1",
        }  # fmt: skip
        try:
            ray.init(configure_logging=False, log_to_driver=False, **options)
        except Exception as error:
            raise StvgError(f"--workers: Ray cannot start or be reached: {error}") from error
        self._arguments = (make, dict(settings), job)
        gpus = ray.cluster_resources().get("GPU", 0.0)
        # Without CPUs, workers beyond the number of cores would wait forever.
        kind: Any = ray.remote(EvaluationWorker)
        self._kind = kind.options(
            num_cpus=0, num_gpus=gpu_share(gpus, count), scheduling_strategy="SPREAD"
        )
        self._workers = [self._kind.remote(*self._arguments) for _ in range(count)]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        ray.shutdown()

    def environments(self) -> list[dict[str, Any]]:
        """Versions, machine and model of each worker, when all models are loaded.

        Raises:
            StvgError: a worker cannot load its model.
        """
        try:
            return list(ray.get([worker.environment.remote() for worker in self._workers]))
        except ray.exceptions.RayError as error:
            raise StvgError(f"--workers: a worker cannot start: {_cause(error)}") from error

    def results(self, samples: Sequence[Sample]) -> Iterator[Result]:
        """The result of each sample, as it is finished.

        Raises:
            StvgError: no worker is left.
        """
        waiting = deque(_recordings(samples))
        idle, busy = list(self._workers), dict[Any, _Shift]()
        starting: dict[Any, Any] = {}  # workers in place of dead ones, by their answer
        deaths: Counter[str] = Counter()
        while waiting or busy:
            while waiting and idle:
                shift = _begun(idle.pop(), waiting.popleft())
                busy[shift.results] = shift
            if not busy and not starting:
                raise StvgError("--workers: every worker died and none could be replaced")
            (ready,), _ = ray.wait([*busy, *starting], num_returns=1)
            if ready in starting:
                idle.extend(_started(ready, starting.pop(ready)))
                continue
            shift = busy[ready]
            try:
                result = ray.get(next(ready))
            except StopIteration:
                del busy[ready]
                idle.append(shift.worker)
            except _DEATHS:
                del busy[ready]
                # Not waited for: its GPU may be gone with a machine of the cluster.
                worker = self._kind.remote(*self._arguments)
                starting[worker.environment.remote()] = worker
                first = next(iter(shift.samples))
                deaths[first] += 1
                if deaths[first] == _MOST_DEATHS:
                    yield failed(shift.samples.pop(first), StvgError(
                        f"{_MOST_DEATHS} worker processes died at this sample: killed, or out of "
                        "memory"
                    ))  # fmt: skip
                if shift.samples:
                    waiting.appendleft(list(shift.samples.values()))
            except ray.exceptions.RayError as error:
                raise StvgError(f"--workers: a worker failed: {_cause(error)}") from error
            else:
                del shift.samples[result.id]
                yield result


def gpu_share(gpus: float, workers: int) -> float:
    """GPUs of each worker: 1, or an equal share of fewer GPUs than workers."""
    if gpus >= workers:
        return 1.0
    if gpus == 0:
        return 0.0
    per_gpu = math.ceil(workers / gpus)
    return math.floor(1e4 / per_gpu) / 1e4  # Ray counts in steps of 0.0001


def _started(answer: Any, worker: Any) -> list[Any]:
    """The new worker, or none if its model cannot be loaded."""
    try:
        ray.get(answer)
    except ray.exceptions.RayError:
        return []
    return [worker]


def _recordings(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples by part of a recording: those share a pass over its images."""
    groups: dict[object, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.replay_key, []).append(sample)
    return list(groups.values())


def _begun(worker: Any, samples: list[Sample]) -> _Shift:
    # In the order of their results, so that the first one left is the one in work.
    wrong = [sample for sample in in_order(samples) if sample.problem]
    fine = [sample for sample in in_order(samples) if not sample.problem]
    # A worker goes on when its result was received: a death then belongs to the sample in work.
    kind = {"num_returns": "streaming", "_generator_backpressure_num_objects": 1}
    results = worker.results.options(**kind).remote(samples)
    return _Shift(worker, results, {sample.id: sample for sample in [*wrong, *fine]})


def _cause(error: BaseException) -> str:
    """The last line of an error of Ray, which holds a traceback of the worker."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
