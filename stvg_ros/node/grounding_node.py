# SPDX-License-Identifier: Apache-2.0

"""The managed node: composes its parts and runs their lifecycle transitions."""

from __future__ import annotations

import concurrent.futures
import time
import traceback
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.msg import Transition
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_msgs.msg import String

from stvg_ros.build import build_grounder, embedded_limits
from stvg_ros.config import Config
from stvg_ros.errors import InactiveError, StvgError
from stvg_ros.method.interfaces import Grounder
from stvg_ros.method.memory import release_memory
from stvg_ros.node.async_bridge import PendingCalls
from stvg_ros.node.cameras import Cameras
from stvg_ros.node.ground_action import GroundAction
from stvg_ros.node.intake import Intake
from stvg_ros.node.managed_node import ManagedNode
from stvg_ros.node.parameters import Parameters
from stvg_ros.node.parts import Parts, assembled_parts
from stvg_ros.node.qos import LATCHED
from stvg_ros.node.standing_queries import StandingQueries
from stvg_ros.runtime.grounding_job import QueueLimits
from stvg_ros.runtime.grounding_queue import GroundingQueue
from stvg_ros.serving.schema import settings_without_effect
from stvg_ros.window import Window

PROGRESS_S = 5.0  # period of the status messages during a long load
ARRIVED_S = 0.2  # for messages that arrived before a signal
LINGER_S = 0.2  # for clients that have yet to request the result of their goal
PATIENCE_S = 30.0  # how long an unprepared step waits for the running stage


