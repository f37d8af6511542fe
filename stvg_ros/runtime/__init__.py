# SPDX-License-Identifier: Apache-2.0

"""Threads between frames, commands and a grounder; independent of rclpy and Starlette."""
