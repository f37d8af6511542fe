# SPDX-License-Identifier: Apache-2.0

"""Plays a recording into the grounding node.

    ros2 launch stvg_ros grounding_with_bag.launch.py bag:=my_bag bag_image:=/camera/image_raw
    ros2 launch stvg_ros grounding_with_bag.launch.py --show-args

Takes the arguments of grounding.launch.py as well. Playback starts when the node is active. The
node uses the time of the recording unless use_sim_time is false.
"""

from __future__ import annotations

import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.event_handlers import OnStateTransition

# Argument, default, description under --show-args.
BAG = (
    ("bag", "", "folder of the recording (required)"),
    ("bag_image", "/camera/image_raw", "image topic of the recording and of the node"),
    ("rate", "1.0", "playback rate; 1 is real time"),
    ("loop", "false", "true restarts at the end; the node then clears its window"),
    ("shutdown", "false", "true ends the launch when the recording ends"),
)


def ended(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Ends the launch; the exit code is 1 if the bag could not be played."""
    if event.returncode:
        raise RuntimeError(f"ros2 bag play ended with exit code {event.returncode}")
    return [EmitEvent(event=Shutdown(reason="the recording has been played"))]


def value(context: LaunchContext, name: str) -> str:
    """The value of a launch argument."""
    return LaunchConfiguration(name).perform(context)


def node(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The other launch file, on the recording's topic and time."""
    folder = os.path.join(get_package_share_directory("stvg_ros"), "launch")
    source = PythonLaunchDescriptionSource(os.path.join(folder, "grounding.launch.py"))
    given = {
        "image": value(context, "bag_image"),
        "use_sim_time": context.launch_configurations.get("use_sim_time") or "true",
    }
    return [IncludeLaunchDescription(source, launch_arguments=given.items())]


def player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """The node, and `ros2 bag play` once the node is active."""
    if not value(context, "bag"):
        raise RuntimeError("bag: expected the folder of a recording, got ''; give bag:=FOLDER")
    command = ["ros2", "bag", "play", value(context, "bag"), "--clock"]
    command += ["--rate", value(context, "rate")]
    if value(context, "loop") == "true":
        command.append("--loop")
    play = ExecuteProcess(cmd=command, name="bag_player", output="screen")
    end = OnProcessExit(target_action=play, on_exit=ended)
    handlers = [RegisterEventHandler(OnStateTransition(goal_state="active", entities=[play]))]
    if value(context, "shutdown") == "true":
        handlers.append(RegisterEventHandler(end))
    return [*handlers, *node(context)]


def generate_launch_description() -> LaunchDescription:
    """Declares the arguments; `ros2 launch` calls this."""
    described = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in BAG
    ]
    return LaunchDescription([*described, OpaqueFunction(function=player)])
