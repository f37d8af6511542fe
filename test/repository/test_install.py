# SPDX-License-Identifier: Apache-2.0

"""What a build installs with and without the laboratory, and what is said where it is missing.

CMake runs on the real CMakeLists.txt; the ROS packages that it asks for are replaced by empty ones,
so that no message is generated.
"""

import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest
from paths import ROOT

from stvg_ros.cli.main import LAB_COMMANDS

STUB = """
macro(find_package name)
  if("${name}" STREQUAL "Python3")
    set(Python3_EXECUTABLE "@PYTHON@")
  endif()
endmacro()
function(rosidl_generate_interfaces)
endfunction()
function(ament_export_dependencies)
endfunction()
function(ament_package)
endfunction()
set(PYTHON_INSTALL_DIR lib/python)
"""


def installed(folder: Path, *options: str) -> Path:
    """The install prefix of a build without messages."""
    cmake = shutil.which("cmake") or shutil.which("cmake", path=str(Path(sys.executable).parent))
    if cmake is None:
        pytest.skip("cmake is not installed")
    stub = folder / "stub.cmake"
    stub.write_text(STUB.replace("@PYTHON@", sys.executable))
    prefix = folder / "install"
    for command in (
        [
            "-S", ROOT, "-B", folder / "build", f"-DCMAKE_INSTALL_PREFIX={prefix}",
            f"-DCMAKE_PROJECT_INCLUDE={stub}", "-DBUILD_TESTING=OFF", *options,
        ],
        ["--install", folder / "build"],
    ):  # fmt: skip
        done = subprocess.run([cmake, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return prefix


@pytest.fixture(scope="module")
def robot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("robot"), "-DSTVG_LAB=OFF")


def files(prefix: Path) -> set[str]:
    return {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}


def test_a_robot_has_nothing_of_the_laboratory(robot: Path) -> None:
    listed = files(robot)
    assert not [name for name in listed if "stvg_lab" in name or "bag_evaluation" in name]
    tracked = subprocess.run(
        ["git", "ls-files", "stvg_ros"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    for name in tracked.stdout.split():
        assert f"lib/python/{name}" in listed
    assert {"bin/stvg-ros", "lib/stvg_ros/grounding_node"} <= listed


def test_the_whole_adds_the_laboratory_alone(robot: Path, tmp_path: Path) -> None:
    more = files(installed(tmp_path)) - files(robot)
    assert {name.split("/")[2].partition("-")[0] for name in more if "/python/" in name} == {
        "stvg_lab"
    }
    others = {name for name in more if "/python/" not in name}
    assert {Path(name).stem.partition(".")[0] for name in others} == {"bag_evaluation"}


def said(robot: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line with the robot's modules and Python's own, nothing else."""
    script = (
        f"import sys; sys.path.insert(0, {str(robot / 'lib' / 'python')!r}); "
        f"from stvg_ros.cli.main import main; sys.exit(main({list(words)!r}))"
    )
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", LAB_COMMANDS)
def test_a_command_that_is_missing_says_what_it_needs(robot: Path, command: str) -> None:
    done = said(robot, command)
    assert done.returncode == 2
    assert done.stderr.startswith(f"stvg-ros {command}: expected the package stvg_lab")
    assert "-DSTVG_LAB=ON" in done.stderr and "stvg_ros[lab]" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_commands_that_are_named_are_those_of_the_laboratory() -> None:
    declared = ConfigParser()
    declared.read(ROOT / "stvg_lab" / "entry_points.txt")
    assert sorted(LAB_COMMANDS) == sorted(declared["stvg_ros.commands"])


def test_the_extra_that_the_message_names_is_there() -> None:
    assert '"lab": [' in (ROOT / "setup.py").read_text()
