# SPDX-License-Identifier: Apache-2.0

"""The action `~/ground`: a command with feedback that can be cancelled at any time."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

from stvg_ros.action import Ground
from stvg_ros.errors import InactiveError, StvgError
from stvg_ros.node.async_bridge import PendingCalls
from stvg_ros.node.conversions import answer_message, duration_message, query_of, tube_message
from stvg_ros.node.intake import Intake
from stvg_ros.node.qos import REQUESTS
from stvg_ros.runtime.camera_search import failed
from stvg_ros.runtime.grounding_job import GroundingJob
from stvg_ros.types import Grounding, Query, Status


class GroundAction:
    """The action server.

    It exists as long as the node: a client requests the result of a goal after it was accepted,
    and the node may have been cleaned up in the meantime. While the node is not configured, goals
    are rejected.

    Thread contract: the executor's thread; feedback is published by the queue's thread.
    """

    def __init__(
        self, node: Node, intake: Callable[[], Intake | None], calls: PendingCalls
    ) -> None:
        """Creates the action server.

        Args:
            node: has the server.
            intake: returns the receiver of queries; None while the node is not configured.
            calls: counts the goals that wait for an answer.
        """
        self._intake = intake
        self._calls = calls
        self._jobs: dict[bytes, GroundingJob] = {}
        self._server: ActionServer | None = ActionServer(
            node,
            Ground,
            "~/ground",
            execute_callback=self._on_goal,
            goal_callback=self._on_request,
            cancel_callback=self._on_cancel,
            goal_service_qos_profile=REQUESTS,
            result_service_qos_profile=REQUESTS,
            cancel_service_qos_profile=REQUESTS,
        )

    def close(self) -> None:
        """Destroys the action server; safe to call twice."""
        server, self._server = self._server, None
        if server is not None:
            server.destroy()

    def _on_request(self, goal: Ground.Goal) -> GoalResponse:
        return GoalResponse.REJECT if self._intake() is None else GoalResponse.ACCEPT

    async def _on_goal(self, goal: ServerGoalHandle) -> Ground.Result:
        """Submits the goal and waits for its answer without blocking the executor."""
        with self._calls.pending():
            done: concurrent.futures.Future[Grounding] = concurrent.futures.Future()
            self._submit(goal, done)
            grounding = await self._calls.result(done)
        self._jobs.pop(bytes(goal.goal_id.uuid), None)
        if goal.is_cancel_requested:
            goal.canceled()
        elif grounding.best.status is Status.FAILED:
            goal.abort()
        else:
            goal.succeed()
        first, *others = map(tube_message, grounding.tubes)
        return Ground.Result(tube=first, alternatives=others, answer=answer_message(grounding))

    def _submit(self, goal: ServerGoalHandle, done: concurrent.futures.Future[Grounding]) -> None:
        key, intake = bytes(goal.goal_id.uuid), self._intake()
        query_id = f"goal-{key.hex()[:8]}"

        def feedback(stage: str, progress: float, elapsed_s: float) -> None:
            goal.publish_feedback(
                Ground.Feedback(stage=stage, progress=progress, elapsed=duration_message(elapsed_s))
            )

        if intake is None:
            error = InactiveError("the node was cleaned up before it accepted the goal")
            done.set_result(failed(Query("(goal)", query_id), error))
            return
        try:
            query = query_of(goal.request, query_id)
        except StvgError as error:
            intake.refuse(goal.request.text, query_id, error, done.set_result)
            return
        job = intake.take(query, done.set_result, feedback)
        if job is not None:
            self._jobs[key] = job
            if goal.is_cancel_requested:
                job.cancel()

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        job = self._jobs.get(bytes(goal.goal_id.uuid))
        if job is not None:
            job.cancel()
        return CancelResponse.ACCEPT
