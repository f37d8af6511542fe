# SPDX-License-Identifier: Apache-2.0

"""The launch file of the live evaluation, where ROS launch is installed; its tables always."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from pathlib import Path

import pytest
from paths import ROOT

FILE = ROOT / "launch" / "bag_evaluation.launch.py"


def table(name: str, file: Path = FILE) -> list[tuple[str, ...]]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"no {name}")


def test_every_argument_is_one_of_the_program() -> None:
    pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
    from stvg_lab.live.bag_evaluation import arguments

    known = {word for action in arguments()._actions for word in action.option_strings}
    for name, default, _ in table("EVALUATION"):
        assert f"--{name.replace('_', '-')}" in known
        if default:
            given = arguments().parse_args(
                ["--annotations", "a.json", f"--{name.replace('_', '-')}", default]
            )
            assert str(getattr(given, name)) == default


def test_the_others_are_those_of_the_grounding_node() -> None:
    others = ROOT / "launch" / "grounding.launch.py"
    known = {row[0]: row for part in ("SETTINGS", "OTHERS") for row in table(part, others)}
    for name, default, _ in table("GROUNDING"):
        assert name in known
        if len(known[name]) == 3:
            assert known[name][1] == default


def test_what_is_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("launch", reason="ROS launch is not among the wheels")
    pytest.importorskip("launch_ros", reason="ROS launch is not among the wheels")
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription

    monkeypatch.setenv("AMENT_PREFIX_PATH", os.environ.get("AMENT_PREFIX_PATH") or sys.prefix)
    spec = importlib.util.spec_from_file_location("bag_evaluation_launch", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handed = {}
    real = module.Node

    def node(**given):
        handed.update(given)
        return real(**given)

    monkeypatch.setattr(module, "Node", node)
    context = LaunchContext()
    context.launch_configurations.update(annotations="a.json 'b c.json'", rate="2.0")
    described = module.generate_launch_description().entities
    for entity in described:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
    assert sum(isinstance(entity, IncludeLaunchDescription) for entity in described) == 1
    module.evaluation(context)
    assert handed["executable"] == "bag_evaluation"
    assert handed["arguments"] == [
        "--annotations", "a.json", "b c.json", "--rate", "2.0", "--out", "out/live",
        "--node", "/grounding",
    ]  # fmt: skip
