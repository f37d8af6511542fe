# SPDX-License-Identifier: Apache-2.0

"""The player publishes what the one reader reads, and says at once what does not fit."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import damaged_recordings as made
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
import ros_tools
from damaged_recordings import COMPRESSED, IMAGE, MCAP, TOPIC
from rclpy.node import Node
from ros_tools import context  # noqa: F401
from sensor_msgs.msg import CompressedImage, Image

from stvg_lab.live.bag_player import play
from stvg_ros.io.recording import open_bag

SIX = made.images(0, 6)


@pytest.fixture
def subscriber(context):  # noqa: F811
    """A node that takes raw images and one that takes compressed ones."""
    node = Node("subscriber")
    node.raw, node.compressed = [], []
    node.create_subscription(Image, "/raw", node.raw.append, 10)
    node.create_subscription(CompressedImage, "/compressed", node.compressed.append, 10)
    loop = ros_tools.Loop(node)
    yield node
    loop.close()
    node.destroy_node()


@pytest.fixture
def player(context):  # noqa: F811
    node = Node("player")
    yield node
    node.destroy_node()


def killed(path: Path) -> Path:
    body = made.CAMERA + made.messages(SIX)
    return made.cut(made.mcap(path / "run.mcap", body, whole=False), 0.7)


BAGS = {
    "a folder": (lambda path: made.bag(path / "run", SIX), 6),
    "its own file": (lambda path: made.data_file(made.bag(path / "run", SIX, MCAP)), 6),
    "a killed recorder": (killed, 4),
    "no metadata": (lambda path: made.cut(made.bag(path / "run", SIX, MCAP), 0.5), 3),
}


@pytest.mark.parametrize("name", BAGS)
def test_it_plays_what_is_there(name: str, subscriber, player, tmp_path: Path) -> None:
    build, count = BAGS[name]
    bag = open_bag(build(tmp_path))
    assert play(player, bag, topic="/raw", rate=10.0, wait_s=20.0) == count
    end = time.monotonic() + 20
    while len(subscriber.raw) < count and time.monotonic() < end:
        time.sleep(0.01)
    assert [message.header.stamp.nanosec for message in subscriber.raw] == [
        index * 10**8 for index in range(count)
    ]
    bag.close()


ADVERTISE = """
import sys, rclpy
from sensor_msgs.msg import CompressedImage, Image
from stvg_lab.live.bag_client import BagClient
from stvg_ros.errors import StvgError
rclpy.init()
client = BagClient("/nobody", sys.argv[1])
try: client.advertise(CompressedImage if sys.argv[2] == "compressed" else Image, 3000.0)
except StvgError as error: sys.exit(str(error))
"""


@pytest.mark.parametrize(
    ("kind", "topic", "said"),
    [
        ("compressed", "/raw", "expects sensor_msgs/msg/Image"),
        ("raw", "/compressed", "expects sensor_msgs/msg/CompressedImage"),
    ],
)
def test_another_type_of_images_is_said_at_once(
    kind: str, topic: str, said: str, subscriber, tmp_path: Path
) -> None:
    messages = (IMAGE, SIX) if kind == "raw" else (COMPRESSED, made.jpegs(0, 6))
    bag = made.bag(tmp_path / "run", {TOPIC: messages})
    # Programs of their own: within one, the middleware refuses a second type of a topic.
    player = [sys.executable, "-m", "stvg_lab.live.bag_player", str(bag), "--topic", topic]
    client = [sys.executable, "-c", ADVERTISE, topic, kind]
    for command in ([*player, "--wait-s", "5"], client):
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=250
        )
        assert done.returncode == 1, done.stderr
        assert said in done.stderr
        assert "image.transport" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["av", "rosbags", "lz4"])
@pytest.mark.parametrize("module", ["bag_evaluation", "bag_player"])
def test_a_missing_library_is_named(missing: str, module: str, tmp_path: Path) -> None:
    name = tmp_path / ("a.mp4" if missing == "av" else "run.mcap")
    name.write_bytes(b"")
    code = (
        f"import sys\nsys.modules[{missing!r}] = None\n"
        f"import stvg_lab.live.{module}\n"
        "from stvg_ros.errors import RecordingError\n"
        "from stvg_ros.io.recording import open_recording\n"
        f"try: open_recording({str(name)!r})\nexcept RecordingError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"'pip install {'av' if missing == 'av' else 'rosbags'}'" in done.stdout
