# SPDX-License-Identifier: Apache-2.0

"""The launch file: its arguments always, its node where ROS launch is installed."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from paths import ROOT

from stvg_ros.config import settings

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
        "image", "depth", "camera_info", "command", "query", "tube", "model", "device", "cameras",
        "target_frame", "image_transport", "namespace", "name", "params_file", "autostart",
        "use_sim_time", "log_level", "detections", "image_qos", "respawn", "foxglove_layout",
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
def launch_file(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("launch", reason="ROS launch is not among the wheels")
    pytest.importorskip("launch_ros", reason="ROS launch is not among the wheels")
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.environ.get("AMENT_PREFIX_PATH") or sys.prefix)
    return module_of(FILE)


def module_of(file: Path) -> ModuleType:
    """A launch file as a module."""
    spec = importlib.util.spec_from_file_location(file.name.split(".")[0], file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def node_arguments(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, **given: str
) -> dict[str, Any]:
    """What the launch file hands to launch_ros' Node, for given launch arguments."""
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument

    handed: dict[str, Any] = {}
    monkeypatch.setattr(module, "LifecycleNode", lambda **arguments: handed.update(arguments))
    context = LaunchContext()
    context.launch_configurations.update(given)
    for entity in module.generate_launch_description().entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
    module.grounding_node(context)
    *files, overrides = handed.pop("parameters")
    handed["files"] = files
    handed["overrides"] = {
        name: value if value is True else value.evaluate(context)
        for name, value in overrides.items()
    }
    return handed


def test_every_argument_is_declared(launch_file: ModuleType) -> None:
    declared = launch_file.generate_launch_description().get_launch_arguments()
    assert {item.name for item in declared} == set(arguments())
    for item in declared:
        # ROS launch adds the choices behind the text.
        assert item.description.startswith(arguments()[item.name])


