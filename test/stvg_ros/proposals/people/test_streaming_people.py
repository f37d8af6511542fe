# SPDX-License-Identifier: Apache-2.0

"""Which listeners receive the people of arriving frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.proposals.people.transformer_detector import PeopleProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Clip, Frame, SplitQuery


class OneOfTwo:
    """Two people in each picture, one of them seen badly."""

    name = "fake"
    searched = 0
    new_track_score = 0.5
    smoothing_s = 0.0
    every = 1

    def __call__(self, image: NDArray[np.uint8]) -> tuple[Boxes, NDArray[np.float32]]:
        self.searched += 1
        boxes = np.array([[100, 40, 160, 200], [300, 40, 360, 200]], np.float32)
        return boxes, np.array([0.9, 0.2], np.float32)


def test_people_of_arriving_frames_are_in_the_cameras_pixels() -> None:
    proposer, told = PeopleProposer(ProposalConfig(), OneOfTwo()), []
    frame = Frame(1, np.zeros((240, 480, 3), np.uint8), 960, 480)
    proposer.observe(frame)  # nobody listens
    proposer.on_people = lambda frame, boxes: told.append((frame.stamp_ns, boxes))
    proposer.observe(frame)
    ((stamp_ns, boxes),) = told
    assert stamp_ns == 1
    assert np.allclose(boxes, [[200, 80, 320, 400]], atol=0.5)


def test_frames_that_are_not_searched_have_the_people_of_the_last_one() -> None:
    proposer, told = PeopleProposer(ProposalConfig(people_every=3), OneOfTwo()), []
    proposer.on_people = lambda frame, boxes: told.append(boxes)
    for frame in clip_of(3).frames:
        proposer.observe(frame)
    assert [len(boxes) for boxes in told] == [1, 1, 1]
    assert np.allclose(told[0], told[2], atol=0.5)


def clip_of(count: int) -> Clip:
    """Frames 0.1 s apart."""
    images = [np.full((240, 480, 3), index, np.uint8) for index in range(count)]
    return Clip(tuple(Frame(10**8 * i, image, 480, 240) for i, image in enumerate(images)))


def test_a_command_does_not_search_what_was_too_much_on_arrival() -> None:
    """Every third frame was searched as it came: the others are near enough to one of them."""
    clip, detector = clip_of(12), OneOfTwo()
    proposer = PeopleProposer(ProposalConfig(), detector)
    for frame in clip.frames[::3]:
        proposer.observe(frame)
    assert detector.searched == 4
    (tube, *_) = proposer.propose(clip, SplitQuery("x", "x", "x", "rules"))
    assert detector.searched == 5  # and the newest one
    assert tube.present.all()
    assert tube.interpolated.tolist() == [bool(index % 3 and index != 11) for index in range(12)]


def test_a_command_searches_what_is_far_from_all_searched_frames() -> None:
    clip, detector = clip_of(12), OneOfTwo()
    proposer = PeopleProposer(ProposalConfig(), detector)
    proposer.observe(clip.frames[0])
    proposer.propose(clip, SplitQuery("x", "x", "x", "rules"))
    assert detector.searched == 1 + 9  # frames from 0.3 s on
    fresh = PeopleProposer(ProposalConfig(), OneOfTwo())
    fresh.propose(clip, SplitQuery("x", "x", "x", "rules"))
    assert fresh._detect.searched == 12  # type: ignore[attr-defined]
