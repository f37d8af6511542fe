# SPDX-License-Identifier: Apache-2.0

"""The action `~/ground`: a command with feedback, and cancel between stages."""

from __future__ import annotations

import concurrent.futures

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node

from stvg_ros.action import Ground
from stvg_ros.node.async_bridge import wait_for_thread
from stvg_ros.node.commands import Intake
from stvg_ros.node.conversions import answer_message, duration_message, query_of, tube_message
from stvg_ros.runtime.grounding_worker import Answer, GroundingJob
from stvg_ros.types import Grounding, Status


class GroundAction:
    """The action server.

    Thread contract: the executor's thread, but for feedback, which the worker's thread publishes.
    """

    def __init__(self, node: Node, intake: Intake, publish: Answer) -> None:
        self._node = node
        self._intake = intake
        self._publish = publish
        self._jobs: dict[bytes, GroundingJob] = {}
        self._server = ActionServer(
            node,
            Ground,
            "~/ground",
            execute_callback=self._on_goal,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            cancel_callback=self._on_cancel,
        )

    def close(self) -> None:
        """Withdraws the action."""
        self._server.destroy()

    async def _on_goal(self, goal: ServerGoalHandle) -> Ground.Result:
        """Hands the goal to the worker and lets the executor go on until it is answered."""
        request, key = goal.request, bytes(goal.goal_id.uuid)
        done: concurrent.futures.Future[Grounding] = concurrent.futures.Future()

        def feedback(stage: str, progress: float, elapsed_s: float) -> None:
            goal.publish_feedback(
                Ground.Feedback(stage=stage, progress=progress, elapsed=duration_message(elapsed_s))
            )

        job = self._intake.take(
            lambda query_id: query_of(request, query_id),
            f"goal-{key.hex()[:8]}",
            request.text,
            done.set_result,
            feedback=feedback,
        )
        if job is not None:
            self._jobs[key] = job
            if goal.is_cancel_requested:
                job.cancel()
        await wait_for_thread(self._node, done)
        grounding = done.result()
        self._jobs.pop(key, None)
        self._publish(grounding)
        if goal.is_cancel_requested:
            goal.canceled()
        elif grounding.best.status is Status.FAILED:
            goal.abort()
        else:
            goal.succeed()
        first, *others = map(tube_message, grounding.tubes)
        return Ground.Result(tube=first, alternatives=others, answer=answer_message(grounding))

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        job = self._jobs.get(bytes(goal.goal_id.uuid))
        if job is not None:
            job.cancel()
        return CancelResponse.ACCEPT
