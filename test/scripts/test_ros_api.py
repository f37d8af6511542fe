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
        ("import rclpy, time\nrclpy.spin_once(n)\ntime.sleep(1)", ["rclpy.spin_once"]),
    ],
)  # fmt: skip
def test_names_of_a_module(ros_api, source, names):
    assert list(ros_api.names_of(source)) == names


LIBRARY = """
from typing_extensions import deprecated
class Base:
    def __init__(self, name, *, depth=1): pass
class Node(Base):
    def create_timer(self, period_s, callback, *, clock=None): pass
    def destroy_rate(self, rate, /): pass
    @deprecated("use create_timer")
    def create_clock(self): pass
def spin_once(node, *, timeout_sec=None): pass
def get_names(*names, strict): warnings.warn("gone soon", DeprecationWarning)
"""
OURS = """
import rclpy, time
from rclpy.node import Node
class Mine(Node):
    def __init__(self): super().__init__("a")
    def own(self): pass
"""


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("node.create_timer(1, f, clock=c)", ""),
        ("node.create_timer(period_s=1, callback=f)", ""),
        ("node.create_timer(*both)", ""),
        ("node.create_timer(1)", "create_timer: needs callback"),
        ("node.create_timer(1, f, c)", "create_timer: expected at most 2 by position"),
        ("node.create_timer(1, f, clok=c)", "create_timer: no parameter clok"),
        ("node.create_clock()", "create_clock: deprecated"),
        ("Node('a', depth=2)", ""),
        ("Node(depth=2)", "Node: needs name"),
        ("rclpy.node.spin_once(node, timeout_sec=1)", ""),
        ("rclpy.node.spin_once(node, 1)", "spin_once: expected at most 1 by position"),
        ("rclpy.node.get_names('a', strict=1)", "get_names: deprecated"),
        ("rclpy.node.get_names('a')", "get_names: needs strict"),
        ("time.create_clock(1)", None),
        ("node.own(1)", None),
        ("node.unknown(1)", None),
    ],
)
def test_arguments_of_a_call(ros_api, call, reason):
    definitions = ros_api.Definitions()
    definitions.add(LIBRARY)
    *_, made = sorted(ros_api.calls_of(f"{OURS}{call}", ["rclpy"]), key=lambda one: one.line)
    if made.line <= OURS.count("\n"):
        assert reason is None  # another library's module
    else:
        assert definitions.problem(made) == reason


def test_a_version_without_a_name_is_found(ros_api, tmp_path, monkeypatch, capsys):
    own = sources(tmp_path / "own", {
        "stvg_ros/a.py": "from rclpy.node import Node\nNode().create_timer(1)\nNode().spun(1)",
        "stvg_ros/b.py": "from rclpy.qos import Gone\nother.create_timer()",
        "launch/c.py": "from launch_ros.x import Y",
    })  # fmt: skip
    monkeypatch.setattr(ros_api, "ROOT", own)
    tree = sources(tmp_path / "old", {
        "rclpy/rclpy/__init__.py": "",
        "rclpy/rclpy/node.py": "class Node:\n    def create_timer(self, a): pass",
        "rclpy/rclpy/qos.py": "try:\n    A = 1\nexcept E:\n    pass\nfrom .names import *",
        "rclpy/rclpy/names.py": "",
        "rclpy/test/rclpy/node.py": "class Node:\n    def create_timer(self, a, b): pass",
    })  # fmt: skip
    assert ros_api.main([str(tree)]) == 1
    said = capsys.readouterr().out
    assert "1 of 2 names (rclpy)" in said
    assert "missing: rclpy.qos.Gone, used by stvg_ros/b.py" in said
    assert "stvg_ros/b.py:2: create_timer: needs a" in said
    # The same in a branch of a clone, with the name and another method.
    git = ["git", "-C", str(tree), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    (tree / "rclpy" / "rclpy" / "names.py").write_text("Gone = 1")
    node = "class Node:\n    def create_timer(self, a=0): pass\n    def spun(self, b): pass"
    (tree / "rclpy" / "rclpy" / "node.py").write_text(node)
    for words in (["init", "-q", "-b", "next"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *words], check=True)
    (tree / "rclpy" / "rclpy" / "names.py").write_text("")
    (tree / "rclpy" / "rclpy" / "node.py").write_text(
        "class Node:\n    def create_timer(self, a=0): pass"
    )
    assert ros_api.main([f"{tree}@next"]) == 0
    said = capsys.readouterr().out
    assert "2 of 2 names" in said and "3 kinds of calls of 2 names" in said
    assert ros_api.main([f"{tree}@next", str(tree)]) == 1
    assert f"{tree} does not define spun, as {tree}@next does" in capsys.readouterr().out


def test_the_installed_version_has_every_name(ros_api, capsys):
    rclpy = pytest.importorskip("rclpy", reason="rclpy is missing")
    assert ros_api.main([str(Path(rclpy.__file__).parent.parent)]) == 0, capsys.readouterr().out


def test_the_page_lists_every_module_that_we_import_from(ros_api):
    page = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    for name in ros_api.imported():
        assert f"`{name.rpartition('.')[0]}`" in page, f"docs/compatibility.md: {name}"


def test_nothing_is_called_that_humble_does_not_have(ros_api):
    newer = {"add_post_set_parameters_callback", "create_future", "is_spinning"}
    modules = {"rclpy.parameter_client", "rclpy.parameter_event_handler", "rclpy.endpoint_info"}
    assert not {call.last for _, call in ros_api.our_calls()} & newer
    assert not {name.rpartition(".")[0] for name in ros_api.imported()} & modules
    # The one that is called has a way round, which test_parameters.py tests.
    (path,) = {p for p, c in ros_api.our_calls() if c.last == "add_pre_set_parameters_callback"}
    assert path == "stvg_ros/node/parameters.py"
