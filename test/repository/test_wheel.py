# SPDX-License-Identifier: Apache-2.0

"""The source archive and the wheel of the ROS-free part: what they hold, and that it works."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from paths import ROOT

import stvg_ros

BUILD = "from setuptools.build_meta import build_sdist, build_wheel; import sys; "


def built(folder: Path, call: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILD + call], cwd=folder, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return {name for name in listed.stdout.split("\n") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the unpacked source archive, so that the archive is complete."""
    folder = tmp_path_factory.mktemp("wheel")
    checkout, out = folder / "checkout", folder / "out"
    out.mkdir()
    for name in tracked():
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)
    built(checkout, f"build_sdist({str(out)!r})")
    (archive,) = out.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    built(source, f"build_wheel({str(out)!r})")
    (path,) = out.glob("*.whl")
    return path


def test_it_has_every_module_and_data_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    assert tracked("stvg_ros", "stvg_lab") - names == set()
    assert not [name for name in names if name.startswith(("test", "docs", "examples"))]
    assert wheel.name == f"stvg_ros-{stvg_ros.__version__}-py3-none-any.whl"


def test_the_command_works_from_it_without_ros(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "site")
    # The environment's libraries without its stvg_ros; a missing ROS is simulated.
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path / "site")!r})
sys.modules["rclpy"] = None
from importlib.metadata import distribution
import stvg_ros
from stvg_ros.cli.main import main
assert stvg_ros.__file__.startswith({str(tmp_path)!r})
scripts = distribution("stvg_ros").entry_points.select(group="console_scripts")
assert [entry.value for entry in scripts] == ["stvg_ros.cli.main:main"]
sys.exit(main(["understand", "find the person in red"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "the person in red" in done.stdout
