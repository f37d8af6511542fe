# SPDX-License-Identifier: Apache-2.0

"""A lifecycle node whose executor keeps running during a long transition."""

from __future__ import annotations

import concurrent.futures
import contextlib
import traceback
from collections.abc import Iterator
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.action import ActionServer
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from stvg_ros.errors import bounded
from stvg_ros.node.async_bridge import wait_for_thread
from stvg_ros.node.guarded_executor import Faults


class ManagedNode(LifecycleNodeMixin, Node):
    """A lifecycle node whose transitions may wait for another thread.

    rclpy runs a transition in one callback, which blocks a single-threaded executor. Here
    `prepare` starts the long work in another thread, and the executor keeps running: the node is
    `activating`, for example, and answers. When the work is done, `on_activate` and the other
    callbacks are called as by rclpy. One transition at a time; further requests are refused.

    Thread contract: the executor's thread.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        """Creates the lifecycle services; `kwargs` are passed to `rclpy.node.Node`."""
        Node.__init__(self, name, **kwargs)
        self.faults = Faults(self.get_logger())
        # A group of their own: while a callback waits, others of its exclusive group do not run.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        self._stepping = False
        service = next(s for s in self.services if s.srv_name.endswith("/change_state"))
        service.callback = self._on_change_state

    def prepare(self, step: str) -> concurrent.futures.Future[Any] | None:
        """Starts the work that a step waits for.

        Args:
            step: "configuring", "activating", "deactivating", "cleaningup" or "shuttingdown".

        Returns:
            A future that is done when the step can run, which checks its result or error. None
            if there is nothing to wait for.
        """
        return None

    @contextlib.contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """Destroys the entities created inside the context if it raises."""
        before = {id(entity) for entity in self._entities()}
        try:
            yield
        except BaseException:
            for entity in self._entities():
                if id(entity) not in before:
                    self._destroy(entity)
            raise

    def _entities(self) -> list[Any]:
        actions = [item for item in self.waitables if isinstance(item, ActionServer)]
        ends = (self.publishers, self.subscriptions, self.services, self.clients, self.timers)
        return actions + [entity for kind in ends for entity in kind]

    def _destroy(self, entity: Any) -> None:
        if isinstance(entity, ActionServer):
            entity.destroy()
        elif not any(
            destroy(entity)
            for destroy in (
                self.destroy_publisher,
                self.destroy_subscription,
                self.destroy_service,
                self.destroy_client,
                self.destroy_timer,
            )
        ):
            self.get_logger().warning(f"{entity} could not be destroyed")

    async def change(self, transition: int | str) -> bool:
        """Takes the node to another state.

        Args:
            transition: number or name, as in `lifecycle_msgs/Transition`.

        Returns:
            Whether the transition succeeded; if not, the reason is logged.
        """
        machine = self._state_machine
        state_id, state = machine.current_state
        offered = {number: name for number, name, *_ in machine.available_transitions}
        known = [number for number, name in offered.items() if transition in (number, name)]
        if self._stepping or not known:
            expected = "none during a transition" if self._stepping else ", ".join(offered.values())
            self.get_logger().error(
                f"transition {bounded(str(transition), 256)!r} refused: the node is {state}; "
                f"expected {expected}"
            )
            return False
        self._stepping = True
        try:
            machine.trigger_transition_by_id(known[0], True)
            before = LifecycleState(label=state, state_id=state_id)
            outcome = await self._step(machine.current_state[1], before)
            machine.trigger_transition_by_label(outcome.to_label(), True)
            if outcome == TransitionCallbackReturn.ERROR:
                mended = self.on_error(before)
                machine.trigger_transition_by_label(mended.to_label(), True)
        finally:
            self._stepping = False
        return bool(outcome == TransitionCallbackReturn.SUCCESS)

    async def _step(self, step: str, before: LifecycleState) -> TransitionCallbackReturn:
        callbacks = {
            "configuring": self.on_configure,
            "activating": self.on_activate,
            "deactivating": self.on_deactivate,
            "cleaningup": self.on_cleanup,
            "shuttingdown": self.on_shutdown,
        }
        try:
            work = self.prepare(step)
            if work is not None:
                await wait_for_thread(self, work)
            return callbacks[step](before)
        except Exception:
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR

    async def _on_change_state(
        self, request: ChangeState.Request, response: ChangeState.Response
    ) -> ChangeState.Response:
        response.success = await self.change(request.transition.label or request.transition.id)
        return response
