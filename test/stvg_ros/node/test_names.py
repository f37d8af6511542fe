# SPDX-License-Identifier: Apache-2.0

"""Names that a target was given, and the commands that use them."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from fakes import FixedProposer, ToyMllm
from ros_tools import call, context, start

from stvg_ros import msg
from stvg_ros.config import Config
from stvg_ros.known_target import KnownTarget
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.query import RuleSplitter
from stvg_ros.srv import GroundQuery, Teach

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")
SETTINGS = {"presence.enabled": False, "window.duration_s": 8.0, "window.max_age_s": 0.0}
BOXES = ((0.0, 0.0, 20.0, 40.0), (20.0, 0.0, 40.0, 40.0))


@pytest.fixture
def session(start):
    config = Config.from_flat(SETTINGS)
    s = start(
        lambda _: LocalGrounder(ToyMllm(), RuleSplitter(), FixedProposer(*BOXES), config),
        **SETTINGS,
    )
    s.show(10.0, 10.1, 10.2)
    return s


def ground(s, text, **fields):
    return call(s, GroundQuery, "ground_query", GroundQuery.Request(text=text, **fields))


def teach(s, name, **fields):
    return call(s, Teach, "teach", Teach.Request(name=name, **fields))


def box(tube):
    last = tube.boxes[-1]
    return last.x_min, last.y_min, last.x_max, last.y_max


def test_a_taught_name_is_found(session):
    found = ground(session, "the person in red", max_targets=2)
    assert "describe the person" in ground(session, "follow Morgan").tube.error
    assert teach(session, "this is Morgan", query_id=found.tube.query_id, rank=1).success
    tube = ground(session, "please follow Morgan to the kitchen").tube
    assert tube.status == msg.Tube.FOUND
    assert box(tube) == box(found.alternatives[0])
    assert tube.then == "follow to the kitchen"
    assert len(tube.boxes) == 3
    assert "describe the person" in ground(session, "follow Jane").tube.error


def test_without_an_id_the_last_answer_is_named(session):
    refused = teach(session, "Morgan")
    assert not refused.success
    assert "query_id" in refused.message
    found = ground(session, "the person in red")
    assert teach(session, "my mum").success
    assert box(ground(session, "find my mum").tube) == box(found.tube)


def test_answers_that_can_be_named_are_kept_without_their_pictures(session):
    assert len(ground(session, "the person in red", picture=True).tube.picture.data) > 100
    (tubes,) = session.node._parts.names._answers.values()
    assert [tube.picture for tube in tubes] == [None]


def test_a_name_in_small_letters_is_found(session):
    ground(session, "the person in red")
    assert teach(session, "her name is Bartholomea").success
    assert ground(session, "find bartholomea").tube.status == msg.Tube.FOUND


@pytest.mark.parametrize(
    ("name", "fields", "reason"),
    [
        ("", {}, "name: expected"),
        ("this is", {}, "name: expected"),
        ("Jane", {"query_id": "nobody"}, "query_id: expected"),
        ("Jane", {"rank": 3}, "rank: expected 0 to 0"),
    ],
)
def test_a_request_that_names_nothing_is_refused(session, name, fields, reason):
    ground(session, "the person in red")
    answer = teach(session, name, **fields)
    assert not answer.success
    assert reason in answer.message


def test_a_binding_moves_with_its_target(session):
    ground(session, "the person in red")
    teach(session, "Morgan")
    names = session.node._parts.names
    for second in range(13, 26, 3):  # longer than the window
        session.show(float(second))
        seen_ns = second * 1_000_000_000
        session.until(
            lambda ns=seen_ns: names._named["morgan"].known.stamp_ns >= ns - 3_000_000_000
        )
    assert ground(session, "find Morgan").tube.status == msg.Tube.FOUND


def test_a_name_out_of_the_window_is_not_searched_until_a_command_asks(session, monkeypatch):
    found = ground(session, "the person in red").tube
    teach(session, "Morgan")
    session.show(13.0, 16.0, 19.0)  # the first images have left the window of 8 s
    parts, offered = session.node._parts, []
    left = KnownTarget("Morgan", box(found), 10**10)
    parts.names._named["morgan"] = replace(parts.names._named["morgan"], known=left, tried_ns=0)
    monkeypatch.setattr(parts.intake, "offer", lambda query, *more: offered.append(query.text))
    parts.names._update()
    assert offered == []
    tube = ground(session, "find Morgan").tube  # by appearance: the images repeat
    assert (tube.status, box(tube)) == (msg.Tube.FOUND, box(found))
    assert tube.decided.startswith("appearance")
