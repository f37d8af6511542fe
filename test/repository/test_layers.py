# SPDX-License-Identifier: Apache-2.0

"""Who may import whom: the table of CONTRIBUTING.md, enforced on every import statement."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from paths import ROOT

PACKAGES = ("stvg_ros", "stvg_lab")


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
ROBOT = (
    "foundations commands io method checkpoints models identity proposals body runtime serving "
    "build visualization"
)
LAB = "lab.datasets lab.runs lab.rendered lab.report"
LAYERS = {
    "foundations": layer("foundations commands", "numpy"),
    "commands": layer("foundations commands", ""),
    "settings": layer("foundations settings", ""),
    "identity": layer("foundations settings method checkpoints identity", "numpy cv2 torch"),
    "io": layer(
        "foundations commands settings io",
        "numpy cv2 av rosbags ruamel lz4 backports compression msgspec",
    ),
    "body": layer(
        "foundations commands settings method checkpoints identity proposals body",
        "numpy cv2 torch transformers",
    ),
    "method": layer("foundations settings commands method", "numpy torch"),
    "checkpoints": layer("foundations checkpoints", "torch transformers huggingface_hub"),
    "models": layer(
        "foundations settings method checkpoints models",
        "numpy torch transformers safetensors tokenizers huggingface_hub accelerate PIL",
    ),
    "proposals": layer(
        "foundations commands settings method checkpoints identity proposals",
        "numpy cv2 scipy torch transformers safetensors huggingface_hub",
    ),
    "runtime": layer("foundations settings commands method identity runtime", ""),
    "serving": layer(
        "foundations settings method runtime serving", "numpy cv2 httpx2 msgspec starlette"
    ),
    "build": layer(
        "foundations settings commands method models identity proposals body serving build",
        "numpy torch",
    ),
    "visualization": layer("foundations settings method body visualization io", "numpy cv2 av"),
    "doctor": layer("foundations settings checkpoints models build doctor node messages", ROS),
    "node": layer(
        f"settings {ROBOT} node messages",
        f"numpy cv2 rosbags torch {ROS}",
    ),
    "agents": layer(
        "foundations io visualization node messages agents",
        f"numpy cv2 mcp anyio pydantic {ROS}",
    ),
    "cli": layer(f"settings doctor agents cli {ROBOT}", "numpy cv2 torch tqdm rosbags av"),
    "lab": layer("lab", ""),
    "lab.datasets": layer(f"settings {ROBOT} {LAB}", "numpy cv2 scipy av rosbags tqdm"),
    "lab.runs": layer(f"settings {ROBOT} {LAB}", "numpy cv2 torch scipy av rosbags tqdm"),
    "lab.report": layer(f"settings {ROBOT} {LAB}", "numpy cv2 jinja2 markupsafe"),
    "lab.rendered": layer(f"settings {ROBOT} {LAB}", "numpy cv2 scipy av rosbags tqdm"),
    "lab.ablation": layer(f"settings {ROBOT} {LAB} lab.ablation", "numpy torch tqdm"),
    "lab.annotator": layer(f"settings {ROBOT} {LAB} lab.annotator", "numpy cv2 av rosbags"),
    "lab.benchmark": layer(f"settings {ROBOT} {LAB} lab.benchmark", "numpy torch transformers cv2"),
    "lab.identity": layer(
        f"settings {ROBOT} {LAB} lab.identity", "numpy scipy supervision trackers"
    ),
    "lab.live": layer(
        f"settings {ROBOT} {LAB} lab.live node messages", f"numpy cv2 rosbags torch {ROS}"
    ),
    "lab.training": layer(
        f"settings {ROBOT} {LAB} lab.training lab.ablation",
        "numpy cv2 scipy torch transformers safetensors tokenizers tqdm PIL",
    ),
    "lab.cli": layer(
        f"settings {ROBOT} {LAB} cli lab.cli lab.ablation lab.annotator lab.benchmark "
        "lab.identity lab.live",
        "numpy cv2 torch tqdm rosbags av",
    ),
}
# Modules with a library more than their layer.
EXTRA = {
    "stvg_ros.body.blazepose": {"ai_edge_litert"},
    "stvg_ros.colours": {"cv2"},
    "stvg_ros.images": {"cv2"},
    "stvg_ros.commands.parser": {"spacy"},
    "stvg_ros.depth": {"cv2"},
    "stvg_ros.node.parameter_files": {"yaml"},
    "stvg_lab.identity.visual_layers": {"torch"},
    "stvg_ros.number_marks": {"cv2"},
    "stvg_lab.runs.worker_pool": {"ray"},
    "stvg_ros.visualization.rerun_recording": {"rerun"},
    "stvg_ros.serving.replica_metrics": {"prometheus_client"},
    "stvg_ros.serving.server": {"ray"},
    "stvg_ros.serving.proxy": {"uvicorn"},
}


def layer_of(name: str) -> str:
    """The layer of a module given by its full name."""
    top, *parts = name.split(".")
    if top == "stvg_lab":
        return f"lab.{parts[0]}" if parts else "lab"
    if parts and parts[0] in ("msg", "srv", "action"):
        return "messages"
    if name == "stvg_ros.config" or parts[-1:] == ["settings"]:
        return "settings"
    return parts[0] if parts and parts[0] in LAYERS else "foundations"


def violations(source: str, module: str) -> list[str]:
    """What a module imports against the table."""
    own = layer_of(module)
    allowed = LAYERS[own]
    others = allowed.others | EXTRA.get(module, set())
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
            if node.module in PACKAGES:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top = name.split(".")[0]
            if top in PACKAGES:
                target = layer_of(name)
                if target not in allowed.ours:
                    found.append(f"line {node.lineno}: {own} imports {target} ({name})")
            elif top not in others and top not in sys.stdlib_module_names:
                found.append(f"line {node.lineno}: {own} imports {name}")
    return found


MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_modules_are_found() -> None:
    assert len(MODULES) > 100


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_keep_to_the_layers(path: Path) -> None:
    assert violations(path.read_text(encoding="utf-8"), module_name(path)) == []


@pytest.mark.parametrize(
    ("source", "module", "wrong"),
    [
        ("import numpy as np\nimport json", "stvg_ros.window", 0),
        ("import cv2", "stvg_ros.window", 1),
        ("import cv2", "stvg_ros.images", 0),
        ("import torch\nimport transformers", "stvg_ros.method.attention", 1),
        ("def f():\n    import rclpy", "stvg_ros.cli.ground", 1),
        ("from stvg_ros import models", "stvg_ros.proposals.people.classical", 1),
        ("from stvg_ros.cli.main import main", "stvg_ros.node.main", 1),
        ("from stvg_ros.msg import Tube", "stvg_ros.node.conversions", 0),
        ("from stvg_ros.msg import Tube", "stvg_ros.io.bag", 1),
        ("from . import boxes", "stvg_ros.types", 1),
        ("def f():\n    from stvg_lab.runs import scores", "stvg_ros.cli.ground", 1),
        ("import rclpy", "stvg_ros.runtime.settings", 1),
        ("import rclpy", "stvg_ros.node.settings", 1),
        ("from stvg_ros.config import Config", "stvg_lab.runs.runner", 0),
    ],
)
def test_the_rule_itself(source: str, module: str, wrong: int) -> None:
    assert len(violations(source, module)) == wrong


def test_every_folder_has_its_row() -> None:
    folders = {
        layer_of(module_name(path))
        for package in PACKAGES
        for path in (ROOT / package).glob("*/__init__.py")
    }
    assert folders <= {*LAYERS, "messages"}
