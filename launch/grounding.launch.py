# SPDX-License-Identifier: Apache-2.0

"""Starts the grounding node.

    ros2 launch stvg_ros grounding.launch.py image:=/camera/image_raw command:=/command
    ros2 launch stvg_ros grounding.launch.py cameras:=front,rear image:=/front/image,/rear/image
    ros2 launch stvg_ros grounding.launch.py --show-args

An empty argument overrides nothing: the topic keeps its private name (`/grounding/tube`), the
setting its value from the parameter file. With several cameras, list their topics in the order of
`cameras`.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

# Argument, default, description under --show-args.
CAMERA_TOPICS = (
    ("image", "", "camera topic; for compressed images the full name, such as /camera/compressed"),
    ("depth", "", "topic of aligned depth images; sets depth.enabled"),
    ("camera_info", "", "topic of the camera's sensor_msgs/CameraInfo, for depth"),
    ("detections", "", "topic of your own detector; sets proposals.source to external"),
)
TOPICS = (
    ("command", "", "topic of std_msgs/String commands"),
    ("query", "", "topic of stvg_ros/Query commands, which have options"),
    ("tube", "", "topic of the answers, stvg_ros/Tube"),
)
# Argument, setting of the node, choices, description under --show-args.
SETTINGS = (
    ("model", "model.path", (), "local folder or hub id of the model, or 'embedded'"),
    ("device", "model.device", (), "auto, cpu, cuda, cuda:1, ..., balanced"),
    ("cameras", "cameras", (), "names of several cameras, separated by commas"),
    ("target_frame", "depth.target_frame", (), "frame of additional positions, such as map"),
    (
        "image_transport",
        "image.transport",
        ("", "raw", "compressed"),
        "raw for sensor_msgs/Image, compressed for sensor_msgs/CompressedImage",
    ),
    (
        "image_qos",
        "image.qos",
        ("", "sensor_data", "reliable", "system_default"),
        "quality of service of the image subscription, compatible with the camera's",
    ),
)
OTHERS = (
    ("namespace", "", "namespace of the node"),
    ("name", "grounding", "name of the node"),
    ("params_file", "laptop_cpu.yaml", "parameter file: a path, or a preset of this package"),
    ("autostart", "", "false leaves configure and activate to a lifecycle manager"),
    ("use_sim_time", "", "true uses the time of /clock, as with ros2 bag play --clock"),
    ("respawn", "false", "true restarts the node when it ends by itself"),
    ("foxglove_layout", "", "file to write the Foxglove layout to, with the topics of this launch"),
    ("log_level", "info", "debug, info, warn, error"),
)


def parameter_file(name: str) -> str:
    """The path of a parameter file: a preset of this package, or `name` itself."""
    presets = os.path.join(get_package_share_directory("stvg_ros"), "config")
    for path in ([os.path.join(presets, name)] if os.path.basename(name) == name else []) + [name]:
        if os.path.isfile(path):
            return path
    # ROS launch would continue without it, with defaults.
    known = sorted(item for item in os.listdir(presets) if item.endswith(".yaml"))
    close = difflib.get_close_matches(os.path.basename(name), known, 1)
    raise RuntimeError(
        f"params_file: expected a file, or a preset ({', '.join(known)}), got {name!r}"
        + (f"; did you mean {close[0]!r}?" if close else "")
    )


def remappings(value: Callable[[str], str]) -> list[tuple[str, str]]:
    """Remappings of the private topics, for arguments that are not empty."""
    pairs = [(f"~/{name}", value(name)) for name, _, _ in TOPICS if value(name)]
    cameras = [f"{name.strip()}/" for name in value("cameras").split(",")]
    prefixes = cameras if value("cameras") else [""]
    for name, _, _ in CAMERA_TOPICS:
        topics = [topic.strip() for topic in value(name).split(",")] if value(name) else []
        if topics and len(topics) != len(prefixes):
            raise RuntimeError(
                f"{name}: expected {len(prefixes)} topic(s), one for each of the cameras "
                f"{value('cameras')!r}, got {value(name)!r}"
            )
        # Shorter than the cameras only if it is empty.
        pairs += [(f"~/{at}{name}", topic) for at, topic in zip(prefixes, topics, strict=False)]
    return pairs


def write_layout(value: Callable[[str], str]) -> None:
    """Writes the package's Foxglove layout with the node's name and the topics of this launch."""
    package = get_package_share_directory("stvg_ros")
    with open(os.path.join(package, "foxglove", "grounding.json"), encoding="utf-8") as file:
        text = file.read()
    node = "/".join(("", *value("namespace").strip("/").split("/"), value("name")))
    node = node.replace("//", "/")
    camera = value("cameras").split(",")[0].strip()
    topics = {f"~/{name}": f"{node}/{name}" for name in ("command", "tube")}
    for name in ("image", "annotated_image", "image_annotations"):
        topics[f"~/{name}"] = "/".join(part for part in (node, camera, name) if part)
        topics[f"~/{camera}/{name}"] = topics[f"~/{name}"]
    for name, topic in remappings(value):
        if name in topics:
            absolute = topic if topic.startswith("/") else f"{os.path.dirname(node)}/{topic}"
            topics[name] = topics[f"~/{name.split('/')[-1]}"] = absolute.replace("//", "/")
    for name in ("image", "annotated_image", "image_annotations", "command", "tube"):
        text = text.replace(f'"/grounding/{name}"', json.dumps(topics[f"~/{name}"]))
    with open(value("foxglove_layout"), "w", encoding="utf-8") as file:
        file.write(text.replace('"/grounding/', f'"{node}/'))


def grounding_node(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node with the arguments that are not empty."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    overrides = {
        setting: ParameterValue(value(name), value_type=str)
        for name, setting, _, _ in SETTINGS
        if value(name)
    }
    for name in ("autostart", "use_sim_time"):
        if value(name):
            overrides[name] = ParameterValue(LaunchConfiguration(name), value_type=bool)
    if value("depth"):
        overrides["depth.enabled"] = True
    if value("detections"):
        overrides["proposals.source"] = ParameterValue("external", value_type=str)
    if value("foxglove_layout"):
        write_layout(value)
    params_file = value("params_file")
    return [
        LifecycleNode(
            package="stvg_ros",
            executable="grounding_node",
            namespace=value("namespace"),
            name=value("name"),
            parameters=([parameter_file(params_file)] if params_file else []) + [overrides],
            remappings=remappings(value),
            arguments=["--ros-args", "--log-level", value("log_level")],
            respawn=value("respawn") == "true",
            respawn_delay=2.0,
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Declares the arguments; `ros2 launch` calls this."""
    described = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in CAMERA_TOPICS + TOPICS
    ]
    for name, _, choices, description in SETTINGS:
        described.append(
            DeclareLaunchArgument(
                name, default_value="", description=description, choices=choices or None
            )
        )
    for name, default, description in OTHERS:
        described.append(
            DeclareLaunchArgument(name, default_value=default, description=description)
        )
    return LaunchDescription([*described, OpaqueFunction(function=grounding_node)])
