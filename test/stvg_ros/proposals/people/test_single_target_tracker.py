# SPDX-License-Identifier: Apache-2.0

"""One of the drawn people of test_classical.py is followed."""

import numpy as np
from drawn_people import BLUE, HEIGHT, RED, WIDTH, scene, walk

from stvg_ros.boxes import iou_matrix
from stvg_ros.proposals.people.classical import ClassicalProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Clip


def followed(clip: Clip, box: np.ndarray, begin: int) -> tuple[np.ndarray, list[bool]]:
    """Boxes `(F - begin - 1, 4)` after the frame `begin`, and where the person was seen."""
    proposer = ClassicalProposer(ProposalConfig())
    for frame in clip.frames[: begin + 1]:
        proposer.observe(frame)
    follower = proposer.follower(clip.frames[begin], box)
    sightings = [follower.update(frame) for frame in clip.frames[begin + 1 :]]
    return np.array([s.box_xyxy_px for s in sightings], np.float32), [s.seen for s in sightings]


def test_a_walker_is_followed_past_another() -> None:
    clip, boxes = scene((walk(20, 270), RED), (walk(270, 20), BLUE))
    found, seen = followed(clip, boxes[0, 10], 10)
    overlap = np.diag(iou_matrix(found, boxes[0, 11:]))
    assert overlap[-5:].min() > 0.4  # after they have crossed
    assert np.mean(seen) > 0.7


def test_who_leaves_is_no_longer_seen() -> None:
    clip, boxes = scene((walk(150, 700), RED))
    _, seen = followed(clip, boxes[0, 4], 4)
    assert any(seen[:5]) and not any(seen[-10:])


def test_boxes_stay_inside_and_memory_bounded() -> None:
    clip, boxes = scene((walk(20, 60, 25) * 4, RED), count=100)
    proposer = ClassicalProposer(ProposalConfig())
    follower = proposer.follower(clip.frames[0], boxes[0, 0])
    kept = set()
    for index, frame in enumerate(clip.frames[1:]):
        box = follower.update(frame).box_xyxy_px
        assert 0 <= box[0] <= box[2] <= WIDTH and 0 <= box[1] <= box[3] <= HEIGHT
        if index > 60:
            kept.add(max(len(track.boxes) for track in follower._tracker.tracks))
    assert max(kept) <= 51
    assert len(follower._samples) <= 31
