# SPDX-License-Identifier: Apache-2.0

"""Standing queries: grounded repeatedly on the moving window, published when the result changes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from stvg_ros.config import Config
from stvg_ros.errors import CanceledError, CommandError, ErrorCode, StvgError
from stvg_ros.node.intake import Intake
from stvg_ros.runtime.camera_search import failed
from stvg_ros.runtime.grounding_job import GroundingJob
from stvg_ros.types import Grounding, Query, Status, Tube

MIN_RATE_HZ, MAX_RATE_HZ = 1e-4, 100.0  # rclpy cannot create timers that are far slower
MAX_QUERIES = 100
# A standing query that a command pre-empted is retried; its cancellation is not published.
_MADE_WAY = {ErrorCode.CANCELED, ErrorCode.REPLACED, ErrorCode.QUEUE_FULL}


def is_news(last: Tube | None, tube: Tube) -> bool:
    """Whether an answer differs from the last published one.

    It differs if the status or the error differs, or if the target's span starts after the last
    one ended, which is a new event. A span that grows or moves with the window is the same event.
    """
    if last is None or (last.status, last.error_code) != (tube.status, tube.error_code):
        return True
    return tube.status is Status.FOUND and (
        tube.camera != last.camera or tube.start_ns > last.end_ns
    )


@dataclass(eq=False)
class _Standing:
    query: Query
    timer: Any
    seen_ns: Mapping[str, int]
    asking: bool = False
    job: GroundingJob | None = None
    last: Tube | None = None
    once: bool = False  # it ends with the next event
    end_s: float = math.inf  # by the steady clock
    ended: bool = False


class StandingQueries:
    """The standing queries of the node, by id.

    Each one is grounded only if the queue is idle and there are new images. A command with the
    intent "watch" ("tell me when somebody enters") becomes one by itself: after its first answer,
    it is grounded at `command.watch_rate_hz` until the next event, or for `command.watch_s`.

    Thread contract: the executor's thread; the queue's answering thread delivers answers.
    """

    def __init__(self, node: Node, intake: Intake, config: Callable[[], Config]) -> None:
        """Starts without queries.

        Args:
            node: creates the timers.
            intake: receives the queries, and publishes the answers that are news.
            config: returns the current configuration.
        """
        self._node = node
        self._intake = intake
        self._config = config
        self._all: dict[str, _Standing] = {}
        intake.add_listener(self._answered)

    def __len__(self) -> int:
        return len(self._all)

    def start(self, query: Query, rate_hz: float) -> None:
        """Grounds the query at this rate; replaces an earlier query of the same id.

        Raises:
            CommandError: an invalid rate, or too many queries.
        """
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise CommandError(
                f"standing_rate_hz: expected {MIN_RATE_HZ:g} to {MAX_RATE_HZ:g} Hz, got {rate_hz:g}"
            )
        if query.start_ns is not None or query.end_ns is not None:
            raise CommandError(
                "a standing query uses the moving window: expected window_start and "
                "window_end of 0, got a fixed window"
            )
        self._begin(_Standing(query, None, {}), rate_hz)

    def _begin(self, standing: _Standing, rate_hz: float) -> None:
        query = standing.query
        if query.id not in self._all and len(self._all) >= MAX_QUERIES:
            raise CommandError(
                f"{MAX_QUERIES} standing queries exist already; stop one of them first"
            )
        self._drop(query.id)
        # A steady clock: with use_sim_time, a paused recording must not stop the answers.
        standing.timer = self._node.create_timer(
            1.0 / rate_hz,
            lambda: self._ground_now(query.id),
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        self._all[query.id] = standing
        self._ground_now(query.id)

    def stop(self, query_id: str) -> None:
        """Ends a standing query and publishes its last answer.

        Raises:
            CommandError: no standing query has this id.
        """
        standing = self._drop(query_id)
        if standing is None:
            known = ", ".join(map(repr, self._all)) or "none"
            raise CommandError(
                f"stop: expected the id of a standing query ({known}), got {query_id!r}"
            )
        self._intake.publish(
            failed(standing.query, CanceledError("the standing query was stopped"))
        )

    def close(self) -> None:
        """Ends all of them."""
        for query_id in list(self._all):
            self.stop(query_id)

    def _answered(self, grounding: Grounding) -> None:
        """Watches for the event of an answered command; in any thread."""
        tube = grounding.best
        command = tube.split.command if tube.split is not None else None
        executor = self._node.executor
        if command is None or command.intent != "watch" or tube.query.end_ns is not None:
            return
        if executor is not None:
            executor.create_task(self._watch, tube, not command.repeated)

    def _watch(self, tube: Tube, once: bool) -> None:
        """Starts the standing query of a command; its first answer is the state before."""
        command = self._config().command
        # Without the command's own deadline, which was that of its first answer.
        query = replace(tube.query, start_ns=None, deadline_s=None)
        end_s = time.monotonic() + command.watch_s
        try:
            self._begin(
                _Standing(query, None, {}, last=tube, once=once, end_s=end_s),
                command.watch_rate_hz,
            )
        except StvgError as error:
            self._intake.publish(failed(query, error))

    def _drop(self, query_id: str) -> _Standing | None:
        standing = self._all.pop(query_id, None)
        if standing is not None:
            self._node.destroy_timer(standing.timer)
            if (job := standing.job) is not None:
                job.cancel()
        return standing

    def _ground_now(self, query_id: str) -> None:
        standing = self._all.get(query_id)
        if standing is None or standing.asking:
            return
        if standing.ended:
            self._drop(query_id)
            return
        if time.monotonic() > standing.end_s:
            self._drop(query_id)
            limit = CanceledError(
                f"nothing more was seen within command.watch_s ({self._config().command.watch_s:g} "
                "s); give the command again"
            )
            self._intake.publish(failed(standing.query, limit))
            return
        try:
            query = self._intake.named(standing.query)  # where the target of a name is now
            views = self._intake.views(query.camera)
            newest_ns = {camera: clip.frames[-1].stamp_ns for camera, clip in views.clips.items()}
            if newest_ns == standing.seen_ns:
                return
            asked = dict(newest_ns)

            def answer(grounding: Grounding) -> None:
                standing.asking, standing.seen_ns = False, asked
                self._judge(standing, grounding)

            standing.asking = True  # before the answer can arrive
            standing.job = self._intake.offer(query, views, answer)
            if standing.job is None:
                standing.asking = False
        except StvgError as error:
            standing.asking = False
            self._judge(standing, failed(standing.query, error))

    def _judge(self, standing: _Standing, grounding: Grounding) -> None:
        tube = grounding.best
        if self._all.get(standing.query.id) is not standing:
            return
        if tube.error_code in _MADE_WAY:
            standing.seen_ns = {}
            return
        news = is_news(standing.last, tube)
        event = news and tube.status is Status.FOUND
        standing.last = tube  # also if it is not news: the event continues and its end moves
        if event and standing.once:
            standing.ended = True  # the timer's thread removes it
        watched = math.isfinite(standing.end_s) and tube.status is Status.NOT_FOUND
        if news and not watched:
            self._intake.publish(grounding)
