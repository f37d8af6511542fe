# SPDX-License-Identifier: Apache-2.0

"""Numbers and encodes a client's frames and sends them to its session when they arrive."""

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

_MAX_WAITING = 256  # frames dropped on a slow network are sent with the command
_BATCH = 8
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 5.0

_LOG = logging.getLogger(__name__)


class FrameRegistry:
    """Numbers of images, and which of them the session is known to have.

    An image object has one number for its lifetime; a frame that receives its depth later has the
    same image object. Any thread may call any method.
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
        """The smallest number of an existing image; drops the records of smaller numbers."""
        with self._lock:
            self._numbers = {k: v for k, v in self._numbers.items() if v[0]() is not None}
            first = min((number for _, number in self._numbers.values()), default=self._next)
            self._arrived = {number for number in self._arrived if number >= first}
            return first

    def lacking(self, numbers: Iterable[int]) -> set[int]:
        """The numbers that the session is not known to have."""
        with self._lock:
            return set(numbers) - self._arrived

    def arrived(self, numbers: Iterable[int]) -> None:
        """Records that the session has these."""
        with self._lock:
            self._arrived.update(numbers)

    def lost(self, numbers: Iterable[int]) -> None:
        """Records that the session no longer has these."""
        with self._lock:
            self._arrived.difference_update(numbers)


def sent_frame(frame: Frame, number: int, quality: int | None) -> SentFrame:
    """A frame to send, with its image in this JPEG quality, or without image for None."""
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
    """A thread that sends frames to the session in small batches.

    Frames that cannot be sent are dropped; a command sends missing frames. Any thread may call
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
            registry: records the frames that arrived.
            quality: of the JPEGs, see `encoded`.
            settings: of future commands, as in `FrameBatch`.
            send: sends an encoded `FrameBatch`; raises StvgError.
            abort: ends a running `send`.
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
        """Queues the frame for sending."""
        with self._changed:
            self._waiting.append(frame)
            self._changed.notify()

    def close(self) -> None:
        """Ends the thread; waiting frames are dropped."""
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
            if number in lacking  # a command has sent it already
        )
        if sent:
            keep_from = self._registry.keep_from()
            self._send(encoded_record(FrameBatch(VERSION, sent, keep_from, self._settings())))
            self._registry.arrived(lacking)
