# SPDX-License-Identifier: Apache-2.0

"""Coroutines of the executor that wait for other threads."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rclpy.node import Node
from rclpy.task import Future

_Result = TypeVar("_Result")


async def wait_for_thread(node: Node, work: concurrent.futures.Future[Any]) -> None:
    """Waits until another thread's work succeeds or fails, without blocking the executor.

    A waiting callback blocks the other callbacks of a mutually exclusive group, so it must be in
    a reentrant group.
    """
    executor = node.executor
    done: Future = Future(executor=executor)

    def finish(work: concurrent.futures.Future[Any]) -> None:
        done.set_result(None)
        if executor is not None:
            executor.wake()  # it checks waiting coroutines only when woken

    work.add_done_callback(finish)
    await done


class PendingCalls:
    """Service calls and goals whose clients wait for another thread's work.

    The interfaces of a node must not be destroyed before these calls are answered.

    Thread contract: the executor's thread.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._count = 0
        self._drained: list[concurrent.futures.Future[None]] = []

    def __len__(self) -> int:
        return self._count

    @contextmanager
    def pending(self) -> Iterator[None]:
        """Counts a client as waiting inside the context."""
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                waiting, self._drained = self._drained, []
                for future in waiting:
                    future.set_result(None)

    async def result(self, work: concurrent.futures.Future[_Result]) -> _Result:
        """The result of another thread's work."""
        await wait_for_thread(self._node, work)
        return work.result()

    def drained(self) -> concurrent.futures.Future[None]:
        """A future that is done when no client waits."""
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        if self._count:
            self._drained.append(future)
        else:
            future.set_result(None)
        return future
