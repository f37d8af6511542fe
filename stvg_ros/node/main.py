# SPDX-License-Identifier: Apache-2.0

"""The executable `grounding_node`."""

# ruff: noqa: E402
from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path


def end_at_signals() -> None:
    """Lets SIGINT and SIGTERM end the process with 0 while nothing waits for an answer."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: os._exit(0))


if __name__ == "__main__":  # the imports take seconds
    end_at_signals()

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.impl.implementation_singleton import rclpy_implementation as ros
from rclpy.signals import SignalHandlerOptions

from stvg_ros.errors import StvgError
from stvg_ros.node.grounding_node import GroundingNode
from stvg_ros.node.guarded_executor import GuardedExecutor
from stvg_ros.node.middleware import free_messages
from stvg_ros.node.parameter_files import parameter_files, unused


def serve(args: Sequence[str] | None = None) -> int:
    """Runs the node until SIGINT or SIGTERM; returns the exit code."""
    # ~/status reports the progress of a load; progress bars do not belong in a log.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    free_messages(os.environ, Path.cwd())
    try:
        files = parameter_files(sys.argv if args is None else args)
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        node = GroundingNode()
        for text in unused(files, node.get_fully_qualified_name()):
            node.get_logger().warning(text)
    except Exception as error:
        if not isinstance(error, (StvgError, ros.RCLError, ros.UnknownROSArgsError)):
            raise
        sys.stderr.write(f"grounding_node: {error}\n")
        rclpy.try_shutdown()
        return 2
    executor = GuardedExecutor(node.faults.report)
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
    if rclpy.ok():
        node.drain(lambda timeout_s: executor.spin_once(timeout_sec=timeout_s))
    else:
        node.close()
    executor.shutdown(timeout_sec=0.2)
    node.destroy_node()
    rclpy.shutdown()
    return 0


def main() -> None:
    """The entry point: exits without waiting for a running stage of the model."""
    end_at_signals()
    code = serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
