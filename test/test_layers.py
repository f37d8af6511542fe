# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""Who may import whom: the table of CONTRIBUTING.md, enforced on every import statement."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "stvg_ros"


@dataclass(frozen=True)
class Layer:
    """The layers of this package and the other packages that one layer may import."""

    ours: frozenset[str]
    others: frozenset[str]


def layer(ours: str, others: str) -> Layer:
    return Layer(frozenset(ours.split()), frozenset(others.split()))


ROS = (
    "rclpy rcl_interfaces lifecycle_msgs builtin_interfaces std_msgs std_srvs sensor_msgs "
    "geometry_msgs visualization_msgs diagnostic_msgs action_msgs cv_bridge message_filters "
    "ament_index_python tf2_ros foxglove_msgs vision_msgs"
)
LAYERS = {
    "foundations": layer("foundations", "numpy"),
    "core": layer("foundations core", "numpy torch"),
    "mllm": layer(
        "foundations core mllm",
        "numpy torch transformers safetensors tokenizers huggingface_hub accelerate PIL",
    ),
    "proposals": layer(
        "foundations core proposals", "numpy cv2 scipy torch transformers safetensors"
    ),
    "serving": layer("foundations core serving", "numpy cv2 msgpack PIL starlette"),
    "build": layer("foundations core mllm proposals serving build", "numpy torch"),
    "benchmark": layer("foundations core mllm benchmark", "numpy torch transformers cv2"),
    "evaluation": layer(
        "foundations core evaluation visualization", "numpy torch cv2 scipy av rosbags tqdm"
    ),
    "visualization": layer("foundations core visualization", "numpy cv2 av"),
    "node": layer(
        "foundations core build evaluation visualization node messages",
        f"numpy cv2 rosbags torch {ROS}",
    ),
    "cli": layer(
        "foundations core mllm proposals serving build benchmark evaluation visualization cli",
        "numpy cv2 torch tqdm rosbags av",
    ),
}
# Modules with a library more than their layer: pictures, and the only one with Ray.
EXTRA = {
    "camera_images": {"cv2"},
    "images": {"cv2"},
    "video": {"cv2", "av"},
    "serving.server": {"ray"},
    "serving.proxy": {"uvicorn"},
}


def layer_of(parts: tuple[str, ...]) -> str:
    """The layer of a module given by its name's parts after `stvg_ros`."""
    if not parts:
        return "foundations"
    if parts[0] in ("msg", "srv", "action"):
        return "messages"
    return parts[0] if parts[0] in LAYERS else "foundations"


def violations(source: str, parts: tuple[str, ...]) -> list[str]:
    """What a module of this package imports against the table."""
    own = layer_of(parts)
    allowed = LAYERS[own]
    others = allowed.others | EXTRA.get(".".join(parts), set())
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                found.append(f"line {node.lineno}: relative import")
                continue
            names = [node.module or ""]
            if node.module == "stvg_ros":
                names = [f"stvg_ros.{alias.name}" for alias in node.names]
        for name in names:
            top, *rest = name.split(".")
            if top == "stvg_ros":
                target = layer_of(tuple(rest))
                if target not in allowed.ours:
                    found.append(f"line {node.lineno}: {own} imports {target} ({name})")
            elif top not in others and top not in sys.stdlib_module_names:
                found.append(f"line {node.lineno}: {own} imports {name}")
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


def test_modules_are_found() -> None:
    assert len(MODULES) > 10


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_keep_to_the_layers(path: Path) -> None:
    relative = path.relative_to(PACKAGE).with_suffix("")
    parts = relative.parts[:-1] if relative.name == "__init__" else relative.parts
    assert violations(path.read_text(encoding="utf-8"), parts) == []


@pytest.mark.parametrize(
    ("source", "module", "wrong"),
    [
        ("import numpy as np\nimport json", "window", 0),
        ("import cv2", "window", 1),
        ("import cv2", "images", 0),
        ("import torch\nimport transformers", "core.attention", 1),
        ("def f():\n    import rclpy", "cli.doctor", 1),
        ("from stvg_ros import mllm", "proposals.classical", 1),
        ("from stvg_ros.cli.main import main", "node.main", 1),
        ("from stvg_ros.msg import Tube", "node.conversions", 0),
        ("from stvg_ros.msg import Tube", "evaluation.bag", 1),
        ("from . import boxes", "types", 1),
    ],
)
def test_the_rule_itself(source: str, module: str, wrong: int) -> None:
    assert len(violations(source, tuple(module.split(".")))) == wrong


def test_every_folder_has_its_row() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders - {"msg", "srv", "action"} <= set(LAYERS)