def test_empty_arguments_override_nothing(
    launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = node_arguments(launch_file, monkeypatch)
    assert handed["remappings"] == []
    assert handed["overrides"] == {}
    assert handed["name"] == "grounding"
    assert [Path(name).name for name in handed["files"]] == ["laptop_cpu.yaml"]
    assert Path(handed["files"][0]).is_file()
    assert node_arguments(launch_file, monkeypatch, params_file="")["files"] == []


@pytest.mark.parametrize(("name", "near"), [
    ("typo.yaml", ""), ("laptop.yaml", "laptop_cpu.yaml"), ("laptop_cpu", "laptop_cpu.yaml"),
    ("laptop_cpu.yml", "laptop_cpu.yaml"), ("gpu_24.yaml", "gpu_24gb.yaml"),
    ("remote.yaml", "remote_gpu.yaml"), ("jetson_16gb.yaml", "jetson_orin_16gb.yaml"),
    ("elsewhere/laptop_cpu.yaml", "laptop_cpu.yaml"), ("/nowhere/mine.yaml", ""), ("/", ""),
    ("~/mine.yaml", ""), ("Laptop_CPU.yaml", ""),
])  # fmt: skip
def test_a_parameter_file_that_is_not_there_is_refused(
    launch_file: ModuleType, name: str, near: str
) -> None:
    with pytest.raises(RuntimeError, match="params_file: expected a file, or a preset") as raised:
        launch_file.parameter_file(name)
    assert f"got {name!r}" in str(raised.value)
    assert near in str(raised.value)


def test_arguments_reach_the_node(
    launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.touch()
    handed = node_arguments(
        launch_file,
        monkeypatch,
        image="/camera/image_raw",
        tube="/tube",
        namespace="robot",
        name="finder",
        params_file=str(mine),
        device="0",
        use_sim_time="true",
    )
    assert handed["remappings"] == [("~/tube", "/tube"), ("~/image", "/camera/image_raw")]
    assert (handed["namespace"], handed["name"]) == ("robot", "finder")
    assert handed["files"] == [str(mine)]
    assert handed["overrides"] == {"model.device": "0", "use_sim_time": True}


def test_depth_and_several_cameras(
    launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = node_arguments(
        launch_file, monkeypatch, cameras="front, rear", image="/f, /r", depth="/df,/dr",
        autostart="false",
    )  # fmt: skip
    assert handed["remappings"] == [
        ("~/front/image", "/f"), ("~/rear/image", "/r"),
        ("~/front/depth", "/df"), ("~/rear/depth", "/dr"),
    ]  # fmt: skip
    assert handed["overrides"] == {
        "cameras": "front, rear", "depth.enabled": True, "autostart": False,
    }  # fmt: skip
    with pytest.raises(RuntimeError, match=r"image: expected 2 topic\(s\)"):
        node_arguments(launch_file, monkeypatch, cameras="front,rear", image="/only")


def test_the_bag_needs_a_folder_and_plays_its_own_time(launch_file: ModuleType) -> None:
    from launch import LaunchContext
    from launch.actions import DeclareLaunchArgument

    module = module_of(FILE.with_name("grounding_with_bag.launch.py"))
    context = LaunchContext()
    for entity in module.generate_launch_description().entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
    with pytest.raises(RuntimeError, match="bag: expected the folder"):
        module.player(context)
    context.launch_configurations["bag"] = "/my/bag"
    assert len(module.player(context)) == 2
    context.launch_configurations["shutdown"] = "true"
    assert len(module.player(context)) == 3
    given = dict(module.node(context)[0].launch_arguments)
    assert given == {"image": "/camera/image_raw", "use_sim_time": "true"}


def test_detections_quality_of_service_and_respawn(
    launch_file: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed = node_arguments(launch_file, monkeypatch)
    assert handed["respawn"] is False
    handed = node_arguments(
        launch_file, monkeypatch, detections="/yolo/detections", image_qos="reliable",
        respawn="true",
    )  # fmt: skip
    assert handed["remappings"] == [("~/detections", "/yolo/detections")]
    assert handed["overrides"] == {"image.qos": "reliable", "proposals.source": "external"}
    assert (handed["respawn"], handed["respawn_delay"]) == (True, 2.0)


LAYOUTS = [
    ({}, "/grounding/image", "/grounding"),
    ({"image": "/camera/image_raw"}, "/camera/image_raw", "/grounding"),
    ({"image": "camera/image_raw"}, "/camera/image_raw", "/grounding"),
    ({"name": "finder"}, "/finder/image", "/finder"),
    ({"namespace": "robot"}, "/robot/grounding/image", "/robot/grounding"),
    ({"namespace": "/robot/"}, "/robot/grounding/image", "/robot/grounding"),
    ({"namespace": "a/b", "name": "c"}, "/a/b/c/image", "/a/b/c"),
    ({"namespace": "robot", "image": "cam/image"}, "/robot/cam/image", "/robot/grounding"),
    ({"cameras": "front,rear"}, "/grounding/front/image", "/grounding"),
    ({"cameras": "front, rear", "image": "/f, /r"}, "/f", "/grounding"),
]


@pytest.mark.parametrize(("given", "image", "node"), LAYOUTS)
def test_the_foxglove_layout_follows_the_topics(
    launch_file: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    given: dict[str, str],
    image: str,
    node: str,
) -> None:
    file = tmp_path / "layout.json"
    node_arguments(launch_file, monkeypatch, foxglove_layout=str(file), tube="/found", **given)
    layout = json.loads(file.read_text())
    original = json.loads((ROOT / "foxglove" / "grounding.json").read_text())
    panels = layout["configById"]
    assert panels.keys() == original["configById"].keys()
    assert panels["Image!camera"]["imageMode"]["imageTopic"] == image
    camera = given.get("cameras", "").split(",")[0]
    own = f"{node}/{camera}" if camera else node
    assert list(panels["Image!camera"]["imageMode"]["annotations"]) == [f"{own}/image_annotations"]
    assert panels["Image!annotated"]["imageMode"]["imageTopic"] == f"{own}/annotated_image"
    assert panels["RawMessages!tube"]["topicPath"] == "/found"
    assert panels["RawMessages!status"]["topicPath"] == f"{node}/status.data"
    assert panels["Publish!command"]["topicName"] == f"{node}/command"


@pytest.mark.parametrize("name", ["bag_evaluation", "grounding_with_bag"])
@pytest.mark.parametrize("code", [0, 1, 2, 3, -2, -6, -9, -11, 130, 255])
def test_a_program_that_fails_ends_the_launch_with_an_error(
    launch_file: ModuleType, name: str, code: int
) -> None:
    from launch import LaunchContext, LaunchDescription, LaunchService
    from launch.actions import ExecuteProcess, RegisterEventHandler
    from launch.event_handlers import OnProcessExit

    module = module_of(FILE.with_name(f"{name}.launch.py"))
    event = SimpleNamespace(returncode=code)
    if code:
        with pytest.raises(RuntimeError, match=f"exit code {code}"):
            module.ended(event, LaunchContext())
    else:
        assert len(module.ended(event, LaunchContext())) == 1
    if code in (0, 3):
        program = ExecuteProcess(cmd=[sys.executable, "-c", f"raise SystemExit({code})"])
        handler = RegisterEventHandler(OnProcessExit(target_action=program, on_exit=module.ended))
        service = LaunchService(noninteractive=True)
        service.include_launch_description(LaunchDescription([handler, program]))
        assert service.run() == min(code, 1)
