# SPDX-License-Identifier: Apache-2.0

"""The ROS 2 node: convert, call, publish. The only package that imports rclpy and messages."""
