# SPDX-License-Identifier: Apache-2.0

"""From a query to a job in the queue, and from its outcome to the topics: one path for all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from stvg_ros.config import Config
from stvg_ros.errors import ErrorCode, StvgError
from stvg_ros.node.cameras import Cameras
from stvg_ros.runtime.camera_search import Answer, CameraSearch, CameraViews, failed
from stvg_ros.runtime.grounding_job import GroundingJob
from stvg_ros.runtime.grounding_queue import GroundingQueue
from stvg_ros.types import Clip, Grounding, Query

Feedback = Callable[[str, float, float], None]


def _nobody(grounding: Grounding) -> None:
    """For answers that go to the topics alone."""


def _silent(stage: str, progress: float, elapsed_s: float) -> None:
    """For commands without feedback."""


class Intake:
    """Makes a job of a query, or answers at once with what is wrong with it.

    Each answer goes to the topics first, and then to who asked.

    Thread contract: the executor's thread calls all methods. Answers come from the queue's
    answering thread, or from the caller's where there is no job.
    """

    def __init__(
        self,
        cameras: Cameras,
        queue: Callable[[], GroundingQueue],
        config: Callable[[], Config],
        finish: Callable[[Grounding, Clip], Grounding],
        publish: Sequence[Answer],
        preliminary: Answer,
    ) -> None:
        """Prepares.

        Args:
            cameras: what the commands are about.
            queue: gives the queue, or raises the StvgError that says why there is none.
            config: gives the configuration in force.
            finish: adds to a camera's answer what the grounder does not know.
            publish: receive every answer.
            preliminary: receives answers before tuning, where they are asked for.
        """
        self._cameras = cameras
        self._queue = queue
        self._config = config
        self._finish = finish
        self._publish = publish
        self._preliminary = preliminary
        self._numbers = itertools.count(1)
        self.last: Query | None = None  # that was answered

    def new_id(self) -> str:
        """A name for a command whose sender gave it none."""
        return f"q-{next(self._numbers):06d}"

    def publish(self, grounding: Grounding) -> None:
        """Publishes an answer."""
        if grounding.best.error_code is not ErrorCode.INVALID_COMMAND:
            self.last = grounding.best.query
        for publish in self._publish:
            publish(grounding)

    def refuse(self, text: str, query_id: str, error: StvgError, answer: Answer = _nobody) -> None:
        """Answers what is no query."""
        self._answered(failed(Query(_shown(text), query_id), error), answer)

    def take(
        self, query: Query, answer: Answer = _nobody, feedback: Feedback = _silent
    ) -> GroundingJob | None:
        """Submits a query.

        Args:
            query: what to find.
            answer: receives the answer, once, maybe before this returns.
            feedback: as of `GroundingJob`.

        Returns:
            The job, or None when it was answered at once.
        """
        try:
            queue = self._queue()
            job = self._search(query, self._cameras.views(query.camera)).job(
                lambda grounding: self._answered(grounding, answer), feedback=feedback
            )
            queue.submit(job)
        except StvgError as error:
            self._answered(failed(query, error), answer)
            return None
        return job

    def offer(self, query: Query, views: CameraViews, answer: Answer) -> GroundingJob | None:
        """The job of a query that is grounded only if nothing else is; None if it is not.

        Its answer goes to `answer` alone.

        Raises:
            StvgError: there is no queue.
        """
        job = self._search(query, views).job(answer)
        return job if self._queue().offer(job) else None

    def views(self, camera: str) -> CameraViews:
        """As of `Cameras.views`."""
        return self._cameras.views(camera)

    def _search(self, query: Query, views: CameraViews) -> CameraSearch:
        always = self._config().command.preliminary
        return CameraSearch(query, views, self._finish, self._preliminary, always)

    def _answered(self, grounding: Grounding, answer: Answer) -> None:
        try:
            self.publish(grounding)
        finally:
            answer(grounding)


def _shown(text: str) -> str:
    """A text that a `Query` accepts, for the answer to one that it does not."""
    text = " ".join(text.split())
    if not text:
        return "(empty)"
    return text if len(text) <= 200 else text[:200] + " ..."
