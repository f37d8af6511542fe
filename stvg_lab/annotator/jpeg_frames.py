# SPDX-License-Identifier: Apache-2.0

"""Random access to a recording's frames as JPEG for a browser."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stvg_lab.annotator.numbered_frames import FrameSequence, NumberedFrames
from stvg_ros.errors import RecordingError
from stvg_ros.images import jpeg_bytes

LONG_SIDE_PX = 1280


def open_recording(path: Path, topic: str | None = None) -> FrameSequence:
    """A bag (its folder, or one of its files) or a video.

    Raises:
        RecordingError: it cannot be read, or has no images.
    """
    return NumberedFrames(path, topic)


class JpegFrames:
    """The frames as JPEG, with a cache of the latest ones.

    Thread contract: any thread may call `jpeg`; a separate thread reads the recording, because
    decoders and bag files must not be shared.
    """

    def __init__(self, opened: Callable[[], FrameSequence], max_bytes: int = 64 * 1024**2) -> None:
        """Opens the recording on the reading thread.

        Args:
            opened: opens the recording.
            max_bytes: limit of the cached frames; the requested one is always kept.

        Raises:
            RecordingError: it cannot be read.
        """
        self._max_bytes = max_bytes
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="frames")
        self._opened: FrameSequence | None = None
        try:
            self.recording = self._opened = self._thread.submit(opened).result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the recording and ends the reading thread."""
        self._thread.shutdown(cancel_futures=True)
        if self._opened is not None:
            self._opened.close()

    def jpeg(self, index: int) -> bytes:
        """The frame as JPEG of at most `LONG_SIDE_PX`.

        Raises:
            RecordingError: no such frame, or it cannot be decoded.
        """
        count = len(self.recording.stamps_ns)
        if not 0 <= index < count:
            raise RecordingError(f"frame {index}: expected a number from 0 to {count - 1}")
        return self._thread.submit(self._read, index).result()

    @property
    def kept_bytes(self) -> int:
        """Bytes of the cached frames."""
        return sum(map(len, self._kept.values()))

    def _read(self, index: int) -> bytes:
        if index not in self._kept:
            for number, picture in self.recording.pictures(index):
                self._keep(number, jpeg_bytes(picture, LONG_SIDE_PX))
        if index not in self._kept:
            raise RecordingError(f"frame {index} cannot be decoded; the file may be damaged there")
        self._kept.move_to_end(index)
        return self._kept[index]

    def _keep(self, index: int, data: bytes) -> None:
        self._kept[index] = data
        self._kept.move_to_end(index)
        while len(self._kept) > 1 and self.kept_bytes > self._max_bytes:
            self._kept.popitem(last=False)
