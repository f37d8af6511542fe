# SPDX-License-Identifier: Apache-2.0

"""The frames of a client: numbered, encoded, and sent to its session as they enter the window."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import StvgError
from stvg_ros.serving.image_codec import encoded
from stvg_ros.serving.schema import VERSION, FrameBatch, SentFrame
from stvg_ros.serving.wire_format import encoded_record
from stvg_ros.setting import Value
from stvg_ros.types import Frame, short_name

_MAX_WAITING = 256  # what a slow network leaves behind is sent with the command
_BATCH = 8
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 5.0

_LOG = logging.getLogger(__name__)


class FrameRegistry:
    """Numbers of images, and which of them the session is known to have.

    An image keeps its number as long as it lives; a frame that gets its depth later has the same
    image. Any thread may call any method.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 1
        self._numbers: dict[int, tuple[weakref.ref[NDArray[np.uint8]], int]] = {}
        self._arrived: set[int] = set()

    def number(self, image: NDArray[np.uint8]) -> int:
        """The image's number; later images have larger ones."""
        with self._lock:
            known = self._numbers.get(id(image))
            if known is not None and known[0]() is image:
                return known[1]
            number, self._next = self._next, self._next + 1
            self._numbers[id(image)] = (weakref.ref(image), number)
            return number

    def keep_from(self) -> int:
        """The smallest number of an image that lives; those below are forgotten."""
        with self._lock:
            self._numbers = {k: v for k, v in self._numbers.items() if v[0]() is not None}
            first = min((number for _, number in self._numbers.values()), default=self._next)
            self._arrived = {number for number in self._arrived if number >= first}
            return first

    def lacking(self, numbers: Iterable[int]) -> set[int]:
        """Those that the session is not known to have."""
        with self._lock:
            return set(numbers) - self._arrived

    def arrived(self, numbers: Iterable[int]) -> None:
        """Notes what the session has."""
        with self._lock:
            self._arrived.update(numbers)

    def lost(self, numbers: Iterable[int]) -> None:
        """Notes what the session lacks after all."""
        with self._lock:
            self._arrived.difference_update(numbers)


def sent_frame(frame: Frame, number: int, quality: int | None) -> SentFrame:
    """A frame for the wire, with its image in that quality, or without it for None."""
    return SentFrame(
        number,
        frame.stamp_ns,
        frame.source_width_px,
        frame.source_height_px,
        frame.frame_id,
        None if quality is None else encoded(frame.image, quality),
        short_name(frame.stream),
    )


class FrameUploader:
    """A thread that sends frames to the session, a few at a time.

    What cannot be sent is dropped: a command brings what the session lacks. Any thread may call
    the public methods.
    """

    def __init__(
        self,
        registry: FrameRegistry,
        quality: int,
        settings: Callable[[], Mapping[str, Value]],
        send: Callable[[bytes], None],
        abort: Callable[[], None],
    ) -> None:
        """Starts the thread.

        Args:
            registry: notes what arrived.
            quality: of the JPEGs, see `encoded`.
            settings: those of the commands to come, as of `FrameBatch`.
            send: sends an encoded `FrameBatch`; raises StvgError.
            abort: ends a `send` that is on its way.
        """
        self._registry = registry
        self._quality = quality
        self._settings = settings
        self._send = send
        self._abort = abort
        self._waiting: deque[Frame] = deque(maxlen=_MAX_WAITING)
        self._changed = threading.Condition()
        self._stopping = False
        self._pause_s = 0.0
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)
        self._thread.start()

    def put(self, frame: Frame) -> None:
        """Sends the frame soon."""
        with self._changed:
            self._waiting.append(frame)
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread; frames that wait are dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._abort()
        self._thread.join(2.0)

    def _run(self) -> None:
        while (frames := self._next()) is not None:
            try:
                self._deliver(frames)
                self._pause_s = 0.0
            except StvgError as error:
                if self._pause_s == 0.0:
                    _LOG.warning("frames are not sent: %s", error)
                self._pause_s = min(_LAST_PAUSE_S, 2 * self._pause_s or _FIRST_PAUSE_S)
            except Exception:
                _LOG.exception("frames are not sent")
                self._pause_s = _LAST_PAUSE_S

    def _next(self) -> Sequence[Frame] | None:
        with self._changed:
            if self._pause_s:
                self._changed.wait_for(lambda: self._stopping, self._pause_s)
            while not self._waiting and not self._stopping:
                self._changed.wait()
            if self._stopping:
                return None
            count = min(_BATCH, len(self._waiting))
            return [self._waiting.popleft() for _ in range(count)]

    def _deliver(self, frames: Sequence[Frame]) -> None:
        numbers = [self._registry.number(frame.image) for frame in frames]
        lacking = self._registry.lacking(numbers)
        sent = tuple(
            sent_frame(frame, number, self._quality)
            for frame, number in zip(frames, numbers, strict=True)
            if number in lacking  # a command was sooner
        )
        if sent:
            keep_from = self._registry.keep_from()
            self._send(encoded_record(FrameBatch(VERSION, sent, keep_from, self._settings())))
            self._registry.arrived(lacking)
