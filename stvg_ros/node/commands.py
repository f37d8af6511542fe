# SPDX-License-Identifier: Apache-2.0

"""Commands in: sentences and queries from topics and a service."""

from __future__ import annotations

import concurrent.futures
import itertools
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.errors import StvgError
from stvg_ros.node.async_bridge import wait_for_thread
from stvg_ros.node.cameras import Cameras
from stvg_ros.node.conversions import answer_message, query_of, tube_message
from stvg_ros.node.qos import COMMANDS
from stvg_ros.node.standing_queries import StandingQueries
from stvg_ros.runtime.grounding_worker import Answer, GroundingJob, Worker, failed
from stvg_ros.srv import Ask, GroundQuery
from stvg_ros.types import Grounding, Query

Parse = Callable[[str], Query]


class Intake:
    """Makes a job of whatever asks, or answers at once with what is wrong with it.

    Thread contract: the executor's thread.
    """

    def __init__(self, cameras: Cameras, worker: Callable[[], Worker], preliminary: Answer) -> None:
        """Prepares.

        Args:
            cameras: what the commands are about.
            worker: gives the worker, or raises the StvgError that tells why there is none.
            preliminary: publishes answers before tuning, where they are asked for.
        """
        self._cameras = cameras
        self._worker = worker
        self._preliminary = preliminary
        self._numbers = itertools.count(1)

    def parsed(self, parse: Parse, query_id: str, text: str, answer: Answer) -> Query | None:
        """A query, or None when it was answered at once with what is wrong with it.

        Args:
            parse: makes the query, given its id; may raise StvgError.
            query_id: the caller's name for the command, or "" for one of ours.
            text: as it came, for the answer when it cannot be parsed.
            answer: is called when it cannot.
        """
        query_id = query_id or f"q-{next(self._numbers):06d}"
        try:
            return parse(query_id)
        except StvgError as error:
            answer(failed(Query(_shown(text), query_id), error))
            return None

    def take(
        self, parse: Parse, query_id: str, text: str, answer: Answer, **options: Any
    ) -> GroundingJob | None:
        """Submits a command; arguments as of `parsed`.

        Args:
            answer: is called exactly once, maybe before this returns.
            options: of the `GroundingJob`.

        Returns:
            The job, or None when it was answered at once.
        """
        query = self.parsed(parse, query_id, text, answer)
        if query is None:
            return None
        try:
            worker = self._worker()
            clips = self._cameras.clips(query.camera)
            job = GroundingJob(query, clips, answer, preliminary=self._preliminary, **options)
            worker.submit(job)
        except StvgError as error:
            answer(failed(query, error))
            return None
        return job


class Commands:
    """The topics `~/command` and `~/query` and the services `~/ground_query` and `~/ask`.

    Thread contract: the executor's thread.
    """

    def __init__(
        self, node: Node, intake: Intake, standing: StandingQueries, publish: Answer
    ) -> None:
        self._node = node
        self._intake = intake
        self._standing = standing
        self._publish = publish
        self._subscriptions = [
            node.create_subscription(String, "~/command", self._on_command, COMMANDS),
            node.create_subscription(msg.Query, "~/query", self._on_query, COMMANDS),
        ]
        self._service = node.create_service(
            GroundQuery,
            "~/ground_query",
            self._on_request,
            callback_group=ReentrantCallbackGroup(),
        )
        self._questions = node.create_service(
            Ask, "~/ask", self._on_question, callback_group=ReentrantCallbackGroup()
        )

    def close(self) -> None:
        """Withdraws topics and service."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._node.destroy_service(self._service)
        self._node.destroy_service(self._questions)

    def _on_command(self, message: String) -> None:
        self._intake.take(
            lambda query_id: Query(message.data, query_id), "", message.data, self._publish
        )

    def _on_query(self, message: msg.Query) -> None:
        what: tuple[Parse, str, str, Answer] = (
            lambda query_id: query_of(message, query_id),
            message.id,
            message.text,
            self._publish,
        )
        if message.stop:
            self._stop(message.id)
        elif message.standing_rate_hz == 0:
            self._intake.take(*what)
        elif (query := self._intake.parsed(*what)) is not None:
            try:
                self._standing.start(query, message.standing_rate_hz)
            except StvgError as error:
                self._publish(failed(query, error))

    def _stop(self, query_id: str) -> None:
        try:
            self._standing.stop(query_id)
        except StvgError as error:
            self._publish(failed(Query("(stop)", query_id), error))

    async def _on_request(
        self, request: GroundQuery.Request, response: GroundQuery.Response
    ) -> GroundQuery.Response:
        """Waits for the answer without keeping the executor."""
        grounding = await self._answered(request)
        response.tube, *response.alternatives = map(tube_message, grounding.tubes)
        return response

    async def _on_question(self, request: Ask.Request, response: Ask.Response) -> Ask.Response:
        """Waits for the answer without keeping the executor."""
        grounding = await self._answered(request)
        best = grounding.best
        response.answer = answer_message(grounding)
        response.error_code, response.error = int(best.error_code), best.error
        return response

    async def _answered(self, request: Any) -> Grounding:
        done: concurrent.futures.Future[Grounding] = concurrent.futures.Future()
        self._intake.take(
            lambda query_id: query_of(request, query_id), "", request.text, done.set_result
        )
        await wait_for_thread(self._node, done)
        grounding = done.result()
        self._publish(grounding)
        return grounding


def _shown(text: str) -> str:
    """A text that a `Query` accepts, for the answer to one that it does not."""
    text = " ".join(text.split())
    if not text:
        return "(empty)"
    return text if len(text) <= 200 else text[:200] + " ..."
