# SPDX-License-Identifier: Apache-2.0

"""Encodes frames of sessions before a command needs them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from stvg_ros.config import Config
from stvg_ros.method.interfaces import Grounder
from stvg_ros.serving.sessions import Key
from stvg_ros.types import Clip, Frame

TIDY_S = 5.0  # between checks for features of dropped frames

_LOG = logging.getLogger(__name__)


class SessionPrefetch:
    """The idle work of a replica's queue: encodes one slot per session in turn.

    Thread contract: any thread may call `add`; the queue's thread calls `work`.
    """

    def __init__(self, frames_of: Callable[[Key], Sequence[Frame]], max_bytes: int) -> None:
        """Starts without sessions.

        Args:
            frames_of: returns the current frames of a session, in order.
            max_bytes: maximum memory of prefetched features.
        """
        self._frames_of = frames_of
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._sessions: dict[Key, Config] = {}  # with new frames, longest waiting first
        self.prepared_bytes = 0

    def add(self, key: Key, config: Config) -> None:
        """Records new frames of a session, and the settings of its client."""
        with self._lock:
            self._sessions[key] = config

    def work(self, grounder: Grounder) -> float:
        """Encodes a slot of each window of one session; returns seconds until the next call."""
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
        except Exception:  # a command raises the same error, and its answer reports it
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
    """The clips that commands on each camera's whole window would use now.

    A session does not name its cameras; they are distinguished by coordinate frame and size.

    Args:
        frames: in the order in which they entered the windows; a camera's stamp that is not later
            than the one before it is a jump back in time, which clears that window.
        duration_s: length of a window.
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
