# SPDX-License-Identifier: Apache-2.0

"""Tubes of the classical source from small drawn scenes."""

import cv2
import numpy as np
import pytest
from drawn_people import (
    BLUE,
    HEIGHT,
    QUERY,
    RED,
    WIDTH,
    room,
    scene,
    viou,
    walk,
)

from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.scene import Scene
from stvg_ros.boxes import paired_iou
from stvg_ros.errors import ProposalError
from stvg_ros.proposals.people.classical import ClassicalProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import CandidateTube, Clip, Frame
from stvg_ros.window import Window, WindowConfig


def tubes_of(clip: Clip) -> tuple[CandidateTube, ...]:
    return ClassicalProposer(ProposalConfig()).propose(clip, QUERY)


def test_an_empty_room_has_no_tubes() -> None:
    assert tubes_of(scene()[0]) == ()


def test_a_walker_is_one_tube() -> None:
    clip, boxes = scene((walk(20, 270), RED))
    (tube,) = tubes_of(clip)
    assert viou(tube, boxes[0]) > 0.7
    assert 0 <= tube.score <= 1


def test_two_who_cross_keep_their_identities() -> None:
    clip, boxes = scene((walk(20, 270), RED), (walk(270, 20), BLUE))
    tubes = tubes_of(clip)
    for person in boxes:
        best = max(tubes, key=lambda tube: viou(tube, person))
        assert viou(best, person) > 0.5
        ends = [0, -1]
        assert (paired_iou(best.boxes_xyxy_px[ends], person[ends]) > 0.4).all()


@pytest.mark.parametrize("still", [14, 26])  # the second one is part of the median background
def test_who_stands_and_then_walks_is_one_tube(still: int) -> None:
    clip, boxes = scene(([40.0] * still + walk(40, 250, 40 - still), RED))
    tubes = tubes_of(clip)
    best = max(tubes, key=lambda tube: viou(tube, boxes[0]))
    assert best.present.all()
    assert viou(best, boxes[0]) > 0.6
    assert len(tubes) == 1


def test_a_clip_of_one_frame_is_served() -> None:
    clip, _ = scene((walk(40, 40, 1), RED), count=1)
    for tube in tubes_of(clip):
        assert tube.boxes_xyxy_px.shape == (1, 4)


def test_boxes_are_pixels_of_the_camera_and_inside_it() -> None:
    clip, boxes = scene((walk(-10, 300), RED))
    wide = Clip(tuple(Frame(f.stamp_ns, f.image, 4 * WIDTH, 3 * HEIGHT) for f in clip.frames))
    (tube,) = tubes_of(wide)
    assert viou(tube, boxes[0] * np.array([4, 3, 4, 3], np.float32)) > 0.6
    assert tube.boxes_xyxy_px.min() >= 0
    assert tube.boxes_xyxy_px[:, 2].max() <= 4 * WIDTH
    assert tube.boxes_xyxy_px[:, 3].max() <= 3 * HEIGHT


def test_a_light_shake_of_the_camera_is_no_motion() -> None:
    clip, boxes = scene((walk(20, 270), RED))
    steps = np.random.default_rng(0).integers(-2, 3, (len(clip), 2))
    frames = [
        Frame(f.stamp_ns, np.roll(f.image, tuple(s[::-1]), (0, 1)), WIDTH, HEIGHT)
        for f, s in zip(clip.frames, steps, strict=True)
    ]
    (tube,) = tubes_of(Clip(tuple(frames)))
    assert viou(tube, boxes[0] + np.tile(steps, 2).astype(np.float32)) > 0.6


def test_a_camera_that_turns_away_is_served() -> None:
    tiles = np.random.default_rng(3).integers(0, 255, (12, 60, 3), dtype=np.uint8)
    wide = tiles.repeat(20, 0).repeat(20, 1)
    frames = []
    for index in range(12):
        x = 40 + 6 * index
        image = np.ascontiguousarray(wide[:, x : x + WIDTH])
        frames.append(Frame(index * 100_000_000, image, WIDTH, HEIGHT))
    assert tubes_of(Clip(tuple(frames))) == ()


