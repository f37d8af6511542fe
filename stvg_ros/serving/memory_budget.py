# SPDX-License-Identifier: Apache-2.0

"""Memory of the requests in work: what one client and all clients may hold at once."""

from __future__ import annotations

import threading
from collections import Counter

from stvg_ros.errors import QueueFullError
from stvg_ros.serving.settings import ServingConfig


class MemoryBudget:
    """Bytes that requests hold while they are read, decoded and answered.

    A request reserves what it is about to become before anything of that size is made.

    Thread contract: any thread may use it and its reservations.
    """

    def __init__(self, limits: ServingConfig) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    @property
    def nbytes(self) -> int:
        """What all requests hold."""
        with self._lock:
            return self._held.total()

    def reservation(self, client: str) -> Reservation:
        """One for a new request, of nothing yet."""
        return Reservation(self, client)

    def change(self, client: str, nbytes: int) -> None:
        """Adds bytes to what a client holds; fewer than 0 are always released.

        Raises:
            QueueFullError: the client, or all together, would hold too much.
        """
        with self._lock:
            if nbytes > 0:
                self._check(client, nbytes)
            self._held[client] += nbytes
            if self._held[client] <= 0:
                del self._held[client]

    def _check(self, client: str, nbytes: int) -> None:
        own, total = self._held[client] + nbytes, self._held.total() + nbytes
        if own > self._limits.client_bytes:
            raise QueueFullError(
                f"the requests of this client need {own} bytes of memory; expected at most "
                f"serving.client_bytes = {self._limits.client_bytes}; send fewer at once, or "
                "fewer and smaller frames"
            )
        if total > self._limits.request_bytes:
            raise QueueFullError(
                f"the requests on the server need {total} bytes of memory; expected at most "
                f"serving.request_bytes = {self._limits.request_bytes}; send it again later"
            )


class Reservation:
    """What one request holds; given back by `release`, or as the request ends without it."""

    def __init__(self, budget: MemoryBudget, client: str) -> None:
        self._budget = budget
        self._client = client
        self._nbytes = 0

    def resize(self, nbytes: int) -> None:
        """Reserves this much instead. Raises: QueueFullError."""
        self._budget.change(self._client, nbytes - self._nbytes)
        self._nbytes = nbytes

    def release(self) -> None:
        """Gives everything back."""
        self.resize(0)

    def __del__(self) -> None:
        """A stream that nobody began to read ends without a word."""
        self.release()
