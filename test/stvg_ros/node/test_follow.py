# SPDX-License-Identifier: Apache-2.0

"""Follow mode and detections in the node: real messages, a source without a model."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from drawn_people import RED, scene, walk
from ros_tools import ToyGrounder, call, context, start
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from stvg_ros import msg
from stvg_ros.boxes import iou_matrix
from stvg_ros.build import build_proposer
from stvg_ros.errors import ConfigError, ProposalError
from stvg_ros.method.base import BaseProposer
from stvg_ros.method.interfaces import TargetObservation
from stvg_ros.node.conversions import stamp_ns, time_message
from stvg_ros.node.detections import detected, detection_type
from stvg_ros.node.image_conversions import image_message
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Clip, Grounding, SplitQuery, TubeBox

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")


class ToySource(BaseProposer):
    """Sees the target until `gone` is set; fails when `broken` is."""

    name = "toy"
    can_follow = True
    most_replayed = 100

    def __init__(self) -> None:
        self.observed: list[int] = []
        self.updated: list[int] = []
        self.gone = self.broken = self.blind = False

    def observe(self, frame):  # type: ignore[no-untyped-def]
        self.observed.append(frame.stamp_ns)
        if self.blind:
            raise ProposalError("the lens is dirty")

    def follower(self, frame, box):  # type: ignore[no-untyped-def]
        self.began = frame.stamp_ns, box.tolist()
        return self

    def update(self, frame):  # type: ignore[no-untyped-def]
        self.updated.append(frame.stamp_ns)
        if self.broken:
            raise ProposalError("no such image")
        return TargetObservation((1.0, 2.0, 3.0, 4.0), not self.gone)


class Answering(ToyGrounder):
    """A toy grounder with a source."""

    def __init__(self, source: object) -> None:
        super().__init__()
        self.proposer = source


@pytest.fixture
def following(start):
    """Starts a node that follows what a `ToySource` sees."""

    def make(source=None, **parameters):
        source = source or ToySource()
        grounder = Answering(source)
        s = start(lambda config: grounder, **{"follow.enabled": True, **parameters})
        s.source, s.targets = source, []
        s.client.create_subscription(msg.Target, "/grounding/target", s.targets.append, 100)
        s.until(lambda: s.node.count_subscribers("/grounding/target"))
        return s

    return make


def last(s, status):
    s.until(lambda: s.targets and s.targets[-1].status == status)
    return s.targets[-1]


def test_frames_are_observed_as_they_come(following):
    s = following()
    s.show(1.0, 1.1, 1.2)
    s.until(lambda: len(s.source.observed) == 3)
    assert s.source.observed == [1_000_000_000, 1_100_000_000, 1_200_000_000]


def test_the_target_is_followed_from_the_tube_on_until_it_is_lost(following):
    s = following(**{"follow.search_s": 0.0})
    s.show(1.0, 1.1)
    tube = s.say("the person")
    assert s.targets == []
    s.show(1.2)
    target = last(s, msg.Target.FOLLOWING)
    assert (target.query_id, target.query) == (tube.query_id, "the person")
    assert target.header.stamp == target.box.stamp == time_message(1_200_000_000)
    assert target.header.frame_id == "camera"
    assert (target.box.x_min, target.box.y_max, target.box.interpolated) == (1.0, 4.0, False)
    assert s.source.began == (1_100_000_000, [16.0, 12.0, 32.0, 24.0])
    s.source.gone = True
    s.show(1.3)
    s.until(lambda: len(s.targets) == 2)
    assert s.targets[-1].box.interpolated
    s.show(3.0)
    lost = last(s, msg.Target.LOST)
    assert (lost.reason, lost.ended) == ("not seen for 1.8 s", True)
    count = len(s.targets)
    s.show(3.1, 3.2)
    s.until(lambda: len(s.source.observed) == 7)
    assert len(s.targets) == count


def test_frames_between_the_tube_and_now_are_caught_up_silently(following):
    s = following()
    s.show(1.0)
    s.toy = s.node._queue._grounder
    s.toy.go.clear()
    s.client.commands.publish(String(data="the person"))
    s.until(s.toy.started.is_set)
    s.show(1.1, 1.2, 1.3)
    s.toy.go.set()
    s.until(lambda: s.client.tubes)
    s.show(1.4)
    last(s, msg.Target.FOLLOWING)
    assert s.source.updated == [ns * 100_000_000 for ns in (11, 12, 13, 14)]
    assert [stamp_ns(t.header.stamp) for t in s.targets] == [1_400_000_000]


def test_older_frames_whose_detections_come_late_do_not_move_the_target(following):
    s = following()
    s.show(1.0)
    s.say("the person")
    s.show(1.1, 1.2)
    s.until(lambda: s.targets and s.targets[-1].header.stamp == time_message(1_200_000_000))
    for stamp in (1_000_000_000, 1_100_000_000, 1_200_000_000):
        s.node._parts.tracking.frame_stored("", s.node.window.frame(stamp))
    s.show(1.3)
    s.until(lambda: s.targets[-1].header.stamp == time_message(1_300_000_000))
    assert s.source.updated == [1_100_000_000, 1_200_000_000, 1_300_000_000]
    assert len(s.source.observed) == 7  # the detections of all are used, though


def test_following_is_switched_and_asked_again_on_demand(following):
    s = following(**{"follow.enabled": False})
    assert not call(s, Trigger, "reground", Trigger.Request()).success
    s.show(1.0)
    s.say("the person")
    s.show(1.1)
    s.until(lambda: len(s.source.observed) == 2)
    assert s.source.updated == []
    assert call(s, SetBool, "follow", SetBool.Request(data=True)).success
    answer = call(s, Trigger, "reground", Trigger.Request())
    assert answer.success and "the person" in answer.message
    s.until(lambda: len(s.client.tubes) == 2)
    assert s.client.tubes[-1].query == "the person"
    s.show(1.2)
    last(s, msg.Target.FOLLOWING)
    assert call(s, SetBool, "follow", SetBool.Request(data=False)).success
    s.show(1.3)
    assert "switched off" in last(s, msg.Target.STOPPED).reason


def test_a_failing_source_loses_the_target_and_the_node_lives(following):
    s = following()
    s.source.blind = True  # even observing fails
    s.show(1.0)
    s.say("the person")
    s.source.broken = True
    s.show(1.1)
    assert "following failed: no such image" in last(s, msg.Target.LOST).reason
    assert s.say("the person").status == msg.Tube.FOUND


def test_a_jump_of_the_stamps_loses_the_target(following):
    s = following()
    s.show(10.0)
    s.say("the person")
    s.show(10.1)
    last(s, msg.Target.FOLLOWING)
    s.show(2.0)
    assert "jumped back" in last(s, msg.Target.LOST).reason


def test_a_grounder_without_a_source_cannot_follow(start):
    s = start()
    answer = call(s, SetBool, "follow", SetBool.Request(data=True))
    assert not answer.success and "cannot follow" in answer.message


@pytest.mark.skipif(
    detection_type("auto") is not msg.DetectionArray, reason="vision_msgs takes its place here"
)
def test_detections_are_matched_by_stamp_and_followed(following):
    source = build_proposer(ProposalConfig(source="external"))
    s = following(source, **{"proposals.source": "external", "proposals.slop_s": 0.02})
    detector = s.client.create_publisher(msg.DetectionArray, "/grounding/detections", 10)
    s.until(detector.get_subscription_count)

    def detect(stamp_s: float, x: float) -> None:
        message = msg.DetectionArray()
        message.header.stamp = time_message(round(stamp_s * 1e9))
        box = {"x_min": x, "y_min": 10.0, "x_max": x + 10, "y_max": 24.0}
        message.detections = [msg.Detection(id="7", score=0.5, **box)]
        count = source.counts.messages
        detector.publish(message)
        s.until(lambda: source.counts.messages > count)

    split = SplitQuery("it", "it", "it", "rules")
    s.show(1.0, 1.1)
    detect(5.0, 0.0)  # of no image
    with pytest.raises(ProposalError, match="none of 1 messages"):
        source.propose(s.node.window.snapshot(), split)
    detect(1.005, 16.0)
    detect(1.1, 18.0)
    (tube,) = source.propose(s.node.window.snapshot(), split)
    assert tube.boxes_xyxy_px[:, 0].tolist() == [16, 18]
    s.say("the person")  # the toy's box lies on the detections
    s.show(1.2)
    detect(1.2, 20.0)
    target = last(s, msg.Target.FOLLOWING)
    assert (target.box.x_min, target.header.stamp) == (20.0, time_message(1_200_000_000))


class FirstTube(ToyGrounder):
    """Answers with the first candidate tube of the classical source."""

    proposer = build_proposer(ProposalConfig(source="classical"))

    def ground(self, clip, query, checkpoint):
        found = super().ground(clip, query, checkpoint).best
        split = SplitQuery("it", "it", "it", "rules")
        tube = self.proposer.propose(clip, split)[0]
        boxes = tuple(
            TubeBox(frame.stamp_ns, tuple(map(float, box)), 1.0)
            for frame, box, there in zip(clip.frames, tube.boxes_xyxy_px, tube.present, strict=True)
            if there
        )
        return Grounding((replace(found, boxes=boxes),))


def test_a_drawn_walker_is_grounded_and_followed(start):
    clip, truth = scene((walk(20, 270), RED))  # from 0 on, which a header has without a stamp
    clip = Clip(tuple(replace(one, stamp_ns=one.stamp_ns + 10**9) for one in clip.frames))
    s = start(lambda config: FirstTube(), **{"follow.enabled": True})
    targets = []
    s.client.create_subscription(msg.Target, "/grounding/target", targets.append, 100)
    s.until(lambda: s.node.count_subscribers("/grounding/target"))

    waiting = s.node._parts.tracking._observing  # a camera faster than the source loses frames

    def show(frame):
        stored = s.node.window.counts["stored"]
        s.client.images.publish(image_message(frame.image, frame.stamp_ns, "camera"))
        s.until(lambda: s.node.window.counts["stored"] > stored and not waiting.fill[0])

    for frame in clip.frames[:25]:
        show(frame)
    assert s.say("the person").status == msg.Tube.FOUND
    for frame in clip.frames[25:]:
        show(frame)
    s.until(lambda: targets and stamp_ns(targets[-1].header.stamp) == clip.frames[-1].stamp_ns)
    box = targets[-1].box
    found = np.array([[box.x_min, box.y_min, box.x_max, box.y_max]], np.float32)
    assert iou_matrix(found, truth[0, -1:])[0, 0] > 0.5
    assert {target.status for target in targets} == {msg.Target.FOLLOWING}


def test_messages_of_both_kinds_become_the_same_detections():
    ours = msg.DetectionArray(
        detections=[
            msg.Detection(id="a", score=0.5, x_min=10.0, y_min=20.0, x_max=30.0, y_max=60.0)
        ]
    )
    centre = SimpleNamespace(position=SimpleNamespace(x=20.0, y=40.0), theta=0.0)
    results = [SimpleNamespace(hypothesis=SimpleNamespace(class_id="cup", score=0.5))]
    theirs = SimpleNamespace(
        detections=[
            SimpleNamespace(
                id="a",
                bbox=SimpleNamespace(center=centre, size_x=20.0, size_y=40.0),
                results=results,
            )
        ]
    )
    for message in (ours, theirs):
        found = detected(message)
        assert found.boxes_xyxy_px.tolist() == [[10, 20, 30, 60]]
        assert (found.scores.tolist(), found.track_ids) == ([0.5], ("a",))
    assert detected(msg.DetectionArray()).boxes_xyxy_px.shape == (0, 4)


def test_a_type_that_is_not_installed_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "vision_msgs.msg", None)
    assert detection_type("auto") is msg.DetectionArray
    with pytest.raises(ConfigError, match="'vision_msgs' is not installed"):
        detection_type("vision_msgs")


class Resting(ToySource):
    """Sees the target where it was found."""

    def update(self, frame):
        return TargetObservation(tuple(self.began[1]), not self.gone)


def test_the_followed_target_has_its_position_where_depth_comes(following):
    s = following(Resting(), **{"depth.enabled": True})
    depths = s.client.create_publisher(Image, "/grounding/depth", 10)
    infos = s.client.create_publisher(CameraInfo, "/grounding/camera_info", 10)
    s.until(lambda: depths.get_subscription_count() and infos.get_subscription_count())
    feed = next(iter(s.node.cameras)).depth

    def show_depth(stamp_s, metres):
        values = np.full((48, 64), metres * 1000, "<u2")
        depth = Image(height=48, width=64, encoding="16UC1", step=128)
        depth.header.stamp = time_message(round(stamp_s * 1e9))
        depth.data.frombytes(values.tobytes())
        info = CameraInfo(width=64, height=48, k=[50.0, 0, 31.5, 0, 50.0, 23.5, 0, 0, 1.0])
        info.header.stamp = depth.header.stamp
        count = feed.attached
        depths.publish(depth)
        infos.publish(info)
        s.until(lambda: feed.attached == count + 1)

    s.show(1.0)
    show_depth(1.0, 2.0)
    s.say("the person")
    for number in range(1, 11):  # the image first, its depth after it, as drivers publish them
        s.show(1.0 + number / 10)
        show_depth(1.0 + number / 10, 2.0 + number)
        s.until(lambda n=number: len(s.targets) == n)
        box = s.targets[-1].box
        assert (box.has_position, box.position.z) == (True, 2.0 + number)
        assert box.position.x == pytest.approx((23.5 - 31.5) / 50 * (2.0 + number))
    s.show(2.1, 2.2, 3.3)  # its depth does not come: followed all the same, the newest first
    s.until(lambda: s.targets[-1].header.stamp == time_message(3_300_000_000))
    assert {target.box.has_position for target in s.targets[10:]} == {False}


def test_a_box_that_shows_something_else_is_a_loss(following):
    s = following()  # its source reports another place than that of the tube
    s.show(1.0)
    s.say("the person")
    s.show(*(1.0 + number / 10 for number in range(1, 15)))
    s.until(lambda: any(target.status == msg.Target.LOST for target in s.targets))
    lost = next(target for target in s.targets if target.status == msg.Target.LOST)
    assert "another person is at its place" in lost.reason
    assert not lost.ended
