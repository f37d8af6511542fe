# SPDX-License-Identifier: Apache-2.0

"""Stamps of cameras: none, an odd one, late ones, real jumps; in the window, a file, the page."""

from __future__ import annotations

from pathlib import Path

import damaged_recordings as made
import numpy as np
import pytest

from stvg_lab.annotator.jpeg_frames import open_recording as annotated
from stvg_lab.runs.window_replay import replay
from stvg_ros.io.clip import file_clip
from stvg_ros.io.recording import Source, source_images
from stvg_ros.stamps import HeaderStamps, StampLine, StampStep
from stvg_ros.types import Frame
from stvg_ros.window import Window, WindowConfig

T = made.T0
HOUR = 3600 * 10**9


def line(*indices: float, offset: int = 0) -> list[int]:
    """Stamps of a camera of 10 Hz."""
    return [T + offset + round(index * 10**8) for index in indices]


TEN, NEXT = line(*range(10)), line(*range(11, 20))
# Name, stamps, and the numbers of those that the window has at the end.
TABLE: list[tuple[str, list[int], list[int]]] = [
    ("all in order", [*TEN, *line(10)], list(range(11))),
    ("one of zero", [*TEN, 0, *NEXT], [*range(10), *range(11, 20)]),
    ("two of zero", [*TEN, 0, 0, *NEXT], [*range(10), *range(12, 21)]),
    ("one an hour back", [*TEN, T - HOUR, *NEXT], [*range(10), *range(11, 20)]),
    ("one an hour ahead", [*TEN, T + HOUR, *NEXT], [*range(10), *range(11, 20)]),
    ("one 5 s ahead", [*TEN, T + 5 * 10**9, *NEXT], [*range(10), *range(11, 20)]),
    ("one 1 s back", [*TEN, T - 10**8, *NEXT], [*range(10), *range(11, 20)]),
    ("one of the year 1970", [*TEN, 5, *NEXT], [*range(10), *range(11, 20)]),
    ("one back, one ahead", [*TEN, T - HOUR, T + HOUR, *NEXT], [*range(10), *range(12, 21)]),
    ("odd ones again and again",
     [*TEN, 7, *line(11), T + HOUR, *line(13), 9, *line(15, 16)], [*range(10), 11, 13, 15, 16]),
    ("an odd one at the end", [*TEN, T + HOUR], list(range(10))),
    ("a late one", [*TEN, T + 85 * 10**7, *NEXT], [*range(10), *range(11, 20)]),
    ("twice the same", [*TEN, TEN[-1], *NEXT], [*range(10), *range(11, 20)]),
    ("an hour back for good", [*TEN, *line(*range(5), offset=-HOUR)], list(range(10, 15))),
    ("a bag loop", [*TEN, *TEN], list(range(10, 20))),
    ("an hour ahead for good, one of zero between",
     [*TEN, T + HOUR, 0, *line(1, 2, offset=HOUR)], [10, 12, 13]),
    ("an hour ahead for good", [*TEN, *line(*range(5), offset=HOUR)], list(range(10, 15))),
    ("a pause of 5 s", [*TEN, *line(60, 61, 62)], [*range(10), 10, 11, 12]),
    ("slow from the start", line(0, 30, 60, 90, 95), [0, 1, 2, 3, 4]),
    ("slower on the way", [*TEN, *line(40, 70, 95)], [*range(10), 10, 11, 12]),
    ("back after one", [T, T - HOUR, *line(1, 2, offset=-HOUR)], [1, 2, 3]),
    ("the first is odd", [T - HOUR, *TEN], list(range(1, 11))),
]  # fmt: skip


def frames(stamps: list[int]) -> list[Frame]:
    return [
        Frame(stamp, np.full((12, 16, 3), number, np.uint8), 16, 12)
        for number, stamp in enumerate(stamps)
    ]


def numbers(found) -> list[int]:
    return [int(frame.image[0, 0, 0]) for frame in found]


