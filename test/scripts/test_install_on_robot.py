# SPDX-License-Identifier: Apache-2.0

"""`scripts/install_on_robot.sh` on a simulated machine: its programs record their arguments.

What this cannot show: that packages of ROS, pip's choices and colcon work. See
docs/installation.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from paths import ROOT

SH = shutil.which("dash") or "/bin/sh"
LOG = 'printf "%s\\n" "$(basename "$0") $*" >> "$LOG"\n'
PYTHON = (
    LOG
    + """case "$*" in
  *"-m venv"*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
  *numpy.__version__*) echo numpy==1.26.4 ;;
  *is_available*) exit ${GPU_FAILS:-0} ;;
esac
"""
)
COLCON = """if [ "$(basename "$0")" = stvg-ros ]; then [ "${SOURCED:-}" = yes ]; exit; fi
mkdir -p install/stvg_ros/bin && cp "$0" install/stvg_ros/bin/stvg-ros
echo "export SOURCED=yes PATH=$PWD/install/stvg_ros/bin:$PATH" > install/setup.sh
"""


class Machine:
    """A workspace with the package, a ROS folder and the programs of a robot."""

    def __init__(self, folder: Path, distribution: str = "jazzy") -> None:
        self.workspace, self.log, self.bin = folder / "ws", folder / "log", folder / "bin"
        self.package = self.workspace / "src" / "stvg_ros"
        for name in ("scripts/install_on_robot.sh", "requirements/robot.txt"):
            (self.package / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.package / name)
        ros = folder / "ros" / distribution
        ros.mkdir(parents=True)
        (ros / "setup.sh").write_text("ROS_SOURCED=yes\n")
        self.bin.mkdir()
        self.variables = {
            "STVG_ROS_ROOTS": str(folder / "ros"), "STVG_ROS_BOARD": str(folder / "board"),
            "LOG": str(self.log), "PATH": f"{self.bin}:/usr/bin:/bin",
        }  # fmt: skip
        for name, text in (("python3", PYTHON), ("rosdep", LOG), ("colcon", LOG + COLCON)):
            self.program(name, text)
        self.program("nvidia-smi", "exit 1\n")
        self.program("uname", "echo x86_64\n")

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)

    def install(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        script = self.package / "scripts" / "install_on_robot.sh"
        return subprocess.run(
            [SH, str(script), *options], env={**self.variables, **variables}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def tree(self) -> set[str]:
        return {str(path.relative_to(self.workspace)) for path in self.workspace.rglob("*")}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_steps_in_order(machine: Machine) -> None:
    done = machine.install("--torch-args", "-i https://cpu.example/simple")
    assert done.returncode == 0, done.stderr
    venv, calls = machine.workspace / "stvg_ros_venv", machine.calls
    assert calls[0] == (
        f"rosdep install --from-paths {machine.package} --ignore-src --rosdistro jazzy -y"
    )
    assert calls[1] == f"python3 -m venv --system-site-packages {venv}"
    constraint = f"python -m pip install --constraint {venv}/numpy.txt"
    assert calls[3] == f"{constraint} -i https://cpu.example/simple torch>=2.6"
    assert calls[4] == f"{constraint} --requirement {machine.package}/requirements/robot.txt"
    assert (venv / "numpy.txt").read_text() == "numpy==1.26.4\n"
    assert f"-DPython3_EXECUTABLE={venv}/bin/python" in calls[6]
    assert "-DSTVG_LAB=ON" in calls[6]
    assert calls[7] == "stvg-ros doctor --machine"
    assert len(calls) == 8
    assert (venv / "COLCON_IGNORE").exists()
    assert f"{machine.workspace}/install/setup.sh" in done.stdout


def test_a_second_run_and_an_undone_one(machine: Machine) -> None:
    before = machine.tree()
    assert machine.install("--torch", "installed", "--robot-only").returncode == 0
    assert machine.install("--torch", "installed", "--robot-only").returncode == 0
    assert "-DSTVG_LAB=OFF" in machine.calls[-2]
    assert not [call for call in machine.calls if "torch>=2.6" in call]
    assert machine.install("--undo").returncode == 0
    # The second one is of the whole workspace.
    assert machine.tree() - before == {"install", "install/setup.sh"}
    again = machine.install("--undo")
    assert again.returncode == 1 and "nothing is removed" in again.stderr


def test_a_dry_run_changes_nothing(machine: Machine) -> None:
    before = machine.tree()
    done = machine.install("--torch", "cuda", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "+ rosdep install" in done.stdout and "+ env" in done.stdout
    assert machine.tree() == before and machine.calls == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "PyTorch's CPU index"),
        (("--torch", "tpu"), "expected cpu, cuda, jetson or installed, got 'tpu'"),
        (("--torch", "jetson"), "NVIDIA builds it for each JetPack"),
        (("--ros", "/nowhere"), "no ROS 2 below"),
        (("--fast",), "unknown option: --fast"),
    ],
)
def test_what_it_needs_is_named_before_anything_is_done(
    machine: Machine, options: tuple[str, ...], reason: str
) -> None:
    before = machine.tree()
    done = machine.install(*options)
    assert done.returncode == 1
    assert reason in done.stderr
    assert machine.tree() == before and machine.calls == []


def test_torch_for_what_the_machine_has(machine: Machine) -> None:
    machine.program("nvidia-smi", "exit 0\n")
    assert "torch: cuda" in machine.install("--dry-run").stdout
    Path(machine.variables["STVG_ROS_BOARD"]).write_text("# R36 (release), REVISION: 4.3\n")
    jetson = machine.install("--dry-run")
    assert jetson.returncode == 1 and "R36 (release)" in jetson.stderr
    assert "torch: jetson" in machine.install("--dry-run", "--torch-args", "-i x").stdout
    machine.program("uname", "echo aarch64\n")
    machine.program("nvidia-smi", "exit 1\n")
    Path(machine.variables["STVG_ROS_BOARD"]).unlink()
    assert "torch: cpu" in machine.install("--dry-run").stdout  # pip's default there is small


def test_a_torch_without_the_gpu_stops_before_the_build(machine: Machine) -> None:
    done = machine.install("--torch", "cuda", GPU_FAILS="1")
    assert done.returncode == 1
    assert "failed:" in done.stderr and "is_available" in done.stderr
    assert not [call for call in machine.calls if call.startswith("colcon")]


def test_the_newest_distribution_and_that_of_the_shell(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "lyrical")
    other = tmp_path / "ros" / "humble"
    other.mkdir()
    (other / "setup.sh").touch()
    options = ("--torch", "cuda", "--dry-run")
    assert "ROS: lyrical in" in machine.install(*options).stdout
    humble = machine.install(*options, ROS_DISTRO="humble").stdout
    assert "ROS: humble in" in humble and "note: humble is not" in humble


def test_a_missing_program_and_a_foreign_folder(machine: Machine) -> None:
    (machine.workspace / "stvg_ros_venv").mkdir()
    done = machine.install("--torch", "cuda")
    assert done.returncode == 1 and "not made by this script" in done.stderr
    assert machine.install("--undo").returncode == 1
    assert (machine.workspace / "stvg_ros_venv").is_dir()
    (machine.bin / "colcon").unlink()
    assert "colcon was not found" in machine.install("--torch", "cuda").stderr


def test_the_clone_has_to_be_in_a_workspace(tmp_path: Path) -> None:
    script = tmp_path / "here" / "stvg_ros" / "scripts" / "install_on_robot.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "install_on_robot.sh", script)
    done = subprocess.run([SH, str(script)], capture_output=True, text=True, check=False,
                          env=dict(os.environ))  # fmt: skip
    assert done.returncode == 1 and "src folder of a workspace" in done.stderr
