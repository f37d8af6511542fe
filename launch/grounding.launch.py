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
)
TOPICS = (
    ("command", "", "topic of std_msgs/String commands"),
    ("query", "", "topic of stvg_ros/Query commands, which have options"),
    ("tube", "", "topic of the answers, stvg_ros/Tube"),
)
# Argument, setting of the node, choices, description under --show-args.
SETTINGS = (
    ("model", "model.path", (), "local folder or hub id of the model, or 'embedded'"),
    ("device", "model.device", (), "auto, cpu, cuda, cuda:1, ..."),
    ("cameras", "cameras", (), "names of several cameras, separated by commas"),
    ("target_frame", "depth.target_frame", (), "frame of additional positions, such as map"),
    (
        "image_transport",
        "image.transport",
        ("", "raw", "compressed"),
        "raw for sensor_msgs/Image, compressed for sensor_msgs/CompressedImage",
    ),
)
OTHERS = (
    ("namespace", "", "namespace of the node"),
    ("name", "grounding", "name of the node"),
    ("params_file", "laptop_cpu.yaml", "parameter file: a path, or a preset of this package"),
    ("autostart", "", "false leaves configure and activate to a lifecycle manager"),
    ("use_sim_time", "", "true uses the time of /clock, as with ros2 bag play --clock"),
    ("log_level", "info", "debug, info, warn, error"),
)


def parameter_file(name: str) -> str:
    """The path of a parameter file: a preset of this package, or `name` itself."""
    presets = os.path.join(get_package_share_directory("stvg_ros"), "config")
    for path in ([os.path.join(presets, name)] if os.path.basename(name) == name else []) + [name]:
        if os.path.isfile(path):
            return path
    # ROS launch would go on without it, on defaults.
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
        # Shorter than the cameras only when there are none.
        pairs += [(f"~/{at}{name}", topic) for at, topic in zip(prefixes, topics, strict=False)]
    return pairs


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
