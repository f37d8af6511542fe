# SPDX-License-Identifier: Apache-2.0

"""What robots have sent of their windows, so that a command sends only its text."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from stvg_ros.serving.settings import ServingConfig
from stvg_ros.types import Frame

Key = tuple[str, str]  # the client, and its own name for the session


@dataclass(eq=False)
class _Session:
    frames: dict[int, Frame] = field(default_factory=dict)  # by id, oldest first
    nbytes: int = 0
    used_s: float = 0.0

    def drop(self, ids: Iterable[int]) -> None:
        for number in ids:
            self.nbytes -= self.frames.pop(number).nbytes


class Sessions:
    """Decoded frames by session, bounded by bytes and by time.

    A session that grows too large loses its oldest frames; when all together are too large, the
    sessions that were used least recently go. A client finds out by its next command, which is
    answered with the ids that are missing.

    Thread contract: any thread may call any method.
    """

    def __init__(self, config: ServingConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.RLock()
        self._sessions: dict[Key, _Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def nbytes(self) -> int:
        """Memory of all frames."""
        with self._lock:
            return sum(session.nbytes for session in self._sessions.values())

    def put(self, key: Key, frames: Mapping[int, Frame], keep_from: int) -> int:
        """Adds frames and forgets those of ids below `keep_from`; returns how many there are."""
        with self._lock:
            self.expire()
            session = self._sessions.pop(key, None) or _Session()
            self._sessions[key] = session  # at the end: the most recently used
            session.used_s = self._clock()
            session.drop([number for number in session.frames if number < keep_from])
            session.drop([number for number in frames if number in session.frames])
            session.frames.update(frames)
            session.nbytes += sum(frame.nbytes for frame in frames.values())
            for number in sorted(session.frames):
                if session.nbytes <= self._config.session_bytes:
                    break
                session.drop([number])
            while self.nbytes > self._config.store_bytes and len(self._sessions) > 1:
                del self._sessions[next(iter(self._sessions))]
            return len(session.frames)

    def get(self, key: Key) -> Mapping[int, Frame]:
        """The frames of a session by id; none of one that is not there."""
        with self._lock:
            self.expire()
            session = self._sessions.get(key)
            if session is None:
                return {}
            session.used_s = self._clock()
            self._sessions[key] = self._sessions.pop(key)
            return dict(session.frames)

    def seen(self, key: Key) -> list[Frame]:
        """The frames of a session in the client's order, for a look that is no use of it."""
        with self._lock:
            session = self._sessions.get(key)
            return [session.frames[number] for number in sorted(session.frames)] if session else []

    def expire(self) -> None:
        """Forgets the sessions that nobody used for `session_s`."""
        with self._lock:
            oldest_s = self._clock() - self._config.session_s
            for key in [key for key, one in self._sessions.items() if one.used_s < oldest_s]:
                del self._sessions[key]
