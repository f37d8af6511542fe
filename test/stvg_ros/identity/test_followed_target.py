# SPDX-License-Identifier: Apache-2.0

"""A followed target whose views are like itself, like others, or in between."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import noise_clip

from stvg_ros.identity.descriptor import TubeDescriptor
from stvg_ros.identity.followed_target import FollowedTarget, TargetState
from stvg_ros.identity.gallery import TargetGallery
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.types import Query, Status, Tube, TubeBox

FRAMES = noise_clip().frames
BOX = (0.0, 0.0, 20.0, 40.0)


class Angles:
    """Vectors of length one; the similarity is the cosine, at least 0."""

    name = "angles"

    def __call__(self, image, boxes_xyxy_px, keypoints=None):
        return np.tile(np.array([1, 0], np.float32), (len(boxes_xyxy_px), 1))

    def similarity(self, first, second):
        lengths = np.linalg.norm(first, axis=1)[:, None] * np.linalg.norm(second, axis=1)
        return np.clip(first @ second.T / lengths, 0, 1).astype(np.float32)


DESCRIBER = TubeDescriber(Angles())


def looks(cosine: float) -> TubeDescriptor:
    """Somebody of this similarity to the target."""
    found = DESCRIBER.empty()
    found.add(np.array([cosine, (1 - cosine**2) ** 0.5], np.float32))
    return found


def target(*others: float) -> FollowedTarget:
    """Somebody who was seen together with others of these similarities."""
    gallery = TargetGallery(looks(1.0))
    for cosine in others:
        gallery.add_other(looks(cosine))
    boxes = (TubeBox(FRAMES[0].stamp_ns, BOX, 1.0),)
    made = FollowedTarget(Tube(Query("x"), Status.FOUND, boxes=boxes), gallery, "front", "")
    made.note_seen(FRAMES[0].stamp_ns, BOX)
    return made


def compared(one: FollowedTarget, *views: float) -> tuple[bool, bool]:
    """Whether the last view ends following, and whether the target counts as seen then."""
    lost = False
    for frame, cosine in zip(FRAMES[1:], views, strict=False):
        lost = one.verified(looks(cosine), frame, DESCRIBER.joined)
    return lost, one.report(TargetState.FOLLOWING).seen


@pytest.mark.parametrize(
    ("others", "views", "lost", "seen"),
    [
        ((), (0.9,), False, True),
        ((), (0.1,), False, False),
        ((), (0.1, 0.9), False, True),
        ((), (0.4,), False, True),  # another light, perhaps
        ((0.3,), (0.4,), False, False),  # like somebody else who was there
        ((0.3,), (0.4, 0.9), False, True),
        ((), (0.4, 0.4, 0.4), False, True),
        ((0.3,), (0.4, 0.4, 0.4), True, False),
        ((0.99,), (0.99,), False, True),  # dressed alike
    ],
)
def test_what_a_view_shows(others, views, lost, seen):
    assert compared(target(*others), *views) == (lost, seen)


def test_a_view_that_is_clearly_more_like_somebody_else_is_not_learnt():
    alone, beside = target(), target(0.5)
    compared(alone, 0.6)
    compared(beside, 0.6)
    assert alone.gallery.target.frames == 2
    assert beside.gallery.target.frames == 1


def test_where_it_was_seen_last():
    one = target()
    assert one.seen_box == TubeBox(FRAMES[0].stamp_ns, BOX, 0.0)
    one.note_seen(FRAMES[1].stamp_ns, (5.0, 0.0, 25.0, 40.0))  # while another person was there
    assert one.seen_box == TubeBox(FRAMES[0].stamp_ns, BOX, 0.0)
    one.seen_ns = FRAMES[1].stamp_ns
    assert one.seen_box.box_xyxy_px == (5.0, 0.0, 25.0, 40.0)
