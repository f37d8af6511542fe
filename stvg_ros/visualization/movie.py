# SPDX-License-Identifier: Apache-2.0

"""Writes a clip with its tube as an MP4 file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stvg_ros.io.video import write_video
from stvg_ros.types import Clip, Tube
from stvg_ros.visualization.contact_sheet import outcome
from stvg_ros.visualization.drawing import Image, annotate_frame, caption


def write_movie(path: Path | str, clip: Clip, tube: Tube) -> int:
    """Writes every frame of the clip with the tube's box, if any, and a caption.

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
