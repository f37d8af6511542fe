# SPDX-License-Identifier: Apache-2.0

"""Asks a running grounding node over its services and topics, from any thread."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool

from stvg_ros import msg
from stvg_ros.errors import DeadlineError, UnreachableError
from stvg_ros.srv import Ask, GroundQuery

_DISCOVERY_S = 10.0
_PICTURES = 8  # kept of each camera
_SPARE_S = 5.0  # for the node to answer that its deadline has passed
_IMAGE = "sensor_msgs/msg/Image"


@dataclass(eq=False)
class Watch:
    """A standing query of this client; `changed` is set with each of its answers."""

    query_id: str
    tubes: list[msg.Tube] = field(default_factory=list)
    changed: threading.Event = field(default_factory=threading.Event)
    stopped: bool = False


class NodeClient:
    """A client of the grounding node's services and topics.

    Thread contract: any thread may call all methods; a thread of its own receives. `close` ends it.
    """

    def __init__(self, target: str = "/grounding", timeout_s: float = 120.0) -> None:
        """Connects in the background.

        Args:
            target: full name of the grounding node.
            timeout_s: time for an answer; it is the deadline of each command.
        """
        self.target = target.rstrip("/")
        self._timeout_s = timeout_s
        self._node = Node("stvg_ros_mcp", enable_rosout=False)
        self._ground = self._node.create_client(GroundQuery, f"{self.target}/ground_query")
        self._ask = self._node.create_client(Ask, f"{self.target}/ask")
        self._follow = self._node.create_client(SetBool, f"{self.target}/follow")
        kept = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        self._queries = self._node.create_publisher(msg.Query, f"{self.target}/query", kept)
        self._node.create_subscription(msg.Tube, f"{self.target}/tube", self._on_tube, kept)
        self._node.create_subscription(msg.Target, f"{self.target}/target", self._on_target, kept)
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._watches: dict[str, Watch] = {}
        self._target: msg.Target | None = None
        self._shown: dict[str, Any] = {}  # subscriptions to annotated images, by topic
        self._pictures: OrderedDict[tuple[str, int, int], Image] = OrderedDict()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="mcp client", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops receiving and destroys the node."""
        self._executor.shutdown(timeout_sec=1.0)
        self._thread.join(5.0)
        self._node.destroy_node()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass

    def find(self, text: str, camera: str) -> list[msg.Tube]:
        """The tubes of a command, best first; the best one may say that there is none.

        Raises:
            UnreachableError: the node has no such service.
            DeadlineError: it did not answer in time.
        """
        request = GroundQuery.Request(text=text, camera=camera)
        request.deadline.sec = int(self._timeout_s)
        response = self._called(self._ground, request)
        return [response.tube, *response.alternatives]

    def ask(self, text: str, camera: str) -> Ask.Response:
        """The answer to a question. Raises: as `find`."""
        request = Ask.Request(text=text, camera=camera)
        request.deadline.sec = int(self._timeout_s)
        return self._called(self._ask, request)

    def follow(self, wanted: bool) -> SetBool.Response:
        """Switches following. Raises: as `find`."""
        return self._called(self._follow, SetBool.Request(data=wanted))

    def followed(self, query_id: str, timeout_s: float) -> msg.Target | None:
        """The first message about the target of this command, or None after the time."""

        def theirs() -> bool:
            return self._target is not None and self._target.query_id == query_id

        with self._changed:
            return self._target if self._changed.wait_for(theirs, timeout_s) else None

    def watch(self, text: str, camera: str, rate_hz: float) -> Watch:
        """Starts a standing query.

        Raises:
            UnreachableError: the node does not receive queries.
        """
        self._connected(self._ground)
        watch = Watch(f"mcp-{self._node.get_clock().now().nanoseconds}-{next(self._numbers)}")
        self._watches[watch.query_id] = watch
        self._queries.publish(
            msg.Query(id=watch.query_id, text=text, camera=camera, standing_rate_hz=rate_hz)
        )
        return watch

    def end(self, watch: Watch) -> None:
        """Ends a standing query; without effect if it has ended."""
        if self._watches.pop(watch.query_id, None) is not None:
            self._queries.publish(msg.Query(id=watch.query_id, stop=True))

    def stop_watches(self) -> int:
        """Ends all standing queries of this client; their number."""
        watches = list(self._watches.values())
        for watch in watches:
            self.end(watch)
            watch.stopped = True
            watch.changed.set()
        return len(watches)

    def picture(self, tube: msg.Tube, timeout_s: float) -> Image | None:
        """The image with the tube's last box, or None if the node does not publish it in time."""
        if not tube.boxes:
            return None
        stamp = tube.boxes[-1].stamp
        key = (tube.camera, stamp.sec, stamp.nanosec)
        with self._changed:
            self._changed.wait_for(lambda: key in self._pictures, timeout_s)
            return self._pictures.get(key)

    def _called(self, client: Any, request: Any) -> Any:
        self._connected(client)
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())
        if not done.wait(self._timeout_s + _SPARE_S):
            client.remove_pending_request(future)
            raise DeadlineError(
                f"{client.srv_name}: expected an answer within {self._timeout_s:g} s, got none; is "
                "the node busy? give a larger --timeout"
            )
        return future.result()

    def _connected(self, client: Any) -> None:
        """Waits for a service, and subscribes to the node's annotated images."""
        if not client.wait_for_service(timeout_sec=_DISCOVERY_S):
            raise UnreachableError(
                f"{client.srv_name}: expected the service of a running grounding node, got none "
                f"within {_DISCOVERY_S:g} s; start it, or name it with --node, on the same "
                "ROS_DOMAIN_ID"
            )
        name = "/annotated_image"
        for topic, kinds in self._node.get_topic_names_and_types():
            ours = topic.startswith(f"{self.target}/") and topic.endswith(name)
            if ours and _IMAGE in kinds and topic not in self._shown:
                camera = topic[len(self.target) : -len(name)].lstrip("/")
                self._shown[topic] = self._node.create_subscription(
                    Image, topic, self._keeper(camera), 1
                )

    def _keeper(self, camera: str) -> Callable[[Image], None]:
        def keep(image: Image) -> None:
            stamp = image.header.stamp
            with self._changed:
                self._pictures[camera, stamp.sec, stamp.nanosec] = image
                while len(self._pictures) > _PICTURES * max(1, len(self._shown)):
                    self._pictures.popitem(last=False)
                self._changed.notify_all()

        return keep

    def _on_tube(self, tube: msg.Tube) -> None:
        watch = self._watches.get(tube.query_id)
        if watch is not None:
            watch.tubes.append(tube)
            watch.changed.set()

    def _on_target(self, target: msg.Target) -> None:
        with self._changed:
            self._target = target
            self._changed.notify_all()
