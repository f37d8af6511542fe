# SPDX-License-Identifier: Apache-2.0

"""Names whose target is followed, handed over, lost, or recognised in another camera."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from ros_tools import call, context, start
from scripted_people import BLUE, GREEN, RED, Walker, box_at, frame_at
from scripted_robot import LEAVES, STAYS, robot_of
from std_srvs.srv import SetBool

from stvg_ros import msg
from stvg_ros.errors import StaleImagesError
from stvg_ros.known_target import KnownTarget
from stvg_ros.node.image_conversions import image_message
from stvg_ros.srv import Teach
from stvg_ros.types import Query

__all__ = ["context", "robot_of", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")
T = msg.Target
LONG = {"window.duration_s": 30.0}  # everything that is shown stays in the windows
PINK = (200, 30, 110)
JANE = Walker(PINK, [(0, 400, 30)])
# The red one leaves the front camera, is in the left one, and comes back.
AWAY_AND_BACK = {
    "front": (Walker(RED, [(0, 20, 250), (100, 400, 120)]), JANE),
    "left": (Walker(BLUE, [(0, 400, 150)]), Walker(RED, [(45, 75, 20)])),
}


def teach(robot, name, **fields):
    answer = call(robot.s, Teach, "teach", Teach.Request(name=name, **fields))
    assert answer.success, answer.message


def place(tube):
    """Camera and left edge of the last box of a tube that was found."""
    assert tube.status == msg.Tube.FOUND, tube.error
    return tube.camera, tube.boxes[-1].x_min


def followed(robot_of, cameras=AWAY_AND_BACK, **settings):
    """A robot that follows the red one; and the id of its command, whose rank 1 is Jane."""
    robot = robot_of(cameras, **{**LONG, **settings}).show(10)
    answer = robot.ask("follow the person in red", max_targets=2)
    robot.show(5).wait(T.FOLLOWING)
    return robot, answer.query_id


def found_again(robot, camera):
    robot.until(lambda: any((t.status, t.camera) == (T.FOUND_AGAIN, camera) for t in robot.targets))


@pytest.mark.parametrize("how", ["followed", "answer"])
def test_names_go_with_the_followed_one_into_another_camera_and_back(robot_of, how):
    robot, query_id = followed(robot_of)
    teach(robot, "Jane", query_id=query_id, rank=1)
    for name in ("Morgan", "my mum"):
        teach(robot, name, query_id="" if how == "followed" else query_id)
    names = robot.s.node._parts.names

    def known():
        names._keep_up()
        found = {key: one.known for key, one in names._named.items()}
        assert (found["jane"].camera, found["jane"].box_xyxy_px[0]) == ("front", 30.0)
        assert found["morgan"].box_xyxy_px == found["mum"].box_xyxy_px
        return found["mum"].camera, found["morgan"].camera, found["morgan"].box_xyxy_px[0]

    robot.show(1)
    assert known() == ("front", "front", 250.0)
    robot.show(49)
    found_again(robot, "left")
    assert known() == ("left", "left", 20.0)
    robot.show(60)
    found_again(robot, "front")
    assert known() == ("front", "front", 120.0)
    assert place(robot.ask("find Jane")) == ("front", 30.0)
    assert place(robot.ask("find my mum")) == ("front", 120.0)


def test_a_command_right_after_the_hand_over_is_answered_in_the_new_camera(robot_of):
    robot, _ = followed(robot_of)
    teach(robot, "Morgan")
    robot.s.node._parts.names._timer.cancel()  # the command does not wait for it
    robot.show(50)
    found_again(robot, "left")
    assert place(robot.ask("find Morgan")) == ("left", 20.0)
    assert place(robot.ask("where is the same person")) == ("left", 20.0)


def test_the_same_person_is_the_lost_one_where_it_was_seen_last(robot_of):
    robot, _ = followed(robot_of)
    robot.show(45)
    found_again(robot, "left")
    robot.show(32)
    robot.wait(T.SEARCHING)
    assert place(robot.ask("find the same person again")) == ("left", 20.0)


def test_a_name_that_is_taught_anew_leaves_the_followed_one(robot_of):
    robot, query_id = followed(robot_of)
    teach(robot, "Morgan")
    robot.ask("follow Morgan")
    robot.show(2)
    robot.until(lambda: robot.targets[-1].name == "Morgan")
    teach(robot, "Morgan", query_id=query_id, rank=1)
    robot.show(45)
    found_again(robot, "left")
    assert place(robot.ask("find Morgan")) == ("front", 30.0)


def test_a_name_that_is_taught_before_the_next_image_is_that_of_the_last_answer(robot_of):
    robot, query_id = followed(robot_of)
    teach(robot, "Jane", query_id=query_id, rank=1)
    robot.ask("follow Jane")
    teach(robot, "my mum")
    assert place(robot.ask("find my mum")) == ("front", 30.0)


def test_a_name_stays_where_following_was_switched_off(robot_of):
    robot, _ = followed(robot_of)
    teach(robot, "Morgan")
    assert call(robot.s, SetBool, "follow", SetBool.Request(data=False)).success
    robot.show(2).wait(T.STOPPED)
    robot.show(40)
    assert place(robot.ask("find Morgan")) == ("front", 250.0)  # where it is in the window


def test_names_go_to_the_camera_in_which_a_command_recognised_the_target(robot_of):
    robot = robot_of(AWAY_AND_BACK, **{**LONG, "follow.enabled": False}).show(10)
    query_id = robot.ask("find the person in red", max_targets=2).query_id
    for name, rank in (("Morgan", 0), ("my mum", 0), ("Jane", 1)):
        teach(robot, name, query_id=query_id, rank=rank)
    robot.show(50)
    assert place(robot.ask("find Morgan")) == ("front", 250.0)
    assert place(robot.ask("find Morgan", camera="left")) == ("left", 20.0)
    assert place(robot.ask("find Morgan")) == ("left", 20.0)
    assert place(robot.ask("find my mum")) == ("left", 20.0)
    assert place(robot.ask("find Jane")) == ("front", 30.0)


def test_with_somebody_else_at_the_box_of_a_name_the_other_cameras_are_searched(robot_of):
    robot = robot_of(AWAY_AND_BACK, **{"follow.enabled": False}).show(10)
    robot.ask("find the person in red")
    teach(robot, "Morgan")
    robot.show(50)  # the red one left the window of the front camera
    names = robot.s.node._parts.names
    janes = KnownTarget("Morgan", box_at(30), frame_at(50, ()).stamp_ns, "front")
    names._named["morgan"] = replace(names._named["morgan"], known=janes)
    assert place(robot.ask("find Morgan")) == ("left", 20.0)
    assert names._named["morgan"].known.camera == "left"


def test_a_box_of_another_camera_shows_nobody(robot_of):
    cameras = {"front": (Walker(RED, [(0, 400, 250)]),), "left": (Walker(GREEN, [(0, 400, 250)]),)}
    robot, _ = followed(robot_of, cameras)
    teach(robot, "Morgan")
    named = robot.s.node._parts.names._named
    describer = robot.s.node._parts.names._describer
    named["morgan"] = replace(named["morgan"], appearance=describer.empty())
    assert robot.ask("find Morgan", camera="left").status == msg.Tube.NOT_FOUND
    assert place(robot.ask("find Morgan")) == ("front", 250.0)


def test_after_a_jump_of_the_stamps_a_name_is_looked_for_everywhere(robot_of):
    cameras = {
        "front": (Walker(RED, [(200, 400, 250)]), Walker(BLUE, [(0, 400, 30)])),
        "left": (Walker(BLUE, [(0, 400, 150)]), Walker(RED, [(0, 60, 20)])),
    }
    robot = robot_of(cameras, **LONG)
    robot.index = 200
    robot.show(10).ask("follow the person in red")
    robot.show(5).wait(T.FOLLOWING)
    teach(robot, "Morgan")
    for index in range(2):  # the first of them is held until there is another
        for name, publisher in robot.images.items():
            frame = frame_at(index, cameras[name])
            publisher.publish(image_message(frame.image, frame.stamp_ns, "camera"))
    windows = [robot.s.node.cameras[name].window for name in cameras]
    robot.until(lambda: all(window.spans(10**9) for window in windows))
    robot.index = 2
    robot.show(10)
    assert "jumped back" in robot.wait(T.LOST).reason
    assert place(robot.ask("find Morgan")) == ("left", 20.0)
    known = robot.s.node._parts.names._named["morgan"].known
    assert (known.camera, known.box_xyxy_px) == ("left", box_at(20))


def test_a_camera_without_fresh_images_does_not_hold_up_the_names_of_another(robot_of, monkeypatch):
    robot = robot_of(AWAY_AND_BACK, **{"follow.enabled": False}).show(52)
    for name, camera, x in (("Jane", "front", 30.0), ("Morgan", "left", 20.0)):
        assert place(robot.ask("find the person in red", camera=camera)) == (camera, x)
        teach(robot, name)
    names = robot.s.node._parts.names
    before_ns, views = names._named["morgan"].known.stamp_ns, names._intake.views

    def fresh(camera):
        if camera == "front":
            raise StaleImagesError("old")
        return views(camera)

    monkeypatch.setattr(names._intake, "views", fresh)
    robot.show(15)
    robot.until(lambda: names._named["morgan"].known.stamp_ns > before_ns)


def test_a_standing_query_looks_for_a_name_where_it_is_now(robot_of):
    robot = robot_of(AWAY_AND_BACK, **{"follow.enabled": False}).show(10)
    robot.ask("find the person in red")
    teach(robot, "Morgan")
    queries, tubes = robot.s.client.queries, robot.s.client.tubes
    robot.until(queries.get_subscription_count)
    queries.publish(msg.Query(id="watch", text="find Morgan", standing_rate_hz=50.0))

    def last():
        heard = [tube for tube in tubes if tube.query_id == "watch"]
        return (heard[-1].status, heard[-1].camera) if heard else None

    robot.until(lambda: last() == (msg.Tube.FOUND, "front"))
    robot.show(55)  # three seconds after the red one has left the front camera
    robot.until(lambda: last() == (msg.Tube.FOUND, "left"))


def test_the_robot_tells_when_somebody_with_a_name_comes_back(robot_of):
    robot = robot_of({"": (LEAVES, STAYS)}, **{"follow.enabled": False}).show(10)
    robot.ask("find the person in red")
    teach(robot, "Morgan")
    asked = robot.s.node._parts.names.resolve(Query("is Morgan there?"))
    assert asked.known is not None and asked.known.name == "Morgan"
    robot.show(45)  # Morgan left, and has left the window
    state = robot.ask("tell me when Morgan comes back")
    assert state.status == msg.Tube.NOT_FOUND
    assert "'Morgan' is not recognised" in state.error
    robot.show(15)
    robot.until(
        lambda: any(
            (tube.query_id, tube.status) == (state.query_id, msg.Tube.FOUND)
            for tube in robot.s.client.tubes
        )
    )
