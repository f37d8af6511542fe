# SPDX-License-Identifier: Apache-2.0

"""Every client that waits gets its answer: on a signal, a cleanup, a cancel, a silent camera."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from action_msgs.msg import GoalStatus
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from ros_tools import Client, Loop, ask, call, change, context, image, start
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.action import Ground
from stvg_ros.node import cameras
from stvg_ros.srv import Ask, GroundQuery

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")

# The executable, with a grounder that stays in its stage and looks at nothing.
DEAF = """
import threading
from stvg_ros.method.base import BaseGrounder
from stvg_ros.node import main
class Deaf(BaseGrounder):
    def ground(self, clip, query, checkpoint):
        checkpoint("forward pass", 0.0)
        threading.Event().wait(600)
node = main.GroundingNode
main.GroundingNode = lambda: node(lambda config: Deaf())
main.main()
"""


@pytest.fixture
def now_s(monkeypatch):
    """The time of the cameras' clock, which stands still: a loaded machine makes no image older."""
    seconds = time.monotonic()
    clock = SimpleNamespace(**{**vars(time), "monotonic": lambda: seconds})
    monkeypatch.setattr(cameras, "time", clock)
    return seconds


@pytest.fixture
def deaf():
    """A node in a process of its own, and a client with an image in its window."""
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    process = subprocess.Popen(
        [sys.executable, *safe, "-c", DEAF],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    client = Client()
    client.feedback = []
    loop = Loop(client)
    loop.until(lambda: "ready" in client.states or process.poll() is not None, 180)
    loop.until(client.connected, 60)
    yield process, client, loop
    process.kill()
    process.wait()
    loop.close()
    client.ground.destroy()
    client.destroy_node()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_answers_calls_and_goals_that_wait(deaf, number):
    process, client, loop = deaf
    service = client.create_client(GroundQuery, "/grounding/ground_query")
    loop.until(service.service_is_ready)
    loop.until(client.ground.server_is_ready)
    # The image may come after the command: asked again until one is there.
    while not client.feedback:
        client.images.publish(image(1.0 + time.monotonic()))
        goal = client.ground.send_goal_async(
            Ground.Goal(text="the person"), feedback_callback=client.feedback.append
        )
        loop.until(goal.done)
        result = goal.result().get_result_async()
        loop.until(lambda result=result: client.feedback or result.done())
    calls = [service.call_async(GroundQuery.Request(text="the dog")) for _ in range(3)]
    goals = [client.ground.send_goal_async(Ground.Goal(text="the cat")) for _ in range(3)]
    loop.until(lambda: all(goal.done() for goal in goals))
    results = [result, *(goal.result().get_result_async() for goal in goals)]
    client.queries.publish(msg.Query(id="topic", text="the person", deadline=msg.Query().deadline))
    last = msg.Query(id="late", text="the person")
    last.deadline.nanosec = 1000
    client.queries.publish(last)  # once this one is answered, the ones before it wait
    loop.until(lambda: any(tube.query_id == "late" for tube in client.tubes))
    assert not any(future.done() for future in (*calls, *results))
    process.send_signal(number)
    loop.until(lambda: all(future.done() for future in (*calls, *results)))
    codes = {future.result().tube.error_code for future in calls}
    assert codes == {msg.Tube.ERROR_CANCELED}
    assert {future.result().status for future in results} == {GoalStatus.STATUS_ABORTED}
    assert {f.result().result.tube.error_code for f in results} == {msg.Tube.ERROR_CANCELED}
    loop.until(lambda: any(tube.query_id == "topic" for tube in client.tubes))
    assert process.wait(timeout=30) == 0
    assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize("active", [True, False])
def test_commands_that_arrived_before_a_signal_are_answered(start, active):
    """A model that loads keeps the executor from taking them for a while."""
    s = start()
    s.show(1.0, 2.0)
    if not active:
        assert change(s, "deactivate")
    s.toy.go.clear()
    executor = s.node_loop.executor
    s.node_loop._stop = True
    s.node_loop._thread.join()
    for number in range(3):
        s.client.queries.publish(msg.Query(id=f"late {number}", text="the man in red"))
    assert s.client.queries.wait_for_all_acked(Duration(seconds=30))  # they are at the node
    s.node.drain(lambda timeout_s: executor.spin_once(timeout_sec=timeout_s))
    s.until(lambda: len(s.client.tubes) == 3)
    assert {tube.query_id for tube in s.client.tubes} == {f"late {number}" for number in range(3)}


@pytest.mark.parametrize("steps", [("deactivate", "cleanup"), ("cleanup",)])
def test_goals_on_their_way_into_a_cleanup_have_results(start, steps, capfd):
    s = start()
    s.client.ground.wait_for_server()
    sent, results = [], []

    def send():
        goal = s.client.ground.send_goal_async(Ground.Goal(text="the person"))
        goal.add_done_callback(
            lambda f: f.result().accepted and results.append(f.result().get_result_async())
        )
        sent.append(goal)

    for _ in range(5):
        if steps == ("cleanup",):
            assert change(s, "deactivate")
        for _ in range(3):
            send()
        for step in steps:
            assert change(s, step)
            send()
        s.until(lambda: all(goal.done() for goal in sent))
        s.until(lambda: all(result.done() for result in results))
        assert change(s, "configure")
        assert change(s, "activate")
    statuses = {result.result().status for result in results}
    assert statuses == {GoalStatus.STATUS_ABORTED}
    assert "Traceback" not in capfd.readouterr().err


def asked(s, way, text):
    """Sends a command in one way; a function that returns its tube or answer, or None."""
    if way in ("command", "query"):
        topic = s.client.commands if way == "command" else s.client.queries
        topic.publish(String(data=text) if way == "command" else msg.Query(id=text, text=text))
        return lambda: next((tube for tube in s.client.tubes if tube.query == text), None)
    if way == "goal":
        s.client.ground.wait_for_server()
        goal = s.client.ground.send_goal_async(Ground.Goal(text=text))
        s.until(goal.done)
        result = goal.result().get_result_async()
        return lambda: result.result().result.tube if result.done() else None
    kind = {"service": GroundQuery, "question": Ask}[way]
    future = ask(
        s, kind, {"service": "ground_query", "question": "ask"}[way], kind.Request(text=text)
    )
    if way == "question":
        return future.result
    return lambda: future.result().tube if future.done() else None


def drained(s):
    """Ends the node as its process does at a signal."""
    executor = s.node_loop.executor
    s.node_loop._stop = True
    s.node_loop._thread.join()
    s.node.drain(lambda timeout_s: executor.spin_once(timeout_sec=timeout_s))


ENDS = {
    "a signal": drained,
    "deactivate": lambda s: change(s, "deactivate"),
    "cleanup": lambda s: change(s, "deactivate") and change(s, "cleanup"),
    "shutdown": lambda s: change(s, "active_shutdown"),
}


@pytest.mark.parametrize("way", ["service", "question", "goal", "command", "query"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_runs_and_what_waits_is_answered_at_the_end(start, end, way):
    s = start()
    s.show(1.0)
    s.toy.go.clear()
    runs = asked(s, way, "the man in red")
    s.until(s.toy.started.is_set)
    waits = asked(s, way, "the woman in blue")
    s.until(lambda: s.node._queue.waiting == 1)
    end(s)
    s.until(lambda: runs() is not None and waits() is not None)
    assert {answer.error_code for answer in (runs(), waits())} == {msg.Tube.ERROR_CANCELED}


def test_a_goal_that_waits_is_canceled_at_once(start):
    s = start()
    s.show(1.0)
    s.toy.go.clear()
    first = ask(s, GroundQuery, "ground_query", GroundQuery.Request(text="the person"))
    s.until(s.toy.started.is_set)
    s.client.ground.wait_for_server()
    sent = s.client.ground.send_goal_async(Ground.Goal(text="the dog"))
    s.until(sent.done)
    result = sent.result().get_result_async()
    s.until(lambda: s.node._queue.waiting == 1)
    sent.result().cancel_goal_async()
    s.until(result.done)
    assert result.result().status == GoalStatus.STATUS_CANCELED
    assert not first.done()


def test_a_command_that_waits_hears_of_its_deadline_at_once(start):
    s = start()
    s.show(1.0)
    s.toy.go.clear()
    first = ask(s, GroundQuery, "ground_query", GroundQuery.Request(text="the person"))
    s.until(s.toy.started.is_set)
    query = msg.Query(id="late", text="the dog")
    query.deadline.nanosec = 10_000_000
    s.client.queries.publish(query)
    s.until(lambda: s.client.tubes)
    assert (s.client.tubes[0].query_id, s.client.tubes[0].error_code) == (
        "late",
        msg.Tube.ERROR_DEADLINE,
    )
    assert not first.done()


def test_a_camera_that_died_is_an_error_and_not_an_old_answer(start, now_s):
    s = start()
    s.show(1.0, 1.1)
    (camera,) = s.node.cameras
    assert s.say("the person").image_age == 0
    camera.last_stored = now_s - 100.0
    tube = s.say("the person")
    assert (tube.status, tube.error_code) == (msg.Tube.FAILED, msg.Tube.ERROR_STALE_IMAGES)
    assert "100.0 s ago" in tube.error and "window.max_age_s" in tube.error
    assert s.node.set_parameters([Parameter("window.max_age_s", value=0.0)])[0].successful
    tube = s.say("the person")
    assert tube.status == msg.Tube.FOUND
    assert tube.image_age == pytest.approx(100.0)
    assert s.node.set_parameters([Parameter("window.max_age_s", value=1.0)])[0].successful
    assert s.say("the person").error_code == msg.Tube.ERROR_STALE_IMAGES
    s.show(1.2)
    assert s.say("the person").status == msg.Tube.FOUND


# window.max_age_s, window.max_rate_hz, the age of the newest image; and whether it is too old.
AGES = [
    (10.0, 15.0, 0.0, False), (10.0, 15.0, 9.0, False), (10.0, 15.0, 11.0, True),
    (10.0, 15.0, 86_400.0, True), (1.0, 15.0, 0.5, False), (1.0, 15.0, 2.0, True),
    (0.0, 15.0, 11.0, False), (0.0, 15.0, 86_400.0, False), (1.0, 0.1, 15.0, False),
    (1.0, 0.1, 21.0, True), (1.0, 0.0, 0.5, False), (1.0, 0.0, 2.0, True), (60.0, 1.0, 59.0, False),
    (60.0, 1.0, 61.0, True), (3600.0, 15.0, 600.0, False),
]  # fmt: skip


def test_the_age_of_the_newest_image_decides_and_is_told(start, now_s):
    s = start(**{"window.max_rate_hz": 0.0})
    s.show(1.0)
    (camera,) = s.node.cameras
    for limit_s, rate_hz, age_s, stale in AGES:
        values = {"window.max_age_s": limit_s, "window.max_rate_hz": rate_hz}
        changes = [Parameter(name, value=value) for name, value in values.items()]
        assert s.node.set_parameters_atomically(changes).successful
        camera.last_stored = now_s - age_s
        tube = s.say("the person")
        assert (tube.error_code == msg.Tube.ERROR_STALE_IMAGES) == stale, (limit_s, rate_hz, age_s)
        assert stale or tube.image_age == pytest.approx(age_s)
        assert not stale or f"{age_s:.0f}"[:2] in tube.error


@pytest.mark.parametrize("way", ["service", "goal", "standing", "question"])
def test_a_camera_that_died_is_told_in_every_way_to_ask(start, way):
    s = start()
    s.show(1.0)
    (camera,) = s.node.cameras
    camera.last_stored -= 100.0
    if way == "service":
        tube = call(s, GroundQuery, "ground_query", GroundQuery.Request(text="the person")).tube
    elif way == "question":
        answer = call(s, Ask, "ask", Ask.Request(text="how many people are there"))
        assert answer.error_code == msg.Tube.ERROR_STALE_IMAGES
        return
    elif way == "standing":
        s.client.queries.publish(msg.Query(id="a", text="the person", standing_rate_hz=10.0))
        s.until(lambda: s.client.tubes)
        tube = s.client.tubes[0]
    else:
        s.client.ground.wait_for_server()
        goal = s.client.ground.send_goal_async(Ground.Goal(text="the person"))
        s.until(goal.done)
        result = goal.result().get_result_async()
        s.until(result.done)
        tube = result.result().result.tube
    assert (tube.status, tube.error_code) == (msg.Tube.FAILED, msg.Tube.ERROR_STALE_IMAGES)


def test_one_dead_camera_of_two_is_left_out_and_named(start):
    s = start(connect=False, cameras="front,rear")
    s.until(s.client.queries.get_subscription_count)
    publishers = {
        name: s.client.create_publisher(type(image(1.0)), f"/grounding/{name}/image", 10)
        for name in ("front", "rear")
    }
    s.until(lambda: all(p.get_subscription_count() for p in publishers.values()))
    for name, publisher in publishers.items():
        publisher.publish(image(1.0))
        s.until(lambda name=name: s.node.cameras[name].window.counts["stored"])
    s.node.cameras["rear"].last_stored -= 100.0
    tube = s.say("the person")
    assert (tube.status, tube.camera) == (msg.Tube.FOUND, "front")
    assert "'rear' was not searched" in tube.warning
    s.client.queries.publish(msg.Query(id="rear", text="the person", camera="rear"))
    s.until(lambda: s.client.tubes[-1].query_id == "rear")
    assert s.client.tubes[-1].error_code == msg.Tube.ERROR_STALE_IMAGES
