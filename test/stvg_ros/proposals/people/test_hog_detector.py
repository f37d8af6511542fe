# SPDX-License-Identifier: Apache-2.0

"""Shapes and regions of one frame become detections."""

import numpy as np

from stvg_ros.proposals.people.hog_detector import merged_detections

IMAGE = np.full((240, 320, 3), 90, np.uint8)


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def shapes(*rows: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    return boxes(*rows), np.full(len(rows), 0.8, np.float32)


def test_nothing_gives_nothing() -> None:
    seen = merged_detections(IMAGE, boxes(), None)
    assert len(seen.boxes_xyxy_px) == len(seen.colours) == len(seen.scores) == 0


def test_a_shape_wins_over_its_region_and_takes_its_place() -> None:
    moving = boxes((10, 10, 40, 90), (200, 10, 230, 90))
    seen = merged_detections(IMAGE, moving, shapes((12, 12, 42, 92)), np.array([2, -1]))
    assert seen.boxes_xyxy_px.tolist() == [[12, 12, 42, 92], [200, 10, 230, 90]]
    assert seen.is_person.tolist() == [True, False]
    assert [seen.place(index) for index in range(2)] == [2, -1]


def test_a_small_shape_inside_one_who_moves_at_a_place_is_a_part() -> None:
    whole = boxes((10, 10, 60, 90))
    part = shapes((20, 20, 40, 60))
    seen = merged_detections(IMAGE, whole, part, np.array([0]))
    assert seen.boxes_xyxy_px.tolist() == whole.tolist()
    seen = merged_detections(
        IMAGE, whole, part, np.array([-1])
    )  # of a region it is the person in it
    assert seen.is_person.tolist() == [True, False]
