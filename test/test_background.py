"""Background and what differs from it, on pictures of a few rectangles."""

import numpy as np

from stvg_ros.proposals.background import Background, moving_regions, people_at, standing_places

NONE = np.zeros((0, 4), np.float32)
PLACE = np.array([[100, 40, 130, 120]], np.float32)


def picture(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    image = np.full((160, 320, 3), 120, np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = (220, 40, 40)
    return image


def test_the_median_stays_in_bytes_whatever_the_length() -> None:
    images = [np.full((4, 4, 3), value, np.uint8) for value in (9, 9, 9, 200, 9)] * 100
    background = Background.of(images)
    assert background.image.dtype == np.uint8 and (background.image == 9).all()


def test_who_comes_is_a_region_and_who_left_is_a_ghost() -> None:
    box = (100, 40, 130, 120)
    moving, ghosts = moving_regions(picture(box), Background(picture()), 20)
    assert np.abs(moving - box).max() <= 3 and len(ghosts) == 0
    moving, ghosts = moving_regions(picture(), Background(picture(box)), 20)
    assert len(moving) == 0 and np.abs(ghosts - box).max() <= 3


def test_low_and_wide_regions_are_no_people() -> None:
    moving, ghosts = moving_regions(picture((100, 40, 200, 60)), Background(picture()), 10)
    assert len(moving) == len(ghosts) == 0
    moving, _ = moving_regions(picture((100, 40, 110, 55)), Background(picture()), 30)
    assert len(moving) == 0


def test_a_place_needs_several_ghosts_that_agree() -> None:
    assert len(standing_places(NONE, [PLACE] * 4)) == 0
    assert np.array_equal(standing_places(NONE, [PLACE] * 5), PLACE)


def test_a_recognised_shape_is_the_better_place() -> None:
    shape = PLACE + np.array([2, 2, -2, -2], np.float32)
    assert np.array_equal(standing_places(shape, [PLACE] * 5), shape)


def test_who_stands_in_the_background_is_there_until_the_place_changes() -> None:
    background = Background(picture((100, 40, 130, 120)))
    assert np.array_equal(people_at(background.image, background, NONE, PLACE), PLACE)
    assert len(people_at(picture(), background, NONE, PLACE)) == 0


def test_parts_of_one_who_moves_in_place_are_one_box() -> None:
    background = Background(picture((100, 40, 130, 120)))
    parts = np.array([[125, 30, 150, 60], [100, 100, 120, 125]], np.float32)
    whole = people_at(picture((125, 30, 150, 60)), background, parts, PLACE)
    assert whole.tolist() == [[100, 30, 150, 125]]
    passer = np.array([[90, 40, 120, 125]], np.float32)  # as tall as a person: another one
    assert people_at(picture(), background, passer, PLACE).tolist() == (passer.tolist())
