#!/bin/sh
# Sources the workspace and launches the node with the given arguments, NAME:=VALUE.
set -e
. "/opt/ros/$ROS_DISTRO/setup.sh"
. /ws/install/setup.sh
exec ros2 launch stvg_ros grounding.launch.py "$@"
