# SPDX-License-Identifier: Apache-2.0

"""Frames of a bag's image topic by number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stvg_lab.annotator.recording import RecordedImage
from stvg_ros.errors import ImageError, RecordingError
from stvg_ros.io.bag import find_image_topic, read_images, read_raw


class BagFrames:
    """A bag's images in the order of their header stamps. One thread uses it.

    Opening reads the stamps of all messages, without decoding an image.

    Attributes:
        topic: name of the image topic.
    """

    def __init__(self, path: Path, topic: str | None) -> None:
        """Raises: RecordingError."""
        self._path = path
        self.topic = find_image_topic(path, topic).name
        recorded_at: dict[int, int] = {}
        count = 0
        for message in read_raw(path, self.topic):
            count += 1
            recorded_at.setdefault(message.stamp_ns, message.recorded_ns)
        stamps = sorted(recorded_at)
        self._recorded_ns = [recorded_at[stamp] for stamp in stamps]
        self.stamps_ns: NDArray[np.int64] = np.array(stamps, np.int64)
        twice = count - len(stamps)
        self.notes: tuple[str, ...] = (
            (f"{twice} of {count} images have the stamp of an earlier one and are left out.",)
            if twice
            else ()
        )
        self.size_px = self._size()

    def _size(self) -> tuple[int, int]:
        """Width and height of the first image that decodes."""
        reason = ""
        for index in range(len(self.stamps_ns)):
            try:
                ((_, first),) = self.pictures(index)
            except ImageError as error:
                reason = reason or str(error)
                continue
            return first.shape[1], first.shape[0]
        raise RecordingError(f"{self._path}: none of its images decodes: {reason}")

    def pictures(self, index: int) -> Iterator[tuple[int, RecordedImage]]:
        """The one frame."""
        recorded_ns, stamp_ns = self._recorded_ns[index], int(self.stamps_ns[index])
        for image in read_images(self._path, self.topic, recorded_ns=recorded_ns):
            if image.stamp_ns == stamp_ns:
                yield index, image.frame().image
                return
        raise RecordingError(
            f"{self._path}: the image of stamp {stamp_ns} ns is no longer there; was it changed?"
        )
