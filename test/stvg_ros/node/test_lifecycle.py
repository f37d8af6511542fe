# SPDX-License-Identifier: Apache-2.0

"""The managed node: its states, what each one holds, and that nothing is left behind."""

from __future__ import annotations

import mmap
import weakref
from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from rclpy.parameter import Parameter
from ros_tools import ToyGrounder, change, context, start, state
from std_msgs.msg import String

from stvg_ros import msg
from stvg_ros.errors import ConfigError, ModelError

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")


def test_autostart_takes_the_node_to_active(start):
    s = start()
    assert state(s) == "active"
    assert s.client.states[-1] == "ready"


def test_the_source_of_candidate_tubes_is_told_before_ready(start):
    class WithSource(ToyGrounder):
        candidates = "people_detector ssdlite: the small detector of real people"

        def ground(self, clip, query, checkpoint):
            found = super().ground(clip, query, checkpoint)
            best = replace(found.best, candidates=self.candidates)
            return replace(found, tubes=(best,))

    s = start(lambda config: WithSource())
    assert s.client.states[-2:] == [f"candidate tubes: {WithSource.candidates}", "ready"]
    s.show(1.0)
    assert s.say("the person").candidates == WithSource.candidates


def test_without_autostart_a_manager_leads_the_node_through_its_states(start):
    s = start(ready="unconfigured", autostart=False)
    assert state(s) == "unconfigured"
    assert change(s, "configure")
    assert state(s) == "inactive"
    s.until(s.client.commands.get_subscription_count)
    assert not s.client.images.get_subscription_count()
    tube = s.say("the person")
    assert (tube.status, tube.error_code) == (msg.Tube.FAILED, msg.Tube.ERROR_INACTIVE)
    assert "ros2 lifecycle set /grounding activate" in tube.error
    assert change(s, "activate")
    s.until(s.client.connected)
    assert s.client.states[-3:] == ["inactive", "loading the model", "ready"]
    s.show(1.0)
    assert s.say("the person").status == msg.Tube.FOUND
    assert change(s, "deactivate")
    s.until(lambda: not s.client.images.get_subscription_count())
    assert s.node.window.fill == (0, 0.0, 0)
    assert change(s, "cleanup")
    s.until(lambda: not s.client.commands.get_subscription_count())
    assert change(s, "unconfigured_shutdown")
    assert state(s) == "finalized"


def test_a_model_that_cannot_be_loaded_fails_the_transition_and_answers_with_the_reason(start):
    broken = [True]

    def build(config):
        if broken[0]:
            raise ModelError("model.path: no folder '/nowhere'")
        return ToyGrounder()

    s = start(build, ready="failed: model.path")
    assert state(s) == "inactive"
    s.until(s.client.commands.get_subscription_count)
    tube = s.say("the person")
    assert tube.error_code == msg.Tube.ERROR_MODEL
    assert "/nowhere" in tube.error
    assert not change(s, "activate")
    broken[0] = False
    assert change(s, "activate")


def test_an_unexpected_error_names_itself_and_leads_back_to_unconfigured(start):
    s = start(ready="unconfigured", autostart=False)
    s.node._settings.check = lambda: 1 / 0
    assert not change(s, "configure")
    s.until(lambda: any("ZeroDivisionError" in text for text in s.client.states))
    assert state(s) == "unconfigured"


def test_a_wrong_parameter_fails_configure_and_can_be_mended(start):
    with pytest.raises(ConfigError, match=r"span\.method: expected one of"):
        start(**{"span.method": "guess"})
    s = start(ready="unconfigured", autostart=False, **{"span.method": "guess"})
    assert not change(s, "configure")
    s.until(lambda: any("adaptive" in text for text in s.client.states))
    assert s.node.set_parameters([Parameter("span.method", value="top_k")])[0].successful
    assert change(s, "configure")


def test_what_is_fixed_while_configured_can_be_set_after_cleanup(start):
    built = []
    s = start(lambda config: built.append(config.model.path) or ToyGrounder())
    model = Parameter("model.path", value="other")
    refused = s.node.set_parameters([model])[0]
    assert not refused.successful
    assert "clean up the node" in refused.reason
    for step in ("deactivate", "cleanup"):
        assert change(s, step)
    assert s.node.set_parameters([model])[0].successful
    for step in ("configure", "activate"):
        assert change(s, step)
    assert built == ["embedded", "other"]


def test_deactivation_ends_what_runs_and_answers_it(start):
    s = start()
    s.show(1.0)
    s.toy.go.clear()
    s.client.commands.publish(String(data="the person"))
    s.until(s.toy.started.is_set)
    assert change(s, "deactivate")
    s.until(lambda: s.client.tubes)
    assert s.client.tubes[0].error_code == msg.Tube.ERROR_CANCELED


def test_a_destroyed_node_has_no_states_to_change(start):
    s = start()

    def offered():
        services = s.client.get_service_names_and_types()
        return "/grounding/change_state" in {name for name, _ in services}

    s.until(offered)
    s.node.close()
    s.node_loop.close()
    s.node.destroy_node()
    s.until(lambda: not offered())


class Heavy(ToyGrounder):
    def __init__(self):
        super().__init__()
        # Pages of the system: of what malloc has freed, it may keep a part for each thread.
        self.weights = mmap.mmap(-1, 32 * 2**20)
        self.weights.write(b"w" * len(self.weights))


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_twenty_lives_leave_nothing_behind(start):
    models = []

    def build(config):
        model = Heavy()
        models.append(weakref.ref(model))
        return model

    s = start(build)
    s.show(1.0)
    s.say("the person")
    before, topics = 0, 0
    for life in range(21):
        assert change(s, "deactivate")
        assert models[-1]() is None
        assert change(s, "cleanup")
        if life == 0:  # what the first life leaves is kept for good, such as caches of libraries
            before = resident_bytes()
            topics = len(list(s.node.publishers)), len(list(s.node.subscriptions))
        assert change(s, "configure")
        assert change(s, "activate")
    assert change(s, "deactivate")
    assert change(s, "cleanup")
    assert (len(list(s.node.publishers)), len(list(s.node.subscriptions))) == topics
    assert len(models) == 22
    assert resident_bytes() - before < 48 * 2**20  # one and a half of the 22 models
