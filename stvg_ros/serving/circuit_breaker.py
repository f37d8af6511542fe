# SPDX-License-Identifier: Apache-2.0

"""A circuit breaker: refuses attempts for a while after consecutive failures."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from stvg_ros.errors import UnreachableError
from stvg_ros.serving.settings import RemoteConfig


class CircuitBreaker:
    """Counts consecutive failed attempts. Any thread may call any method."""

    def __init__(self, config: RemoteConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until_s = 0.0
        self._reason = ""

    def check(self) -> None:
        """Allows an attempt or raises; after the pause, a single failure opens the breaker again.

        Raises:
            UnreachableError: the breaker is open.
        """
        with self._lock:
            left_s = self._open_until_s - self._clock()
            if self._failures >= self._config.breaker_failures and left_s > 0:
                raise UnreachableError(
                    f"{self._failures} attempts failed in a row; the next one is in "
                    f"{left_s:.1f} s (remote.breaker_s). The last one: {self._reason}"
                )

    def failed(self, error: Exception) -> None:
        """Counts a failed attempt."""
        with self._lock:
            self._failures += 1
            self._reason = str(error)
            self._open_until_s = self._clock() + self._config.breaker_s

    def succeeded(self) -> None:
        """Counts an attempt that reached the server."""
        with self._lock:
            self._failures = 0
