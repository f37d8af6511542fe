# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""The node as its own process, over the middleware, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
import rclpy
from ros_tools import Client, Loop, image
from std_msgs.msg import String

from stvg_ros import msg


@pytest.fixture
def node():
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "stvg_ros.node.main", "--ros-args"]
        + ["-p", "model.path:=embedded", "-p", "model.device:=cpu"]
        if sys.version_info >= (3, 11)
        else [sys.executable, "-m", "stvg_ros.node.main"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    rclpy.init()
    client = Client()
    loop = Loop(client)
    yield process, client, loop
    loop.close()
    client.destroy_node()
    rclpy.shutdown()
    process.kill()
    process.wait()


def test_a_command_to_another_process_is_answered_by_the_embedded_model(node):
    process, client, loop = node
    loop.until(client.connected, 60)
    loop.until(lambda: "ready" in client.states or process.poll() is not None, 120)
    assert process.poll() is None
    # Topics overtake one another: the command is said again until images were there before it.
    for attempt in range(10):
        for number in range(5):
            client.images.publish(image(1.0 + 5 * attempt + number, 160, 120))
        client.commands.publish(String(data="find the person in red who waves"))
        loop.until(lambda: len(client.tubes) > attempt, 60)  # noqa: B023
        tube = client.tubes[attempt]
        if tube.error_code != msg.Tube.ERROR_NO_IMAGES:
            break
    # Noise shows nobody: an answer, not an error.
    assert (tube.status, tube.error_code) == (msg.Tube.NOT_FOUND, msg.Tube.ERROR_NONE)
    assert tube.attribute == "the person in red"
    assert tube.action == "the person who waves"
    assert {timing.stage for timing in tube.timings} >= {"split", "propose", "encode", "look"}
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) == 0


def test_sigint_while_the_model_loads_ends_the_node(node):
    process, client, loop = node
    loop.until(lambda: bool(client.states), 60)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) == 0
    assert "Traceback" not in process.stderr.read()
