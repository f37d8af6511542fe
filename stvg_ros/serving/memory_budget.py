# SPDX-License-Identifier: Apache-2.0

"""Memory of requests in progress, bounded per client and in total."""

from __future__ import annotations

import threading
from collections import Counter

from stvg_ros.errors import QueueFullError
from stvg_ros.serving.settings import ServingConfig


class MemoryBudget:
    """Bytes that requests hold while they are read, decoded and answered.

    A request reserves memory before it allocates it.

    Thread contract: any thread may use it and its reservations.
    """

    def __init__(self, limits: ServingConfig) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()

    @property
    def nbytes(self) -> int:
        """Bytes held by all requests."""
        with self._lock:
            return self._held.total()

    def reservation(self, client: str) -> Reservation:
        """An empty reservation for a new request."""
        return Reservation(self, client)

    def change(self, client: str, nbytes: int) -> None:
        """Adds bytes to a client's total; negative values always succeed.

        Raises:
            QueueFullError: the total of the client, or of all clients, would exceed its limit.
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
    """Memory of one request; released by `release`, or when the object is deleted."""

    def __init__(self, budget: MemoryBudget, client: str) -> None:
        self._budget = budget
        self._client = client
        self._nbytes = 0

    def resize(self, nbytes: int) -> None:
        """Changes the reservation to this size. Raises: QueueFullError."""
        self._budget.change(self._client, nbytes - self._nbytes)
        self._nbytes = nbytes

    def release(self) -> None:
        """Releases all of it."""
        self.resize(0)

    def __del__(self) -> None:
        """Releases the memory of a stream that was never read."""
        self.release()
