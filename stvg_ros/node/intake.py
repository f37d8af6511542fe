# SPDX-License-Identifier: Apache-2.0

"""Turns queries into queue jobs and publishes their answers; the same path for all inputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from stvg_ros.config import Config
from stvg_ros.errors import ErrorCode, StvgError
from stvg_ros.node.cameras import Cameras
from stvg_ros.runtime.camera_search import Answer, CameraSearch, CameraViews, failed
from stvg_ros.runtime.grounding_job import GroundingJob
from stvg_ros.runtime.grounding_queue import GroundingQueue
from stvg_ros.runtime.memory_search import MemorySearch
from stvg_ros.types import Clip, Grounding, Query

Feedback = Callable[[str, float, float], None]
# The search of a command, in the memory as well if it means a time before the window.
Recall = Callable[[CameraSearch], CameraSearch | MemorySearch]


def _nobody(grounding: Grounding) -> None:
    """For answers that are published on topics only."""


def _silent(stage: str, progress: float, elapsed_s: float) -> None:
    """For commands without feedback."""


class Intake:
    """Submits a query as a job, or answers immediately with its error.

    Each answer is published on the topics first and then passed to the caller.

    Thread contract: the executor's thread calls all methods. Answers are delivered by the queue's
    answering thread, or by the caller's thread if there is no job.
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
        """Stores its parts.

        Args:
            cameras: searched by the queries.
            queue: returns the queue, or raises the StvgError that explains why there is none.
            config: returns the current configuration.
            finish: completes a camera's answer, for example with positions.
            publish: receive every answer.
            preliminary: receives answers before tuning, if they are enabled.
        """
        self._cameras = cameras
        self._queue = queue
        self._config = config
        self._finish = finish
        self._publish = publish
        self._listeners: list[Answer] = []
        self._named: Callable[[Query], Query] = lambda query: query
        self._recalled: Recall = lambda search: search
        self._preliminary = preliminary
        self._numbers = itertools.count(1)
        self.last: Query | None = None  # the last answered query

    def new_id(self) -> str:
        """An id for a command without one."""
        return f"q-{next(self._numbers):06d}"

    def set_names(self, named: Callable[[Query], Query]) -> None:
        """Uses this function to find the known target of a command."""
        self._named = named

    def set_memory(self, recalled: Recall) -> None:
        """Uses this function to search the memory for commands about the past."""
        self._recalled = recalled

    def add_listener(self, listener: Answer) -> None:
        """Passes the answer of each command to this listener too, but not those of `offer`.

        Any thread may call it.
        """
        self._listeners.append(listener)

    def publish(self, grounding: Grounding) -> None:
        """Publishes an answer."""
        if grounding.best.error_code is not ErrorCode.INVALID_COMMAND:
            self.last = grounding.best.query
        for publish in self._publish:
            publish(grounding)

    def refuse(self, text: str, query_id: str, error: StvgError, answer: Answer = _nobody) -> None:
        """Answers a command that is not a valid query."""
        self._answered(failed(Query(_shown(text), query_id), error), answer)

    def take(
        self, query: Query, answer: Answer = _nobody, feedback: Feedback = _silent
    ) -> GroundingJob | None:
        """Submits a query.

        Args:
            query: what to find.
            answer: receives the answer, once, possibly before this returns.
            feedback: as in `GroundingJob`.

        Returns:
            The job, or None if the query was answered immediately.
        """
        query = self.named(query)
        try:
            queue = self._queue()
            search = self._search(query, self._cameras.views(query.camera))
            job = self._recalled(search).job(
                lambda grounding: self._answered(grounding, answer), feedback=feedback
            )
            queue.submit(job)
        except StvgError as error:
            self._answered(failed(query, error), answer)
            return None
        return job

    def offer(self, query: Query, views: CameraViews, answer: Answer) -> GroundingJob | None:
        """Submits a query only if the queue is idle; returns None otherwise.

        Only `answer` receives its answer.

        Raises:
            StvgError: there is no queue.
        """
        job = self._search(query, views).job(answer)
        return job if self._queue().offer(job) else None

    def named(self, query: Query) -> Query:
        """The query with its known target, if it uses a taught name."""
        return self._named(query)

    def views(self, camera: str) -> CameraViews:
        """As `Cameras.views`."""
        return self._cameras.views(camera)

    def _search(self, query: Query, views: CameraViews) -> CameraSearch:
        always = self._config().command.preliminary
        return CameraSearch(query, views, self._finish, self._preliminary, always)

    def _answered(self, grounding: Grounding, answer: Answer) -> None:
        try:
            self.publish(grounding)
            for listener in self._listeners:
                listener(grounding)
        finally:
            answer(grounding)


def _shown(text: str) -> str:
    """The text made valid for a `Query`, to answer a command whose text is invalid."""
    text = " ".join(text.split())
    if not text:
        return "(empty)"
    return text if len(text) <= 200 else text[:200] + " ..."
