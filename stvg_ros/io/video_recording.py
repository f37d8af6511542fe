# SPDX-License-Identifier: Apache-2.0

"""Decodes the frames of a video file: upright, with their times, also of a damaged file."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import numpy as np

from stvg_ros.errors import ImageError, RecordingError
from stvg_ros.images import reduced
from stvg_ros.io.display_matrix import turn_of, upright, upright_size
from stvg_ros.io.read_report import ReadReport
from stvg_ros.stamps import TIME_JUMP_NS
from stvg_ros.types import Frame

_RAW_CLOCK = Fraction(1, 1_200_000)  # FFmpeg's time base of streams without times
_STILL = ("mjpeg", "png", "bmp", "gif", "webp", "tiff")  # codecs of covers
_ON_THE_WAY = 32  # frames before the requested one that are returned too, for steps back
_FORWARD = 64  # up to this distance, decoding is cheaper than seeking to a key frame


@dataclass(frozen=True, eq=False)
class VideoImage:
    """A decoded video frame whose pixels are not converted yet.

    Attributes:
        stamp_ns: presentation time from the first picture.
        place: its position in the recording, for random access.
        picture: the decoder's frame; None if it does not decode.
        name: its name in error messages.
        error: why there is no picture.
    """

    stamp_ns: int
    place: int
    picture: Any
    name: str
    error: str = ""

    def frame(self, long_side_px: int | None = None) -> Frame:
        """The picture in RGB and upright, scaled down to the long side if one is given.

        Raises:
            ImageError: it does not decode.
        """
        if self.picture is None:
            raise ImageError(f"{self.name}: {self.error}")
        image = np.asarray(self.picture.to_ndarray(format="rgb24"), np.uint8)
        width, height = upright_size(self.picture)
        small = image if long_side_px is None else reduced(image, long_side_px)
        return Frame(self.stamp_ns, upright(small, turn_of(self.picture)), width, height)


class VideoRecording:
    """An open video. One thread uses it.

    Attributes:
        path: the file, or its name.
        topic: "", as videos have none.
        report: of the latest pass.
    """

    topic = ""

    def __init__(self, path: Path, file: IO[bytes] | None = None, name: str = "") -> None:
        """Opens the file and chooses the video stream.

        Args:
            path: any file that FFmpeg decodes.
            file: its bytes, if it is inside another file.
            name: its name in error messages; by default the path.

        Raises:
            RecordingError: it has no video, or no times.
        """
        self.path = path
        self._name = name or str(path)
        self._file = file
        self.report = ReadReport()
        self._times: list[int] = []  # of all frames in units of the stream, if it can be searched
        self._zero_s = Fraction(0)  # start of the times
        self._decoder: Iterator[VideoImage] | None = None
        self._position = -1  # number of the last decoded frame
        self._sought = False  # whether the decoder has just seeked
        self._container: Any = None
        self._open()
        self._rate = self._raw_rate()

    def close(self) -> None:
        """Closes the file."""
        self._decoder = None
        if self._container is not None:
            self._container.close()
            self._container = None

    def _open(self) -> None:
        """Opens the file at its beginning."""
        self.close()
        try:
            if self._file is not None:
                self._file.seek(0)
            # With an explicit protocol, a colon in the name is not taken for one.
            where = self._file or f"file:{self.path.resolve()}"
            self._container = av.open(where)
            self._stream = self._video_stream()
        except (av.FFmpegError, OSError, ValueError) as error:
            self.close()
            raise RecordingError(
                f"{self._name}: cannot be decoded ({error}); {self._remedy()}"
            ) from error

    def _remedy(self) -> str:
        if self._file is None and _lacks_index(self.path):
            return (
                "it has no index (moov): its recorder was stopped before writing it; programs "
                "such as untrunc restore it from a whole video of the same camera"
            )
        return "expected a bag or a video file such as MP4 or AVI"

    def _video_stream(self) -> Any:
        """The largest video stream, cover pictures excluded; FFmpeg's choice of equal ones."""
        streams = [
            stream for stream in self._container.streams.video
            if not stream.disposition & av.stream.Disposition.attached_pic
        ]  # fmt: skip
        if not streams:
            self.close()
            raise RecordingError(f"{self._name}: expected a video stream, found none")
        best = self._container.streams.best("video")
        numbers = [stream.index for stream in streams]
        best = best if best is not None and best.index in numbers else streams[0]
        return max((best, *filter(_moves, streams)), key=lambda one: one.width * one.height)

    def _raw_rate(self) -> Fraction | None:
        """Frames per second of a raw stream, which has no times; None for all other files.

        Raises:
            RecordingError: the stream does not give its rate.
        """
        if self._stream.time_base != _RAW_CLOCK:
            return None
        rate = self._stream.codec_context.framerate
        if not rate:
            raise RecordingError(
                f"{self._name}: is a raw {self._container.format.name} stream without times; give "
                "it the camera's rate, for example with 'ffmpeg -r 30 -i FILE -c copy out.mp4'"
            )
        return Fraction(rate)

    # --- in order --------------------------------------------------------------------------------

    def images(self) -> Iterator[VideoImage]:
        """All frames in presentation order; one that does not decode raises when converted.

        Raises:
            RecordingError: no frame can be decoded.
        """
        self._open()
        self.report.begin()
        yield from self._from_here()
        if not self.report.read:
            reason = next(iter(self.report.lost), "it holds none")
            raise RecordingError(
                f"{self._name}: cannot be decoded: expected at least one frame, found none "
                f"({reason})"
            )
        self._tell_missing()

    def _from_here(self, first: Fraction | None = None) -> Iterator[VideoImage]:
        """Continues decoding; times are relative to `first`, or to the first frame."""
        step = 1 / Fraction(self._rate or self._stream.average_rate or 25)
        time_s, shift = -step, Fraction(0)
        for number, (picture, error) in enumerate(self._pictures()):
            if picture is None:
                self.report.lost[error] += 1
                yield VideoImage(round(time_s * 10**9), number, None, self._name, error)
                continue
            if self._rate or picture.pts is None:
                time_s += step
            else:
                shown_s = picture.pts * self._stream.time_base
                first = shown_s if first is None else first
                # The times may restart where files were joined.
                if time_s - (shown_s - first + shift) > Fraction(TIME_JUMP_NS, 10**9):
                    shift += time_s + step - (shown_s - first + shift)
                    self.report.note(f"{self._name}: its times jump back; they are continued")
                time_s = shown_s - first + shift
            self.report.read += 1
            yield VideoImage(round(time_s * 10**9), number, picture, self._name)

    def _pictures(self) -> Iterator[tuple[Any, str]]:
        """Decoded frames, or the reason why a packet has none."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                self._tell_end(error)
                return
            try:
                pictures = packet.decode()
            except (av.FFmpegError, OSError) as error:
                if packet.size:
                    yield None, f"the data of the frame is damaged ({_reason(error)})"
                continue
            for picture in pictures:
                yield picture, ""

    def _tell_end(self, error: Exception) -> None:
        self.report.note(f"{self._name}: ends early ({_reason(error)}); earlier data is read")

    def _tell_missing(self) -> None:
        """Compares the read frames with the file's index."""
        missing = int(self._stream.frames) - self.report.read - sum(self.report.lost.values())
        if missing > 0 and self.report.sentences:
            self.report.miss("the file ends early, or its index promises more", missing)

    # --- by place --------------------------------------------------------------------------------

    def scan(self) -> Sequence[tuple[int, int]]:
        """Stamp and place of all frames, without decoding if the packets have times."""
        self._open()
        self.report.begin()
        times = None if self._rate else self._packet_times()
        if times is None:
            self._times = []
            return [
                (image.stamp_ns, image.place)
                for image in self.images()
                if image.picture is not None
            ]
        first = next((image for image in self.images() if image.picture is not None), None)
        zero = times[0] if first is None else first.picture.pts
        self._times = [time for time in times if time >= zero]
        self.report.begin()
        self.report.read = len(self._times)
        base = self._stream.time_base
        self._zero_s = zero * base
        return [(round(time * base * 10**9 - self._zero_s * 10**9), time) for time in self._times]

    def _packet_times(self) -> list[int] | None:
        """Presentation times of all frames, in order and in units of the stream; None if some
        frames have none, or if the times restart.
        """
        found, decoded_at = [], None
        try:
            for packet in self._container.demux(self._stream):
                if not packet.size or packet.is_discard:
                    continue
                backwards = None not in (packet.dts, decoded_at) and packet.dts < decoded_at
                if packet.pts is None or backwards:
                    return None
                decoded_at = packet.dts
                found.append(packet.pts)
        except (av.FFmpegError, OSError) as error:
            self._tell_end(error)
        return sorted(set(found)) or None

    def at(self, place: int, stamp_ns: int) -> Iterator[tuple[int, VideoImage]]:
        """The frame at a place that `scan` returned, after the frames just before it.

        Raises:
            RecordingError: the file cannot be read there.
        """
        index = bisect_left(self._times, place) if self._times else place
        try:
            if self._decoder is None or not 0 < index - self._position <= _FORWARD:
                self._start(index)
            yield from self._near(index)
        except (av.FFmpegError, OSError) as error:
            self._decoder = None
            raise RecordingError(
                f"{self._name}: the frame at {stamp_ns / 1e9:g} s cannot be decoded ({error})"
            ) from error

    def _near(self, index: int) -> Iterator[tuple[int, VideoImage]]:
        """Places and frames up to frame `index`; anew from the beginning if a seek passed it."""
        while True:
            for number, key, image in self._until(index):
                if number > index:
                    break
                if number >= index - _ON_THE_WAY:
                    yield key, image
                if number == index:
                    return
            if not self._sought:
                return
            self._rewind()

    def _until(self, index: int) -> Iterator[tuple[int, int, VideoImage]]:
        """Number, place and frame of the next decoded frames, up to frame `index` or behind it."""
        for image in self._decoder or ():
            if image.picture is None:
                continue
            number, key = self._numbered(image)
            self._position = number
            yield number, key, image
            if number >= index:
                return
            self._sought = False
        self._decoder = None

    def _start(self, index: int) -> None:
        """Starts decoding at the key frame before a frame, or at the beginning."""
        if not self._times:
            self._rewind()
            return
        self._container.seek(self._times[index], stream=self._stream)
        self._decoder = self._from_here(self._zero_s)
        self._position, self._sought = -1, True

    def _rewind(self) -> None:
        """Starts decoding at the beginning."""
        self._open()
        self._decoder = self._from_here(self._zero_s if self._times else None)
        self._position, self._sought = -1, False

    def _numbered(self, image: VideoImage) -> tuple[int, int]:
        """Number and place of a decoded frame."""
        if not self._times:
            return image.place, image.place
        return bisect_left(self._times, image.picture.pts), int(image.picture.pts)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error)


def _moves(stream: Any) -> bool:
    """Whether a video stream is more than one picture, such as a cover that does not say so."""
    return bool(stream.frames > 1 if stream.frames else stream.codec_context.name not in _STILL)


def _lacks_index(path: Path) -> bool:
    """Whether an MP4 file has no `moov` box."""
    try:
        with path.open("rb") as file:
            size, at = path.stat().st_size, 0
            kinds: list[bytes] = []
            while at + 8 <= size and len(kinds) < 100:
                file.seek(at)
                head = file.read(16)
                length = int.from_bytes(head[:4], "big")
                kinds.append(head[4:8])
                if length == 1:
                    length = int.from_bytes(head[8:16], "big")
                if length < 8:
                    break
                at += length
    except OSError:
        return False
    return kinds[:1] == [b"ftyp"] and b"moov" not in kinds
