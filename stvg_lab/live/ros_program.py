# SPDX-License-Identifier: Apache-2.0

"""The frame of a ROS program: start, node, errors in words, exit code, end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from stvg_ros.errors import StvgError

NodeT = TypeVar("NodeT", bound=Node)


def without_ros_arguments(words: Sequence[str]) -> list[str]:
    """The words of a command line that are the program's own."""
    return list(rclpy.utilities.remove_ros_args(["", *words])[1:])


def run_program(
    name: str, words: Sequence[str], make: Callable[[], NodeT], run: Callable[[NodeT], int]
) -> int:
    """Runs a program with one node.

    Args:
        name: of the program, before its errors.
        words: its command line, with ROS arguments.
        make: creates the node.
        run: does the work and returns the exit code.

    Returns:
        The exit code: 1 after an error that is ours, 130 after an interruption.
    """
    rclpy.init(args=list(words))
    node = make()
    try:
        return run(node)
    except StvgError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
