# SPDX-License-Identifier: Apache-2.0

"""Several cameras on one grounder, and the service."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from ros_tools import ToyGrounder, change, context, image, start
from sensor_msgs.msg import Image

from stvg_ros import msg
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.runtime.camera_search import merged
from stvg_ros.srv import GroundQuery
from stvg_ros.types import Grounding, Query, Status, Tube

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")


def tube(status=Status.FOUND, confidence=0.5):
    return Grounding((Tube(Query("x"), status, confidence=confidence),))


@pytest.mark.parametrize(
    ("text", "names"), [("", ("",)), ("front", ("front",)), ("front, rear_2", ("front", "rear_2"))]
)
def test_names_of_cameras(text, names):
    assert Config.from_flat({"cameras": text}).node.camera_names == names


@pytest.mark.parametrize("text", ["front,", "a b", "1st", "front,front", "/cam", "ü"])
def test_names_that_are_no_topics_are_refused(text):
    with pytest.raises(ConfigError, match="cameras: expected"):
        Config.from_flat({"cameras": text})


def test_merging_ranks_found_before_absent_and_then_by_confidence():
    both = merged({"a": tube(confidence=0.4), "b": tube(confidence=0.6)}, 2)
    assert [(t.camera, t.rank) for t in both.tubes] == [("b", 0), ("a", 1)]
    absent = tube(Status.NOT_FOUND, 0.9)
    assert merged({"a": absent, "b": tube(confidence=0.1)}, 1).best.camera == "b"


class Cams:
    def __init__(self, s, *names):
        self.s = s
        self.publishers = {
            name: s.client.create_publisher(Image, f"/grounding/{name}/image", 10) for name in names
        }
        s.until(lambda: all(p.get_subscription_count() for p in self.publishers.values()))

    def show(self, name, stamp_s, **options):
        window = self.s.node.cameras[name].window
        before = window.counts["stored"]
        self.publishers[name].publish(image(stamp_s, **options))
        self.s.until(lambda: window.counts["stored"] > before)

    def ask(self, **fields):
        count = len(self.s.client.tubes)
        self.s.client.queries.publish(msg.Query(text="the person", **fields))
        self.s.until(lambda: len(self.s.client.tubes) > count)
        return self.s.client.tubes[-1]


def two(start, build=None):
    s = start(build, connect=False, cameras="front,rear")
    s.until(s.client.queries.get_subscription_count)
    return s, Cams(s, "front", "rear")


def test_each_camera_has_its_window_and_a_query_names_one_or_all(start):
    s, cams = two(start)
    cams.show("rear", 7.0, width=32, height=24)
    answer = cams.ask()  # the other one has no images
    assert (answer.camera, answer.image_width) == ("rear", 32)
    cams.show("front", 1.0)
    answer = cams.ask(camera="front")
    assert (answer.camera, answer.image_width, answer.header.stamp.sec) == ("front", 64, 1)
    answer = cams.ask(camera="rear")
    assert (answer.camera, answer.header.stamp.sec) == ("rear", 7)
    wrong = cams.ask(camera="left")
    assert wrong.error_code == msg.Tube.ERROR_INVALID_COMMAND
    assert "'front', 'rear'" in wrong.error
    cams.ask(max_targets=2)
    s.until(lambda: len(s.client.tubes) == 6)
    assert {t.camera for t in s.client.tubes[-2:]} == {"front", "rear"}


# Stamps of a camera's images in seconds, and how many of them the window holds then.
STAMPS = {
    "all zero": ([0, 0, 0, 0], 4), "one": ([0], 1), "stamped": ([1, 2, 3], 3),
    "zero among others": ([1, 0, 2, 3], 3), "zero at the end": ([1, 2, 3, 0], 3),
    "two zeros among others": ([1, 0, 0, 2], 2), "zeros by turns": ([1, 0, 2, 0, 3, 0], 3),
    "negative among others": ([1, -5, 2], 2), "negative and zero": ([-1, 0, -1], 1),
    "a first stamp after zeros begins a new time line": ([0, 0, 5, 6], 2),
}  # fmt: skip


@pytest.mark.parametrize(("stamps_s", "kept"), STAMPS.values(), ids=STAMPS)
def test_images_without_stamps_get_their_times_of_arrival(start, stamps_s, kept):
    s = start(**{"window.max_rate_hz": 0.0})
    begin_ns = s.node.get_clock().now().nanoseconds
    for stamp_s in stamps_s:
        s.show(float(stamp_s))
    stamps_ns = [frame.stamp_ns for frame in s.node.window.snapshot().frames]
    assert len(stamps_ns) == kept
    if max(stamps_s) > 0:
        assert all(stamp_ns % 10**9 == 0 and stamp_ns > 0 for stamp_ns in stamps_ns)
    else:
        assert begin_ns < stamps_ns[0]
        answer = s.say("find the person in red")
        assert answer.header.stamp.sec >= begin_ns // 10**9


def test_a_driver_that_stamps_all_images_alike_gets_their_times_of_arrival(start):
    s = start(**{"window.max_rate_hz": 0.0})
    begin_ns = s.node.get_clock().now().nanoseconds
    s.show(*[3.0] * 9)
    stamps_ns = [frame.stamp_ns for frame in s.node.window.snapshot().frames]
    assert len(stamps_ns) == 4  # the first five tell that the stamp stands still
    assert begin_ns < stamps_ns[0]
    assert s.say("find the person in red").header.stamp.sec >= begin_ns // 10**9


def test_a_simulated_clock_that_nobody_publishes_gives_no_stamps_of_zero(start):
    s = start(use_sim_time=True, **{"window.max_rate_hz": 0.0})
    s.show(0.0, 0.0, 0.0)
    stamps_ns = [frame.stamp_ns for frame in s.node.window.snapshot().frames]
    assert len(stamps_ns) == 3
    assert stamps_ns[0] > 10**18


def test_an_activation_forgets_whether_the_camera_stamped(start):
    s = start(**{"window.max_rate_hz": 0.0})
    s.show(1.0, 2.0)
    for step in ("deactivate", "activate"):
        assert change(s, step)
    s.until(s.client.connected)
    s.show(0.0, 0.0)
    assert len(s.node.window.snapshot().frames) == 2
    assert s.image_errors == 0


def test_frames_name_their_camera_whatever_their_frame_id(start):
    s, cams = two(start)
    for name in ("front", "rear"):
        cams.show(name, 1.0)
        window = s.node.cameras[name].window
        assert [frame.stream for frame in window.snapshot().frames] == [name]


def test_a_window_that_one_camera_lacks_is_answered_by_the_other(start):
    from stvg_ros.method.sampling import cut

    class Cutting(ToyGrounder):
        def ground(self, clip, query, checkpoint):
            return super().ground(cut(clip, query.start_ns, query.end_ns), query, checkpoint)

    _, cams = two(start, lambda config: Cutting())
    cams.show("front", 1.0)
    cams.show("rear", 50.0)
    query = msg.Query()
    query.window_start.sec = 40
    assert cams.ask(window_start=query.window_start).camera == "rear"
    query.window_start.sec = 90
    assert cams.ask(window_start=query.window_start).error_code == (
        msg.Tube.ERROR_WINDOW_OUT_OF_RANGE
    )


def test_the_service_answers_with_the_tube(start):
    s = start()
    s.show(1.0, 1.1)
    client = s.client.create_client(GroundQuery, "/grounding/ground_query")
    s.until(client.service_is_ready)
    for text, status in (("the person", msg.Tube.FOUND), (" ", msg.Tube.FAILED)):
        future = client.call_async(GroundQuery.Request(text=text))
        s.until(future.done)
        assert future.result().tube.status == status
        assert future.result().alternatives == []
    # Answers to the service are published as well.
    s.until(lambda: len(s.client.tubes) == 2)
