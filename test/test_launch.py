"""The launch file: its arguments always, its node where ROS launch is installed."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from stvg_ros.config import settings

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "launch" / "grounding.launch.py"


def constants() -> dict[str, tuple[tuple[object, ...], ...]]:
    """The tables of arguments, read without importing ROS launch."""
    tree = ast.parse(FILE.read_text(encoding="utf-8"))
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def arguments() -> dict[str, str]:
    """Argument to description."""
    return {str(row[0]): str(row[-1]) for table in constants().values() for row in table}


def test_arguments() -> None:
    assert set(arguments()) == {
        "image", "command", "query", "tube", "model", "device", "image_transport", "namespace",
        "name", "params_file", "use_sim_time", "log_level",
    }  # fmt: skip
    assert all(len(text) > 10 for text in arguments().values())


def test_settings_exist() -> None:
    known = {item.name: item for item in settings()}
    for _, name, choices, _ in constants()["SETTINGS"]:
        assert name in known
        if choices:
            assert set(choices) - {""} == set(known[str(name)].choices)


def test_default_preset_exists() -> None:
    (default,) = (row[1] for row in constants()["OTHERS"] if row[0] == "params_file")
    assert (ROOT / "config" / str(default)).is_file()


def test_readme_lists_the_arguments() -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README.md")
    text = readme.read_text(encoding="utf-8")
    missing = [name for name in arguments() if f"`{name}`" not in text and f"{name}:=" not in text]
    assert missing == []


@pytest.fixture
def launch_file() -> ModuleType:
    pytest.importorskip("launch", reason="ROS launch is not among the wheels")
    pytest.importorskip("launch_ros", reason="ROS launch is not among the wheels")
    spec = importlib.util.spec_from_file_location("grounding_launch", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def command_line(module: ModuleType, **given: str) -> tuple[list[str], list[dict[str, object]]]:
    """The node's command line and the parameter files on it, for given launch arguments."""
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument
    from launch.utilities import perform_substitutions

    context = LaunchContext()
    context.launch_configurations.update(given)
    description = module.generate_launch_description()
    for entity in description.entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
    (node,) = module.grounding_node(context)
    node._perform_substitutions(context)
    words = [perform_substitutions(context, part) for part in node.cmd]
    files = [words[at + 1] for at, word in enumerate(words) if word == "--params-file"]
    return words, [yaml.safe_load(Path(name).read_text(encoding="utf-8")) for name in files]


def test_every_argument_is_declared(launch_file: ModuleType) -> None:
    declared = launch_file.generate_launch_description().get_launch_arguments()
    assert {item.name: item.description for item in declared} == arguments()


def test_empty_arguments_override_nothing(launch_file: ModuleType) -> None:
    words, files = command_line(launch_file)
    assert not [word for word in words if word.startswith("~/")]
    assert len(files) == 1
    assert "__node:=grounding" in words
    assert not [word for word in words if word.startswith("__ns")]


def test_arguments_reach_the_node(launch_file: ModuleType) -> None:
    words, files = command_line(
        launch_file,
        image="/camera/image_raw",
        tube="/tube",
        namespace="/robot",
        name="finder",
        params_file="gpu_24gb.yaml",
        device="0",
        use_sim_time="true",
    )
    assert {"~/image:=/camera/image_raw", "~/tube:=/tube", "__ns:=/robot", "__node:=finder"} <= set(
        words
    )
    assert files[0]["/**"]["ros__parameters"]["sampling.frames"] == 20
    (overrides,) = (next(iter(content.values())) for content in files[1:])
    assert overrides["ros__parameters"] == {"model.device": "0", "use_sim_time": True}
