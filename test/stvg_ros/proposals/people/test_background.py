# SPDX-License-Identifier: Apache-2.0

"""Background and what differs from it, on pictures of a few rectangles."""

import numpy as np

from stvg_ros.proposals.people.background import (
    BackgroundModel,
    Regions,
    moving_regions,
    people_at,
    standing_places,
)

NONE = np.zeros((0, 4), np.float32)
PLACE = np.array([[100, 40, 130, 120]], np.float32)


def picture(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    image = np.full((160, 320, 3), 120, np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = (220, 40, 40)
    return image


def test_the_median_stays_in_bytes_whatever_the_length() -> None:
    images = [np.full((4, 4, 3), value, np.uint8) for value in (9, 9, 9, 200, 9)] * 100
    background = BackgroundModel.of(images)
    assert background.image.dtype == np.uint8 and (background.image == 9).all()


def test_who_comes_is_a_region_and_who_left_is_a_ghost() -> None:
    box = (100, 40, 130, 120)
    regions = moving_regions(picture(box), BackgroundModel(picture()), 20)
    assert np.abs(regions.people - box).max() <= 3
    assert len(regions.ghosts) == len(regions.parts) == 0
    regions = moving_regions(picture(), BackgroundModel(picture(box)), 20)
    assert np.abs(regions.ghosts - box).max() <= 3
    assert len(regions.people) == len(regions.parts) == 0


def test_low_and_wide_regions_are_parts_at_most() -> None:
    for box in ((100, 40, 200, 60), (100, 40, 110, 55)):
        regions = moving_regions(picture(box), BackgroundModel(picture()), 30)
        assert len(regions.people) == len(regions.ghosts) == 0
        assert np.abs(regions.parts - box).max() <= 3
    regions = moving_regions(picture((100, 40, 102, 41)), BackgroundModel(picture()), 30)
    assert len(regions.parts) == 0  # a few pixels


def test_a_place_needs_several_ghosts_that_agree() -> None:
    assert len(standing_places(NONE, [PLACE] * 4)) == 0
    assert np.array_equal(standing_places(NONE, [PLACE] * 5), PLACE)


def test_a_recognised_shape_is_the_better_place() -> None:
    shape = PLACE + np.array([2, 2, -2, -2], np.float32)
    assert np.array_equal(standing_places(shape, [PLACE] * 5), shape)


def test_a_place_is_slim_and_no_part_of_a_better_one() -> None:
    wide = np.array([[100, 40, 160, 120]], np.float32)
    assert len(standing_places(NONE, [wide] * 5)) == 0
    part = np.array([[110, 50, 125, 90]], np.float32)
    assert np.array_equal(standing_places(PLACE, [part] * 5), PLACE)


def test_who_stands_in_the_background_is_there_until_the_place_changes() -> None:
    background = BackgroundModel(picture((100, 40, 130, 120)))
    boxes, places = people_at(background.image, background, Regions(), PLACE)
    assert np.array_equal(boxes, PLACE) and places.tolist() == [0]
    boxes, places = people_at(picture(), background, Regions(), PLACE)
    assert len(boxes) == len(places) == 0


def test_parts_of_one_who_moves_in_place_are_one_box() -> None:
    background = BackgroundModel(picture((100, 40, 130, 120)))
    region = np.array([[125, 30, 150, 60]], np.float32)
    part = np.array([[100, 100, 120, 125], [300, 10, 310, 20]], np.float32)
    boxes, places = people_at(
        picture((125, 30, 150, 60)), background, Regions(people=region, parts=part), PLACE
    )
    assert boxes.tolist() == [[100, 30, 150, 125]] and places.tolist() == [0]


def test_who_passes_a_place_is_another_one() -> None:
    background = BackgroundModel(picture((100, 40, 130, 120)))
    passer = np.array([[90, 40, 120, 125]], np.float32)
    boxes, places = people_at(picture(), background, Regions(people=passer), PLACE)
    assert np.array_equal(boxes, passer) and places.tolist() == [-1]
