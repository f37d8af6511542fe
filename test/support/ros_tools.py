# SPDX-License-Identifier: Apache-2.0

"""What the tests of the node share: a grounder without a model, and a client node."""

from __future__ import annotations

import gc
import threading
import time

import numpy as np
import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.action import Ground
from stvg_ros.method.base import BaseGrounder
from stvg_ros.node.conversions import time_message
from stvg_ros.node.grounding_node import GroundingNode
from stvg_ros.node.guarded_executor import GuardedExecutor
from stvg_ros.types import Clip, Grounding, Query, Status, Tube, TubeBox

STAGES = ("split", "forward pass", "score")


class ToyGrounder(BaseGrounder):
    """Finds a box in the middle of every frame; waits at each stage until `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()

    def ground(self, clip: Clip, query: Query, checkpoint) -> Grounding:
        for number, stage in enumerate(STAGES):
            checkpoint(stage, number / len(STAGES))
            self.started.set()
            while not self.go.wait(0.02):
                checkpoint(stage, number / len(STAGES))
        width, height = clip.size_px
        box = (width / 4, height / 4, width / 2, height / 2)
        boxes = tuple(TubeBox(f.stamp_ns, box, 1.0) for f in clip.frames)
        return Grounding(
            (
                Tube(
                    query=query,
                    status=Status.FOUND,
                    boxes=boxes,
                    start_ns=clip.frames[0].stamp_ns,
                    end_ns=clip.frames[-1].stamp_ns,
                    stamp_ns=clip.frames[-1].stamp_ns,
                    frame_id=clip.frames[-1].frame_id,
                    width_px=width,
                    height_px=height,
                    timings_s={"forward pass": 0.5},
                ),
            )
        )


def image(stamp_s: float, width: int = 64, height: int = 48, encoding: str = "rgb8") -> Image:
    """A camera message of random pixels."""
    data = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    result = Image(height=height, width=width, encoding=encoding, step=3 * width)
    result.header.stamp = time_message(round(stamp_s * 1e9))
    result.header.frame_id = "camera"
    result.data.frombytes(data.tobytes())
    return result


class Client(Node):
    """Publishes images and commands, and keeps the tubes."""

    def __init__(self, node: str = "/grounding") -> None:
        super().__init__("client")
        self.tubes: list[msg.Tube] = []
        self.states: list[str] = []
        self.images = self.create_publisher(Image, f"{node}/image", 10)
        self.commands = self.create_publisher(String, f"{node}/command", 1000)
        self.queries = self.create_publisher(msg.Query, f"{node}/query", 10)
        latched = QoSProfile(depth=300, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        # Latched as well: a tube that comes before the node has found this client is not lost.
        kept = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(msg.Tube, f"{node}/tube", self.tubes.append, kept)
        self.create_subscription(
            String, f"{node}/status", lambda m: self.states.append(m.data), latched
        )
        self.ground = ActionClient(self, Ground, f"{node}/ground")

    def connected(self) -> bool:
        """Whether every topic has found the node."""
        publishers = (self.images, self.commands, self.queries)
        return all(p.get_subscription_count() for p in publishers) and bool(self.states)


def hears(node: Node, client: Client) -> bool:
    """Whether the node has found the client's publishers too, and the client's tubes go there."""
    topics = {p.topic_name for p in (client.images, client.commands, client.queries)}
    heard = {s.topic_name for s in node.subscriptions if s.get_publisher_count()}
    return topics <= heard and any(
        p.topic_name.endswith("/tube") and p.get_subscription_count() for p in node.publishers
    )


class Loop:
    """Spins nodes in a thread; `until` waits for a condition."""

    def __init__(self, *nodes: Node, executor: SingleThreadedExecutor | None = None) -> None:
        self.executor = executor or SingleThreadedExecutor()
        for node in nodes:
            self.executor.add_node(node)
        self._stop = False
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        while not self._stop and rclpy.ok():
            self.executor.spin_once(timeout_sec=0.05)

    def until(self, condition, timeout_s: float = 90.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise AssertionError("the condition did not come true in time")
            time.sleep(0.01)

    def close(self) -> None:
        self._stop = True
        self._thread.join(5)
        self.executor.shutdown(timeout_sec=1)


class Setup:
    """The node with a toy grounder, and a client, each spun by a thread."""

    def __init__(self, build=None, ready="ready", connect=True, **parameters):
        self.toy = ToyGrounder()
        self.faults_expected = False
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.node = GroundingNode(build or (lambda config: self.toy), parameter_overrides=overrides)
        self.client = Client()
        self.clients = {}
        guarded = GuardedExecutor(self.node.faults.report)
        # Of its own, as it waits while the model loads.
        self.node_loop = Loop(self.node, executor=guarded)
        self.loop = Loop(self.client)
        self.until = self.loop.until
        self.until(lambda: any(text.startswith(ready) for text in self.client.states))
        if ready == "ready" and connect:
            self.until(lambda: self.client.connected() and hears(self.node, self.client))

    @property
    def image_errors(self):
        return sum(camera.errors for camera in self.node.cameras)

    def show(self, *stamps_s, **options):
        """Publishes images and waits until the node has stored the last one."""
        for stamp_s in stamps_s:
            before = sum(self.node.window.counts.values()) + self.image_errors
            self.client.images.publish(image(stamp_s, **options))
            self.until(
                lambda before=before: (
                    sum(self.node.window.counts.values()) + self.image_errors > before
                )
            )

    def say(self, text):
        """Sends a command and waits for its answer."""
        count = len(self.client.tubes)
        self.client.commands.publish(String(data=text))
        self.until(lambda: len(self.client.tubes) > count)
        return self.client.tubes[-1]

    def close(self):
        self.toy.go.set()
        self.node.close()
        self.node_loop.close()
        self.loop.close()
        self.client.ground.destroy()
        faults = self.node.faults.last
        self.node.destroy_node()
        self.client.destroy_node()
        # A node stands in cycles with its services, and the graph knows it until these are gone:
        # the next test's client would ask a service that nobody serves any more.
        self.until = self.node = self.client = self.node_loop = self.loop = None
        self.clients.clear()
        gc.collect()
        assert not faults or self.faults_expected, faults


def ask(s, kind, name, request):
    """Calls one of the node's services; the future of its answer."""
    client = s.clients.get(name) or s.client.create_client(kind, f"/grounding/{name}")
    s.clients[name] = client
    s.until(client.service_is_ready)
    return client.call_async(request)


def call(s, kind, name, request):
    """As `ask`, and waits for the answer."""
    future = ask(s, kind, name, request)
    s.until(future.done)
    return future.result()


def state(s):
    return call(s, GetState, "get_state", GetState.Request()).current_state.label


def change(s, name):
    """As a lifecycle manager does it: over the service."""
    request = ChangeState.Request()
    request.transition.id = getattr(Transition, f"TRANSITION_{name.upper()}")
    return call(s, ChangeState, "change_state", request).success


@pytest.fixture(scope="module")
def context():
    rclpy.init()
    yield
    rclpy.shutdown()


@pytest.fixture
def start():
    made = []

    def make(*args, **kwargs):
        made.append(Setup(*args, **kwargs))
        return made[-1]

    yield make
    for setup in made:
        setup.close()
