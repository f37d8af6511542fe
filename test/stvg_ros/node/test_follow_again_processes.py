# SPDX-License-Identifier: Apache-2.0

"""Following again across processes: a node with two cameras that show rendered people."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
import rclpy
from ros_tools import Client, Loop
from sensor_msgs.msg import CompressedImage, Image

from stvg_lab.rendered.character import Appearance
from stvg_lab.rendered.person import Act, Person
from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import Scene
from stvg_ros import msg
from stvg_ros.node.image_conversions import image_message
from stvg_ros.node.qos import LATCHED
from stvg_ros.srv import GroundQuery, Teach

FPS = 5
WIDTH, HEIGHT = 480, 360
SKIN, HAIR = (224, 180, 150), (60, 40, 30)
RED, BLUE, GREEN = (196, 36, 40), (40, 70, 190), (40, 140, 70)
NODE = {
    "model.path": "embedded", "model.device": "cpu", "proposals.source": "classical",
    "cameras": "front,left", "follow.enabled": "true", "window.max_age_s": "0.0",
    "sampling.prefetch": "false", "identity.descriptor": "garments",
}  # fmt: skip


def person(rgb, trousers, x_px, *acts):
    look = Appearance(rgb, trousers, SKIN, HAIR)
    return Person("red", look, 170.0, x_px, 330.0, 0.0, acts)


def rendered(seed, *people):
    scene = Scene.from_seed(seed, people=1, duration_s=20, fps=FPS, width=WIDTH, height=HEIGHT,
                            difficulty=0.0)  # fmt: skip
    return replace(scene, people=people, foreground=())


# The red one leaves the front camera to the right, and enters the left camera 4 s later.
SCENES = {
    "front": rendered(
        1,
        person(
            RED,
            (50, 50, 60),
            250.0,
            Act("wave", 0, 34, 250.0, 1),
            Act("walk_right", 35, 55, 640.0, 1),
        ),
        person(BLUE, (120, 110, 90), 90.0, Act("wave", 5, 100, 90.0, 1)),
    ),
    "left": rendered(
        2,
        person(GREEN, (90, 90, 90), 380.0, Act("wave", 5, 100, 380.0, 1)),
        person(
            RED,
            (50, 50, 60),
            -150.0,
            Act("walk_right", 65, 85, 180.0, 1),
            Act("wave", 86, 100, 180.0, 1),
        ),
    ),
}


class Robot:
    """A node's process, its cameras, and what it publishes."""

    def __init__(self, **parameters):
        safe = ["-P"] if sys.version_info >= (3, 11) else []
        asked = {**NODE, **parameters}
        values = [f"{name}:={value}" for name, value in asked.items()]
        arguments = [part for value in values for part in ("-p", value)]
        self.process = subprocess.Popen(
            [sys.executable, *safe, "-m", "stvg_ros.node.main", "--ros-args", *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        rclpy.init()
        self.client = Client()
        self.loop = Loop(self.client)
        self.targets, self.pictures, self.index = [], [], 0
        make = self.client.create_publisher
        self.images = {
            name: make(Image, f"/grounding/{name}/image", 10)
            for name in asked["cameras"].split(",")
        }
        self.client.create_subscription(msg.Target, "/grounding/target", self.targets.append, 1000)
        self.client.create_subscription(
            CompressedImage, "/grounding/target_image", self.pictures.append, LATCHED
        )
        self.clients = {
            kind: self.client.create_client(kind, f"/grounding/{name}")
            for kind, name in ((GroundQuery, "ground_query"), (Teach, "teach"))
        }

    def wait(self):
        """Until it takes commands and images."""
        self.loop.until(lambda: "ready" in self.client.states or self.ended, 180)
        assert not self.ended
        self.loop.until(lambda: all(p.get_subscription_count() for p in self.images.values()))

    @property
    def ended(self):
        return self.process.poll() is not None

    def show(self, last):
        """Publishes the images up to a frame, about as fast as cameras do; the last ones recur."""
        while self.index < last:
            count = len(self.targets)
            for name, publisher in self.images.items():
                stamp_ns = 10**9 + self.index * 10**9 // FPS
                shown = self.index if self.index < 100 else 86 + (self.index - 100) % 14
                publisher.publish(image_message(render(SCENES[name], shown), stamp_ns, name))
            self.index += 1
            self.waited(lambda n=count: len(self.targets) > n, 1 / FPS)

    def pass_time(self, duration_s):
        """Publishes an image of an empty room for each second that passes by the stamps."""
        begin_ns = 10**9 + self.index * 10**9 // FPS
        empty = render(rendered(3), 0)
        for second in range(duration_s):
            for name, publisher in self.images.items():
                publisher.publish(image_message(empty, begin_ns + second * 10**9, name))
            self.waited(lambda: False, 0.1)

    def waited(self, condition, timeout_s):
        """Whether something happens in a while; nothing may."""
        try:
            self.loop.until(condition, timeout_s)
        except AssertionError:
            return False
        return True

    def call(self, kind, **fields):
        client = self.clients[kind]
        self.loop.until(client.service_is_ready)
        future = client.call_async(kind.Request(**fields))
        self.loop.until(future.done, 180)
        return future.result()

    def close(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.loop.close()
            self.client.destroy_node()
            rclpy.shutdown()


@pytest.fixture
def robot():
    made = []

    def start(**parameters):
        made.append(Robot(**parameters))
        made[-1].wait()
        return made[-1]

    yield start
    for one in made:
        one.close()


def follows_from_front_to_left(robot):
    """Plays the scenes: the states, the hand-over, a taught name, and a picture."""
    t = msg.Target
    robot.show(20)
    answer = robot.call(GroundQuery, text="follow the person in the red shirt")
    assert (answer.tube.status, answer.tube.camera) == (msg.Tube.FOUND, "front")
    robot.show(24)
    robot.loop.until(lambda: robot.targets and robot.targets[-1].status == t.FOLLOWING)
    assert robot.call(Teach, name="this is Morgan").success

    def handed_over():
        return [
            index
            for index, each in enumerate(robot.targets)
            if (each.status, each.camera) == (t.FOUND_AGAIN, "left")
        ]

    while not handed_over() and robot.index < 400:
        robot.show(robot.index + 1)
    named = robot.call(GroundQuery, text="find Morgan", picture=True).tube
    assert (named.status, named.camera) == (msg.Tube.FOUND, "left"), named
    assert named.boxes[-1].x_max < 300
    assert len(named.picture.data) > 500
    index = handed_over()[0]
    found, before = robot.targets[index], robot.targets[:index]
    # On a loaded machine it may also be lost and found in the front camera; nothing is silent.
    assert before[-1].status in (t.LOST, t.SEARCHING) and before[-1].reason
    for last, one in itertools.pairwise(before):
        if one.status == t.FOLLOWING:
            assert last.status in (t.FOLLOWING, t.FOUND_AGAIN)
        assert one.camera == "front" or one.status not in (t.FOLLOWING, t.FOUND_AGAIN)
    assert t.LOST in [each.status for each in before]
    assert found.box.x_max < 300  # the red one, not the green one at 380
    assert found.score > 0.5
    assert found.evidence.startswith("appearance")
    while robot.targets[-1].status != t.FOLLOWING and robot.index < 400:
        robot.show(robot.index + 1)
    assert (robot.targets[-1].status, robot.targets[-1].camera) == (t.FOLLOWING, "left")
    assert robot.pictures


@pytest.mark.slow
def test_a_person_is_handed_over_and_recognised_by_name(robot):
    follows_from_front_to_left(robot())


@pytest.mark.slow
def test_who_was_waving_two_minutes_ago(robot):
    made = robot(**{"follow.enabled": "false", "cameras": "front"})
    made.show(30)  # six seconds
    made.pass_time(122)
    answer = made.call(
        GroundQuery, text="find the person in red who was waving two minutes ago"
    ).tube
    assert (answer.status, answer.from_memory) == (msg.Tube.FOUND, True), answer
    assert answer.camera == "front"
    first = answer.boxes[0]
    assert abs(first.x_min + first.x_max - 500) < 80  # red, at 250
    stamp = first.stamp
    assert 1 <= stamp.sec + stamp.nanosec / 1e9 <= 7
    assert "from memory: 12" in answer.warning
    assert len(answer.picture.data) > 500


# A server with the embedded model, as Ray Serve would run it; it prints its port.
SERVER = """
import uvicorn
from starlette.requests import Request
from stvg_ros.build import build_local
from stvg_ros.config import Config
from stvg_ros.serving.app import App

app = App(Config.from_flat({"model.path": "embedded", "model.device": "cpu"}), build_local, "", "r")

async def asgi(scope, receive, send):
    await (await app.handle(Request(scope, receive, send)))(scope, receive, send)

class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)

Server(uvicorn.Config(asgi, port=0, lifespan="off", log_level="critical")).run()
"""


@pytest.fixture
def address():
    """The address of a server in a process of its own."""
    pytest.importorskip(
        "ray", reason="Ray Serve is missing: pip install -r requirements/serving.txt"
    )
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    process = subprocess.Popen(
        [sys.executable, *safe, "-c", SERVER],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_the_same_with_the_model_on_a_server(robot, address):
    remote = {"backend": "remote", "remote.address": address, "remote.tubes": "robot"}
    made = robot(**remote)
    follows_from_front_to_left(made)
    found = next(t for t in made.targets if t.status == msg.Target.FOUND_AGAIN)
    assert "query" in found.evidence  # what the server said, or why it was not asked
