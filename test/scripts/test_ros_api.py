# SPDX-License-Identifier: Apache-2.0

"""The names that we import from ROS 2: found, compared with sources, listed on the page."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT


@pytest.fixture(scope="module")
def ros_api():
    spec = importlib.util.spec_from_file_location("ros_api", ROOT / "scripts" / "ros_api.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["ros_api"] = module
    spec.loader.exec_module(module)
    return module


def sources(folder: Path, names: dict[str, str]) -> Path:
    for name, text in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import rclpy\nimport json", []),
        ("from rclpy.qos import QoSProfile as Q, HistoryPolicy",
         ["rclpy.qos.QoSProfile", "rclpy.qos.HistoryPolicy"]),
        ("def f():\n    import launch_ros.actions", ["launch_ros.actions"]),
        ("from rclpyx.qos import A", []),
    ],
)  # fmt: skip
def test_names_of_a_module(ros_api, source, names):
    assert list(ros_api.names_of(source)) == names


def test_a_version_without_a_name_is_found(ros_api, tmp_path, monkeypatch, capsys):
    names = {"rclpy.node.Node": {"a.py"}, "rclpy.qos.Gone": {"b.py"}, "launch_ros.x.Y": {"c.py"}}
    monkeypatch.setattr(ros_api, "imported", lambda: names)
    tree = sources(tmp_path, {
        "rclpy/rclpy/__init__.py": "", "rclpy/rclpy/node.py": "class Node: pass",
        "rclpy/rclpy/qos.py": "try:\n    A = 1\nexcept E:\n    pass",
    })  # fmt: skip
    assert ros_api.main([str(tree)]) == 1
    said = capsys.readouterr().out
    assert "1 of 2 names (rclpy)" in said
    assert "missing: rclpy.qos.Gone, used by b.py" in said
    # The same in a branch of a clone, with the name.
    git = ["git", "-C", str(tree), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (tree / "rclpy" / "rclpy" / "qos.py").write_text("from x import Gone")
    for words in (["init", "-q", "-b", "next"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    (tree / "rclpy" / "rclpy" / "qos.py").write_text("")
    assert ros_api.main([f"{tree}@next"]) == 0
    assert "2 of 2 names" in capsys.readouterr().out


def test_the_installed_version_has_every_name(ros_api, capsys):
    rclpy = pytest.importorskip("rclpy", reason="rclpy is missing")
    assert ros_api.main([str(Path(rclpy.__file__).parent.parent)]) == 0, capsys.readouterr().out


def test_the_page_lists_every_module_that_we_import_from(ros_api):
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    for name in ros_api.imported():
        assert f"`{name.rpartition('.')[0]}`" in page, f"docs/compatibility.md: {name}"
