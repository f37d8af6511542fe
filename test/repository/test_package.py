# SPDX-License-Identifier: Apache-2.0

"""The package's own files agree with one another."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from paths import ROOT

import stvg_lab
import stvg_ros
from stvg_ros.config import Config

NEEDS_ROS = pytest.mark.skipif(
    importlib.util.find_spec("rclpy") is None,
    reason="rclpy is missing: run `make test` or source a ROS 2",
)
# Keys of the rosdep database that have a package on each distribution; python3-torch and
# python3-transformers-pip do not, and requirements/robot.txt has what they would give.
ROSDEP_KEYS = {
    "action_msgs", "ament_cmake", "ament_cmake_flake8",
    "ament_cmake_pep257", "ament_cmake_pytest",
    "ament_cmake_python", "ament_cmake_xmllint", "builtin_interfaces", "launch_testing", "rosbag2",
    "cv_bridge", "diagnostic_msgs", "geometry_msgs", "launch", "launch_ros", "lifecycle_msgs",
    "message_filters", "python3-jinja2", "python3-numpy",
    "python3-opencv", "python3-pil", "python3-pytest", "python3-pytest-timeout", "python3-scipy",
    "python3-tqdm", "python3-yaml", "rcl_interfaces",
    "rclpy",
    "rosidl_default_generators", "rosidl_default_runtime", "sensor_msgs", "std_msgs", "std_srvs",
    "tf2_ros_py", "vision_msgs", "visualization_msgs",
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest() -> ElementTree.Element:
    return ElementTree.parse(ROOT / "package.xml").getroot()


def setup_arguments() -> dict[str, object]:
    """The literal keyword arguments of the call in setup.py."""
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (call,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    literal = [word for word in call.keywords if isinstance(word.value, ast.Constant)]
    return {str(word.arg): ast.literal_eval(word.value) for word in literal}


@NEEDS_ROS
def test_the_installed_package_is_tested() -> None:
    place = Path(str(stvg_ros.__file__)).absolute()
    prefixes = [sys.prefix, *os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)]
    remedy = "run `make test`, or the environment's bin/pytest without PYTHONPATH"
    installed = any(place.is_relative_to(Path(prefix)) for prefix in prefixes if prefix)
    assert installed, f"{place} is tested; {remedy}"
    assert importlib.util.find_spec("stvg_ros.msg") is not None, remedy


@pytest.mark.parametrize("package", [stvg_ros, stvg_lab], ids=lambda package: package.__name__)
def test_installed_modules_are_those_of_the_repository(package: ModuleType) -> None:
    installed, folder = Path(str(package.__file__)).parent, ROOT / package.__name__
    ours = {path.relative_to(folder) for path in folder.rglob("*.py")}
    there = {
        path.relative_to(installed)
        for path in installed.rglob("*.py")
        if path.relative_to(installed).parts[0] not in ("msg", "srv", "action")
    }
    assert there == ours


@NEEDS_ROS
def test_messages_are_built() -> None:
    from stvg_ros.action import Ground
    from stvg_ros.msg import Tube

    assert Tube().status == Tube.FOUND
    assert Ground.Result().tube.boxes == []


@NEEDS_ROS
def test_error_codes_and_status_match_the_message() -> None:
    from stvg_ros.errors import ErrorCode
    from stvg_ros.msg import Tube
    from stvg_ros.types import Status

    for code in ErrorCode:
        assert getattr(Tube, f"ERROR_{code.name}") == code
    for status in Status:
        assert getattr(Tube, status.name) == status


def test_manifest_is_of_format_3_and_an_interface_package(manifest: ElementTree.Element) -> None:
    assert manifest.get("format") == "3"
    assert manifest.findtext("name") == "stvg_ros"
    assert manifest.findtext("license") == "Apache-2.0"
    assert manifest.findtext("member_of_group") == "rosidl_interface_packages"
    assert manifest.findtext("export/build_type") == "ament_cmake"


def test_manifest_uses_keys_that_rosdep_knows(manifest: ElementTree.Element) -> None:
    listed = [(item.tag, item.text) for item in manifest if item.tag.endswith("depend")]
    assert len(listed) == len(set(listed))
    used = {str(key) for _, key in listed}
    assert used - ROSDEP_KEYS == set()
    assert {"rclpy", "python3-numpy", "std_msgs"} <= used


def test_what_pip_needs_is_in_a_package_or_in_the_requirements_of_robots(
    manifest: ElementTree.Element,
) -> None:
    used = {str(item.text) for item in manifest if item.tag.endswith("depend")}
    packages = {"opencv-python-headless": "python3-opencv", "pillow": "python3-pil"}
    text = (ROOT / "requirements" / "robot.txt").read_text(encoding="utf-8")
    robot = {line.split("#")[0].strip() for line in text.splitlines()} - {""}
    names = {re.split(r"[>=<; ]", line)[0] for line in robot}
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (needed,) = (
        ast.literal_eval(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "install_requires"
    )
    for need in needed:
        name = re.split(r"[>=<; ]", need)[0]
        if packages.get(name, f"python3-{name}") in used:
            continue
        assert name in names or name == "torch", f"{name}: a rosdep key, or requirements/robot.txt"
        if name != "torch":
            assert need.replace("'", '"').replace(";", " ;") in robot, f"robot.txt: {need}"


def test_ros_packages_that_the_node_imports_are_declared(manifest: ElementTree.Element) -> None:
    used = {str(item.text) for item in manifest if item.tag.endswith("depend")}
    pattern = re.compile(r"^\s*(?:from|import) (rclpy|\w+_msgs|\w+_interfaces)\b", re.MULTILINE)
    for path in (ROOT / "stvg_ros" / "node").rglob("*.py"):
        imported = set(pattern.findall(path.read_text(encoding="utf-8")))
        optional = {"foxglove_msgs"}  # used where it is installed
        assert imported - used - optional == set(), path.name


def test_one_version(manifest: ElementTree.Element) -> None:
    arguments = setup_arguments()
    assert manifest.findtext("version") == arguments["version"] == stvg_ros.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changes, re.M)[0] == stvg_ros.__version__
    assert manifest.findtext("license") == arguments["license"]
    maintainer = manifest.find("maintainer")
    assert maintainer is not None
    assert maintainer.text == arguments["author"]
    assert maintainer.get("email") == arguments["author_email"]


def test_every_interface_file_is_built() -> None:
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    named = set(re.findall(r'"((?:msg|srv|action)/\w+\.\w+)"', text))
    files = {
        path.relative_to(ROOT).as_posix()
        for folder in ("msg", "srv", "action")
        for path in (ROOT / folder).glob("*")
    }
    assert files
    assert named == files


@pytest.mark.parametrize("distribution", ["jazzy", "kilted"])
def test_every_ros_wheel_is_pinned_exactly(distribution: str) -> None:
    lines = (ROOT / "constraints" / f"{distribution}.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    names = [pin.split("==")[0] for pin in pins]
    assert len(pins) > 80
    assert [pin for pin in pins if not re.fullmatch(r"[\w-]+(\[\w+\])?==[\d.]+", pin)] == []
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda p: p.name)
def test_presets_are_valid(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(content) == ["/**"]
    assert list(content["/**"]) == ["ros__parameters"]
    values = content["/**"]["ros__parameters"]
    assert values
    config = Config.from_flat(values)
    assert {name: config.flat()[name] for name in values} == values


def test_there_is_a_preset_for_each_kind_of_machine() -> None:
    names = {path.stem for path in (ROOT / "config").glob("*.yaml")}
    assert names == {
        "laptop_cpu", "gpu_24gb", "remote_gpu", "fast", "jetson_orin_8gb", "jetson_orin_16gb",
        "jetson_orin_64gb", "jetson_thor",
    }  # fmt: skip


def tracked_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout: the list of the project's files is not known")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_no_file_names_a_machine_or_a_registry() -> None:
    # Written in pieces, so that this file passes its own test.
    words = [
        *("/wo" + "rk/", "/ro" + "ot/", "/opt/py" + "pi", "py" + "pi.org", "pythonho" + "sted"),
        *("download.py" + "torch", "npm" + "js.org", "--ind" + "ex-url", "--extra-ind" + "ex"),
    ]
    pattern = re.compile("|".join(map(re.escape, words)) + r"|/ho" + r"me/\w", re.IGNORECASE)
    found = []
    for path in tracked_files():
        if not path.is_file():
            continue
        raw = path.read_bytes()
        if b"\0" in raw[:8192]:
            continue
        for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
            hit = pattern.search(line)
            if hit:
                found.append(f"{path.relative_to(ROOT)}:{number}: {hit.group()}")
    assert found == []


def test_no_work_is_left_open() -> None:
    pattern = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX)\b|NotImplemented" + r"Error")
    found = [
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for path in tracked_files()
        if path.suffix in (".py", ".md", ".sh", ".txt", ".yaml", ".msg", ".action", ".toml")
        and path.is_file()
        for hit in pattern.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_each_module_begins_with_its_licence() -> None:
    heads = {
        path.relative_to(ROOT): path.read_text(encoding="utf-8").split("\n", 1)[0]
        for path in tracked_files()
        if path.suffix == ".py" and path.is_file()
    }
    line = "# SPDX-License-Identifier: Apache-2.0"
    assert len(heads) > 100
    assert [str(path) for path, head in heads.items() if head != line] == []
