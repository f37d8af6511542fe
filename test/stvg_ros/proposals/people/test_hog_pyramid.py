# SPDX-License-Identifier: Apache-2.0

import cv2
import numpy as np
import pytest

from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import Scene
from stvg_ros.proposals.people.hog_pyramid import detect_multi_scale, grouped


@pytest.fixture(scope="module")
def hog() -> cv2.HOGDescriptor:
    found = cv2.HOGDescriptor()
    found.setSVMDetector(cv2.HOGDescriptor_getDefaultPeopleDetector())
    return found


def found(hog, image):
    return detect_multi_scale(hog, image, hit_threshold=-0.4, stride_px=8, scale=1.08)


def rows(rectangles, margins):
    return sorted(map(tuple, np.c_[np.reshape(rectangles, (-1, 4)), np.ravel(margins)].tolist()))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [(533, 400), (300, 400), (64, 128), (800, 400)])
def test_it_finds_what_opencv_finds_on_one_thread(hog, seed: int, size: tuple[int, int]) -> None:
    image = render(Scene.from_seed(seed), 40 + seed, *size)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        expected = hog.detectMultiScale(image, hitThreshold=-0.4, winStride=(8, 8), scale=1.08)
    finally:
        cv2.setNumThreads(threads)
    assert rows(*found(hog, image)) == rows(*expected)


def test_the_same_image_gives_the_same_each_time(hog) -> None:
    image = render(Scene.from_seed(3), 36, 533, 400)
    first = found(hog, image)
    assert len(first[0])
    for _ in range(15):
        again = found(hog, image)
        assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))


def test_nothing_and_groups() -> None:
    none = grouped(np.zeros((0, 4), np.int64), np.zeros(0))
    assert none[0].shape == (0, 4)
    few = np.array([[10, 10, 64, 128]] * 2)
    assert len(grouped(few, np.ones(2))[0]) == 0
    many = np.array([[10, 10, 64, 128], [12, 10, 64, 128], [14, 10, 64, 128], [300, 0, 64, 128]])
    rectangles, margins = grouped(many, np.array([0.1, 0.7, 0.2, 5.0]))
    assert rectangles.tolist() == [[12, 10, 64, 128]]
    assert margins.tolist() == [0.7]
