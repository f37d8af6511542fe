# SPDX-License-Identifier: Apache-2.0

"""A job of the grounding queue, and the queue's limits."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from stvg_ros.errors import CanceledError, DeadlineError, StvgError
from stvg_ros.method.interfaces import Grounder, StageCallback
from stvg_ros.types import Grounding

Outcome = Grounding | StvgError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class QueueLimits:
    """Bounds and policy of a queue, with the setting names used in messages.

    Attributes:
        policy: "queue", or "replace": a new job replaces earlier ones.
        waiting: maximum number of waiting jobs.
        waiting_name: setting of `waiting`.
        per_client: maximum number of waiting and running jobs of one client; 0 is no limit.
        per_client_name: setting of `per_client`.
        deadline_s: default deadline of jobs; None for none.
        deadline_name: name of the default deadline in messages.
    """

    policy: str = "queue"
    waiting: int = 8
    waiting_name: str = "command.queue_size"
    per_client: int = 0
    per_client_name: str = ""
    deadline_s: float | None = None
    deadline_name: str = "the deadline"


@dataclass(eq=False)
class GroundingJob:
    """One command in a queue.

    Attributes:
        name: of the command, for the status and the log.
        work: grounds the command; called at most once, by the queue's thread.
        answer: receives the result or the error; called once by the queue's answering thread.
        feedback: called when each stage starts, with its name, progress 0 to 1, and seconds since
            receipt.
        deadline_s: seconds after receipt at which the job ends; None for the queue's default.
        client: its sender, for the bound per client.
        received: monotonic seconds of receipt.
        stop: the error that ends the job, once there is one.
        answered: whether the answer was queued for delivery.
    """

    name: str
    work: Callable[[Grounder, StageCallback], Grounding]
    answer: Callable[[Outcome], None]
    feedback: Callable[[str, float, float], None] = lambda stage, progress, elapsed_s: None
    deadline_s: float | None = None
    client: str = ""
    received: float = field(default_factory=time.monotonic)
    stop: StvgError | None = None
    answered: bool = False
    _deadline_name: str = "the deadline"
    _stage: tuple[str, float] = ("wait", 0.0)
    _finish: Callable[[GroundingJob, Outcome], None] | None = None

    def cancel(self, reason: str = "canceled by the client") -> None:
        """Answers the job with a `CanceledError`; running work ends at its next check."""
        self.stop = self.stop or CanceledError(reason)
        finish = self._finish  # none yet: `accepted` looks at `stop`
        if finish is not None:
            finish(self, self.stop)

    @property
    def ends(self) -> float:
        """Monotonic seconds of the deadline."""
        return self.received + self.deadline_s if self.deadline_s else math.inf

    def check(self, stage: str, progress: float) -> None:
        """The `StageCallback` of the job. Raises: the error that ends it."""
        now = time.monotonic()
        if now > self.ends and self.stop is None:
            self.stop = self.late(stage)
        if self.stop is not None:
            raise self.stop
        if self._stage != (stage, progress):
            self._stage = stage, progress
            with contextlib.suppress(Exception):  # feedback must not fail a grounding
                self.feedback(stage, progress, now - self.received)

    def late(self, stage: str = "") -> DeadlineError:
        """The error of a job whose deadline has passed."""
        return DeadlineError(
            f"{self._deadline_name} of {self.deadline_s:g} s passed in the stage "
            f"{stage or self._stage[0]!r}, after {time.monotonic() - self.received:.2f} s; allow "
            "more time or fewer frames (sampling.frames)"
        )

    def accepted(
        self, limits: QueueLimits, finish: Callable[[GroundingJob, Outcome], None]
    ) -> None:
        """Sets the queue's default deadline, and the function that answers the job early."""
        if not self.deadline_s and limits.deadline_s:
            self.deadline_s, self._deadline_name = limits.deadline_s, limits.deadline_name
        self._finish = finish
        if self.stop is not None:
            finish(self, self.stop)

    def outcome(self, grounder: Grounder) -> Outcome:
        """Runs the work; an unexpected error becomes a `StvgError` that names it."""
        try:
            self.check("wait", 0.0)
            return self.work(grounder, self.check)
        except StvgError as error:
            return error
        except Exception as error:
            _LOG.exception("grounding %s failed", self.name)
            return StvgError(f"unexpected {type(error).__name__}: {error}")