@pytest.mark.parametrize(("stamps", "kept"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE])
def test_the_window_the_file_and_the_evaluation_decide_alike(
    stamps: list[int], kept: list[int], tmp_path: Path
) -> None:
    config = WindowConfig(duration_s=10.0, max_rate_hz=0.0)
    window = Window(config)
    for frame in frames(stamps):
        if window.wanted(frame.stamp_ns):
            window.add(frame)
    assert numbers(window.snapshot().frames) == kept
    messages = [(i, made.raw(f.stamp_ns, f.image)) for i, f in enumerate(frames(stamps))]
    bag = made.bag(tmp_path / "run", messages)
    clip = file_clip(bag, start_s=0.0, end_s=None, long_side_px=640, max_rate_hz=0.0, last_s=10.0)
    assert numbers(clip.frames) == kept
    (moment,) = replay(source_images(Source(str(bag))), config, [None])
    assert moment.clip is not None
    assert numbers(moment.clip.frames) == kept
    assert set(moment.clip.stamps_ns.tolist()) <= set(moment.stamps_ns.tolist())
    # The page shows every time line, in the order of its stamps.
    page = annotated(bag)
    assert set(clip.stamps_ns.tolist()) <= set(page.stamps_ns.tolist())
    assert (np.diff(page.stamps_ns) > 0).all()
    page.close()


@pytest.mark.parametrize("rate_hz", [0.0, 15.0])
def test_a_camera_that_never_stamps_is_stamped_on_arrival(rate_hz: float) -> None:
    window = Window(WindowConfig(max_rate_hz=rate_hz))
    for frame in frames([0] * 200):
        assert window.wanted(0)
        window.add(frame)
    found = window.snapshot()
    assert numbers(found.frames)[-1] == 199
    assert (np.diff(found.stamps_ns) > 0).all()


