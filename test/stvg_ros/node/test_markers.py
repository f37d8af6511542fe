# SPDX-License-Identifier: Apache-2.0

"""What RViz and Foxglove are given, and the files that they open."""

from __future__ import annotations

import json
import re
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from ros_tools import context, start
from visualization_msgs.msg import Marker, MarkerArray

from stvg_ros.depth import Intrinsics
from stvg_ros.node.markers import annotations_type, image_annotations, keypoint_marker, markers
from stvg_ros.node.qos import LATCHED
from stvg_ros.types import Query, Status, Tube, TubeBox

__all__ = ["context", "start"]  # fixtures

from paths import ROOT

BOX = (1.0, 2.0, 3.0, 5.0)


def tube(*boxes, **fields):
    return Tube(Query("the person"), Status.FOUND, boxes=boxes, frame_id="camera", **fields)


def test_without_places_only_the_old_markers_go():
    (clear,) = markers(tube(TubeBox(1, BOX, 1.0))).markers
    assert clear.action == Marker.DELETEALL


def test_the_way_the_last_place_and_the_command():
    boxes = (
        TubeBox(1, BOX, 1.0, position_m=(0.0, 0.0, 1.0)),
        TubeBox(2, BOX, 1.0, position_m=(0.0, 0.0, 2.0)),
        TubeBox(3, BOX, 1.0),
    )
    _, way, ball, text = markers(tube(*boxes)).markers
    assert [point.z for point in way.points] == [1.0, 2.0]
    assert (ball.pose.position.z, ball.header.frame_id, ball.header.stamp.nanosec) == (
        2.0,
        "camera",
        2,
    )
    assert text.text == "the person"
    assert len({marker.id for marker in (way, ball, text)}) == 3


def test_places_are_never_mixed_from_two_frames():
    boxes = (
        TubeBox(1, BOX, 1.0, position_m=(0.0, 0.0, 1.0), target_position_m=(9.0, 0.0, 0.0)),
        TubeBox(2, BOX, 1.0, position_m=(0.0, 0.0, 2.0)),
    )
    _, way, ball, _ = markers(tube(*boxes, target_frame="map")).markers
    assert [point.x for point in way.points] == [9.0]
    assert ball.header.frame_id == "map"


def keypoints():
    """Shoulders and elbows of somebody, `(17, 3)`; the right elbow is hidden."""
    points = np.zeros((17, 3), np.float32)
    points[5:9] = [[12, 10, 1], [8, 10, 1], [14, 20, 1], [6, 20, 0.1]]
    return points


def test_keypoints_lie_in_the_plane_at_the_persons_distance():
    eye = Intrinsics(10.0, 10.0, 10.0, 10.0)
    box = TubeBox(7, BOX, 1.0, position_m=(9.0, 9.0, 2.0))
    marker = keypoint_marker(keypoints(), box, eye, "camera")
    places = [(point.x, point.y, point.z) for point in marker.points]
    # Between the shoulders, and along the upper arm that is seen.
    wanted = [(0.4, 0, 2), (-0.4, 0, 2), (0.4, 0, 2), (0.8, 2, 2)]
    assert np.array(places) == pytest.approx(np.array(wanted))
    assert (marker.type, marker.header.frame_id, marker.header.stamp.nanosec) == (
        Marker.LINE_LIST,
        "camera",
        7,
    )
    assert keypoint_marker(keypoints(), TubeBox(7, BOX, 1.0), eye, "camera") is None
    assert keypoint_marker(keypoints() * [1, 1, 0], box, eye, "camera") is None


def test_markers_are_published_with_the_answer(context, start):
    s = start()
    heard = []
    s.client.create_subscription(MarkerArray, "/grounding/markers", heard.append, LATCHED)
    s.show(1.0)
    s.say("the person")
    s.until(lambda: heard)
    assert heard[0].markers[0].action == Marker.DELETEALL


def test_annotations_where_foxglove_msgs_is_installed(monkeypatch):
    if annotations_type() is None:  # not among the wheels: only the fields that are filled
        names = ("Color", "ImageAnnotations", "Point2", "PointsAnnotation", "TextAnnotation")
        stub = ModuleType("foxglove_msgs.msg")
        for name in names:
            setattr(stub, name, type(name, (SimpleNamespace,), {"LINE_LOOP": 2, "LINE_LIST": 4}))
        monkeypatch.setitem(sys.modules, "foxglove_msgs", ModuleType("foxglove_msgs"))
        monkeypatch.setitem(sys.modules, "foxglove_msgs.msg", stub)
    box = TubeBox(7, BOX, 1.0)
    message = image_annotations(tube(box, confidence=0.5), box)
    (frame,), (text,) = message.points, message.texts
    assert [(p.x, p.y) for p in frame.points] == [(1, 2), (3, 2), (3, 5), (1, 5)]
    assert (frame.timestamp.nanosec, text.text) == (7, "the person (0.50)")
    _, lines = image_annotations(tube(box), box, keypoints()).points
    assert [(p.x, p.y) for p in lines.points] == [(12, 10), (8, 10), (12, 10), (14, 20)]


def offered() -> set[str]:
    """Topics of the node /grounding, as its modules name them."""
    text = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "stvg_ros/node").glob("*.py"))
    names = re.findall(r'"~/(\w+)"', text) + re.findall(r'topic\([\w.]+, "(\w+)"\)', text)
    return {f"/grounding/{name}" for name in names}


def test_the_rviz_configuration_shows_topics_of_the_node():
    content = yaml.safe_load((ROOT / "rviz" / "grounding.rviz").read_text(encoding="utf-8"))
    displays = content["Visualization Manager"]["Displays"]
    topics = {d["Topic"]["Value"] for d in displays if "Topic" in d}
    assert topics == {
        "/grounding/annotated_image", "/grounding/markers", "/grounding/target_pose",
    }  # fmt: skip
    assert topics <= offered()
    assert all(display["Class"].startswith("rviz_default_plugins/") for display in displays)


def test_the_foxglove_layout_shows_topics_of_the_node():
    content = json.loads((ROOT / "foxglove" / "grounding.json").read_text(encoding="utf-8"))
    topics = set(re.findall(r"/grounding/\w+", json.dumps(content)))
    assert topics <= offered()
    assert {"/grounding/image_annotations", "/grounding/tube", "/grounding/command"} <= topics

    def leaves(part):
        return [part] if isinstance(part, str) else leaves(part["first"]) + leaves(part["second"])

    assert sorted(leaves(content["layout"])) == sorted(content["configById"])
