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

"""A clip with its tube as an MP4."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stvg_ros.types import Clip, Tube
from stvg_ros.video import write_video
from stvg_ros.visualization.drawing import Image, annotate_frame, caption
from stvg_ros.visualization.sheet import outcome


def write_movie(path: Path | str, clip: Clip, tube: Tube) -> int:
    """Writes every frame of the clip, with the tube's box where there is one and a caption.

    Returns:
        The number of frames written.

    Raises:
        RecordingError: the file cannot be written.
    """
    box_at = {box.stamp_ns: box for box in tube.boxes}
    line = f"{tube.query.text}  |  {outcome(tube, clip.frames[0].stamp_ns)}"

    def images() -> Iterator[Image]:
        for frame in clip.frames:
            image = annotate_frame(frame, tube, box_at.get(frame.stamp_ns))
            caption(image, line)
            yield image

    return write_video(path, images(), (int(stamp) for stamp in clip.stamps_ns))
