# SPDX-License-Identifier: Apache-2.0

"""The best crop of a tube."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.crops import best_picture, crop_quality, cropped, picture_of, with_pictures
from stvg_ros.images import jpeg_image
from stvg_ros.types import Clip, Frame, Grounding, Picture, Query, Status, Tube, TubeBox


def frame(stamp_ns=1, blur=False):
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    image = np.full_like(noise, 128) if blur else noise
    return Frame(stamp_ns, image, 120, 80)  # stored at half the camera's size


def test_a_box_is_cut_from_the_stored_image():
    image = frame()
    cut = cropped(image, (20, 10, 60, 50), 0.0)
    assert np.array_equal(cut, image.image[5:25, 10:30])
    assert cropped(image, (20, 10, 60, 50), 0.1).shape == (24, 24, 3)
    assert cropped(image, (-20, -10, 20, 20), 0.0).shape == (10, 10, 3)
    assert cropped(image, (200, 10, 260, 50), 0.0).size == 0


def test_large_sharp_and_whole_is_better():
    whole = crop_quality(frame(), (20, 10, 60, 70))
    assert whole > crop_quality(frame(), (20, 10, 40, 40)) > 0
    assert whole > crop_quality(frame(), (-20, 10, 20, 70))
    assert whole > crop_quality(frame(blur=True), (20, 10, 60, 70)) == 0
    assert crop_quality(frame(), (200, 10, 260, 50)) == 0


def test_the_best_box_is_chosen_and_detected_ones_are_preferred():
    frames = {1: frame(1), 2: frame(2), 3: frame(3)}
    boxes = [
        TubeBox(1, (20, 10, 40, 40), 1.0),
        TubeBox(2, (20, 10, 80, 70), 1.0),
        TubeBox(3, (0, 0, 120, 80), 1.0, interpolated=True),
        TubeBox(4, (0, 0, 120, 80), 1.0),  # its frame is gone
    ]
    best = best_picture(frames, boxes)
    assert best.stamp_ns == 2
    assert jpeg_image(best.jpeg).shape == (36, 36, 3)
    assert best_picture(frames, boxes[2:]).stamp_ns == 3
    assert best_picture(frames, boxes[3:]) is None
    assert picture_of(frames[1], (200, 0, 300, 50)) is None


@pytest.mark.parametrize("asked", [True, False])
def test_answers_have_pictures_if_the_query_asks(asked):
    clip = Clip((frame(1),))
    tube = Tube(Query("x", picture=asked), Status.FOUND, boxes=(TubeBox(1, (20, 10, 80, 70), 1.0),))
    absent = Tube(Query("x", picture=asked), Status.NOT_FOUND)
    first, second = with_pictures(Grounding((tube, absent)), clip).tubes
    assert (first.picture is not None, second.picture) == (asked, None)
    own = Picture(5, b"jpeg")
    kept = Tube(Query("x", picture=asked), Status.FOUND, picture=own)
    assert with_pictures(Grounding((kept,)), clip).best.picture is own