class GroundingNode(ManagedNode):
    """Answers language commands about the recent images of the cameras.

    configure checks the parameters and creates the interfaces; activate loads the model and
    subscribes to images; deactivate releases the model; cleanup destroys the interfaces. A command
    to a node that is not active is answered with the reason.

    Thread contract: a single-threaded executor's thread runs the callbacks, which store or queue
    and return; one thread of the queue loads and grounds, another publishes the answers. Only
    transitions wait for these threads, without blocking the executor.

    Interfaces are listed in docs/ros_interface.md; names are private and remapped at launch.
    """

    def __init__(self, build: Callable[[Config], Grounder] = build_grounder, **kwargs: Any) -> None:
        """Declares the parameters; with `autostart`, configures, and activates when spun.

        Args:
            build: makes the grounder from a configuration.
            kwargs: passed to `rclpy.node.Node`.

        Raises:
            ConfigError: with `autostart`, a parameter has a value that its setting refuses.
        """
        super().__init__("grounding", **kwargs)
        self._build = build
        self._parts: Parts | None = None
        self._loading: GroundingQueue | None = None
        self._queue: GroundingQueue | None = None
        self._error: StvgError | None = None
        self._starting = False
        self._states = self.create_publisher(String, "~/status", LATCHED)
        self._settings = Parameters(self, self._reconfigured)
        self._calls = PendingCalls(self)
        self._goals = GroundAction(self, self._intake, self._calls)
        self._say("unconfigured")
        if self.get_parameter("autostart").value is not False:
            self._starting = True
            self.trigger_configure()
            self._starting = False
            self._refuse_error()
            # On a steady clock: with use_sim_time there may be no time yet.
            self._starter = self.create_timer(
                0.001, self._start, callback_group=ReentrantCallbackGroup(), clock=_steady()
            )

    @property
    def cameras(self) -> Cameras:
        """The cameras; available while the node is configured."""
        assert self._parts is not None, "the node is not configured"
        return self._parts.cameras

    @property
    def standing(self) -> StandingQueries:
        """The standing queries; available while the node is configured."""
        assert self._parts is not None, "the node is not configured"
        return self._parts.standing

    @property
    def window(self) -> Window:
        """The buffered frames of the first camera."""
        return next(iter(self.cameras)).window

    def close(self) -> None:
        """Cancels and answers all commands, aborts a load; call before `destroy_node`."""
        if self._loading is not None:
            self._loading.stop(0.0)
        if self._queue is not None:
            self._queue.stop()

    def drain(self, spin: Callable[[float], None], timeout_s: float = 2.0) -> None:
        """As `close`, but takes what has arrived first, and spins until all clients are answered.

        While the model loads, messages may lie unread for longer than a signal takes.

        Args:
            spin: runs the executor for at most the given number of seconds.
            timeout_s: limit for the whole call.
        """
        end_s = time.monotonic() + ARRIVED_S
        while (left_s := end_s - time.monotonic()) > 0:
            spin(left_s)
        waited = len(self._calls) > 0
        self.close()
        end_s = time.monotonic() + timeout_s
        while len(self._calls) and time.monotonic() < end_s:
            spin(0.05)
        end_s = time.monotonic() + LINGER_S
        while waited and (left_s := end_s - time.monotonic()) > 0:
            spin(left_s)

    def destroy_node(self) -> None:
        """Destroys the lifecycle services too.

        rclpy leaves them to the garbage collector, and a client may call them in the meantime.
        """
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.close()
        self._goals.close()
        self._state_machine.destroy_when_not_in_use()
        super().destroy_node()

    def prepare(self, step: str) -> concurrent.futures.Future[None] | None:
        """Starts to load the model, or to end the current stage and answer waiting commands."""
        if step == "activating":
            self._load()
        if self._loading is not None:
            return self._loading.loaded
        if self._queue is not None:
            self._queue.stop(0.0)
            return self._queue.ended
        return self._calls.drained() if step == "cleaningup" else None

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Checks the parameters and creates the interfaces."""
        return self._transition(self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the model, then subscribes to images."""
        return self._transition(self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribes from images, answers waiting commands and releases the model."""
        return self._transition(self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Destroys the interfaces; all parameters can be set again."""
        return self._transition(self._clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Releases the model; the interfaces are destroyed with the node."""
        return self._transition(self._deactivate)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Returns to `unconfigured` after an unexpected error."""
        return self._transition(self._clean_up)

    def _refuse_error(self) -> None:
        if self._error is not None:
            self.destroy_node()  # else it would stay visible to other nodes
            raise self._error

    async def _start(self) -> None:
        self.destroy_timer(self._starter)
        await self.change(Transition.TRANSITION_ACTIVATE)

    def _transition(self, step: Callable[[], None]) -> TransitionCallbackReturn:
        """Runs a step; its error becomes the status, and the reason for refusing later commands."""
        self._error = None
        try:
            step()
            return TransitionCallbackReturn.SUCCESS
        except StvgError as error:
            self._error = error
            if not self._starting:  # the caller receives it
                self.get_logger().error(f"failed: {error}")
            self._tell(f"failed: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self._error = StvgError(f"unexpected {type(error).__name__}: {error}")
            self.get_logger().fatal(f"failed: {self._error}\n{traceback.format_exc()[-4000:]}")
            self._tell(f"failed: {self._error}")
            return TransitionCallbackReturn.ERROR

    def _configure(self) -> None:
        try:
            config = self._settings.check()
            for limit in embedded_limits(config).values():
                self.get_logger().warning(limit)
            if ignored := settings_without_effect(config):
                self.get_logger().warning(
                    f"backend is 'remote': {', '.join(ignored)} have no effect here, the server "
                    "decides them; set them on the server"
                )
            with self.all_or_nothing():
                self._parts = self._offered(config)
        except Exception:
            self._settings.release()  # a parameter may fix the error
            raise
        self._say("inactive")

    def _offered(self, config: Config) -> Parts:
        """The interfaces of a configured node."""
        return assembled_parts(self, config, self._current, self._active_queue, self._calls)

    def _load(self) -> GroundingQueue:
        """Starts to load the model."""
        config, begin = self._settings.config, time.monotonic()
        self._loading = queue = GroundingQueue(
            lambda: self._build(config), _limits(config), self._say, self._prefetch
        )
        self._progress = self.create_timer(
            PROGRESS_S,
            lambda: self._say(f"loading the model: {time.monotonic() - begin:.0f} s"),
            clock=_steady(),
        )
        self._say("loading the model")
        return queue

    def _activate(self) -> None:
        queue = self._loading or self._load()
        try:
            queue.loaded.result()
        finally:
            self._loading = None
            self.destroy_timer(self._progress)
        config = self._settings.config
        queue.reconfigure(_limits(config), config)  # set while the model was loading
        self._queue = queue
        assert self._parts is not None
        try:
            self._parts.tracking.start(queue.proposer)
            self.cameras.add_listener(queue)
            self.cameras.start()
        except Exception:
            self._deactivate()
            raise
        if queue.candidates:
            self._say(f"candidate tubes: {queue.candidates}")
        self._say("ready")

    def _deactivate(self) -> None:
        queue, self._queue = self._queue, None
        if self._parts is not None:
            self._parts.cameras.stop()
            self._parts.tracking.stop()
            if queue is not None:
                self._parts.cameras.remove_listener(queue)
        if queue is not None:
            if not queue.stop(PATIENCE_S):
                self.get_logger().warning("a stage still runs; the memory is freed after it")
            del queue
            release_memory()
        self._say("inactive")

    def _clean_up(self) -> None:
        self._deactivate()
        self._settings.release()
        parts, self._parts = self._parts, None
        if parts is not None:
            parts.close()
        self._say("unconfigured")

    def _prefetch(self, grounder: Grounder) -> float | None:
        """The queue's idle work: one step of the work that commands on whole windows need."""
        parts = self._parts
        if parts is None or not self._settings.config.sampling.prefetch:
            return None
        return 0.0 if any([grounder.prefetch(clip) for clip in parts.cameras.clips()]) else None

    def _intake(self) -> Intake | None:
        return None if self._parts is None else self._parts.intake

    def _current(self) -> Config:
        return self._settings.config

    def _active_queue(self) -> GroundingQueue:
        """Raises InactiveError, or why activation failed, when there is none."""
        if self._queue is not None:
            return self._queue
        if self._loading is not None:
            raise InactiveError(
                "the node is not active yet: the model is loading; ask again when ~/status says "
                "'ready'"
            )
        raise self._error or InactiveError(
            "the node is not active; activate it: ros2 lifecycle set "
            f"{self.get_fully_qualified_name()} activate"
        )

    def _reconfigured(self, config: Config) -> None:
        if self._parts is not None:
            self._parts.cameras.reconfigure(config)
            self._parts.locator.reconfigure(config)
        if self._queue is not None:
            self._queue.reconfigure(_limits(config), config)

    def _say(self, text: str) -> None:
        """Logs the status of the node and publishes it on `~/status`."""
        self.get_logger().info(text)
        self._tell(text)

    def _tell(self, text: str) -> None:
        self._states.publish(String(data=text))


def _limits(config: Config) -> QueueLimits:
    command = config.command
    return QueueLimits(command.policy, command.queue_size, deadline_s=command.deadline_s)


def _steady() -> Clock:
    """A clock that continues while simulated time is paused."""
    return Clock(clock_type=ClockType.STEADY_TIME)
