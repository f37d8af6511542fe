# SPDX-License-Identifier: Apache-2.0

"""Which listeners receive the people of arriving frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.proposals.people.transformer_detector import PeopleProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Frame


class OneOfTwo:
    """Two people in each picture, one of them seen badly."""

    name = "fake"
    new_track_score = 0.5
    smoothing_s = 0.0
    every = 1

    def __call__(self, image: NDArray[np.uint8]) -> tuple[Boxes, NDArray[np.float32]]:
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
