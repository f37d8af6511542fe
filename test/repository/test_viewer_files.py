# SPDX-License-Identifier: Apache-2.0

"""The RViz and Foxglove files use classes, panels and properties that those programs publish.

Sources, read and not copied: RViz's branch jazzy (ros2/rviz: `panel_factory.cpp` of rviz_common,
`plugins_description.xml` of rviz_default_plugins; the constructors of the displays, of
`VisualizationManager`, `ViewController`, `OrbitViewController`, `QosProfileProperty`); the Python
SDK of Foxglove (foxglove/foxglove-sdk, `foxglove.layouts`: panel types and the keys of their
configurations) and, for the arrangement and the panels' keys in files of the app, Lichtblick's
`packages/suite-base` (lichtblick-suite/lichtblick: `PanelsState`, `ImageModeConfig`,
`PublishConfig`), which continues the open version of Foxglove Studio.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from paths import ROOT

RVIZ = sorted((ROOT / "rviz").glob("*.rviz"))
FOXGLOVE = sorted((ROOT / "foxglove").glob("*.json"))

PANELS = {
    "rviz_common/Displays", "rviz_common/Help", "rviz_common/Selection", "rviz_common/Time",
    "rviz_common/Tool Properties", "rviz_common/Transformation", "rviz_common/Views",
}  # fmt: skip
TOOLS = {
    "rviz_default_plugins/FocusCamera", "rviz_default_plugins/Interact",
    "rviz_default_plugins/Measure", "rviz_default_plugins/MoveCamera",
    "rviz_default_plugins/PublishPoint", "rviz_default_plugins/Select",
    "rviz_default_plugins/SetGoal", "rviz_default_plugins/SetInitialPose",
}  # fmt: skip
# Properties of every display, then by class. Those with properties of their own are mappings.
ANY = {"Class", "Enabled", "Name", "Value"}
TOPIC = {
    "Value", "Depth", "History Policy", "Reliability Policy", "Durability Policy", "Filter size",
}  # fmt: skip
POLICIES = {
    "History Policy": {"System Default", "Keep Last", "Keep All"},
    "Reliability Policy": {"System Default", "Reliable", "Best Effort"},
    "Durability Policy": {"System Default", "Transient Local", "Volatile"},
}
DISPLAYS = {
    "rviz_default_plugins/Grid": {
        "Reference Frame", "Plane Cell Count", "Normal Cell Count", "Cell Size", "Line Style",
        "Color", "Alpha", "Plane", "Offset",
    },
    "rviz_default_plugins/TF": {
        "Show Names", "Show Axes", "Show Arrows", "Marker Scale", "Update Interval",
        "Frame Timeout", "Filter (whitelist)", "Filter (blacklist)", "Frames", "Tree",
    },
    "rviz_default_plugins/Image": {
        "Topic", "Normalize Range", "Min Value", "Max Value", "Median window",
    },
    "rviz_default_plugins/MarkerArray": {"Topic", "Namespaces"},
    "rviz_default_plugins/Pose": {
        "Topic", "Shape", "Color", "Alpha", "Shaft Length", "Shaft Radius", "Head Length",
        "Head Radius", "Axes Length", "Axes Radius",
    },
}  # fmt: skip
GLOBAL = {"Fixed Frame", "Background Color", "Frame Rate"}
VIEWS = {
    "rviz_default_plugins/Orbit": {
        "Class", "Name", "Value", "Near Clip Distance", "Invert Z Axis", "Target Frame",
        "Enable Stereo Rendering", "Swap Stereo Eyes", "Stereo Eye Separation",
        "Stereo Focal Distance", "Distance", "Focal Shape Size", "Focal Shape Fixed Size", "Yaw",
        "Pitch", "Focal Point",
    },
}  # fmt: skip
MANAGER = {
    "Class", "Displays", "Enabled", "Global Options", "Name", "Tools", "Transformation", "Value",
    "Views",
}  # fmt: skip

# Panel type to the keys of its configuration in a layout's `configById`.
FOXGLOVE_PANELS = {
    "Image": {
        "imageMode", "foxglovePanelTitle", "cameraState", "followTf", "followMode", "scene",
        "transforms", "topics", "layers", "publish",
    },
    "3D": {
        "followTf", "followMode", "scene", "cameraState", "transforms", "topics", "layers",
        "publish", "imageMode", "foxglovePanelTitle",
    },
    "RawMessages": {
        "topicPath", "diffEnabled", "diffMethod", "diffTopicPath", "expansion",
        "showFullMessageForDiff", "fontSize",
    },
    "DiagnosticSummary": {
        "minLevel", "pinnedIds", "topicToRender", "hardwareIdFilter", "sortByLevel",
        "secondsUntilStale",
    },
    "Publish": {
        "topicName", "datatype", "buttonText", "buttonTooltip", "buttonColor", "advancedView",
        "value", "foxglovePanelTitle",
    },
}  # fmt: skip
IMAGE_MODE = {
    "imageTopic", "imageSchemaName", "calibrationTopic", "annotations", "synchronize", "rotation",
    "flipHorizontal", "flipVertical",
}  # fmt: skip
LAYOUT = {"configById", "globalVariables", "userNodes", "playbackConfig", "layout"}
SPLIT = {"direction", "first", "second", "splitPercentage"}


def rviz_problems(content: dict[str, Any]) -> list[str]:
    """What RViz would not read in a configuration."""
    found = [
        f"panel {panel['Class']}" for panel in content["Panels"] if panel["Class"] not in PANELS
    ]
    manager = content["Visualization Manager"]
    found += [f"manager: {name}" for name in set(manager) - MANAGER]
    found += [f"option {name}" for name in set(manager["Global Options"]) - GLOBAL]
    found += [f"tool {tool['Class']}" for tool in manager["Tools"] if tool["Class"] not in TOOLS]
    view = manager["Views"]["Current"]
    found += [f"view: {name}" for name in set(view) - VIEWS.get(view["Class"], set())]
    for display in manager["Displays"]:
        kind = display["Class"]
        known = DISPLAYS.get(kind, set()) | ANY if kind in DISPLAYS else set()
        found += [f"{kind}: {name}" for name in set(display) - known]
        topic = display.get("Topic", {})
        found += [f"{kind}: Topic: {name}" for name in set(topic) - TOPIC]
        found += [
            f"{kind}: {name} {topic[name]!r}"
            for name, allowed in POLICIES.items()
            if name in topic and topic[name] not in allowed
        ]
    return found


def foxglove_problems(content: dict[str, Any]) -> list[str]:
    """What Foxglove would not read in a layout."""
    found = [f"layout: {name}" for name in set(content) - LAYOUT]
    for panel, config in content["configById"].items():
        kind, sign, _ = panel.partition("!")
        known = FOXGLOVE_PANELS.get(kind, set()) if sign else set()
        found += [f"{panel}: {name}" for name in set(config) - known]
        mode = config.get("imageMode", {})
        found += [f"{panel}: imageMode: {name}" for name in set(mode) - IMAGE_MODE]
        for topics in (mode.get("annotations", {}), config.get("topics", {})):
            found += [
                f"{panel}: {name}" for name, value in topics.items() if "visible" not in value
            ]
    shown = list(_panels(content["layout"], found))
    found += [f"{name}: not shown once" for name in content["configById"] if shown.count(name) != 1]
    return found + [f"{name}: not configured" for name in set(shown) - set(content["configById"])]


def _panels(node: Any, found: list[str]):
    if isinstance(node, str):
        yield node
        return
    found += [f"split: {name}" for name in set(node) - SPLIT]
    if node.get("direction") not in ("row", "column"):
        found.append(f"split: direction {node.get('direction')!r}")
    if not 0 < node.get("splitPercentage", 50) < 100:
        found.append("split: splitPercentage")
    for part in ("first", "second"):
        yield from _panels(node[part], found)


@pytest.mark.parametrize("path", RVIZ, ids=lambda path: path.name)
def test_rviz_reads_every_property(path):
    assert rviz_problems(yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", FOXGLOVE, ids=lambda path: path.name)
def test_foxglove_reads_every_key(path):
    assert foxglove_problems(json.loads(path.read_text(encoding="utf-8"))) == []


def test_there_are_such_files():
    assert RVIZ
    assert FOXGLOVE


def test_the_check_finds_what_is_wrong():
    content = yaml.safe_load(RVIZ[0].read_text(encoding="utf-8"))
    displays = content["Visualization Manager"]["Displays"]
    displays[0]["Cell Width"] = 1
    displays[1]["Class"] = "rviz_default_plugins/Tf"
    displays[2]["Topic"]["Reliability Policy"] = "Best effort"
    content["Panels"][0]["Class"] = "rviz/Displays"
    found = rviz_problems(content)
    assert "rviz_default_plugins/Grid: Cell Width" in found
    assert "rviz_default_plugins/Tf: Name" in found
    assert "rviz_default_plugins/Image: Reliability Policy 'Best effort'" in found
    assert "panel rviz/Displays" in found
    layout = json.loads(FOXGLOVE[0].read_text(encoding="utf-8"))
    layout["configById"]["Image!camera"]["imageMode"]["topic"] = "/a"
    layout["configById"]["Raw!x"] = {"topicPath": "/a"}
    layout["layout"]["direction"] = "diagonal"
    found = foxglove_problems(layout)
    assert "Image!camera: imageMode: topic" in found
    assert "Raw!x: topicPath" in found
    assert "Raw!x: not shown once" in found
    assert "split: direction 'diagonal'" in found
