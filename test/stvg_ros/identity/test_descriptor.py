# SPDX-License-Identifier: Apache-2.0

"""Descriptors of people: drawn garments, means over tubes, the quality of a box."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stvg_ros.identity.descriptor import SAME_PERSON, TubeDescriptor, log_odds, qualities
from stvg_ros.identity.garment_colours import COUNT, GarmentColours

RED, GREEN, BLUE, GREY = (200, 38, 40), (38, 150, 60), (40, 75, 205), (90, 86, 80)
BOX = np.array([[100, 40, 160, 240]], np.float32)


def picture(
    upper: tuple[int, int, int],
    lower: tuple[int, int, int],
    wall: tuple[int, int, int] = (190, 186, 178),
) -> NDArray[np.uint8]:
    """A person of 60 x 200 pixels in two garments before a wall."""
    image = np.full((300, 400, 3), wall, np.uint8)
    image[40:72, 118:142] = (214, 166, 130)
    image[72:142, 100:160] = upper
    image[142:240, 106:154] = lower
    return image


def alike(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    garments = GarmentColours()
    return float(garments.similarity(garments(first, BOX), garments(second, BOX))[0, 0])


def test_nobody_gives_no_rows() -> None:
    garments = GarmentColours()
    none = garments(picture(RED, GREY), np.zeros((0, 4), np.float32))
    assert none.shape == (0, 3 * COUNT)
    assert garments.similarity(none, none).shape == (0, 0)
    assert qualities(np.zeros((0, 4), np.float32), 640, 480).shape == (0,)


def test_the_same_clothes_are_one_person_in_other_light() -> None:
    dim = np.asarray(picture(RED, GREY) * 0.8, np.uint8)
    assert alike(picture(RED, GREY), picture(RED, GREY)) > 0.9
    assert alike(picture(RED, GREY), dim) > SAME_PERSON


@pytest.mark.parametrize("wall", [(96, 110, 140), (150, 120, 100), (235, 235, 230)])
def test_the_wall_behind_a_person_hardly_counts(wall: tuple[int, int, int]) -> None:
    assert alike(picture(RED, GREY), picture(RED, GREY, wall)) > 0.6
    assert alike(picture(RED, GREY), picture(BLUE, GREY, wall)) < 0.05
    assert alike(picture(RED, GREY), picture(RED, GREEN, wall)) < SAME_PERSON


def test_a_brighter_picture_of_a_person_is_the_person() -> None:
    brighter = np.asarray(picture(RED, GREY) * 1.12, np.uint8)
    darker = np.asarray(picture(RED, GREY, (120, 118, 112)) * 0.9, np.uint8)
    assert alike(picture(RED, GREY), brighter) > 0.8
    assert alike(darker, picture(RED, GREY)) > SAME_PERSON


def test_clothes_of_the_colour_of_the_wall_are_described() -> None:
    wall = GREY
    assert alike(picture(GREY, GREY, wall), picture(GREY, GREY, wall)) > 0.9
    assert alike(picture(GREY, GREY, wall), picture(RED, GREY, wall)) < SAME_PERSON


def test_a_person_at_the_edge_of_the_image_is_described() -> None:
    garments = GarmentColours()
    box = np.array([[0, 40, 400, 240]], np.float32)  # nothing is beside it
    assert garments(picture(RED, GREY), box).any()


@pytest.mark.parametrize("other", [picture(BLUE, GREY), picture(RED, GREEN)])
def test_another_garment_is_another_person(other: NDArray[np.uint8]) -> None:
    assert alike(picture(RED, GREY), other) < SAME_PERSON


def test_a_box_outside_of_the_image_is_unknown() -> None:
    garments = GarmentColours()
    outside = garments(picture(RED, GREY), BOX + 1000)
    assert not outside.any()
    assert garments.similarity(outside, outside)[0, 0] < 0.01


def test_garments_are_found_between_keypoints() -> None:
    points = np.full((1, 17, 3), np.nan, np.float32)
    for at, place in {5: (155, 80), 6: (105, 80), 11: (145, 142), 12: (115, 142)}.items():
        points[0, at] = (*place, 1.0)
    for at, place in {15: (145, 235), 16: (115, 235)}.items():
        points[0, at] = (*place, 1.0)
    garments, image = GarmentColours(), picture(RED, BLUE)
    half = np.array([[100, 40, 160, 142]], np.float32)  # a box that misses the legs
    whole = garments(image, BOX)
    without = garments.similarity(whole, garments(image, half))[0, 0]
    assert garments.similarity(whole, garments(image, half, points))[0, 0] > without + 0.2


def test_a_tube_is_the_mean_of_its_frames_by_quality() -> None:
    tube = TubeDescriptor(GarmentColours())
    assert tube.vector is None and tube.similarity(tube) == 0
    tube.add(np.array([1, 0], np.float32), 1.0)
    tube.add(np.array([0, 1], np.float32), 3.0)
    tube.add(np.array([0, 1], np.float32), 0.0)
    tube.add(np.zeros(2, np.float32), 1.0)
    assert tube.vector is not None
    assert tube.vector.tolist() == [0.25, 0.75]
    assert (tube.weight, tube.frames) == (4.0, 2)
    joined = TubeDescriptor(GarmentColours())
    joined.join(tube)
    joined.add(np.array([1, 0], np.float32), 4.0)
    assert joined.vector is not None and joined.vector.tolist() == [0.625, 0.375]
    assert tube.weight == 4.0


def test_large_whole_people_in_front_are_described_best() -> None:
    boxes = np.array(
        [
            [100, 100, 180, 340],  # large and whole
            [300, 100, 320, 160],  # half as high as a good one
            [-5, 100, 60, 340],  # cut off
            [110, 60, 170, 300],  # behind the first one
        ],
        np.float32,
    )
    whole, small, cut, behind = qualities(boxes, 640, 480).tolist()
    assert whole == 1
    assert small == pytest.approx(0.5)
    assert cut == pytest.approx(0.3)
    assert behind == 0


def test_log_odds_are_bounded() -> None:
    values = log_odds(np.array([0, 0.5, 0.731, 1], np.float32))
    assert values == pytest.approx([-6, 0, 1, 6], abs=0.01)
