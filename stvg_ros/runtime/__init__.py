# SPDX-License-Identifier: Apache-2.0

"""Threads between frames, commands and a grounder; free of rclpy and of Starlette."""
