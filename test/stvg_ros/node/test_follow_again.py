# SPDX-License-Identifier: Apache-2.0

"""Following again in the node: states, hand-over, teaching and memory, with a scripted source."""

from __future__ import annotations

from functools import partial

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from ros_tools import call, context, start
from scripted_people import BLUE, RED, STEP_NS, Walker, box_at
from scripted_robot import LEAVES, STAYS, remote_grounder, robot_of
from std_srvs.srv import SetBool

from stvg_ros import msg
from stvg_ros.images import jpeg_image
from stvg_ros.srv import Teach

__all__ = ["context", "robot_of", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")
T = msg.Target


def test_a_lost_target_is_found_again_and_followed(robot_of):
    robot = robot_of({"": (LEAVES, STAYS)}).show(10)
    assert robot.ask("follow the person in red").status == msg.Tube.FOUND
    robot.show(5).wait(T.FOLLOWING)
    robot.show(25).wait(T.SEARCHING)
    lost = next(t for t in robot.targets if t.status == T.LOST)
    assert (lost.ended, lost.reason) == (False, "not seen for 1.6 s")
    assert lost.box.interpolated
    robot.show(26)
    robot.until(lambda: T.FOUND_AGAIN in robot.states())
    found = next(t for t in robot.targets if t.status == T.FOUND_AGAIN)
    assert (found.box.x_min, found.query) == (200.0, "follow the person in red")
    assert found.score > 0.5
    assert found.unseen > 3.9
    assert found.evidence.startswith("appearance 0.")
    # The query was asked about the candidates, on the model of the node.
    assert "the person in red" in robot.grounder.asked
    robot.show(3).wait(T.FOLLOWING)
    assert robot.states() == [T.FOLLOWING, T.LOST, T.SEARCHING, T.FOUND_AGAIN, T.FOLLOWING]
    robot.until(lambda: robot.pictures)
    middle = jpeg_image(bytes(robot.pictures[-1].data))
    assert middle[len(middle) * 2 // 5, middle.shape[1] // 2, 0] > 150


def test_a_search_waits_for_commands_and_says_what_was_not_asked(robot_of, monkeypatch):
    monkeypatch.setattr("stvg_ros.node.follow._PATIENCE_S", 0.0)
    robot = robot_of({"": (LEAVES, STAYS)}).show(10)
    robot.ask("follow the person in red")
    robot.show(30).wait(T.SEARCHING)
    robot.grounder.go.clear()
    robot.s.client.commands.publish(msg_string("find the person in blue"))
    robot.until(lambda: "find the person in blue" in robot.grounder.asked)
    robot.show(25)
    robot.until(lambda: T.FOUND_AGAIN in robot.states())
    found = next(t for t in robot.targets if t.status == T.FOUND_AGAIN)
    assert "query not asked: commands were running" in found.evidence
    robot.grounder.go.set()


def msg_string(text):
    from std_msgs.msg import String

    return String(data=text)


def test_nobody_else_is_followed_and_the_search_ends(robot_of):
    robot = robot_of({"": (Walker(RED, [(0, 20, 100)]), STAYS)}, **{"follow.search_s": 2.0})
    robot.show(10).ask("follow the person in red")
    robot.show(60)
    last = robot.wait(T.LOST)
    assert last.ended
    assert "not found again within follow.search_s (2 s)" in last.reason
    assert robot.states() == [T.FOLLOWING, T.LOST, T.SEARCHING, T.LOST]


def test_a_lost_target_is_handed_over_to_the_other_camera(robot_of):
    cameras = {
        "front": (Walker(RED, [(0, 20, 250)]), STAYS),
        "left": (Walker(BLUE, [(0, 400, 150)]), Walker(RED, [(45, 400, 20)])),
    }
    robot = robot_of(cameras).show(10)
    assert robot.ask("follow the person in red").camera == "front"
    robot.show(50)
    robot.until(lambda: T.FOUND_AGAIN in robot.states())
    robot.show(2)
    last = robot.wait(T.FOLLOWING)
    assert (last.camera, last.box.x_min) == ("left", 20.0)
    assert {t.camera for t in robot.targets if t.status == T.FOLLOWING} == {"front", "left"}


def test_the_followed_one_is_taught_and_recognised_when_back_in_view(robot_of):
    robot = robot_of({"": (LEAVES, STAYS)}).show(10)
    robot.ask("follow the person in red")
    robot.show(5).wait(T.FOLLOWING)
    taught = call(robot.s, Teach, "teach", Teach.Request(name="this is Morgan"))
    assert taught.success
    assert "recognised by appearance" in taught.message
    robot.show(40)  # Morgan left, and has left the window
    absent = robot.ask("find Morgan")
    assert absent.status == msg.Tube.NOT_FOUND
    assert "'Morgan' is not recognised" in absent.error
    robot.show(20)
    tube = robot.ask("find Morgan")
    assert (tube.status, tube.boxes[-1].x_min) == (msg.Tube.FOUND, 200.0)
    robot.show(2)
    robot.until(lambda: robot.targets[-1].name == "Morgan")
    assert robot.wait(T.FOLLOWING).query == "find Morgan"


def test_who_left_the_window_is_answered_from_memory_with_a_picture(robot_of):
    robot = robot_of({"": (LEAVES, STAYS)}, **{"follow.enabled": False})
    memory = robot.s.node._parts.recollection.memory
    for _ in range(4):
        robot.show(15)
        robot.until(
            lambda: (memory.span_ns("") or (0, 0))[1] > 10**9 + (robot.index - 25) * STEP_NS
        )
    tube = robot.ask("the person in red five seconds ago")
    assert (tube.status, tube.from_memory) == (msg.Tube.FOUND, True)
    assert "from memory" in tube.warning
    assert tube.picture.format == "jpeg"
    picture = jpeg_image(bytes(tube.picture.data))
    assert picture[len(picture) * 2 // 5, picture.shape[1] // 2, 0] > 150
    tubes, frames, nbytes = memory.fill
    assert tubes >= 2 and frames > 5 and nbytes > 1000


def test_find_again_follows_who_comes_back_later(robot_of):
    robot = robot_of({"": (LEAVES, STAYS)})
    memory = robot.s.node._parts.recollection.memory
    for _ in range(3):
        robot.show(18)
        robot.until(
            lambda: (memory.span_ns("") or (0, 0))[1] > 10**9 + (robot.index - 25) * STEP_NS
        )
    tube = robot.ask("find the person in red again")
    assert (tube.status, tube.from_memory) == (msg.Tube.FOUND, True)
    assert "not in view now" in tube.warning
    robot.show(20)
    robot.until(lambda: T.FOUND_AGAIN in robot.states())
    assert robot.targets[-1].box.x_min == 200.0


def test_the_same_person_is_whoever_was_found_last(robot_of):
    robot = robot_of({"": (LEAVES, STAYS)}, **{"follow.enabled": False}).show(10)
    robot.ask("find the person in blue")  # the reddest is found, whatever is said
    memory = robot.s.node._parts.recollection.memory
    for _ in range(3):
        robot.show(14)
        robot.until(
            lambda: (memory.span_ns("") or (0, 0))[1] > 10**9 + (robot.index - 25) * STEP_NS
        )
    absent = robot.ask("find the same person again in the kitchen")
    assert absent.status == msg.Tube.NOT_FOUND
    assert "'the same person' is not recognised" in absent.error
    robot.show(20)
    tube = robot.ask("where is the same person now?")
    assert (tube.status, tube.boxes[-1].x_min) == (msg.Tube.FOUND, 200.0)


def test_pictures_are_sent_on_request_only(robot_of):
    robot = robot_of({"": (LEAVES, STAYS)}).show(10)
    assert len(robot.ask("the person in red").picture.data) == 0
    picture = robot.ask("the person in red", picture=True).picture
    assert picture.header.frame_id == "camera"
    assert box_at(100)[2] - box_at(100)[0] <= jpeg_image(bytes(picture.data)).shape[1] <= 40


def test_a_memory_of_zero_seconds_remembers_nothing(robot_of):
    robot = robot_of({"": (LEAVES, STAYS)}, **{"memory.duration_s": 0.0})
    robot.show(60)
    tube = robot.ask("the person in red ten seconds ago")
    assert tube.error_code == msg.Tube.ERROR_WINDOW_OUT_OF_RANGE
    assert robot.s.node._parts.recollection.memory.fill == (0, 0, 0)


def test_a_robot_whose_tubes_are_on_the_server_says_how_to_follow(start):
    pytest.importorskip(
        "ray", reason="Ray Serve is missing: pip install -r requirements/serving.txt"
    )
    remote = {"backend": "remote", "follow.enabled": True}
    s = start(partial(remote_grounder, None), connect=False, **remote)
    answer = call(s, SetBool, "follow", SetBool.Request(data=True))
    assert not answer.success
    assert "set remote.tubes to 'robot'" in answer.message
