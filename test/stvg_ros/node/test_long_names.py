# SPDX-License-Identifier: Apache-2.0

"""Names of any length: what is logged, answered and kept of them stays small."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from rcl_interfaces.msg import Log
from ros_tools import call, context, image, start
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.errors import MAX_ERROR_CHARACTERS, ConfigError, StvgError, bounded
from stvg_ros.node.conversions import time_message
from stvg_ros.node.detections import detected
from stvg_ros.node.settings import DepthConfig, NodeConfig
from stvg_ros.srv import GroundQuery
from stvg_ros.types import MAX_NAME_CHARACTERS, short_name

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")
LONG = "y" * 100_000


@pytest.mark.parametrize("length", [0, 1, 255, 256, 257, 276, 300, 1000, 65_536, 1_000_000])
def test_short_names_stay_long_ones_are_cut_and_differ(length):
    name = "n" * length
    short = short_name(name)
    assert len(short) <= MAX_NAME_CHARACTERS
    assert (short == name) == (length <= MAX_NAME_CHARACTERS)
    assert short_name(name + "a") != short_name(name + "b") != short_name(name + "c")
    assert short_name(short) == short


@pytest.mark.parametrize("text", ["", "a", "x" * 2000, "x" * 2001, "я" * 5000, "\0" * 10**6])
def test_errors_are_bounded_and_keep_begin_and_end(text):
    assert len(str(StvgError(text))) <= MAX_ERROR_CHARACTERS
    assert bounded(text, 2000) == text or len(text) > 2000
    assert bounded("begin" + text + "end", 1000).startswith("begin")
    assert bounded("begin" + text + "end", 1000).endswith("end")


QUERIES = {
    "id": {"id": LONG, "text": "the person"},
    "id without text": {"id": LONG, "text": ""},
    "id of 257": {"id": "y" * 257, "text": "the person"},
    "id of characters of four bytes": {"id": "🤖" * 30_000, "text": "the person"},
    "camera": {"id": "a", "text": "the person", "camera": LONG},
    "camera of 257": {"id": "a", "text": "the person", "camera": "c" * 257},
    "text": {"id": "a", "text": LONG},
    "all": {"id": LONG, "text": LONG, "camera": LONG},
    "stop": {"id": LONG, "stop": True},
    "standing": {"id": LONG, "text": "the person", "standing_rate_hz": 1.0},
    "standing rate": {"id": LONG, "text": "the person", "standing_rate_hz": 1e-30},
    "standing camera": {
        "id": "a", "text": "the person", "camera": LONG, "standing_rate_hz": 1.0
    },
}  # fmt: skip


def test_long_names_are_refused_shortly_in_answers_log_and_status(start):
    s = start()
    s.show(1.0)
    logged = []
    s.client.create_subscription(Log, "/rosout", logged.append, 1000)
    s.until(lambda: s.client.count_publishers("/rosout"))
    for number, (what, fields) in enumerate(QUERIES.items(), start=1):
        s.client.queries.publish(msg.Query(**fields))
        s.until(lambda n=number: len(s.client.tubes) == n)
        tube = s.client.tubes[-1]
        assert tube.error_code == msg.Tube.ERROR_INVALID_COMMAND, what
        texts = (tube.query_id, tube.query, tube.error, tube.camera)
        assert max(map(len, texts)) <= MAX_ERROR_CHARACTERS, what
        assert len(tube.query_id) <= MAX_NAME_CHARACTERS, what
    assert len(s.node.standing) == 0
    answer = call(s, GroundQuery, "ground_query", GroundQuery.Request(text="the dog", camera=LONG))
    assert answer.tube.error_code == msg.Tube.ERROR_INVALID_COMMAND
    assert s.say(LONG).error_code == msg.Tube.ERROR_INVALID_COMMAND
    s.until(lambda: len(logged) >= len(QUERIES))
    assert max(len(line.msg) for line in logged) < 3000
    assert max(map(len, s.client.states)) < 3000


@pytest.mark.parametrize("field", ["encoding", "frame_id"])
def test_long_names_of_images(start, field):
    s = start()
    message = image(1.0)
    setattr(message if field == "encoding" else message.header, field, LONG)
    s.client.images.publish(message)
    s.until(lambda: s.image_errors + s.node.window.fill[0] == 1)
    if field == "frame_id":
        tube = s.say("the person")
        assert (tube.status, tube.header.frame_id) == (msg.Tube.FOUND, short_name(LONG))
    else:
        assert len(next(iter(s.node.cameras)).last_error) <= MAX_ERROR_CHARACTERS


def test_long_ids_of_detections_stay_apart():
    boxes = [msg.Detection(id=LONG + end, x_max=9.0, y_max=9.0) for end in "abb"]
    ids = detected(msg.DetectionArray(detections=boxes)).track_ids
    assert max(map(len, ids)) <= MAX_NAME_CHARACTERS
    assert len(set(ids)) == 2


def test_long_values_of_settings_are_refused():
    with pytest.raises(ConfigError, match="depth.target_frame: expected at most"):
        DepthConfig(target_frame=LONG)
    with pytest.raises(ConfigError, match="cameras: expected names of at most 256"):
        NodeConfig(cameras="front," + "r" * 257)
    assert NodeConfig(cameras="front," + "r" * 256).camera_names[1] == "r" * 256


def test_a_stamp_is_all_that_waiting_images_keep(start):
    s = start(**{"depth.enabled": True})
    message = image(1.0)
    message.header.frame_id = LONG
    s.client.images.publish(message)
    s.until(lambda: s.node.window.fill[0] == 1)
    feed = next(iter(s.node.cameras)).depth
    kept = []
    feed._filters[0].registerCallback(kept.append)
    message.header.stamp = time_message(2_000_000_000)
    s.client.images.publish(message)
    s.until(lambda: kept)
    assert kept[0].header.frame_id == ""
    s.client.commands.publish(String(data="the person"))
    s.until(lambda: s.client.tubes)
