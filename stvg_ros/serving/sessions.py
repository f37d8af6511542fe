# SPDX-License-Identifier: Apache-2.0

"""Frames that clients have sent, so that a command does not send them again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from stvg_ros.serving.schema import MAX_FRAMES
from stvg_ros.serving.settings import ServingConfig
from stvg_ros.types import Frame

Key = tuple[str, str]  # the client, and its own name for the session
MIN_FRAME_BYTES = 1024  # memory of a frame's objects besides its image
MAX_SESSIONS = 10_000


def client_of(key: Key) -> str:
    """The client for per-client bounds; without tokens, sessions identify clients."""
    return key[0] or key[1]


@dataclass(eq=False)
class _Session:
    frames: dict[int, Frame] = field(default_factory=dict)  # by id
    nbytes: int = 0
    used_s: float = 0.0

    def add(self, frames: Mapping[int, Frame]) -> None:
        self.drop([number for number in frames if number in self.frames])
        self.frames.update(frames)
        self.nbytes += sum(map(_weight, frames.values()))

    def drop(self, ids: Iterable[int]) -> None:
        for number in ids:
            self.nbytes -= _weight(self.frames.pop(number))

    def shrink(self, nbytes: int, count: int) -> None:
        """Drops the oldest frames until at most `count` of `nbytes` are left."""
        for number in sorted(self.frames):
            if self.nbytes <= nbytes and len(self.frames) <= count:
                break
            self.drop([number])


def _weight(frame: Frame) -> int:
    return max(frame.nbytes, MIN_FRAME_BYTES)


class Sessions:
    """Decoded frames by session, bounded by bytes, by count and by time.

    A session that grows too large loses its oldest frames; if the sessions of a client, or all
    sessions, are too large, the least recently used are dropped. The client's next command is then
    answered with the missing ids.

    Thread contract: any thread may call any method.
    """

    def __init__(self, config: ServingConfig, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._lock = threading.RLock()
        self._sessions: dict[Key, _Session] = {}  # the most recently used last

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def nbytes(self) -> int:
        """Memory of all frames."""
        with self._lock:
            return sum(session.nbytes for session in self._sessions.values())

    def put(self, key: Key, frames: Mapping[int, Frame], keep_from: int) -> int:
        """Adds frames, drops those of ids below `keep_from` and returns the number of frames."""
        with self._lock:
            self.expire()
            session = self._sessions.pop(key, None) or _Session()
            self._sessions[key] = session
            session.used_s = self._clock()
            session.drop([number for number in session.frames if number < keep_from])
            session.add(frames)
            # A command has at most MAX_FRAMES.
            session.shrink(min(self._config.session_bytes, self._config.client_bytes), MAX_FRAMES)
            self._make_room(client_of(key))
            return len(session.frames)

    def _make_room(self, client: str) -> None:
        """Drops sessions, least recently used first, except the last."""
        own = [key for key in self._sessions if client_of(key) == client]
        held = sum(self._sessions[key].nbytes for key in own)
        for key in own[:-1]:
            if held <= self._config.client_bytes:
                break
            held -= self._sessions.pop(key).nbytes
        held = self.nbytes
        for key in list(self._sessions)[:-1]:
            if held <= self._config.store_bytes and len(self._sessions) <= MAX_SESSIONS:
                break
            held -= self._sessions.pop(key).nbytes

    def get(self, key: Key) -> Mapping[int, Frame]:
        """The frames of a session by id; empty for an unknown session."""
        with self._lock:
            self.expire()
            session = self._sessions.get(key)
            if session is None:
                return {}
            session.used_s = self._clock()
            self._sessions[key] = self._sessions.pop(key)
            return dict(session.frames)

    def frames(self, key: Key) -> list[Frame]:
        """The frames of a session in the client's order; does not extend its lifetime."""
        with self._lock:
            session = self._sessions.get(key)
            return [session.frames[number] for number in sorted(session.frames)] if session else []

    def expire(self) -> None:
        """Drops the sessions that were not used for `session_s`."""
        with self._lock:
            oldest_s = self._clock() - self._config.session_s
            for key, session in list(self._sessions.items()):
                if session.used_s >= oldest_s:
                    break  # the others were used more recently
                del self._sessions[key]
