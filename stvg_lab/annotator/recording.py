# SPDX-License-Identifier: Apache-2.0

"""What the annotation page needs of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RecordedImage = NDArray[np.uint8]


class Recording(Protocol):
    """Frames by their number.

    Attributes:
        stamps_ns: `(F,)` increasing stamps.
        size_px: width and height of the images.
        topic: the bag's image topic, "" for a video.
        notes: what a user should know about the recording, one sentence each.
    """

    stamps_ns: NDArray[np.int64]
    size_px: tuple[int, int]
    topic: str
    notes: tuple[str, ...]

    def pictures(self, index: int) -> Iterator[tuple[int, RecordedImage]]:
        """Numbers and RGB images of frames, the asked one among them, others where they come for
        free. Raises: RecordingError.
        """
        ...
