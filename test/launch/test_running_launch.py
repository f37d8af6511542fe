# SPDX-License-Identifier: Apache-2.0

"""The launch file for real, where ROS launch is installed: the node comes up, answers, and ends."""

from __future__ import annotations

import os
import sys
import unittest

import pytest
from paths import ROOT

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
pytest.importorskip("launch_testing", reason="ROS launch is not among the wheels")
pytest.importorskip("launch_ros", reason="ROS launch is not among the wheels")
import launch_testing.actions
import launch_testing.asserts
import rclpy
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from ros_tools import Client, Loop, image

from stvg_ros import msg

FILE = ROOT / "launch" / "grounding.launch.py"
ARGUMENTS = {"namespace": "robot", "name": "finder", "image": "/front/image_raw"}


@pytest.mark.launch_test
def generate_test_description():
    os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    source = PythonLaunchDescriptionSource(str(FILE))
    return LaunchDescription(
        [
            IncludeLaunchDescription(source, launch_arguments=ARGUMENTS.items()),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class TestRunning(unittest.TestCase):
    def test_the_node_answers_in_its_namespace(self):
        rclpy.init()
        client = Client("/robot/finder")
        images = client.create_publisher(type(image(0.0)), "/front/image_raw", 10)
        loop = Loop(client)
        try:
            loop.until(lambda: "ready" in client.states, 120)
            loop.until(images.get_subscription_count)
            loop.until(client.queries.get_subscription_count)
            for number in range(3):
                images.publish(image(1.0 + number))
            client.queries.publish(msg.Query(id="mine", text="the person in red"))
            loop.until(lambda: client.tubes, 60)
            assert client.tubes[0].query_id == "mine"
        finally:
            loop.close()
            client.destroy_node()
            rclpy.shutdown()


@launch_testing.post_shutdown_test()
class TestEnd(unittest.TestCase):
    def test_ctrl_c_ends_it_well(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
