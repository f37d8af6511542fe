# SPDX-License-Identifier: Apache-2.0

"""Frames of sessions that are encoded before a command asks for them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from stvg_ros.config import Config
from stvg_ros.method.interfaces import Grounder
from stvg_ros.serving.sessions import Key
from stvg_ros.types import Clip, Frame

TIDY_S = 5.0  # between looks for features of frames that are gone

_LOG = logging.getLogger(__name__)


class SessionPrefetch:
    """The idle work of a replica's queue: one slot of a session after one of the next.

    Thread contract: any thread may call `add`; the queue's thread calls `work`.
    """

    def __init__(self, frames_of: Callable[[Key], Sequence[Frame]], max_bytes: int) -> None:
        """Prepares.

        Args:
            frames_of: the frames that a session has now, in order.
            max_bytes: above so much memory of features nothing more is prefetched.
        """
        self._frames_of = frames_of
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._sessions: dict[Key, Config] = {}  # with new frames, longest waiting first
        self.prepared_bytes = 0

    def add(self, key: Key, config: Config) -> None:
        """Notes new frames in a session, whose client has these settings."""
        with self._lock:
            self._sessions[key] = config

    def work(self, grounder: Grounder) -> float:
        """Encodes a slot of each window of one session; seconds until there is more to do."""
        with self._lock:
            key = next(iter(self._sessions), None)
            config = None if key is None else self._sessions.pop(key)
        if key is None and not self.prepared_bytes:
            return TIDY_S
        try:
            grounder.forget()
            if key is not None and config is not None and self._session(grounder, key, config):
                with self._lock:  # the other sessions come first
                    self._sessions.setdefault(key, config)
            self.prepared_bytes = grounder.prepared_bytes
        except Exception:  # a command will meet the same error, and its answer names it
            _LOG.exception("prefetching frames failed")
        with self._lock:
            return 0.0 if self._sessions else TIDY_S

    def _session(self, grounder: Grounder, key: Key, config: Config) -> bool:
        if grounder.prepared_bytes >= self._max_bytes:
            return False
        grounder.reconfigure(config)
        clips = windows(self._frames_of(key), config.window.duration_s)
        return any([grounder.prefetch(clip) for clip in clips])


def windows(frames: Iterable[Frame], duration_s: float) -> list[Clip]:
    """What commands for the whole window of each camera would mean now.

    A session does not name its cameras: they differ in their coordinate frame or size.

    Args:
        frames: in the order in which they entered the windows; a camera's stamp that is not later
            than the one before it is a jump back in time, which clears that window.
        duration_s: how far back a window reaches.
    """
    cameras: dict[tuple[str, int, int], list[Frame]] = {}
    for frame in frames:
        name = frame.frame_id, frame.source_width_px, frame.source_height_px
        window = cameras.setdefault(name, [])
        if window and frame.stamp_ns <= window[-1].stamp_ns:
            window.clear()
        window.append(frame)
    return [_newest(window, int(duration_s * 1e9)) for window in cameras.values()]


def _newest(frames: list[Frame], duration_ns: int) -> Clip:
    oldest_ns = frames[-1].stamp_ns - duration_ns
    return Clip(tuple(frame for frame in frames if frame.stamp_ns >= oldest_ns))
