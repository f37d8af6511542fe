# SPDX-License-Identifier: Apache-2.0

"""Subscriptions and services that receive commands and queries."""

from __future__ import annotations

import concurrent.futures
from dataclasses import replace
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_msgs.msg import String
from std_srvs.srv import Trigger

from stvg_ros import msg
from stvg_ros.errors import StvgError
from stvg_ros.node.async_bridge import PendingCalls
from stvg_ros.node.conversions import answer_message, query_of, tube_message
from stvg_ros.node.intake import Intake
from stvg_ros.node.qos import COMMANDS, REQUESTS
from stvg_ros.node.standing_queries import StandingQueries
from stvg_ros.srv import Ask, GroundQuery
from stvg_ros.types import Grounding, Query, short_name


class Commands:
    """The topics `~/command` and `~/query`; services `~/ground_query`, `~/ask`, `~/reground`.

    Thread contract: the executor's thread.
    """

    def __init__(
        self, node: Node, intake: Intake, standing: StandingQueries, calls: PendingCalls
    ) -> None:
        """Creates the subscriptions and services.

        Args:
            node: subscribes.
            intake: receives the queries.
            standing: receives the standing queries.
            calls: counts the service calls that wait for an answer.
        """
        self._node = node
        self._intake = intake
        self._standing = standing
        self._calls = calls
        self._subscriptions = [
            node.create_subscription(String, "~/command", self._on_command, COMMANDS),
            node.create_subscription(msg.Query, "~/query", self._on_query, COMMANDS),
        ]
        self._services = [
            node.create_service(
                GroundQuery,
                "~/ground_query",
                self._on_request,
                qos_profile=REQUESTS,
                callback_group=ReentrantCallbackGroup(),
            ),
            node.create_service(
                Ask,
                "~/ask",
                self._on_question,
                qos_profile=REQUESTS,
                callback_group=ReentrantCallbackGroup(),
            ),
            node.create_service(Trigger, "~/reground", self._on_reground),
        ]

    def close(self) -> None:
        """Destroys subscriptions and services."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        for service in self._services:
            self._node.destroy_service(service)

    def _on_command(self, message: String) -> None:
        query_id = self._intake.new_id()
        try:
            query = Query(message.data, query_id)
        except StvgError as error:
            self._intake.refuse(message.data, query_id, error)
        else:
            self._intake.take(query)

    def _on_query(self, message: msg.Query) -> None:
        query_id = message.id or self._intake.new_id()
        try:
            if message.stop:
                self._standing.stop(message.id)
                return
            query = query_of(message, query_id)
            if message.standing_rate_hz != 0:
                self._standing.start(query, message.standing_rate_hz)
                return
        except StvgError as error:
            text = "(stop)" if message.stop else message.text
            known = message.id if message.stop else query_id
            self._intake.refuse(text, short_name(known), error)
        else:
            self._intake.take(query)

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
        query_id = self._intake.new_id()
        done: concurrent.futures.Future[Grounding] = concurrent.futures.Future()
        with self._calls.pending():
            try:
                query = query_of(request, query_id)
            except StvgError as error:
                self._intake.refuse(request.text, query_id, error, done.set_result)
            else:
                self._intake.take(query, done.set_result)
            return await self._calls.result(done)

    def _on_reground(
        self, request: Trigger.Request, response: Trigger.Response
    ) -> Trigger.Response:
        query = self._intake.last
        response.success = query is not None
        if query is None:
            response.message = "nothing was asked yet; send a command first"
        else:
            response.message = f"asked again: {query.text}"
            again = replace(query, id=self._intake.new_id(), start_ns=None, end_ns=None)
            self._intake.take(again)
        return response
