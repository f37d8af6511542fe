# SPDX-License-Identifier: Apache-2.0

"""Synchronises messages of several topics by stamp, for machines without message_filters.

The two classes have the names, arguments and behaviour of the message_filters classes that the
node uses, including the lock; the tests run on whichever is installed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from stvg_ros.node.conversions import stamp_ns


class SimpleFilter:
    """Passes every message to its callbacks. Thread contract: one thread."""

    def __init__(self) -> None:
        self._callbacks: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def registerCallback(self, callback: Callable[..., None], *arguments: Any) -> int:  # noqa: N802
        """Calls `callback(*message, *arguments)` from now on; returns the connection's number."""
        self._callbacks.append((callback, arguments))
        return len(self._callbacks) - 1

    def signalMessage(self, *message: Any) -> None:  # noqa: N802
        """Passes the message to the callbacks."""
        for callback, arguments in self._callbacks:
            callback(*message, *arguments)


class ApproximateTimeSynchronizer(SimpleFilter):
    """Passes on one message per filter whose stamps differ by less than `slop` seconds.

    A set is complete when its last message arrives, with the nearest message of each other filter;
    each message is used once. Each filter keeps the `queue_size` messages with the latest stamps.

    As in message_filters, the lock is held while the callbacks run and stays held when one raises:
    a callback that raises, or that offers a message to one of the filters, blocks the next one.
    """

    def __init__(self, filters: Sequence[Any], queue_size: int, slop: float) -> None:
        super().__init__()
        self._queue_size = queue_size
        self._slop_ns = round(slop * 1e9)
        self.lock = threading.Lock()
        self._queues: list[dict[int, Any]] = [{} for _ in filters]
        for index, source in enumerate(filters):
            source.registerCallback(self._add, index)

    def _add(self, message: Any, index: int) -> None:
        ns = stamp_ns(message.header.stamp)
        self.lock.acquire()
        own = self._queues[index]
        own[ns] = message
        while len(own) > self._queue_size:
            del own[min(own)]
        if ns not in own or not all(self._queues):
            self.lock.release()
            return
        chosen = [
            ns if queue is own else min(queue, key=lambda other: abs(other - ns))
            for queue in self._queues
        ]
        if max(chosen) - min(chosen) < self._slop_ns:
            taken = [queue.pop(at) for queue, at in zip(self._queues, chosen, strict=True)]
            self.signalMessage(*taken)
        self.lock.release()
