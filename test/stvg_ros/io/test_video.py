# SPDX-License-Identifier: Apache-2.0

from pathlib import Path

import av
import numpy as np
import pytest

from stvg_ros.errors import RecordingError
from stvg_ros.io.clip import file_clip
from stvg_ros.io.recording import read_frames
from stvg_ros.io.video import write_video

STAMPS = [1_000_000_000 + k * 100_000_000 for k in range(5)]


def grey(value: int, height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_written_video_reads_back_with_its_times(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    assert write_video(path, (grey(40 * k) for k in range(5)), STAMPS) == 5
    frames = list(read_frames(path))
    assert [f.stamp_ns for f in frames] == [k * 100_000_000 for k in range(5)]
    assert [abs(int(f.image.mean()) - 40 * k) < 6 for k, f in enumerate(frames)] == [True] * 5


def test_video_is_h264_yuv420p_and_odd_sizes_are_padded(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    write_video(path, [grey(9, 47, 63)] * 2, STAMPS[:2])
    with av.open(str(path)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt, codec.width, codec.height) == ("h264", "yuv420p", 64, 48)


def test_reads_a_part(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, [grey(0)] * 5, STAMPS)
    part = [f.stamp_ns for f in read_frames(path, start_s=0.1, end_s=0.3)]
    assert part == [100_000_000, 200_000_000]


def test_the_time_that_was_read_is_told(tmp_path: Path) -> None:
    images = [np.zeros((16, 16, 3), np.uint8)] * 10
    write_video(tmp_path / "a.mp4", images, [100_000_000 * number for number in range(10)])
    told: list[float] = []
    clip = file_clip(
        tmp_path / "a.mp4", start_s=0.5, end_s=0.8, long_side_px=640, max_rate_hz=0,
        progress=told.append,
    )  # fmt: skip
    assert len(clip) == 3
    # From the file's beginning, which is read too, to the first frame after the part.
    assert told == pytest.approx([0.1 * number for number in range(9)])


def test_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such video file"):
        next(read_frames(tmp_path / "none.mp4"))
    text = tmp_path / "text.mp4"
    text.write_text("hello")
    with pytest.raises(RecordingError, match="cannot be decoded"):
        next(read_frames(text))
    with pytest.raises(RecordingError, match="at least one image"):
        write_video(tmp_path / "empty.mp4", [], [])
    with pytest.raises(RecordingError, match="frame 1 is 32 x 48, expected 64 x 48"):
        write_video(tmp_path / "b.mp4", [grey(0), grey(0, 48, 32)], STAMPS[:2])
    with pytest.raises(RecordingError, match="cannot be written"):
        write_video(tmp_path / "no" / "folder.mp4", [grey(0)], STAMPS[:1])
