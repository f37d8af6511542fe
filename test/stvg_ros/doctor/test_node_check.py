# SPDX-License-Identifier: Apache-2.0

"""The doctor beside real nodes: what they offer and ask for, over the middleware."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from ros_tools import ToyGrounder, change, context, image, start
from sensor_msgs.msg import CompressedImage, Image

from stvg_ros.doctor import node_check
from stvg_ros.doctor.findings import write_findings

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")


@pytest.fixture
def examined():
    node = rclpy.create_node("doctor")

    def run(seconds=0.5):
        found = list(node_check.examine(node, "/grounding", seconds))
        write_findings(found)  # pytest shows it when the test fails
        return {f.about: f for f in found}

    yield run
    node.destroy_node()


class Camera:
    """A node of its own, as another process has it, that publishes all the time."""

    def __init__(self, topic="/grounding/image", kind=Image, qos=None, stamp_step=0.1, **options):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("webcam", context=self.context)
        self.publisher = self.node.create_publisher(kind, topic, qos or QoSProfile(depth=5))
        self.stop = threading.Event()
        self.kind, self.step, self.options = kind, stamp_step, options
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        count = 0
        while not self.stop.wait(0.02):
            count += 1
            message = image(1000 + count * self.step, **self.options)
            if self.kind is CompressedImage:
                message = CompressedImage(header=message.header, format="jpeg")
            self.publisher.publish(message)

    def close(self):
        self.stop.set()
        self.thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def camera():
    made = []

    def make(**options):
        made.append(Camera(**options))
        return made[-1]

    yield make
    for item in made:
        item.close()


def alone(start, **parameters):
    """The node without the client's own image publisher."""
    s = start(connect=False, **parameters)
    s.loop.close()
    s.client.destroy_publisher(s.client.images)


def test_a_healthy_node(start, camera, examined):
    alone(start)
    camera(qos=qos_profile_sensor_data)
    found = examined()
    assert {f.level for f in found.values()} == {"ok"}
    assert "webcam offers best effort volatile, the node asks for best effort" in found["qos"].text
    assert "active; last status: ready" in found["state"].text
    assert "Hz" in found["messages"].text


def test_no_images_because_of_quality_of_service(start, camera, examined):
    alone(start, **{"image.qos": "reliable"})
    camera(qos=QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT))
    found = examined()["qos"]
    assert found.level == "bad"
    assert "offers best effort volatile, the node asks for reliable volatile" in found.text
    assert "image.qos to sensor_data" in found.remedy


def test_nobody_publishes_on_the_topic_and_what_could_be_remapped(start, camera, examined):
    alone(start)
    camera(topic="/front/image_raw")
    found = examined()["topic"]
    assert found.level == "bad"
    assert "on /grounding/image; topics of that type: /front/image_raw" in found.text
    assert "image:=TOPIC" in found.remedy


def test_the_wrong_message_type(start, camera, examined):
    alone(start)
    camera(kind=CompressedImage)
    found = examined()["type"]
    assert found.level == "bad"
    assert "image.transport to compressed" in found.remedy


def test_stamps_that_do_not_move_forward_and_large_images(start, camera, examined):
    alone(start)
    camera(stamp_step=-0.1, width=640, height=480)
    found = examined()
    assert found["stamps"].level == "bad"
    assert found["size"].level == "note"


def test_a_node_whose_model_loads_is_to_be_waited_for(start, examined):
    go = threading.Event()
    s = start(lambda config: go.wait(120) and ToyGrounder(), ready="loading")
    found = examined()
    go.set()
    s.until(lambda: "ready" in s.client.states)
    assert "activating; last status: loading the model" in found["state"].text
    assert (found["state"].level, "images" in found) == ("note", False)
    assert "wait for the status 'ready'" in found["state"].remedy


def test_an_inactive_node(start, examined):
    s = start()
    change(s, "deactivate")
    found = examined()
    assert found["state"].level == "bad"
    assert found["state"].remedy == "ros2 lifecycle set /grounding activate"
    assert "activate" in found["images"].remedy


def test_a_node_whose_announcements_were_missed_is_found(start, camera, examined, monkeypatch):
    alone(start)
    camera()
    late = time.monotonic() + 4  # an announcement later
    real = node_check._names
    monkeypatch.setattr(
        node_check, "_names", lambda node: real(node) if time.monotonic() > late else []
    )
    assert examined()["node"].level == "ok"


STAMPS = {
    "in order": ([1, 2, 3], []),
    "one": ([7], []),
    "equal": ([1, 1, 2], []),
    "all zero": ([0, 0, 0], [("note", "times of arrival")]),
    "one without": ([0], [("note", "times of arrival")]),
    "all negative": ([-1, -2], [("note", "times of arrival")]),
    "zero in between": ([1, 0, 2], [("bad", "1 of 3 images have no stamp")]),
    "zero at first": ([0, 1, 2, 3], [("bad", "1 of 4 images have no stamp")]),
    "zero at the end": ([1, 2, 0, 0], [("bad", "2 of 4 images have no stamp")]),
    "only the first": ([7, 0, 0, 0, 0, 0], [("note", "the last images have no stamp")]),
    "negative in between": ([5, -1, 6], [("bad", "1 of 3 images have no stamp")]),
    "backwards": ([3, 2, 1], [("bad", "go backwards")]),
    "both": ([3, 0, 1], [("bad", "1 of 3 images have no stamp"), ("bad", "go backwards")]),
}


@pytest.mark.parametrize(("stamps_ns", "wanted"), STAMPS.values(), ids=STAMPS)
def test_stamps_of_a_topic(stamps_ns, wanted):
    found = list(node_check.stamp_findings("/camera/image", stamps_ns))
    assert [finding.level for finding in found] == [level for level, _ in wanted]
    for finding, (_, words) in zip(found, wanted, strict=True):
        assert words in finding.text
        assert finding.text.startswith("/camera/image: ")
