# SPDX-License-Identifier: Apache-2.0

"""Starts the grounding node, plays annotated bags, scores the tubes and exits.

    ros2 launch stvg_ros bag_evaluation.launch.py annotations:=run.json out:=out/live

The grounding node is started with the arguments of grounding.launch.py. An empty argument overrides
nothing.
"""

from __future__ import annotations

import os
import shlex

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

# Argument, default, description under --show-args.
EVALUATION = (
    ("annotations", "", "annotation files, separated by spaces"),
    ("bag", "", "the bag, if it is not in the annotation file"),
    ("topic", "", "image topic of the bag, if it has several"),
    ("rate", "1.0", "playback rate; 1 is real time"),
    ("window_s", "", "window of a command in seconds; empty: one second less than the node's"),
    ("convention", "", "scoring convention, see stvg-ros evaluate --help"),
    ("out", "out/live", "folder of the run"),
)
GROUNDING = (
    ("model", "", "local folder or hub id of the model, or 'embedded'"),
    ("device", "", "auto, cpu, cuda, cuda:1, ..., balanced"),
    ("image_transport", "", "raw or compressed, as in the bag"),
    ("params_file", "laptop_cpu.yaml", "parameter file: a path, or a preset of this package"),
    ("log_level", "info", "debug, info, warn, error"),
)
NAME = "grounding"


def ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Ends the launch; the exit code is 1 if the evaluation failed."""
    if event.returncode:
        raise RuntimeError(f"bag_evaluation ended with exit code {event.returncode}")
    return [EmitEvent(event=Shutdown(reason="the evaluation is done"))]


def evaluation(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The program that plays and scores; the launch shuts down when it exits."""
    words = []
    for name, _, _ in EVALUATION:
        value = LaunchConfiguration(name).perform(context)
        if value:
            parts = shlex.split(value) if name == "annotations" else [value]
            words += [f"--{name.replace('_', '-')}", *parts]
    program = Node(
        package="stvg_ros",
        executable="bag_evaluation",
        arguments=[*words, "--node", f"/{NAME}"],
        output="screen",
        emulate_tty=True,
    )
    return [RegisterEventHandler(OnProcessExit(target_action=program, on_exit=ended)), program]


def generate_launch_description() -> LaunchDescription:
    """Declares the arguments; `ros2 launch` calls this."""
    described = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in (*EVALUATION, *GROUNDING)
    ]
    folder = os.path.join(get_package_share_directory("stvg_ros"), "launch")
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(os.path.join(folder, "grounding.launch.py")),
        launch_arguments=[
            ("name", NAME),
            *((name, LaunchConfiguration(name)) for name, _, _ in GROUNDING),
        ],
    )
    return LaunchDescription([*described, node, OpaqueFunction(function=evaluation)])
