# SPDX-License-Identifier: Apache-2.0

"""Frames of a bag or a video by number, for the annotation page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import ImageError, RecordingError
from stvg_ros.io import recording
from stvg_ros.stamps import StampLine, StampStep

RecordedImage = NDArray[np.uint8]


class FrameSequence(Protocol):
    """A recording as the page needs it.

    Attributes:
        stamps_ns: `(F,)` increasing stamps.
        size_px: width and height of the images.
        topic: the bag's image topic, "" for a video.
        notes: sentences for the user about the recording.
    """

    stamps_ns: NDArray[np.int64]
    size_px: tuple[int, int]
    topic: str
    notes: tuple[str, ...]

    def pictures(self, index: int) -> Iterator[tuple[int, RecordedImage]]:
        """Numbers and RGB images of frames: the requested one, and others that were decoded on the
        way. Raises: RecordingError.
        """
        ...

    def close(self) -> None:
        """Closes the files."""
        ...


class NumberedFrames:
    """The frames of a recording in the order of their stamps. One thread uses it.

    Opening reads all stamps, without converting an image.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        """Opens the recording; attributes are those of `FrameSequence`.

        Args:
            path: a video, or a bag (its folder, or one of its files).
            topic: image topic of the bag, required if it has several.

        Raises:
            RecordingError: it cannot be read, or none of its images can be decoded.
        """
        self._path = path
        self._recording = recording.open_recording(path, topic)
        self.topic = self._recording.topic
        try:
            self._places, notes = self._numbered()
            self.stamps_ns: NDArray[np.int64] = np.array(sorted(self._places), np.int64)
            self._index_of = {
                self._places[stamp]: index for index, stamp in enumerate(self.stamps_ns.tolist())
            }
            self.size_px = (0, 0)
            self.size_px = self._size()
        except BaseException:
            self.close()
            raise
        self.notes: tuple[str, ...] = (*self._recording.report.sentences, *notes)

    def close(self) -> None:
        """Closes the files."""
        self._recording.close()

    def _numbered(self) -> tuple[dict[int, Any], list[str]]:
        """Places by stamp, without odd and repeated stamps, and notes on the omitted ones."""
        line = StampLine()
        places: dict[int, Any] = {}
        held: tuple[int, Any] | None = None
        odd = repeated = jumps = count = 0
        for stamp_ns, place in self._recording.scan():
            count += 1
            step = line.take(stamp_ns)
            if step is StampStep.ODD:
                odd += 1
                held = (stamp_ns, place)
                continue
            if held is not None and step in (StampStep.JUMP, StampStep.RESUMED):
                odd -= 1
                repeated += held[0] in places
                places.setdefault(*held)
            if step is not StampStep.LATE:
                held = None
            jumps += step is StampStep.JUMP
            repeated += stamp_ns in places
            places.setdefault(stamp_ns, place)
        notes = []
        if repeated:
            notes.append(
                f"{repeated} of {count} images have the stamp of an earlier one and are left out."
            )
        if odd:
            notes.append(f"{odd} of {count} images have odd stamps and are left out.")
        if jumps:
            notes.append("The stamps jump back; the frames are in the order of their stamps.")
        return places, notes

    def _size(self) -> tuple[int, int]:
        """Width and height of the first image that decodes."""
        reason = ""
        for index in range(len(self.stamps_ns)):
            try:
                image = next((found for number, found in self.pictures(index)), None)
            except (ImageError, RecordingError) as error:
                reason = reason or str(error)
                continue
            if image is not None:
                return image.shape[1], image.shape[0]
        lost = "; ".join(self._recording.report.sentences)
        raise RecordingError(f"{self._path}: none of its images decodes: {reason or lost}")

    def pictures(self, index: int) -> Iterator[tuple[int, RecordedImage]]:
        """See `FrameSequence.pictures`. Raises: RecordingError, ImageError."""
        stamp_ns = int(self.stamps_ns[index])
        for place, image in self._recording.at(self._places[stamp_ns], stamp_ns):
            number = self._index_of.get(place)
            if number is None:
                continue
            picture = image.frame().image
            size = (picture.shape[1], picture.shape[0])
            if size == self.size_px or self.size_px == (0, 0):
                yield number, picture
            elif number == index:
                raise RecordingError(
                    f"frame {index} is {size[0]} x {size[1]}, expected {self.size_px[0]} x "
                    f"{self.size_px[1]} like the first; an annotation file is about images of one "
                    "size, so cut the recording where its size changes"
                )