@pytest.mark.parametrize("stamped", [[T], TEN, [5], [T + 10**20 // 8], line(0, 1, 2, 3)])
@pytest.mark.parametrize("asks", [True, False])
def test_a_camera_that_stops_stamping_is_stamped_on_arrival(stamped, asks) -> None:
    window = Window(WindowConfig(max_rate_hz=0.0, duration_s=3600.0))
    for frame in frames([*stamped, *[0] * 30]):
        if not asks or window.wanted(frame.stamp_ns):
            window.add(frame)
    found = window.snapshot()
    newest = len(stamped) + 29
    assert numbers(found.frames)[-20:] == list(range(newest - 19, newest + 1))
    assert (np.diff(found.stamps_ns) > 0).all()
    assert window.counts["odd"] >= 4


@pytest.mark.parametrize("stamped", [[T], TEN])
def test_a_bag_of_a_camera_that_stops_stamping_is_read(stamped: list[int], tmp_path: Path) -> None:
    given = frames([*stamped, *[0] * 30])
    messages = [(i, made.raw(frame.stamp_ns, frame.image)) for i, frame in enumerate(given)]
    bag = made.bag(tmp_path / "run", messages)
    clip = file_clip(bag, start_s=0.0, end_s=None, long_side_px=640, max_rate_hz=0.0, last_s=10.0)
    assert numbers(clip.frames)[-20:] == list(range(len(stamped) + 10, len(stamped) + 30))


@pytest.mark.parametrize(  # the first stamp of zero is taken for the start of a video
    ("clock_ns", "stamps_ns"), [(0, [0, 1, 2, 3]), (5, [0, 5, 6, 7]), (T, [T, T + 1, T + 2])]
)
def test_times_of_arrival_increase_though_the_clock_stands(
    clock_ns: int, stamps_ns: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: clock_ns)
    window = Window(WindowConfig(max_rate_hz=0.0))
    for frame in frames([0] * 4):
        window.add(frame)
    assert window.snapshot().stamps_ns.tolist() == stamps_ns


@pytest.mark.parametrize(
    ("stamp_ns", "held"), [(1, True), (2, True), (T - HOUR, True), (0, False), (-1, False)]
)
def test_an_odd_image_is_held_if_it_has_a_stamp(stamp_ns: int, held: bool) -> None:
    window = Window(WindowConfig(max_rate_hz=0.0))
    for frame in frames(TEN):
        window.add(frame)
    assert window.wanted(stamp_ns) is held
    window.add(frames([stamp_ns])[0])
    assert window.counts.get("odd", 0) == (0 if held else 2)  # refused, and offered all the same
    window.add(frames(line(11))[0])
    assert window.counts["odd"] == (1 if held else 2)


@pytest.mark.parametrize("asks", [True, False])
def test_the_fifth_image_without_a_stamp_in_a_row_is_stamped_on_arrival(
    asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time_ns", lambda: T + 2 * 10**9)
    window = Window(WindowConfig(max_rate_hz=0.0, duration_s=3600.0))

    def stored(stamp_ns: int) -> bool:
        if asks and not window.wanted(stamp_ns):
            return False
        return window.add(frames([stamp_ns])[0]).value in ("stored", "restarted")

    assert [stored(stamp) for stamp in TEN] == [True] * 10
    assert [stored(0) for _ in range(4)] == [False] * 4
    assert not stored(1)  # far off, but a stamp
    assert [stored(0) for _ in range(5)] == [False] * 4 + [True]


def test_a_bag_without_stamps_has_the_times_of_recording(tmp_path: Path) -> None:
    messages = [(i, made.raw(0, made.picture(i))) for i in range(5)]
    bag = made.bag(tmp_path / "run", messages)
    page = annotated(bag)
    assert page.stamps_ns.tolist() == [made.stamp(i) for i in range(5)]
    assert "no stamps of their own; the times of recording are taken" in page.notes[0]
    page.close()


@pytest.mark.parametrize(
    ("headers", "wanted", "unstamped"),
    [
        ([], [], False), ([0], [100], True), ([0, 0, 0], [100, 101, 102], True),
        ([5, 6], [5, 6], False), ([5, 0, 7], [5, -1, 7], False), ([0, 5, 0], [100, 5, -1], False),
        # A camera that stops stamping: its first image alone has a stamp, or its first ones.
        ([5, *[0] * 6], [5, -1, -1, -1, -1, 105, 106], True),
        ([5, 6, *[0] * 5], [5, 6, -1, -1, -1, -1, 106], True),
        ([5, 0, 0, 0, 0, 6, 0], [5, -1, -1, -1, -1, 6, -1], False),
        ([5, *[0] * 5, 9, 0], [5, -1, -1, -1, -1, 105, 9, -1], False),
        # A stamp that is repeated is none either.
        ([5, 5, 6], [5, 5, 6], False),
        ([5] * 5, [5] * 5, False),
        ([5] * 7, [5, 5, 5, 5, 5, 105, 106], True),
        ([4, 5, 5, 5, 5, 6, 6], [4, 5, 5, 5, 5, 6, 6], False),
        ([5, 5, 5, 0, 0, 0, 5], [5, 5, 5, -1, -1, 105, 106], True),
        ([*[5] * 6, 6, 6], [5, 5, 5, 5, 5, 105, 6, 6], False),
        ([5, 6, 5, 6, 5, 6, 5, 6], [5, 6, 5, 6, 5, 6, 5, 6], False),
    ],
)  # fmt: skip
def test_header_stamps(headers: list[int], wanted: list[int], unstamped: bool) -> None:
    stamps = HeaderStamps()
    found = [stamps.stamp_ns(header, 100 + number) for number, header in enumerate(headers)]
    assert (found, stamps.unstamped) == (wanted, unstamped)


def test_judging_does_not_take() -> None:
    stamps = StampLine()
    for stamp in TEN:
        assert stamps.judge(stamp) is stamps.judge(stamp) is StampStep.NEXT
        stamps.take(stamp)
    assert stamps.judge(T - HOUR) is StampStep.ODD
    assert stamps.take(T - HOUR) is StampStep.ODD
    assert stamps.judge(T - HOUR + 1) is StampStep.JUMP
    assert stamps.judge(TEN[-1] + 1) is StampStep.NEXT
    stamps.clear()
    assert stamps.take(T - HOUR) is StampStep.NEXT


@pytest.mark.parametrize("seed", range(12))
def test_one_odd_stamp_anywhere_empties_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stamps = line(*range(60))
    at = int(rng.integers(6, 58))
    stamps[at] = max(1, stamps[at] + int(rng.choice([-1, 1]) * rng.integers(3 * 10**9, 10**17)))
    window = Window(WindowConfig(max_rate_hz=0.0))
    for frame in frames(stamps):
        if window.wanted(frame.stamp_ns):
            window.add(frame)
    assert numbers(window.snapshot().frames) == [n for n in range(60) if n != at]
    assert window.counts["odd"] == 1
    assert window.counts["restarted"] == 0


@pytest.mark.parametrize("count", [7, 12, 40])
@pytest.mark.parametrize("before", [0, 1, 4, 10])
def test_a_camera_whose_stamp_stands_still_has_the_times_of_recording(
    before: int, count: int, tmp_path: Path
) -> None:
    """Each image of a driver that stamps all with the time of its start is a new one."""
    given = frames([*line(*range(before)), *line(before) * count])
    messages = [(i, made.raw(frame.stamp_ns, frame.image)) for i, frame in enumerate(given)]
    bag = made.bag(tmp_path / "run", messages)
    clip = file_clip(bag, start_s=0.0, end_s=None, long_side_px=640, max_rate_hz=0.0)
    stands = before + 1
    assert numbers(clip.frames) == [*range(stands), *range(stands + 4, before + count)]
    page = annotated(bag)
    assert page.stamps_ns.tolist() == clip.stamps_ns.tolist()
    assert "no stamps of their own" in " ".join(page.notes)
    page.close()
