# SPDX-License-Identifier: Apache-2.0

"""The executable `grounding_node`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from stvg_ros.errors import ConfigError
from stvg_ros.node.grounding_node import GroundingNode


def serve(args: Sequence[str] | None = None) -> int:
    """Runs the node until SIGINT or SIGTERM; returns the exit code."""
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = GroundingNode()
    except ConfigError as error:
        sys.stderr.write(f"grounding_node: {error}\n")
        rclpy.shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    asked = threading.Event()

    def on_signal(number: int, frame: object) -> None:
        asked.set()
        executor.wake()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    try:
        while rclpy.ok() and not asked.is_set():
            executor.spin_once(timeout_sec=0.2)
    except ExternalShutdownException:
        pass
    node.close()
    executor.shutdown(timeout_sec=0.2)
    node.destroy_node()
    rclpy.shutdown()
    return 0


def main() -> None:
    """The entry point: exits without waiting for a model that is in the middle of a stage."""
    code = serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
