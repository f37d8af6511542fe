# SPDX-License-Identifier: Apache-2.0

"""A node, a subscriber and a program that asks, each its own process, over the middleware."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
import rclpy
from paths import ROOT
from ros_tools import Client, Loop, image

EXAMPLES = ROOT / "examples"
# The node's executable with a grounder that finds the middle of every image.
NODE = """
from ros_tools import ToyGrounder
from stvg_ros.node import main
node = main.GroundingNode
main.GroundingNode = lambda: node(lambda config: ToyGrounder())
main.main()
"""


@pytest.fixture
def start():
    made = []

    def process(*arguments):
        support = os.pathsep.join(
            [str(ROOT / "test" / "support"), os.environ.get("PYTHONPATH", "")]
        )
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": support}
        made.append(
            subprocess.Popen(
                [sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, text=True,
                env=environment, cwd=EXAMPLES,
            )
        )  # fmt: skip
        return made[-1]

    yield process
    for each in made:
        each.kill()
        each.communicate()


@pytest.fixture
def client():
    rclpy.init()
    node = Client()
    loop = Loop(node)
    yield node, loop
    loop.close()
    node.destroy_node()
    rclpy.shutdown()


def test_ask_a_running_node_and_subscribe_to_its_tubes(start, client):
    node, loop = client
    start("-c", NODE)
    subscriber = start("subscribe_to_tubes.py")
    loop.until(lambda: "ready" in node.states)
    loop.until(node.connected)
    loop.until(lambda: node.count_subscribers("/grounding/tube") == 2)
    for number in range(5):
        node.images.publish(image(1.0 + number))
    asking = start("ask_node.py", "the person in red")
    out, _ = asking.communicate(timeout=120)
    assert asking.returncode == 0
    assert "found: the person in red\n" in out
    assert "s in 16 12 32 24" in out
    heard = subscriber.stdout.readline()
    assert heard.startswith("found: the person in red, ")
    assert heard.endswith("boxes, from 24,18 to 24,18 px in camera\n")


def test_a_failure_is_printed_with_its_reason(start, client):
    node, loop = client
    start("-c", NODE)
    loop.until(lambda: "ready" in node.states)
    asking = start("ask_node.py", "the person in red")
    out, _ = asking.communicate(timeout=120)
    assert out.startswith("failed: the person in red")
    assert "image" in out
    heard = start("subscribe_to_tubes.py").stdout.readline()  # the last answer is kept for it
    assert heard.startswith("failed: the person in red (")
