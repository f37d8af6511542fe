# SPDX-License-Identifier: Apache-2.0

"""An executor that logs and counts exceptions of callbacks and continues."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rclpy.executors import (
    ExternalShutdownException,
    ShutdownException,
    SingleThreadedExecutor,
)
from rclpy.impl.rcutils_logger import RcutilsLogger


class Faults:
    """Unexpected errors of a node's callbacks. Thread contract: any thread.

    Attributes:
        count: how many there were.
        last: the latest error, in one line.
    """

    def __init__(self, log: RcutilsLogger) -> None:
        self._log = log
        self.count = 0
        self.last = ""

    def report(self, error: BaseException) -> None:
        """Counts an error and logs it with its traceback, at most every two seconds."""
        self.count += 1
        self.last = f"{type(error).__name__}: {error}"[:500]
        shown = "".join(traceback.format_exception(error))[-4000:]
        self._log.error(
            f"unexpected error in a callback ({self.count} so far); the node continues\n{shown}",
            throttle_duration_sec=2.0,
        )


class GuardedExecutor(SingleThreadedExecutor):
    """A single-threaded executor that continues after a callback raised.

    rclpy's executor re-raises errors of callbacks. If taking a message fails, it also leaves the
    callback group blocked; here, the message is ignored.

    Thread contract: one thread spins.
    """

    def __init__(self, report: Callable[[BaseException], None], **kwargs: Any) -> None:
        """Creates the executor.

        Args:
            report: receives each error.
            kwargs: of `SingleThreadedExecutor`.
        """
        super().__init__(**kwargs)
        self._report = report

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Waits for one callback, at most `timeout_sec` seconds, and executes it."""
        try:
            super().spin_once(timeout_sec)
        except (ExternalShutdownException, ShutdownException):
            raise
        except Exception as error:
            self._report(error)

    def _make_handler(self, entity: Any, node: Any, take: Callable[[Any], Any]) -> Any:
        def guarded(entity: Any) -> Any:
            try:
                return take(entity)
            except Exception as error:
                self._report(error)
                return None

        return super()._make_handler(entity, node, guarded)
