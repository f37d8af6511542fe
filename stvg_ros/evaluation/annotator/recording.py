# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""What the annotation page needs of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


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

    def pictures(self, index: int) -> Iterator[tuple[int, Picture]]:
        """Numbers and RGB images of frames, the asked one among them, others where they come for
        free. Raises: RecordingError.
        """
        ...
