# SPDX-License-Identifier: Apache-2.0

from dataclasses import dataclass

import numpy as np
import pytest
from recordings import BEGIN_NS, SIZE, square_bag, square_frame, stamp

from stvg_lab.runs.window_replay import replay, whole_window
from stvg_ros.errors import ImageError, NoImagesError, RecordingError
from stvg_ros.io.recording import Source, source_images
from stvg_ros.window import Window, WindowConfig


@dataclass
class Image:
    """A source's image that counts how often it is converted."""

    stamp_ns: int
    number: int = 0
    wrong: bool = False
    conversions: int = 0
    error: str = ""

    def frame(self, long_side_px=None):
        self.conversions += 1
        if self.wrong:
            raise ImageError("wrong")
        return square_frame(self.number, self.stamp_ns)


def images(*numbers: int) -> list[Image]:
    return [Image(stamp(number), number) for number in numbers]


SLOW = WindowConfig(duration_s=1.0, max_rate_hz=5.0)


def test_only_kept_images_are_converted_and_commands_share_a_pass() -> None:
    shown = images(*range(30))
    first, second, last = replay(shown, SLOW, [stamp(4), stamp(10), None])
    assert first.clip.stamps_ns.tolist() == [stamp(n) for n in (0, 2, 4)]
    assert first.numbers.tolist() == [0, 1, 2, 3, 4]
    assert first.images == {"read": 5, "stored": 3, "thinned": 2}
    assert second.images == {"read": 11, "stored": 6, "thinned": 5}
    assert second.clip.stamps_ns.tolist() == [stamp(n) for n in (0, 2, 4, 6, 8, 10)]
    assert last.clip.stamps_ns.tolist() == [stamp(n) for n in (18, 20, 22, 24, 26, 28)]
    assert last.stamps_ns.tolist() == [stamp(n) for n in range(30)]
    assert [image.conversions for image in shown] == [1, 0] * 15


def test_it_is_the_window_of_the_node() -> None:
    window = Window(SLOW)
    for number in range(24):
        window.add(square_frame(number))
    (moment,) = replay(images(*range(30)), SLOW, [stamp(23)])
    assert moment.clip.stamps_ns.tolist() == window.snapshot().stamps_ns.tolist()


def test_a_part_of_the_frames() -> None:
    (moment,) = replay(images(*range(30)), WindowConfig(), [None], frames=(5, 8))
    assert moment.numbers.tolist() == [5, 6, 7]
    assert moment.images["read"] == 3


def test_duplicate_and_unsorted_stamps_are_counted_and_left_out() -> None:
    shown = images(0, 1, 1, 3, 2, 4)
    (moment,) = replay(shown, WindowConfig(max_rate_hz=0.0), [None])
    assert moment.stamps_ns.tolist() == [stamp(n) for n in (0, 1, 3, 4)]
    assert moment.images == {"read": 6, "stored": 4, "late": 2}


def test_a_jump_back_starts_anew() -> None:
    (moment,) = replay(images(*range(10, 20), 0, 1), WindowConfig(max_rate_hz=0.0), [None])
    assert moment.stamps_ns.tolist() == [stamp(0), stamp(1)]
    assert moment.numbers.tolist() == [10, 11]
    assert moment.images["restarted"] == 1


def test_images_that_do_not_convert_are_refused_and_the_rest_goes_on() -> None:
    shown = images(0, 1, 2)
    shown[1].wrong = True
    (moment,) = replay(shown, WindowConfig(), [None])
    assert moment.images == {"read": 3, "stored": 2, "refused": 1}
    shown[0].wrong = shown[2].wrong = True
    (moment,) = replay(shown, WindowConfig(), [None])
    assert isinstance(moment.error, NoImagesError)
    assert "3 were read, 3 of them could not be converted" in str(moment.error)


def test_impossible_stamps_are_refused_and_clear_nothing() -> None:
    shown = [*images(0, 1), Image(-1), *images(2)]
    (moment,) = replay(shown, WindowConfig(max_rate_hz=0.0), [None])
    assert moment.images == {"read": 4, "stored": 3, "refused": 1}
    assert len(moment.stamps_ns) == 3


def test_a_break_fails_the_commands_after_it() -> None:
    def broken():
        yield from images(0, 1, 2)
        raise RecordingError("cut short")

    early, late = replay(broken(), WindowConfig(), [stamp(1), None])
    assert early.clip is not None and early.error is None
    assert late.clip is None
    assert str(late.error) == "cut short"


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("compressed", [False, True])
def test_bags(tmp_path, storage: str, compressed: bool) -> None:
    path = square_bag(tmp_path / "run", 6, storage=storage, compressed=compressed)
    (file,) = (item for item in path.iterdir() if item.suffix != ".yaml")
    for source in (Source(str(path)), Source(str(file), topic="/camera/image")):
        (moment,) = replay(source_images(source), WindowConfig(long_side_px=32), [None])
        assert moment.stamps_ns[0] == BEGIN_NS
        assert moment.clip.frames[0].image.shape == (24, 32, 3)
        assert moment.clip.size_px == SIZE
        assert np.abs(moment.clip.frames[3].image[10, 8].astype(int) - (220, 60, 40)).max() < 30


def test_a_whole_part_is_kept_at_the_rate_that_fits() -> None:
    config = WindowConfig(duration_s=10.0, max_rate_hz=15.0, max_bytes=110_000_000)
    short = whole_window(config, 20.0, 100_000)
    assert (short.duration_s, short.max_rate_hz) == (30.0, 15.0)
    assert whole_window(config, 200.0, 100_000).max_rate_hz == pytest.approx(5.0)
    every = WindowConfig(max_rate_hz=0.0)
    assert whole_window(every, 1.0, 100).max_rate_hz == 0.0
