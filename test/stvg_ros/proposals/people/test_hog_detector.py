# SPDX-License-Identifier: Apache-2.0

"""Shapes and regions of one frame become detections."""

import cv2
import numpy as np
import pytest

from stvg_ros.proposals.people import hog_detector
from stvg_ros.proposals.people.camera_motion import working_copy
from stvg_ros.proposals.people.hog_detector import ShapeDetector, merged_detections

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


SIZES = [  # width, height
    (640, 480), (1920, 1080), (480, 854), (3840, 256), (2000, 8), (16384, 1), (1, 16384),
    (8, 2000), (1, 1), (16384, 16), (64, 4096), (4096, 100), (3, 1000), (1000, 3), (30, 400),
]  # fmt: skip


class FoundAtTheEdges:
    """Stands for OpenCV's detector: one window in each corner of the image."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()

    def __call__(
        self, hog: cv2.HOGDescriptor, image: np.ndarray, **_: object
    ) -> tuple[np.ndarray, np.ndarray]:
        self.shape = rows, columns, _ = image.shape
        return np.array([[0, 0, 64, 128], [columns - 64, rows - 128, 64, 128]]), np.ones(2)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_work_on_an_image_is_bounded_whatever_its_shape(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    copy = working_copy(image)
    assert min(copy.shape[:2]) >= 8
    assert copy.size <= 3 * 320 * 1280
    detector, found = ShapeDetector(), FoundAtTheEdges()
    monkeypatch.setattr(hog_detector, "detect_multi_scale", found)
    boxes, _ = detector(image)
    if not found.shape:  # too flat for a person of the detector's size
        assert len(boxes) == 0 and width > 40 * height
        return
    assert np.prod(found.shape) <= 3 * 3_100_000
    # Both are at their corners in the pixels of the image, without the window's margins.
    columns, rows = found.shape[1] / width, found.shape[0] / height
    expected = np.array([0.22 * 64 / columns, 0.105 * 128 / rows])
    assert np.allclose(boxes[0, :2], expected, rtol=0.02)
    assert np.allclose([width, height] - boxes[1, 2:], expected, rtol=0.02, atol=0.005 * width)


@pytest.mark.parametrize("shape", [(480, 640), (1080, 1920), (854, 480), (240, 320)])
def test_common_images_are_searched_at_the_height_of_the_detector(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, found = ShapeDetector(), FoundAtTheEdges()
    monkeypatch.setattr(hog_detector, "detect_multi_scale", found)
    detector(np.zeros((*shape, 3), np.uint8))
    assert found.shape[:2] == (hog_detector._HOG_HEIGHT_PX, round(shape[1] * 400 / shape[0]))
    assert working_copy(np.zeros((*shape, 3), np.uint8)).shape[1] == 320
