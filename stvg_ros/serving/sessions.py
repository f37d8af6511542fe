# SPDX-License-Identifier: Apache-2.0

"""Frames that clients have sent, so that a command does not send them again."""

from __future__ import annotations

import threading
import time
from collections import Counter, OrderedDict
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
        # The most recently used last; first all, then those of each client.
        self._sessions: OrderedDict[Key, _Session] = OrderedDict()
        self._of_client: dict[str, OrderedDict[Key, _Session]] = {}
        self._client_bytes: Counter[str] = Counter()
        self._nbytes = 0

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def nbytes(self) -> int:
        """Memory of all frames."""
        return self._nbytes

    def put(self, key: Key, frames: Mapping[int, Frame], keep_from: int) -> int:
        """Adds frames, drops those of ids below `keep_from` and returns the number of frames."""
        with self._lock:
            self.expire()
            session = self._sessions.get(key) or _Session()
            before = session.nbytes
            self._use(key, session)
            session.drop([number for number in session.frames if number < keep_from])
            session.add(frames)
            # A command has at most MAX_FRAMES.
            session.shrink(min(self._config.session_bytes, self._config.client_bytes), MAX_FRAMES)
            self._count(client_of(key), session.nbytes - before)
            self._make_room(client_of(key))
            return len(session.frames)

    def _use(self, key: Key, session: _Session) -> None:
        """Makes a session the most recently used one."""
        session.used_s = self._clock()
        for kept in (self._sessions, self._of_client.setdefault(client_of(key), OrderedDict())):
            kept[key] = session
            kept.move_to_end(key)

    def _count(self, client: str, nbytes: int) -> None:
        self._nbytes += nbytes
        self._client_bytes[client] += nbytes

    def _drop(self, key: Key) -> None:
        client = client_of(key)
        self._count(client, -self._sessions.pop(key).nbytes)
        own = self._of_client[client]
        del own[key]
        if not own:
            del self._of_client[client], self._client_bytes[client]

    def _make_room(self, client: str) -> None:
        """Drops sessions, least recently used first, except the last."""
        own, every = self._of_client[client], self._sessions
        while len(own) > 1 and self._client_bytes[client] > self._config.client_bytes:
            self._drop(next(iter(own)))
        while len(every) > 1 and (
            self._nbytes > self._config.store_bytes or len(every) > MAX_SESSIONS
        ):
            self._drop(next(iter(every)))

    def get(self, key: Key) -> Mapping[int, Frame]:
        """The frames of a session by id; empty for an unknown session."""
        with self._lock:
            self.expire()
            session = self._sessions.get(key)
            if session is None:
                return {}
            self._use(key, session)
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
            while self._sessions:
                key = next(iter(self._sessions))
                if self._sessions[key].used_s >= oldest_s:
                    break  # the others were used more recently
                self._drop(key)
