# SPDX-License-Identifier: Apache-2.0

"""The node as its own process, over the middleware, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
import rclpy
from lifecycle_msgs.srv import GetState
from ros_tools import Client, Loop, image
from std_msgs.msg import String

from stvg_ros import msg

# The executable, with a model that takes its time.
SLOW = """
import time
from stvg_ros.node import main
node = main.GroundingNode
main.GroundingNode = lambda: node(lambda config: time.sleep(600))
main.main()
"""


@pytest.fixture
def run():
    """Starts the node's process, and a client of it."""
    made = []

    def start(*arguments):
        safe = ["-P"] if sys.version_info >= (3, 11) else []
        process = subprocess.Popen(
            [sys.executable, *safe, *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        rclpy.init()
        client = Client()
        made.append((process, client, Loop(client)))
        return made[0]

    yield start
    for process, client, loop in made:
        loop.close()
        client.destroy_node()
        rclpy.shutdown()
        process.kill()
        process.wait()


@pytest.fixture
def node(run):
    """With the model in the package."""
    parameters = ["-p", "model.path:=embedded", "-p", "model.device:=cpu"]
    return run("-m", "stvg_ros.node.main", "--ros-args", *parameters)


def test_a_command_to_another_process_is_answered_by_the_embedded_model(node):
    process, client, loop = node
    loop.until(lambda: "ready" in client.states or process.poll() is not None, 180)
    assert process.poll() is None
    loop.until(client.connected, 60)
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
    assert {timing.stage for timing in tube.timings} >= {
        "split",
        "propose",
        "encode",
        "forward pass",
    }
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=5) == 0


def test_sigint_while_the_model_loads_ends_the_node(run):
    process, client, loop = run("-c", SLOW)
    loop.until(lambda: "loading the model" in client.states, 180)
    states = client.create_client(GetState, "/grounding/get_state")
    loop.until(states.service_is_ready)
    asked = states.call_async(GetState.Request())
    loop.until(asked.done)
    assert asked.result().current_state.label == "activating"
    loop.until(client.commands.get_subscription_count)
    client.commands.publish(String(data="find the person in red who waves"))
    loop.until(lambda: client.tubes)
    assert client.tubes[0].error_code == msg.Tube.ERROR_INACTIVE
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
    assert "Traceback" not in process.stderr.read()


# Where the node's imports are when the signal comes: each module takes for ever there.
IMPORTED = ("rclpy", "numpy", "torch", "cv2", "sensor_msgs", "diagnostic_msgs")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", IMPORTED)
@pytest.mark.parametrize("way", ["module", "executable"])
def test_a_signal_while_the_libraries_are_imported_ends_the_node(tmp_path, way, module, number):
    slow = "import threading\nprint('importing', flush=True)\nthreading.Event().wait(600)\n"
    (tmp_path / module).mkdir()
    (tmp_path / module / "__init__.py").write_text(slow, encoding="utf-8")
    executable = Path(msg.__file__).parents[4] / "stvg_ros" / "grounding_node"  # in lib
    if not executable.is_file():
        pytest.skip(f"{executable}: the package is not installed as ROS installs it")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "stvg_ros.node.main"] if way == "module" else [str(executable)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.communicate()
