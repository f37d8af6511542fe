# SPDX-License-Identifier: Apache-2.0

"""An executor that survives what callbacks raise: it logs, counts, and goes on."""

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
        last: the newest one, in one line.
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
            f"unexpected error in a callback ({self.count} so far); the node goes on\n{shown}",
            throttle_duration_sec=2.0,
        )


class GuardedExecutor(SingleThreadedExecutor):
    """A single-threaded executor whose loop no callback ends.

    rclpy's own raises what a callback raised. When taking a message fails, it also keeps the
    callback group occupied for good; here, the message counts as not there.

    Thread contract: one thread spins.
    """

    def __init__(self, report: Callable[[BaseException], None], **kwargs: Any) -> None:
        """Prepares.

        Args:
            report: receives each error.
            kwargs: of `SingleThreadedExecutor`.
        """
        super().__init__(**kwargs)
        self._report = report

    def spin_once(self, timeout_sec: float | None = None) -> None:
        """Waits for one callback, at most so long, and executes it."""
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
