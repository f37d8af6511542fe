# SPDX-License-Identifier: Apache-2.0

"""Frames of a video file by number."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from stvg_lab.annotator.recording import RecordedImage
from stvg_ros.errors import RecordingError

_ON_THE_WAY = 32  # so many frames before the asked one are handed out too: for steps back
_FORWARD = 64  # so far ahead, decoding on is cheaper than jumping to a key frame of the codec


class VideoFrames:
    """A video whose frames are found by their presentation times, as `read_video` counts them.

    Opening reads the packets' times without decoding. One thread uses it.
    """

    topic = ""
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        """Raises: RecordingError."""
        self._path = path
        if not path.is_file():
            raise RecordingError(f"{path}: no such file; expected a bag or a video")
        try:
            self._container = av.open(str(path))
            if not self._container.streams.video:
                raise RecordingError(f"{path}: expected a video stream, found none")
            self._stream = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
            times = self._packet_times()
        except (av.FFmpegError, OSError) as error:
            raise RecordingError(
                f"{path}: cannot be read ({error}); expected a bag or a video file such as MP4"
            ) from error
        base = self._stream.time_base or Fraction(1, 90_000)
        self._times = times
        self._row_of = {time: row for row, time in enumerate(times)}
        self.stamps_ns: NDArray[np.int64] = np.array(
            [round((time - times[0]) * base * 1_000_000_000) for time in times], np.int64
        )
        self.size_px = (self._stream.width, self._stream.height)
        self._decoder: Iterator[av.VideoFrame] | None = None
        self._position = -1  # the last frame that the decoder gave

    def _packet_times(self) -> list[int]:
        """Presentation times of all frames, in order and in units of the stream."""
        packets = [p for p in self._container.demux(self._stream) if p.size and not p.is_discard]
        if not packets:
            raise RecordingError(f"{self._path}: expected at least one frame, found none")
        if any(packet.pts is None for packet in packets):
            raise RecordingError(
                f"{self._path}: has frames without presentation times, so none can be found by "
                "its time; convert it, for example with 'ffmpeg -i FILE annotated.mp4'"
            )
        return sorted({packet.pts for packet in packets})

    def pictures(self, index: int) -> Iterator[tuple[int, RecordedImage]]:
        """The frame, after those just before it that had to be decoded on the way."""
        try:
            if self._decoder is None or not 0 < index - self._position <= _FORWARD:
                self._container.seek(self._times[index], stream=self._stream)
                self._decoder = self._container.decode(self._stream)
            for picture in self._decoder:
                row = self._row_of.get(picture.pts)
                if row is None:
                    continue
                self._position = row
                if index - _ON_THE_WAY <= row <= index:
                    yield row, np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
                if row >= index:
                    return
            self._decoder = None
        except (av.FFmpegError, OSError) as error:
            self._decoder = None
            raise RecordingError(
                f"{self._path}: frame {index} cannot be decoded ({error})"
            ) from error