def test_a_thing_that_is_taken_for_a_person_twice_is_no_tube() -> None:
    clip, _ = scene(count=80)
    lamp = np.array([[100, 60, 130, 150]], np.float32), np.array([0.45], np.float32)
    nothing = lamp[0][:0], lamp[1][:0]
    proposer = ClassicalProposer(ProposalConfig())
    looks = iter([lamp, lamp])
    proposer._shapes = lambda image: next(looks, nothing)  # type: ignore[assignment]
    assert proposer.propose(clip, QUERY) == ()


def test_equal_clips_give_equal_tubes() -> None:
    clip, _ = scene((walk(20, 270), RED), (walk(270, 20), BLUE))
    for first, second in zip(tubes_of(clip), tubes_of(clip), strict=True):
        assert np.array_equal(first.boxes_xyxy_px, second.boxes_xyxy_px)
        assert np.array_equal(first.present, second.present)
        assert first.score == second.score


def test_short_tracks_are_dropped() -> None:
    clip, _ = scene((walk(20, 270), RED))
    assert (
        ClassicalProposer(ProposalConfig(min_frames=100)).propose(Clip(clip.frames * 1), QUERY)
        != ()
    )  # a clip that is shorter than the limit is not emptied by it
    hidden = [-100.0] * 19 + [100.0, 120.0] + [-100.0] * 19
    assert tubes_of(scene((hidden, RED))[0]) == ()


def test_frames_observed_as_they_arrive_give_the_tubes_of_the_whole_clip() -> None:
    clip, _ = scene((walk(20, 270), RED), (walk(270, 20), BLUE))
    streamed = ClassicalProposer(ProposalConfig())
    for frame in clip.frames:
        streamed.observe(frame)
    tubes = streamed.propose(clip, QUERY)
    assert tubes
    for first, second in zip(tubes, tubes_of(clip), strict=True):
        assert np.array_equal(first.boxes_xyxy_px, second.boxes_xyxy_px)
        assert np.array_equal(first.present, second.present)


def test_what_was_observed_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    clip, _ = scene((walk(20, 270, 12), RED), count=12)
    proposer = ClassicalProposer(ProposalConfig())
    for frame in clip.frames:
        proposer.observe(frame)
    monkeypatch.setattr(
        "stvg_ros.proposals.people.streaming.working_copy",
        lambda image: pytest.fail("looked again"),
    )
    proposer.propose(clip, QUERY)


def test_an_hour_of_frames_leaves_no_more_than_the_window_holds() -> None:
    window = Window(WindowConfig(duration_s=60.0, max_rate_hz=0.0))
    proposer = ClassicalProposer(ProposalConfig())
    image = room()
    most = set()
    for index in range(601):  # an hour, a frame every 6 s
        frame = Frame(index * 6_000_000_000, image.copy(), WIDTH, HEIGHT)
        window.add(frame)
        proposer.observe(frame)
        del frame
        if index > 20:
            most.add(proposer.fill)
    assert most == {(11, 11 * HEIGHT * WIDTH * 3)}


def test_settings_change_for_the_next_clip() -> None:
    clip, _ = scene((walk(20, 270), RED))
    proposer = ClassicalProposer(ProposalConfig())
    assert proposer.propose(clip, QUERY)
    proposer.reconfigure(ProposalConfig(min_height=0.9))
    assert proposer.propose(clip, QUERY) == ()


def test_a_refused_image_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clip, _ = scene((walk(20, 270, 2), RED), count=2)

    def refuse(image: np.ndarray) -> np.ndarray:
        raise cv2.error("no such size")

    monkeypatch.setattr("stvg_ros.proposals.people.streaming.working_copy", refuse)
    for ask in (
        lambda proposer: proposer.observe(clip.frames[0]),
        lambda proposer: proposer.propose(clip, QUERY),
    ):
        with pytest.raises(ProposalError, match=r"\(240, 320, 3\): no such size; check"):
            ask(ClassicalProposer(ProposalConfig()))


@pytest.mark.slow
def test_nine_of_ten_people_of_rendered_scenes_are_tubes() -> None:
    found = []
    for seed in range(41, 51):  # none of these was looked at while the tracker was tuned
        rendered = Scene.from_seed(seed, people=4)
        tubes = tubes_of(Clip(tuple(scene_frames(rendered))))
        for boxes in rendered.boxes_xyxy_px:
            found.append(max((viou(tube, boxes) for tube in tubes), default=0.0) > 0.5)
    assert np.mean(found) >= 0.9
