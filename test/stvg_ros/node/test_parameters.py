# SPDX-License-Identifier: Apache-2.0

"""Parameters as people write them: whole numbers for doubles, misspelt names, values unset."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from ros_tools import ToyGrounder, call, change, context, start

from stvg_ros.config import Config, settings
from stvg_ros.errors import ConfigError
from stvg_ros.node.grounding_node import GroundingNode
from stvg_ros.serving.schema import settings_without_effect
from stvg_ros.setting import nearest

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")

DOUBLES = [item for item in settings() if isinstance(item.default, float)]
NAMES = [item.name for item in settings()]


def whole(item) -> int:
    """A whole number inside a double's range."""
    low = 0 if item.minimum is None else item.minimum
    high = 10 if item.maximum is None else item.maximum
    return max(int(low), min(1, int(high)))


def test_a_whole_number_stands_for_every_double(start):
    given = {item.name: whole(item) for item in DOUBLES if not item.name.startswith("serving.")}
    given = {name: value for name, value in given.items() if value > 0}
    assert len(given) >= 10
    s = start(ready="unconfigured", autostart=False, **given)
    assert change(s, "configure")
    flat = s.node._settings.config.flat()
    for name, value in given.items():
        assert (type(flat[name]), flat[name]) == (float, value)
        assert s.node.get_parameter(name).type_ is Parameter.Type.DOUBLE
    for item in DOUBLES:
        if item.dynamic:
            (result,) = s.node.set_parameters([Parameter(item.name, value=whole(item))])
            assert result.successful, result.reason


def test_a_whole_number_stands_for_a_double_without_humbles_missing_callback(start, monkeypatch):
    monkeypatch.delattr(Node, "add_pre_set_parameters_callback")
    s = start(ready="unconfigured", autostart=False, **{"window.duration_s": 7})
    assert s.node.get_parameter("window.duration_s").type_ is Parameter.Type.DOUBLE
    assert change(s, "configure")
    wish = Parameter("window.duration_s", value=8).to_parameter_msg()
    request = SetParameters.Request(parameters=[wish])
    (result,) = call(s, SetParameters, "set_parameters", request).results
    assert result.successful, result.reason
    assert s.node._settings.config.window.duration_s == 8.0


def test_a_whole_double_stands_for_every_integer(start):
    integers = [item for item in settings() if type(item.default) is int]
    given = {
        item.name: float(item.default) for item in integers
        if not item.name.startswith("serving.")
    }  # fmt: skip
    assert len(given) >= 10
    s = start(ready="unconfigured", autostart=False, **given)
    assert change(s, "configure")
    for name, value in given.items():
        assert s.node._settings.config.flat()[name] == value
        assert s.node.get_parameter(name).type_ is Parameter.Type.INTEGER
    for item in integers:
        if item.dynamic:
            (result,) = s.node.set_parameters([Parameter(item.name, value=given[item.name] + 1)])
            assert result.successful, result.reason
            assert s.node.get_parameter(item.name).value == given[item.name] + 1
            (result,) = s.node.set_parameters([Parameter(item.name, value=given[item.name] + 0.5)])
            assert not result.successful


MISSPELT = {
    "windw.duration_s": "window.duration_s",
    "window.durations": "window.duration_s",
    "window.duration": "window.duration_s",
    "Window.Duration_s": "window.duration_s",
    "duration_s": "window.duration_s",
    "model.device_": "model.device",
    "modle.path": "model.path",
    "span.topk": "span.top_k",
    "proposal.source": "proposals.source",
    "presence.treshold": "presence.threshold",
    "autostrat": "autostart",
    "camera": "cameras",
    "image.Qos": "image.qos",
    "follow.lost": "follow.lost_s",
}


@pytest.mark.parametrize("name", MISSPELT)
def test_the_nearest_name_is_offered(name):
    assert nearest(name, NAMES) == f"; did you mean {MISSPELT[name]!r}?"
    with pytest.raises(ConfigError, match=rf"unknown setting; did you mean '{MISSPELT[name]}'"):
        Config.from_flat({name: 1})


def test_nothing_is_offered_for_a_name_like_no_other():
    assert nearest("qqqq/zzzz", NAMES) == ""
    assert nearest("x" * 1_000_000, NAMES) == ""


class Log:
    def __init__(self):
        self.texts = []

    def warning(self, text, **options):
        self.texts.append(text)

    def __getattr__(self, name):
        return lambda *args, **kwargs: None


def test_misspelt_parameters_are_named_at_the_start(monkeypatch):
    log = Log()
    monkeypatch.setattr(GroundingNode, "get_logger", lambda self: log)
    given = [Parameter("autostart", value=False), Parameter("use_sim_time", value=False)]
    given += [Parameter(name, value=1) for name in MISSPELT]
    node = GroundingNode(lambda config: ToyGrounder(), parameter_overrides=given)
    node.destroy_node()
    assert len(log.texts) == len(MISSPELT)
    for (name, near), text in zip(MISSPELT.items(), log.texts, strict=True):
        assert repr(name) in text
        assert near in text


@pytest.mark.parametrize("name", [
    "window.duration_s", "span.top_k", "model.path", "autostart", "cameras", "depth.enabled",
    "use_sim_time", "follow.lost_s", "backend", "remote.address",
])  # fmt: skip
def test_a_parameter_cannot_be_unset_in_any_state(start, name):
    s = start(ready="unconfigured", autostart=False)
    for step in ("configure", "activate"):
        (result,) = s.node.set_parameters([Parameter(name)])
        assert not result.successful
        assert s.node.has_parameter(name)
        assert change(s, step)


IGNORED = {
    "model.path": "elsewhere", "model.device": "cpu", "model.dtype": "float32",
    "model.quantization": "4bit", "model.gradient_checkpointing": True, "model.batch_passes": 2,
    "split.method": "rules", "split.endpoint_url": "http://host", "proposals.min_height": 0.2,
    "proposals.source": "people_detector", "proposals.max_objects": 3, "attention.first_layer": 1,
    "attention.last_layer": 2,
}  # fmt: skip
SENT = {
    "sampling.frames": 5, "attention.relative": False, "span.top_k": 3, "presence.threshold": 1.0,
    "reattention.epochs": 2, "assembling.enabled": False, "window.duration_s": 5.0,
    "command.queue_size": 3, "remote.retries": 1, "follow.enabled": True, "image.qos": "reliable",
}  # fmt: skip


@pytest.mark.parametrize("name", IGNORED)
def test_what_a_server_ignores_is_known(name):
    remote = {"backend": "remote", **SENT}
    assert settings_without_effect(Config.from_flat(remote)) == []
    config = Config.from_flat({**remote, name: IGNORED[name]})
    assert settings_without_effect(config) == [name]
    used = {"backend": "local"}, {"backend": "remote", "remote.fallback": "local"}
    for place in used:
        assert settings_without_effect(Config.from_flat({**place, name: IGNORED[name]})) == []


def test_what_a_server_ignores_is_said_at_configure(start, monkeypatch):
    s = start(ready="unconfigured", autostart=False, backend="remote", **{"model.device": "cpu"})
    log = Log()
    monkeypatch.setattr(s.node, "get_logger", lambda: log)
    assert change(s, "configure")
    assert [text for text in log.texts if "model.device have no effect here" in text]


def test_the_node_offers_no_limits_of_a_server(start):
    s = start(ready="unconfigured", autostart=False)
    assert not [name for name in s.node._parameters if name.startswith("serving.")]
    assert s.node.has_parameter("remote.address")
