# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""A circuit breaker: a server that failed again and again is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from stvg_ros.config import RemoteConfig
from stvg_ros.errors import UnreachableError


class Breaker:
    """Counts failed attempts in a row. Any thread may call any method."""

    def __init__(self, config: RemoteConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._open_until_s = 0.0
        self._reason = ""

    def check(self) -> None:
        """Lets an attempt pass; after the time alone, one failure more is enough to refuse again.

        Raises:
            UnreachableError: the server is left alone.
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
