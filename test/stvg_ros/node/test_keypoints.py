# SPDX-License-Identifier: Apache-2.0

"""Keypoints in the answer of the node: evidence, annotated image, markers, over the middleware."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from ros_tools import ToyGrounder, context, start
from sensor_msgs.msg import Image
from visualization_msgs.msg import Marker, MarkerArray

from stvg_lab.live.demo_client import evidence_of
from stvg_ros import msg
from stvg_ros.depth import Depth, Intrinsics
from stvg_ros.node.answer_publisher import shown_box
from stvg_ros.node.qos import LATCHED
from stvg_ros.types import Clip, Evidence, Grounding, Query, Status, Tube, TubeBox

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")

TRACK = 3


def person() -> np.ndarray:
    """Trunk and legs of somebody in an image of 64 x 48, `(17, 3)`; the head is not seen."""
    points = np.zeros((17, 3), np.float32)
    rows = [(30, 14), (20, 14), (32, 20), (18, 20), (33, 26), (17, 26), (28, 26), (22, 26)]
    points[5:, :2] = [*rows, (28, 34), (22, 34), (28, 42), (22, 42)]
    points[5:, 2] = 1
    return points


def evidence(clip: Clip) -> Evidence:
    """Keypoints in all frames but the last one."""
    count = len(clip)
    points = np.stack([person()] * count)
    points[-1] = np.nan
    maps = np.zeros((count, 2, 3), np.float32)
    slots = tuple((index,) for index in range(count))
    return Evidence(clip.stamps_ns, slots, maps, maps, maps[:, 0, 0], {TRACK: 1.0, 4: 0.5}, ".",
                    keypoints={TRACK: points})  # fmt: skip


class WithKeypoints(ToyGrounder):
    """Answers with the keypoints of its tube, and positions as where there is depth."""

    def ground(self, clip: Clip, query: Query, checkpoint) -> Grounding:
        (tube,) = super().ground(clip, query, checkpoint).tubes
        boxes = tuple(replace(box, position_m=(0.0, 0.0, 2.0)) for box in tube.boxes)
        return Grounding((replace(tube, track_id=TRACK, boxes=boxes),), evidence(clip))


def test_the_newest_box_with_keypoints_is_shown():
    boxes = tuple(TubeBox(stamp, (1.0, 2.0, 3.0, 4.0), 1.0) for stamp in (1, 2, 3))
    tube = Tube(Query("x"), Status.FOUND, boxes=boxes, track_id=TRACK)
    points = np.stack([person()] * 2)
    known = replace(
        evidence_without_images(), stamps_ns=np.array([1, 2]), keypoints={TRACK: points}
    )
    box, found = shown_box(tube, known)
    assert box.stamp_ns == 2
    assert np.array_equal(found, person())
    assert shown_box(tube, None) == (boxes[-1], None)
    assert shown_box(tube, replace(known, keypoints={4: points})) == (boxes[-1], None)


def evidence_without_images() -> Evidence:
    maps = np.zeros((2, 1, 1), np.float32)
    return Evidence(np.array([1, 2]), ((0,), (1,)), maps, maps, maps[:, 0, 0], {}, ".")


def test_keypoints_travel_in_the_evidence_and_are_drawn(start, monkeypatch):
    s = start(lambda config: WithKeypoints())
    heard, drawn, marked = [], [], []
    s.client.create_subscription(msg.Evidence, "/grounding/evidence", heard.append, LATCHED)
    s.client.create_subscription(Image, "/grounding/annotated_image", drawn.append, 10)
    s.client.create_subscription(MarkerArray, "/grounding/markers", marked.append, LATCHED)
    s.until(lambda: s.node.count_subscribers("/grounding/annotated_image"))
    s.show(10.0, 10.1, 10.2)
    window = s.node.window
    depth = Depth(np.full((48, 64), 2.0, np.float32), Intrinsics(50.0, 50.0, 31.5, 23.5))
    stored = {f.stamp_ns: replace(f, depth=depth) for f in window.snapshot().frames}
    monkeypatch.setattr(window, "frame", stored.get)
    tube = s.say("the person")
    s.until(lambda: heard and drawn and marked)
    received = evidence_of(heard[0])
    assert np.array_equal(received.keypoints[TRACK][:2], np.stack([person()] * 2))
    assert np.isnan(received.keypoints[TRACK][2]).all()
    assert np.isnan(received.keypoints[4]).all()
    # The newest image with keypoints, which is not the last of the tube.
    assert drawn[0].header.stamp == tube.boxes[1].stamp
    picture = np.frombuffer(drawn[0].data, np.uint8).reshape(48, 64, 3)
    plain = stored[10_100_000_000].image
    for x, y in ((28, 38), (22, 38), (25, 26)):  # both shins, and between the hips
        assert (picture[y, x] != plain[y, x]).any()
    lines = [marker for marker in marked[0].markers if marker.ns == "keypoints"]
    assert [marker.type for marker in lines] == [Marker.LINE_LIST]
    assert {point.z for point in lines[0].points} == {2.0}
    assert len(lines[0].points) == 2 * 12  # the lines of trunk, arms and legs


def test_without_a_request_there_are_none(start):
    class Plain(WithKeypoints):
        def ground(self, clip: Clip, query: Query, checkpoint) -> Grounding:
            found = super().ground(clip, query, checkpoint)
            return replace(found, evidence=replace(found.evidence, keypoints={}))

    s = start(lambda config: Plain())
    heard, marked = [], []
    s.client.create_subscription(msg.Evidence, "/grounding/evidence", heard.append, LATCHED)
    s.client.create_subscription(MarkerArray, "/grounding/markers", marked.append, LATCHED)
    s.show(10.0, 10.1)
    s.say("the person")
    s.until(lambda: heard and marked)
    assert list(heard[0].track_keypoints) == []
    assert evidence_of(heard[0]).keypoints == {}
    assert [marker.ns for marker in marked[0].markers if marker.ns == "keypoints"] == []
