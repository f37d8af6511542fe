# SPDX-License-Identifier: Apache-2.0

"""Questions to the node: by service, topic and action; and what an answer carries."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from fakes import FixedProposer, ToyMllm
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_tools import call, context, start

from stvg_ros import msg
from stvg_ros.action import Ground
from stvg_ros.config import Config
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.query import RuleSplitter
from stvg_ros.srv import Ask, GroundQuery

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")
SETTINGS = {"presence.enabled": False, "presence.share": 0.0, "window.max_age_s": 0.0}
BOXES = ((0.0, 0.0, 20.0, 40.0), (20.0, 0.0, 40.0, 40.0))
LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def grounder() -> LocalGrounder:
    config = Config.from_flat(SETTINGS)
    return LocalGrounder(ToyMllm(), RuleSplitter(), FixedProposer(*BOXES), config)


@pytest.fixture
def session(start):
    s = start(lambda config: grounder(), **SETTINGS)
    s.show(10.0, 10.1, 10.2)
    return s


def ask(s, text):
    return call(s, Ask, "ask", Ask.Request(text=text))


def test_counting_gives_a_number_with_the_tubes_behind_it(session):
    answer = ask(session, "how many people wear red t-shirts?").answer
    assert (answer.intent, answer.text, answer.number) == ("count", "2", 2)
    assert [tube.track_id for tube in answer.tubes] != []
    assert len(answer.tubes) == 2
    assert all(tube.boxes for tube in answer.tubes)


def test_is_there_somebody(session):
    answer = ask(session, "is there someone lying on the floor?").answer
    assert (answer.intent, answer.text, answer.number) == ("exists", "yes", 1)


def test_describing_gives_words(session):
    answer = ask(session, "tell me the pose of the person at the desk").answer
    assert (answer.intent, answer.asked) == ("describe", "pose")
    assert answer.text in ("standing", "sitting", "lying", "crouching", "walking")
    assert answer.tubes[0].place == "the desk"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("follow Morgan", "describe the person"),
        ("find my mum", "describe the person"),
        ("who waved two minutes ago", "window.duration_s"),
        ("finde die Person in Rot", "German"),
        ("stop", "Nobody"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_reason(session, text, reason):
    response = ask(session, text)
    assert response.error_code in (
        msg.Tube.ERROR_INVALID_COMMAND,
        msg.Tube.ERROR_WINDOW_OUT_OF_RANGE,
    )
    assert reason in response.error
    assert session.say("the person").status == msg.Tube.FOUND


def test_a_question_by_topic_is_answered_on_a_topic(session):
    answers = []
    session.client.create_subscription(msg.Answer, "/grounding/answer", answers.append, LATCHED)
    session.say("how many people are standing?")
    session.until(lambda: answers)
    assert answers[-1].number == 2


def test_a_question_by_action_is_answered_in_the_result(session):
    session.client.ground.wait_for_server()
    sent = session.client.ground.send_goal_async(Ground.Goal(text="count the people"))
    session.until(sent.done)
    done = sent.result().get_result_async()
    session.until(done.done)
    result = done.result().result
    assert (result.answer.text, result.answer.number) == ("2", 2)
    assert len(result.alternatives) == 1


def test_a_tube_carries_what_a_behaviour_tree_needs(session):
    tube = session.say(
        "please find the waving man without a hat left of the woman in red in the kitchen "
        "and tell him the time"
    )
    assert (tube.intent, tube.place, tube.then) == ("find", "the kitchen", "tell him the time")
    assert tube.relation == "left of the woman in red"
    assert tube.negation == "a hat"
    assert tube.number == 1
    # By service: the topic gives each tube of an answer.
    for text, number in (("find everyone in red", 0), ("find both kids", 2)):
        request = GroundQuery.Request(text=text)
        assert call(session, GroundQuery, "ground_query", request).tube.number == number
