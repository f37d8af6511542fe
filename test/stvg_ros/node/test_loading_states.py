# SPDX-License-Identifier: Apache-2.0

"""The node goes on while something takes its time: a model that loads, a stage that runs."""

from __future__ import annotations

import re
import threading

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_tools import ToyGrounder, ask, call, change, context, start, state
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.action import Ground
from stvg_ros.errors import ModelError
from stvg_ros.node import grounding_node
from stvg_ros.srv import GroundQuery

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")


class SlowLoad:
    """A model whose loading takes until `go` is set."""

    def __init__(self, error=None):
        self.go, self.error = threading.Event(), error
        self.configs = []

    def __call__(self, config):
        assert self.go.wait(120)
        if self.error is not None:
            raise self.error
        model = ToyGrounder()
        model.reconfigure = self.configs.append
        return model


@pytest.fixture
def loading(start):
    """The node, while its model loads."""
    loads = []

    def make(error=None, **parameters):
        loads.append(SlowLoad(error))
        s = start(loads[-1], ready="loading the model", **parameters)
        s.until(s.client.commands.get_subscription_count)
        return s, loads[-1]

    yield make
    for load in loads:
        load.go.set()


def transition(name):
    request = ChangeState.Request()
    request.transition.id = getattr(Transition, f"TRANSITION_{name.upper()}")
    return request


def test_services_answer_while_the_model_loads(loading):
    s, load = loading()
    assert state(s) == "activating"
    values = [Parameter("span.threshold", value=0.4).to_parameter_msg()]
    done = call(s, SetParameters, "set_parameters", SetParameters.Request(parameters=values))
    assert done.results[0].successful
    assert state(s) == "activating"
    load.go.set()
    s.until(lambda: "ready" in s.client.states)
    assert state(s) == "active"
    assert load.configs[-1].span.threshold == 0.4  # set when there was no model yet


def test_commands_are_told_at_once_that_the_model_loads(loading):
    s, load = loading()
    tubes = [
        s.say("the person"),
        call(s, GroundQuery, "ground_query", GroundQuery.Request(text="the dog")).tube,
    ]
    s.until(s.client.ground.server_is_ready)
    sent = s.client.ground.send_goal_async(Ground.Goal(text="the cat"))
    s.until(sent.done)
    result = sent.result().get_result_async()
    s.until(result.done)
    tubes.append(result.result().result.tube)
    for tube in tubes:
        assert (tube.status, tube.error_code) == (msg.Tube.FAILED, msg.Tube.ERROR_INACTIVE)
        assert "not active yet: the model is loading" in tube.error
    s.until(lambda: len(s.client.tubes) == 3)
    load.go.set()
    s.until(lambda: "ready" in s.client.states)
    s.until(s.client.connected)
    s.show(1.0)
    assert s.say("the person").status == msg.Tube.FOUND
    assert len(s.client.tubes) == 4  # none of the others was answered again


def test_progress_is_told_in_status_and_diagnostics(loading, monkeypatch):
    monkeypatch.setattr(grounding_node, "PROGRESS_S", 0.02)
    s, load = loading(**{"diagnostics.period_s": 0.02})
    heard = []
    s.client.create_subscription(DiagnosticArray, "/diagnostics", heard.append, 10)
    told = re.compile(r"loading the model: \d+ s")
    s.until(lambda: sum(bool(told.fullmatch(text)) for text in s.client.states) > 2)
    s.until(lambda: heard)
    worker = heard[-1].status[-1]
    assert worker.name == "/grounding: worker"
    assert "the model is loading" in worker.message
    load.go.set()
    s.until(lambda: "ready" in s.client.states)
    count = len(s.client.states)
    assert state(s) == "active"
    assert len(s.client.states) == count  # no further loading states


def test_another_transition_is_refused_while_the_model_loads(loading):
    s, load = loading()
    for name in ("activate", "deactivate", "cleanup", "active_shutdown"):
        assert not change(s, name)
    # Those that end a step are for the node itself.
    assert not change(s, "on_activate_success")
    assert state(s) == "activating"
    load.go.set()
    s.until(lambda: "ready" in s.client.states)
    assert change(s, "deactivate")


def test_a_load_that_fails_answers_the_manager_and_names_the_reason(start):
    load = SlowLoad(ModelError("model.path: no folder '/nowhere'"))
    s = start(load, ready="unconfigured", autostart=False)
    assert change(s, "configure")
    asked = ask(s, ChangeState, "change_state", transition("activate"))
    s.until(lambda: "loading the model" in s.client.states)
    assert state(s) == "activating"
    assert not asked.done()
    load.go.set()
    s.until(asked.done)
    assert not asked.result().success
    assert state(s) == "inactive"
    assert s.client.states[-1].startswith("failed: model.path")
    load.error = None
    assert change(s, "activate")


def test_a_closed_node_gives_its_load_up(loading):
    s, _ = loading()
    assert state(s) == "activating"
    s.node.close()
    s.until(lambda: any(text.startswith("failed: ") for text in s.client.states))
    assert state(s) == "inactive"


def test_an_error_before_a_step_leads_back_to_unconfigured(start):
    s = start()
    s.node.prepare = lambda step: 1 / 0
    assert not change(s, "deactivate")
    assert state(s) == "unconfigured"
    del s.node.prepare
    assert change(s, "configure")


def test_a_transition_that_the_state_has_not_is_refused(start):
    s = start()
    assert not change(s, "activate")
    request = ChangeState.Request()
    request.transition.label = "fly"
    assert not call(s, ChangeState, "change_state", request).success
    request.transition.label = "deactivate"
    assert call(s, ChangeState, "change_state", request).success
    assert state(s) == "inactive"


def test_the_node_goes_on_while_the_last_stage_before_deactivation_runs(start):
    class Deaf(ToyGrounder):
        def ground(self, clip, query, checkpoint):
            self.started.set()
            assert self.go.wait(120)
            return super().ground(clip, query, checkpoint)

    deaf = Deaf()
    s = start(lambda config: deaf)
    s.show(1.0)
    deaf.go.clear()
    s.client.commands.publish(String(data="the person"))
    s.until(deaf.started.is_set)
    asked = ask(s, ChangeState, "change_state", transition("deactivate"))
    s.until(lambda: state(s) == "deactivating")
    tube = s.say("the dog")
    assert tube.error_code == msg.Tube.ERROR_CANCELED
    assert not asked.done()
    deaf.go.set()
    s.until(asked.done)
    assert asked.result().success
    assert state(s) == "inactive"
    s.until(lambda: len(s.client.tubes) == 2)


def test_images_and_commands_come_in_while_the_service_waits_for_its_answer(start):
    s = start()
    s.show(1.0)
    s.toy.go.clear()
    asked = ask(s, GroundQuery, "ground_query", GroundQuery.Request(text="the person"))
    s.until(s.toy.started.is_set)
    s.show(2.0)
    second = ask(s, GroundQuery, "ground_query", GroundQuery.Request(text="the dog"))
    s.until(lambda: s.node._queue.waiting == 1)
    s.toy.go.set()
    s.until(lambda: asked.done() and second.done())
    assert asked.result().tube.end != second.result().tube.end
