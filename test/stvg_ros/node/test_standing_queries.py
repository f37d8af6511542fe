# SPDX-License-Identifier: Apache-2.0

"""Standing queries: asked once, answered whenever the answer changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from ros_tools import ToyGrounder, context, start
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.errors import ErrorCode, ModelError
from stvg_ros.method.query import RuleSplitter
from stvg_ros.node.standing_queries import is_news
from stvg_ros.types import Grounding, Query, Status, Tube

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")

FOUND = Tube(Query("x"), Status.FOUND, start_ns=10, end_ns=20)
ABSENT = Tube(Query("x"), Status.NOT_FOUND)
FAILED = Tube(Query("x"), Status.FAILED, error_code=ErrorCode.NO_IMAGES)


@pytest.mark.parametrize(
    ("last", "tube", "news"),
    [
        (None, ABSENT, True),
        (ABSENT, ABSENT, False),
        (ABSENT, FOUND, True),
        (FOUND, FOUND, False),
        (FOUND, replace(FOUND, start_ns=12, end_ns=40), False),
        (FOUND, replace(FOUND, start_ns=20, end_ns=40), False),
        (FOUND, replace(FOUND, start_ns=21, end_ns=40), True),
        (FOUND, replace(FOUND, camera="rear"), True),
        (FOUND, ABSENT, True),
        (FAILED, FAILED, False),
        (FAILED, replace(FAILED, error_code=ErrorCode.MODEL), True),
    ],
)
def test_what_is_news(last, tube, news):
    assert is_news(last, tube) is news


class Scripted(ToyGrounder):
    """Finds somebody only in images of odd seconds."""

    def __init__(self):
        super().__init__()
        self.grounded_s = []

    def ground(self, clip, query, checkpoint):
        answer = super().ground(clip, query, checkpoint)
        second = clip.frames[-1].stamp_ns // 1_000_000_000
        self.grounded_s.append(second)
        if second % 2:
            newest = clip.frames[-1].stamp_ns
            return Grounding((replace(answer.best, start_ns=newest, end_ns=newest),))
        return Grounding((Tube(query, Status.NOT_FOUND),))


class Watching(Scripted):
    """As `Scripted`, with the command that it read."""

    def ground(self, clip, query, checkpoint):
        answer = super().ground(clip, query, checkpoint)
        split = RuleSplitter().split(query.text)
        return Grounding((replace(answer.best, query=query, split=split),))


def ask(s, **fields):
    s.client.queries.publish(msg.Query(**fields))


def test_it_answers_on_change_until_it_is_stopped(start):
    toy = Scripted()
    s = start(lambda config: toy)
    s.show(2.0)
    ask(s, id="watch", text="someone picks up the box", standing_rate_hz=50.0)
    s.until(lambda: len(s.client.tubes) == 1)
    for second, answers in ((4.0, 1), (5.0, 2), (7.0, 3), (8.0, 4), (10.0, 4)):
        s.show(second)
        s.until(lambda second=second: second in toy.grounded_s)
        s.until(lambda answers=answers: len(s.client.tubes) >= answers)
    ask(s, id="watch", stop=True)
    s.until(lambda: len(s.client.tubes) == 5)
    status = [tube.status for tube in s.client.tubes]
    assert status == [msg.Tube.NOT_FOUND, msg.Tube.FOUND, msg.Tube.FOUND, msg.Tube.NOT_FOUND,
                      msg.Tube.FAILED]  # fmt: skip
    assert {tube.query_id for tube in s.client.tubes} == {"watch"}
    assert s.client.tubes[-1].error_code == msg.Tube.ERROR_CANCELED
    assert toy.grounded_s == [2, 4, 5, 7, 8, 10]  # the same images are not grounded twice
    assert len(s.node.standing) == 0


def test_a_command_goes_before_a_standing_query(start):
    s = start(**{"command.policy": "replace"})
    s.show(1.0)
    s.toy.go.clear()
    ask(s, id="watch", text="someone", standing_rate_hz=50.0)
    s.until(s.toy.started.is_set)
    s.client.commands.publish(String(data="the person"))
    s.until(lambda: s.client.states[-1] == "grounding q-000001")
    s.toy.go.set()
    s.until(lambda: len(s.client.tubes) == 2)
    # The standing query gave way without an answer, and tried again.
    assert [tube.query_id for tube in s.client.tubes] == ["q-000001", "watch"]
    assert [tube.status for tube in s.client.tubes] == [msg.Tube.FOUND] * 2


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"text": "x", "standing_rate_hz": -1.0}, "0.0001 to 100 Hz, got -1"),
        ({"text": "x", "standing_rate_hz": float("nan")}, "got nan"),
        ({"text": " ", "standing_rate_hz": 1.0}, "empty"),
        ({"stop": True}, "'nobody'"),
    ],
)
def test_what_cannot_be_is_answered_with_the_reason(start, fields, text):
    s = start()
    ask(s, id="nobody", **fields)
    s.until(lambda: s.client.tubes)
    assert s.client.tubes[0].error_code == msg.Tube.ERROR_INVALID_COMMAND
    assert s.client.tubes[0].query_id == "nobody"
    assert text in s.client.tubes[0].error


def test_a_fixed_window_cannot_stand(start):
    s = start()
    query = msg.Query(id="q", text="x", standing_rate_hz=1.0)
    query.window_end.sec = 5
    s.client.queries.publish(query)
    s.until(lambda: s.client.tubes)
    assert "moving window" in s.client.tubes[0].error


def watch(start, text, seconds, **settings):
    """The statuses of the answers to a command, with an image at each of some seconds."""
    toy = Watching()
    settings = {"command.watch_rate_hz": 50.0, "window.max_age_s": 0.0, **settings}
    s = start(lambda config: toy, **settings)
    s.show(seconds[0])
    s.client.commands.publish(String(data=text))
    s.until(lambda: len(s.node.standing) == 1)
    for second in seconds[1:]:
        s.show(second)
        # The standing query grounds the first image again, so that a count would not do.
        s.until(lambda second=second: second in toy.grounded_s or not len(s.node.standing))
    return s


def statuses(s):
    assert len({tube.query_id for tube in s.client.tubes}) <= 1
    return [tube.status for tube in s.client.tubes]


def test_tell_me_when_answers_now_and_at_the_next_event(start):
    s = watch(start, "tell me when somebody falls", [2.0, 4.0, 5.0, 7.0])
    s.until(lambda: len(s.client.tubes) == 2 and len(s.node.standing) == 0)
    assert statuses(s) == [msg.Tube.NOT_FOUND, msg.Tube.FOUND]
    assert s.client.tubes[-1].start.sec == 5
    assert s.client.tubes[-1].intent == "watch"


def test_what_is_so_already_is_no_event(start):
    s = watch(start, "let me know when somebody falls", [3.0, 4.0, 9.0])
    s.until(lambda: len(s.client.tubes) == 2 and len(s.node.standing) == 0)
    assert statuses(s) == [msg.Tube.FOUND, msg.Tube.FOUND]
    assert s.client.tubes[-1].start.sec == 9


def test_whenever_reports_each_event_until_it_is_stopped(start):
    s = watch(start, "tell me whenever somebody falls", [2.0, 5.0, 6.0, 9.0])
    s.until(lambda: len(s.client.tubes) == 3)
    assert statuses(s) == [msg.Tube.NOT_FOUND, msg.Tube.FOUND, msg.Tube.FOUND]
    ask(s, id=s.client.tubes[0].query_id, stop=True)
    s.until(lambda: len(s.client.tubes) == 4)
    assert s.client.tubes[-1].error_code == msg.Tube.ERROR_CANCELED
    assert len(s.node.standing) == 0


def test_watching_ends_at_its_limit_with_the_reason(start):
    s = watch(start, "tell me when somebody falls", [2.0], **{"command.watch_s": 1.0})
    s.until(lambda: len(s.client.tubes) == 2)
    assert s.client.tubes[-1].error_code == msg.Tube.ERROR_CANCELED
    assert "command.watch_s" in s.client.tubes[-1].error
    assert len(s.node.standing) == 0


def test_a_failing_watch_says_so(start):
    class Failing(Watching):
        def ground(self, clip, query, checkpoint):
            if self.grounded_s:
                raise ModelError("the model is broken")
            return super().ground(clip, query, checkpoint)

    s = start(lambda config: Failing(), **{"command.watch_rate_hz": 50.0})
    s.show(2.0)
    s.client.commands.publish(String(data="tell me when somebody falls"))
    s.until(lambda: len(s.client.tubes) == 2)
    assert s.client.tubes[-1].error_code == msg.Tube.ERROR_MODEL
    assert len(s.node.standing) == 1
