"""The node: images into the window, commands to the worker, tubes out."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
    qos_profile_system_default,
)
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.action import Ground
from stvg_ros.build import build_grounder
from stvg_ros.config import Config
from stvg_ros.core.interfaces import Grounder
from stvg_ros.errors import StvgError
from stvg_ros.node.conversions import (
    compressed_frame,
    duration_message,
    evidence_message,
    image_frame,
    image_message,
    query_of,
    stamp_ns,
    tube_message,
)
from stvg_ros.node.parameters import Parameters
from stvg_ros.node.worker import Job, Worker, failed
from stvg_ros.types import Clip, Grounding, Query, Status
from stvg_ros.visualization.drawing import annotate_frame
from stvg_ros.window import Added, Window

_LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
_QOS = {
    "sensor_data": qos_profile_sensor_data,
    "reliable": QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE),
    "system_default": qos_profile_system_default,
}


class GroundingNode(Node):
    """Answers language commands about what the camera saw.

    Thread contract: the executor's thread runs the callbacks, which store or queue and return;
    the worker's thread grounds and publishes. A single-threaded executor is enough.

    Interfaces are listed in the README; names are private and remapped at launch.
    """

    def __init__(self, build: Callable[[Config], Grounder] = build_grounder, **kwargs: Any) -> None:
        """Declares parameters and interfaces; the model is loaded by the worker's thread.

        Args:
            build: makes the grounder from a configuration.
            kwargs: passed to `rclpy.node.Node`.

        Raises:
            ConfigError: a parameter has a value that its setting refuses.
        """
        super().__init__("grounding", **kwargs)
        self._grounder: Grounder | None = None
        self._numbers = itertools.count(1)
        self._callback_s: list[float] = []
        self._image_errors = 0
        self._settings = Parameters(self, self._reconfigured)
        config = self._settings.config
        self._window = Window(config.window)
        self._tubes = self.create_publisher(msg.Tube, "~/tube", _LATCHED)
        self._evidence = self.create_publisher(msg.Evidence, "~/evidence", _LATCHED)
        self._states = self.create_publisher(String, "~/status", _LATCHED)
        self._annotated = self.create_publisher(Image, "~/annotated_image", 1)
        kind = Image if config.image.transport == "raw" else CompressedImage
        self.create_subscription(kind, "~/image", self._on_image, _QOS[config.image.qos])
        self.create_subscription(String, "~/command", self._on_command, 1000)
        self.create_subscription(msg.Query, "~/query", self._on_query, 1000)
        self._convert = image_frame if kind is Image else compressed_frame
        self._action = ActionServer(
            self,
            Ground,
            "~/ground",
            execute_callback=self._on_goal,
            goal_callback=lambda goal: GoalResponse.ACCEPT,
            cancel_callback=self._on_cancel,
        )
        self._goals: dict[bytes, Job] = {}
        self._goals_lock = threading.Lock()

        def built() -> Grounder:
            self._grounder = build(self._settings.config)
            return self._grounder

        self._worker = Worker(built, config.command, self._on_status)

    @property
    def window(self) -> Window:
        """The buffered frames."""
        return self._window

    @property
    def image_errors(self) -> int:
        """Images refused so far."""
        return self._image_errors

    def take_callback_times_s(self) -> list[float]:
        """Seconds spent in each image callback since the last call."""
        taken, self._callback_s = self._callback_s, []
        return taken

    def close(self) -> None:
        """Cancels and answers what waits or runs; call before `destroy_node`."""
        self._worker.stop()

    def _reconfigured(self, config: Config) -> None:
        self._window.reconfigure(config.window)
        self._worker.reconfigure(config.command)
        reconfigure = getattr(self._grounder, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(config)

    def _on_status(self, text: str) -> None:
        self.get_logger().info(text)
        self._states.publish(String(data=text))

    def _on_image(self, message: Any) -> None:
        begin = time.perf_counter()
        try:
            if self._window.wanted(stamp_ns(message.header.stamp)):
                long_side_px = self._settings.config.window.long_side_px
                if self._window.add(self._convert(message, long_side_px)) is Added.RESTARTED:
                    self.get_logger().warning(
                        "the image stamps jumped back or the image size changed: window cleared"
                    )
        except StvgError as error:
            self._image_errors += 1
            self.get_logger().error(
                f"image refused ({self._image_errors} so far): {error}", throttle_duration_sec=2.0
            )
        self._callback_s.append(time.perf_counter() - begin)
        if len(self._callback_s) > 10_000:
            del self._callback_s[:5_000]

    def _on_command(self, message: String) -> None:
        self._take(lambda query_id: Query(message.data, query_id), "", message.data)

    def _on_query(self, message: msg.Query) -> None:
        self._take(lambda query_id: query_of(message, query_id), message.id, message.text)

    def _take(self, parse: Callable[[str], Query], query_id: str, text: str) -> None:
        """Queues a command, or answers it at once with what is wrong with it."""
        query_id = query_id or f"q-{next(self._numbers):06d}"
        try:
            query = parse(query_id)
        except StvgError as error:
            self._publish(failed(Query(_shown(text), query_id), error))
            return
        try:
            self._worker.submit(Job(query, self._clip(query), self._publish))
        except StvgError as error:
            self._publish(failed(query, error))

    def _clip(self, query: Query) -> Clip:
        return self._window.snapshot()

    def _publish(self, grounding: Grounding) -> None:
        best = grounding.best
        if best.status is Status.FAILED:
            self.get_logger().error(f"{best.query.id}: {best.error}")
        if grounding.evidence is not None:
            self._evidence.publish(evidence_message(grounding.evidence, best))
        # The best tube goes last: it is the one that late subscribers get.
        for tube in reversed(grounding.tubes):
            self._tubes.publish(tube_message(tube))
        wanted = self._settings.config.image.annotate
        if best.boxes and wanted and self._annotated.get_subscription_count():
            self._publish_annotated(grounding)

    def _publish_annotated(self, grounding: Grounding) -> None:
        tube = grounding.best
        box = tube.boxes[-1]
        frames = {frame.stamp_ns: frame for frame in self._window.snapshot().frames}
        frame = frames.get(box.stamp_ns)
        if frame is not None:
            image = annotate_frame(frame, tube, box)
            self._annotated.publish(image_message(image, frame.stamp_ns, frame.frame_id))

    async def _on_goal(self, goal: ServerGoalHandle) -> Ground.Result:
        """Hands the goal to the worker and lets the executor go on until it is answered."""
        request = goal.request
        done: Future = Future(executor=self.executor)
        query_id = f"goal-{bytes(goal.goal_id.uuid).hex()[:8]}"
        key = bytes(goal.goal_id.uuid)

        def feedback(stage: str, progress: float, elapsed_s: float) -> None:
            goal.publish_feedback(
                Ground.Feedback(stage=stage, progress=progress, elapsed=duration_message(elapsed_s))
            )

        try:
            query = query_of(request, query_id)
            job = Job(query, self._clip(query), done.set_result, feedback)
            with self._goals_lock:
                self._goals[key] = job
            if goal.is_cancel_requested:
                job.cancel()
            self._worker.submit(job)
            grounding: Grounding = await done
        except StvgError as error:
            grounding = failed(Query(_shown(request.text), query_id), error)
        finally:
            with self._goals_lock:
                self._goals.pop(key, None)
        self._publish(grounding)
        if goal.is_cancel_requested:
            goal.canceled()
        elif grounding.best.status is Status.FAILED:
            goal.abort()
        else:
            goal.succeed()
        first, *others = map(tube_message, grounding.tubes)
        return Ground.Result(tube=first, alternatives=others)

    def _on_cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        with self._goals_lock:
            job = self._goals.get(bytes(goal.goal_id.uuid))
        if job is not None:
            job.cancel()
        return CancelResponse.ACCEPT


def _shown(text: str) -> str:
    """A text that a `Query` accepts, for the answer to one that it does not."""
    text = " ".join(text.split())
    if not text:
        return "(empty)"
    return text if len(text) <= 200 else text[:200] + " ..."
