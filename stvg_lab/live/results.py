# SPDX-License-Identifier: Apache-2.0

"""Results of commands that a running node answered while a bag was played to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stvg_lab.datasets.samples import Sample
from stvg_lab.runs.records import Result
from stvg_lab.runs.runner import EvaluationSettings, asked_window, failed, judged
from stvg_lab.runs.window_replay import Moment, replay
from stvg_ros.errors import DeadlineError, StvgError
from stvg_ros.method.sampling import cut
from stvg_ros.types import Evidence, Frame, Grounding, Tube
from stvg_ros.window import WindowConfig


@dataclass(frozen=True, eq=False)
class LiveAnswer:
    """The answer to a command.

    Attributes:
        tubes: best first.
        evidence: of the best tube, if received.
        latency_s: from sending the command to receiving the tube.
    """

    tubes: tuple[Tube, ...]
    evidence: Evidence | None
    latency_s: float


@dataclass(frozen=True)
class _Stamp:
    """A placeholder image with a stamp."""

    stamp_ns: int
    error: str = ""

    def frame(self, long_side_px: int | None = None) -> Frame:
        return Frame(self.stamp_ns, np.zeros((1, 1, 3), np.uint8), 1, 1)


def expected_moments(
    samples: Sequence[Sample], published_ns: Sequence[int], window: WindowConfig
) -> list[Moment]:
    """Expected content of the node's window at each command, without dropped images.

    Args:
        samples: in order of their commands.
        published_ns: stamps of the images, in the order of the bag.
        window: settings of the node's window.
    """
    commands_ns = [sample.command_ns for sample in samples]
    return list(replay(map(_Stamp, published_ns), window, commands_ns))


def live_result(
    sample: Sample,
    moment: Moment,
    answer: LiveAnswer | None,
    duration_s: float,
    job: EvaluationSettings,
) -> Result:
    """The result of one command.

    Args:
        sample: the question.
        moment: expected state of the window at the command.
        answer: None without an answer.
        duration_s: window of the command.
        job: scoring settings.
    """
    if answer is None:
        return failed(sample, DeadlineError("the node did not answer in time"))
    stages_s = sum(answer.tubes[0].timings_s.values())
    timings_s = {"latency": answer.latency_s, "ground": stages_s}
    try:
        if moment.clip is None:
            raise moment.error or StvgError("no images")
        window_ns = asked_window(sample, int(moment.stamps_ns[-1]), duration_s)
        expected_ns = cut(moment.clip, *window_ns).stamps_ns
        kept_ns = _kept(answer.tubes[0], expected_ns)
        grounding = Grounding(answer.tubes, answer.evidence)
        result = judged(sample, moment, grounding, kept_ns, window_ns, job)
    except Exception as error:
        result = failed(sample, error)
    return replace(result, timings_s=timings_s)


def _kept(tube: Tube, expected_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Stamps of the frames that the node had stored.

    After a dropped image the node stores other frames than expected; the boxes of the tube give the
    real ones.
    """
    boxes_ns = np.unique(np.array([box.stamp_ns for box in tube.boxes], np.int64))
    if np.isin(boxes_ns, expected_ns).all():
        return expected_ns
    outside = (expected_ns < tube.start_ns) | (expected_ns > tube.end_ns)
    return np.union1d(boxes_ns, expected_ns[outside])


def image_counts(
    published: int, before: Mapping[str, int] | None, after: Mapping[str, int] | None
) -> dict[str, int]:
    """Image counts of a bag, from the counters of the node before and after it.

    Args:
        published: number of published images.
        before: counters by name, such as "received" and "stored"; None if unknown.
        after: the same, later.
    """
    if before is None or after is None:
        return {"published": published}
    counts = {name: count - before.get(name, 0) for name, count in after.items()}
    return {"published": published, **counts, "dropped": published - counts.get("received", 0)}
