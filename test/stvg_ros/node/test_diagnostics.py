# SPDX-License-Identifier: Apache-2.0

"""Health on /diagnostics: content and levels."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ros_tools import ToyGrounder, change, context, image, start
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.errors import ModelError
from stvg_ros.node import diagnostics
from stvg_ros.node.conversions import time_message
from stvg_ros.proposals.external import ExternalProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import SplitQuery

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")


class Health:
    def __init__(self, s):
        self.s = s
        self.heard = []
        s.client.create_subscription(DiagnosticArray, "/diagnostics", self.heard.append, 10)

    def next(self, name):
        """The status of a part in a message that comes from now on."""
        self.heard.clear()
        self.s.until(lambda: len(self.heard) > 1)  # the first may have been on its way
        (found,) = (item for item in self.heard[-1].status if item.name.endswith(name))
        return found, {item.key: item.value for item in found.values}


@pytest.fixture
def health(start, monkeypatch):
    monkeypatch.setattr(diagnostics, "STALE_S", 1000.0)  # a loaded machine is no silent camera
    return lambda *args, **parameters: Health(
        start(*args, **{"diagnostics.period_s": 0.05, **parameters})
    )


def test_a_camera_without_images_is_a_warning_that_names_the_remedy(health):
    found, values = health().next("camera")
    assert (found.level, found.name) == (DiagnosticStatus.WARN, "/grounding: camera")
    assert found.hardware_id == "/grounding"
    assert "stvg-ros doctor" in found.message
    assert values["images received"] == "0"


def test_a_camera_that_fell_silent_is_a_warning(health, monkeypatch):
    h = health()
    h.s.show(1.0)
    assert h.next("camera")[0].level == DiagnosticStatus.OK
    monkeypatch.setattr(diagnostics, "STALE_S", 0.0)
    assert h.next("camera")[0].level == DiagnosticStatus.WARN


def test_images_their_fate_and_the_window_are_told(health):
    h = health(**{"diagnostics.period_s": 0.3})
    h.s.show(10.0, 10.01, 10.2, 9.9, 12.0)
    found, values = h.next("camera")
    assert (found.level, found.message) == (DiagnosticStatus.OK, "images come")
    wanted = {
        "images received": "5", "images stored": "3", "images thinned out": "1",
        "images late": "1", "images refused": "0", "window [frames]": "3", "window [s]": "2.000",
        "window [MB]": "0.028",
    }  # fmt: skip
    assert {key: values[key] for key in wanted} == wanted
    assert float(values["since last image [s]"]) < 30
    assert float(values["age of last stamp [s]"]) > 1e9  # the stamps are from 1970


def test_a_camera_without_stamps_is_a_warning(health):
    h = health()
    h.s.show(0.0, 0.0, 0.0)
    found, values = h.next("camera")
    assert found.level == DiagnosticStatus.WARN
    assert "without stamps" in found.message
    assert "times of arrival" in found.message
    assert values["stamps"] == "times of arrival"
    assert -1 < float(values["age of last stamp [s]"]) < 60
    h.s.show(h.s.node.get_clock().now().nanoseconds / 1e9 + 1.0)
    found, values = h.next("camera")
    assert (found.level, found.message) == (DiagnosticStatus.OK, "images come")
    assert values["stamps"] == "of the camera"


def test_a_stamp_of_zero_among_others_is_refused_with_the_remedy(health):
    h = health(**{"diagnostics.period_s": 0.5})
    h.s.show(1.0, 0.0, 2.0)
    h.s.until(lambda: any(
        item.level == DiagnosticStatus.ERROR and "header.stamp: expected a time" in item.message
        and "all of its images or none" in item.message
        for message in h.heard for item in message.status
    ))  # fmt: skip
    assert [f.stamp_ns for f in h.s.node.window.snapshot().frames] == [10**9, 2 * 10**9]


def test_refused_images_are_an_error_with_the_reason(health):
    h = health(**{"diagnostics.period_s": 0.5})
    bad = image(1.0)
    bad.encoding = "nonsense"
    h.s.client.images.publish(bad)
    h.s.until(lambda: any(
        item.level == DiagnosticStatus.ERROR and "'nonsense'" in item.message
        for message in h.heard for item in message.status
    ))  # fmt: skip
    assert h.next("camera")[0].level != DiagnosticStatus.ERROR  # reported once


def test_the_workers_queue_answers_and_timings(health):
    h = health()
    h.s.show(1.0)
    h.s.say("the person")
    h.s.say(" ")
    found, values = h.next("worker")
    assert (found.level, found.message) == (DiagnosticStatus.OK, "ready")
    assert values["answers FOUND"] == "1"
    assert values["last forward pass [s]"] == "0.500"
    h.s.toy.go.clear()
    for _ in range(3):
        h.s.client.commands.publish(String(data="the person"))
    h.s.until(lambda: h.next("worker")[1]["commands waiting"] == "2")
    assert h.next("worker")[0].message == "grounding"


def test_a_model_that_did_not_load_is_an_error(health):
    def build(config):
        raise ModelError("model.path: no folder '/nowhere'")

    found, _ = health(build, ready="failed").next("worker")
    assert found.level == DiagnosticStatus.ERROR
    assert "/nowhere" in found.message


def test_an_inactive_node_is_no_problem(health):
    h = health()
    change(h.s, "deactivate")
    for part, message in (("camera", "inactive"), ("worker", "the node is not active; activate")):
        found, _ = h.next(part)
        assert found.level == DiagnosticStatus.OK
        assert found.message.startswith(message)


def test_detections_their_ids_and_what_was_dropped(health):
    class WithSource(ToyGrounder):
        def __init__(self):
            super().__init__()
            self.proposer = ExternalProposer(ProposalConfig(source="external"))

        def ground(self, clip, query, checkpoint):
            self.proposer.propose(clip, SplitQuery("x", "x", "x", "rules"))
            return super().ground(clip, query, checkpoint)

    external = {"proposals.source": "external", "proposals.detections": "stvg_ros"}
    h = health(lambda config: WithSource(), **external)
    topic = h.s.client.create_publisher(msg.DetectionArray, "/grounding/detections", 10)
    h.s.until(topic.get_subscription_count)
    person = {"score": 0.9, "id": "person", "y_max": 40.0}
    found = [msg.Detection(x_max=20.0, **person), msg.Detection(x_min=30.0, x_max=50.0, **person)]
    nowhere = msg.Detection(x_min=900.0, x_max=950.0, **person)
    shares = msg.Detection(x_max=0.5, y_max=0.5)

    def detect(stamp_s, boxes):
        h.s.show(stamp_s)
        message = msg.DetectionArray(detections=boxes)
        message.header.stamp = time_message(round(stamp_s * 1e9))
        topic.publish(message)

    for number in range(3):
        detect(1.0 + number, [*found, nowhere])
    detect(4.0, [shares])
    h.s.until(lambda: h.next("worker")[1]["detected boxes dropped"] == "4")
    values = h.next("worker")[1]
    assert values["detections received"] == "4"
    assert values["detections matched"] == "3"
    assert values["detected boxes"] == "6"
    assert "'person' is more than once" not in values["ids of detections"]
    assert h.next("camera")[1]["detections refused"] == "1"
    assert h.s.say("the person").status == msg.Tube.FOUND
    assert "'person' is more than once in one image" in h.next("worker")[1]["ids of detections"]
