# SPDX-License-Identifier: Apache-2.0

"""Tracks from detections written by hand."""

from dataclasses import replace

import numpy as np
import pytest

from stvg_ros.proposals.people.byte_track import Tracker, linked, tracked
from stvg_ros.proposals.people.hog_detector import Detections

RED, BLUE = np.eye(64, dtype=np.float32)[[3, 9]]


def seen(*rows: tuple[float, float, np.ndarray]) -> Detections:
    """Detections of 20 x 50 boxes from rows of (left edge, score, colour)."""
    boxes = np.array([(x, 10, x + 20, 60) for x, _, _ in rows], np.float32).reshape(-1, 4)
    return Detections(
        boxes,
        np.array([score for _, score, _ in rows], np.float32),
        np.ones(len(rows), np.bool_),
        np.array([colour for _, _, colour in rows], np.float32).reshape(-1, 64),
    )


def test_nothing_seen_gives_no_track() -> None:
    assert tracked([], 5) == []
    assert tracked([seen(), seen()], 5) == []


def test_one_object_is_one_track() -> None:
    (track,) = tracked([seen((3.0 * i, 0.9, RED)) for i in range(10)], 5)
    assert sorted(track.boxes) == list(range(10))
    assert len(track.shapes) == 10


def test_the_high_score_is_served_first() -> None:
    frames = [seen((0, 0.9, RED)), seen((1, 0.1, RED), (4, 0.9, RED))]
    (track,) = tracked(frames, 5)
    assert track.boxes[1][0] == 4  # although the weak one lies nearer


def test_a_weak_detection_continues_a_track_and_starts_none() -> None:
    assert tracked([seen((0, 0.1, RED))] * 3, 5) == []
    (track,) = tracked([seen((0, 0.9, RED)), seen((0, 0.1, RED), (80, 0.1, RED))], 5)
    assert sorted(track.boxes) == [0, 1]


def test_colour_decides_between_equal_overlaps() -> None:
    frames = [seen((0, 0.9, RED), (8, 0.9, BLUE)), seen((4, 0.9, BLUE), (4, 0.9, RED))]
    first, second = tracked(frames, 5)
    assert first.colour.argmax() == RED.argmax() and first.colour.max() > 0.99
    assert second.colour.argmax() == BLUE.argmax() and second.colour.max() > 0.99


def test_linking_joins_equal_colours_only() -> None:
    gap = [seen()] * 8
    for colour, expected in ((RED, 1), (BLUE, 2)):
        frames = [seen((0, 0.9, RED))] * 3 + gap + [seen((30, 0.9, colour))] * 3
        assert len(linked(tracked(frames, 2), 20)) == expected
    frames = [seen((0, 0.9, RED))] * 3 + gap + [seen((30, 0.9, RED))] * 3
    assert len(linked(tracked(frames, 2), 4)) == 2  # the gap is longer than allowed


def test_who_stood_at_a_place_is_the_one_who_stands_there() -> None:
    def at(x: float, place: int) -> Detections:
        return replace(seen((x, 0.9, RED)), places=np.array([place]))

    first = [at(0, 3)] * 3
    gap = [seen()] * 20
    same = tracked([*first, *gap, *[at(40, 3)] * 3], 2)
    assert len(linked(same, 12)) == 1  # twice the gap that is allowed elsewhere
    assert len(linked(tracked([*first, *gap, *[at(40, 4)] * 3], 2), 12)) == 2


def test_the_place_decides_when_two_meet() -> None:
    both = replace(seen((0, 0.9, RED), (6, 0.9, RED)), places=np.array([1, -1]))
    closer = replace(seen((3, 0.9, RED)), places=np.array([1]))
    stands, passes = tracked([both, closer], 5)
    assert sorted(stands.boxes) == [0, 1] and sorted(passes.boxes) == [0]
    assert stands.place == 1 and passes.place == -1


def test_who_leaves_has_no_place_any_more() -> None:
    frames = [
        replace(seen((6.0 * i, 0.9, RED)), places=np.array([5 if i < 2 else -1])) for i in range(9)
    ]
    (track,) = tracked(frames, 5)
    assert (track.begin_place, track.place) == (5, -1)


def test_old_detections_are_forgotten_but_the_last() -> None:
    (track,) = tracked([seen((0, 0.9, RED))] * 6, 5)
    track.forget(4)
    assert sorted(track.boxes) == [4, 5] and len(track.scores) == 2
    track.forget(99)
    assert sorted(track.boxes) == [5]


@pytest.mark.parametrize("unseen", [1, 3, 5, 6, 7, 8, 12, 20, 29])
def test_who_is_unseen_for_long_does_not_walk_on_for_ever(unseen: int) -> None:
    tracker = Tracker(max_lost=30)
    for index in range(20):
        tracker.step(seen((4.0 * index, 0.9, RED)))
    (track,) = tracker.tracks
    begin, speed = float(track.state.mean[0]), float(track.state.mean[4])
    assert speed > 3
    for _ in range(unseen):
        tracker.step(seen())
    moved = float(track.state.mean[0]) - begin
    steps = unseen if unseen <= 5 else 5 + sum(0.8**k for k in range(unseen - 5))
    assert moved == pytest.approx(speed * steps, rel=1e-3)


@pytest.mark.parametrize(
    ("height", "tracks"), [(50, 1), (45, 1), (35, 1), (31, 1), (29, 2), (25, 2), (15, 2), (80, 1),
                           (90, 2), (200, 2)]
)  # fmt: skip
def test_linking_joins_boxes_of_about_one_height(height: int, tracks: int) -> None:
    low = seen((0, 0.9, RED))
    low.boxes_xyxy_px[:, 3] = 10 + height
    frames = [seen((0, 0.9, RED))] * 3 + [seen()] * 8 + [low] * 3
    assert len(linked(tracked(frames, 2), 20)) == tracks


@pytest.mark.parametrize(
    ("start", "end", "travel"),
    [((0, 50), (0, 50), 0.0), ((0, 50), (50, 50), 1.0), ((0, 40), (0, 100), 0.69)],
)
def test_travel_is_the_way_and_the_growth_in_heights(
    start: tuple[float, float], end: tuple[float, float], travel: float
) -> None:
    frames = []
    for share in np.linspace(0, 1, 21):
        x, height = (1 - share) * np.array(start) + share * np.array(end)
        box = np.array([[x, 60 - height / 2, x + 20, 60 + height / 2]], np.float32)
        frames.append(replace(seen((0, 0.9, RED)), boxes_xyxy_px=box))
    (track,) = tracked(frames, 5)
    assert track.travel == pytest.approx(travel, abs=0.01)


def test_one_region_that_is_larger_for_a_moment_does_not_travel() -> None:
    frames = [seen((0, 0.9, RED)) for _ in range(21)]
    frames[10] = replace(frames[10], boxes_xyxy_px=np.array([[0, 5, 20, 65]], np.float32))
    (track,) = tracked(frames, 5)
    assert track.travel == 0


def test_a_much_larger_box_is_not_the_same_person() -> None:
    frames = [seen((0, 0.9, RED)) for _ in range(4)]
    for frame in (2, 3):
        frames[frame] = replace(
            frames[frame], boxes_xyxy_px=np.array([[-20, 0, 40, 70]], np.float32)
        )
    assert [sorted(track.boxes) for track in tracked(frames, 5)] == [[0, 1], [2, 3]]
