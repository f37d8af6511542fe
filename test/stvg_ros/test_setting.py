# SPDX-License-Identifier: Apache-2.0

"""Settings: None inside, a sentinel where parameters and command lines have no None."""

from __future__ import annotations

import argparse
from dataclasses import fields

import pytest

from stvg_ros.cli.options import add_model_arguments, config_of
from stvg_ros.config import Config, node_settings, settings
from stvg_ros.errors import ConfigError

# Setting, its sentinel, the smallest other value.
OPTIONAL = [
    ("sampling.frames", 0, 1),
    ("split.method", "auto", "rules"),
    ("split.plain_words", "auto", "always"),
    ("attention.first_layer", -1, 0),
    ("attention.last_layer", -1, 0),
    ("reattention.temporal_epochs", 0, 1),
    ("reattention.step", "auto", "plain"),
    ("reattention.learning_rate", 0.0, 1e-9),
    ("reattention.temporal_learning_rate", 0.0, 1e-9),
    ("presence.track_weight", -1.0, 0.0),
    ("reattention.gate", -2000.0, 0.0),
    ("evidence.second_look", -1, 3),
    ("model.batch_passes", 0, 1),
    ("proposals.people_every", 0, 1),
    ("proposals.new_track_threshold", 0.0, 0.5),
    ("command.deadline_s", 0.0, 1e-3),
]


def inside(config, name):
    group, _, key = name.partition(".")
    return getattr(getattr(config, group), key)


def test_the_table_is_complete():
    assert [item.name for item in settings() if item.sentinel is not None] == sorted(
        (row[0] for row in OPTIONAL), key=[item.name for item in settings()].index
    )


@pytest.mark.parametrize(("name", "sentinel", "other"), OPTIONAL)
def test_none_inside_and_the_sentinel_outside(name, sentinel, other):
    assert inside(Config(), name) is None
    assert Config().flat()[name] == sentinel
    given = Config.from_flat({name: sentinel})
    assert given == Config()
    chosen = Config.from_flat({name: other})
    assert inside(chosen, name) == other
    assert chosen.flat()[name] == other
    assert Config.from_flat(chosen.flat()) == chosen
    assert Config.from_flat({**chosen.flat(), name: sentinel}) == Config()


@pytest.mark.parametrize(("name", "sentinel", "other"), OPTIONAL)
def test_on_the_command_line(name, sentinel, other):
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    assert inside(config_of(parser.parse_args(["--set", f"{name}={sentinel}"])), name) is None
    assert inside(config_of(parser.parse_args(["--set", f"{name}={other}"])), name) == other


@pytest.mark.parametrize(("name", "sentinel", "other"), OPTIONAL)
def test_the_sentinel_is_refused_inside(name, sentinel, other):
    group, _, key = name.partition(".")
    kind = next(item.default_factory for item in fields(Config) if item.name == group)
    assert getattr(kind(**{key: other}), key) == other
    with pytest.raises(ConfigError, match=f"{name}: expected None in place of"):
        kind(**{key: sentinel})


@pytest.mark.parametrize(("name", "value"), [
    ("sampling.frames", -1), ("sampling.frames", 513), ("sampling.frames", False),
    ("sampling.frames", 0.5), ("attention.first_layer", -2), ("attention.last_layer", 1000),
    ("presence.track_weight", -0.5), ("presence.track_weight", -2.0),
    ("reattention.learning_rate", -1.0), ("reattention.learning_rate", float("nan")),
    ("reattention.step", "Auto"), ("reattention.step", ""), ("split.method", "model"),
    ("command.deadline_s", -0.1), ("model.batch_passes", 17), ("model.batch_passes", True),
])  # fmt: skip
def test_what_is_neither_is_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        Config.from_flat({name: value})


def test_settings_that_always_have_a_value_refuse_none():
    for item in settings():
        if item.sentinel is None:
            with pytest.raises(ConfigError, match="expected"):
                Config.from_flat({item.name: None})


def test_the_node_has_none_of_the_limits_of_a_server():
    names = {item.name for item in node_settings()}
    server = {item.name for item in settings()} - names
    assert len(server) >= 10
    assert all(name.startswith("serving.") for name in server)


@pytest.mark.parametrize(("value", "taken"), [(20.0, 20), (20, 20), (0.0, 0), (-0.0, 0)])
def test_a_whole_number_is_of_either_type(value, taken):
    assert Config.from_flat({"sampling.frames": value}).flat()["sampling.frames"] == taken
    assert type(Config.from_flat({"sampling.frames": value}).flat()["sampling.frames"]) is int


@pytest.mark.parametrize("value", [20.5, float("nan"), float("inf"), True, "20", 1e300, [20]])
def test_what_is_no_whole_number_is_refused(value):
    with pytest.raises(ConfigError, match="sampling.frames: expected"):
        Config.from_flat({"sampling.frames": value})


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("windw.duration_s", "window.duration_s"), ("duration_s", "window.duration_s"),
        ("span.topk", "span.top_k"), ("Sampling.frames", "sampling.frames"), ("qqqq/zzzz", ""),
        ("", ""), ("x" * 10_000, ""),
    ],
)  # fmt: skip
def test_a_misspelt_setting_of_the_command_line_is_named_with_the_nearest(given, meant):
    parser = argparse.ArgumentParser()
    add_model_arguments(parser)
    with pytest.raises(ConfigError, match="--set: unknown setting '") as caught:
        config_of(parser.parse_args(["--set", f"{given}=1"]))
    assert ("did you mean" in str(caught.value)) == bool(meant)
    assert meant in str(caught.value)
    assert len(str(caught.value)) < 400
