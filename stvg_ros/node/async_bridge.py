# SPDX-License-Identifier: Apache-2.0

"""Coroutines of the executor that wait for other threads."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from rclpy.node import Node
from rclpy.task import Future


async def wait_for_thread(node: Node, work: concurrent.futures.Future[Any]) -> None:
    """Waits until another thread's work is over, well or not, while the executor goes on.

    A callback that waits keeps the callbacks of its mutually exclusive group from running, so it
    belongs into a reentrant one.
    """
    executor = node.executor
    done: Future = Future(executor=executor)

    def finish(work: concurrent.futures.Future[Any]) -> None:
        done.set_result(None)
        if executor is not None:
            executor.wake()  # it looks at what waits only when something happens

    work.add_done_callback(finish)
    await done
