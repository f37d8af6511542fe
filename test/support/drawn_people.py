# SPDX-License-Identifier: Apache-2.0

"""Small drawn scenes: simple figures of a head, a coat and trousers in a still room."""

import cv2
import numpy as np

from stvg_ros.boxes import paired_iou
from stvg_ros.types import CandidateTube, Clip, Frame, SplitQuery

QUERY = SplitQuery("the person", "the person", "walks", "rules")
WIDTH, HEIGHT = 320, 240
TALL, WIDE, TOP = 80, 28, 120
RED, BLUE = (200, 30, 30), (30, 60, 210)


def room() -> np.ndarray:
    image = np.full((HEIGHT, WIDTH, 3), (150, 150, 140), np.uint8)
    image[170:] = (100, 110, 100)
    cv2.rectangle(image, (30, 20), (90, 70), (60, 60, 90), -1)
    return image


def draw(image: np.ndarray, x: float, rgb: tuple[int, int, int]) -> tuple[float, ...]:
    left = round(x)
    cv2.rectangle(image, (left, TOP + 16), (left + WIDE - 1, TOP + 46), rgb, -1)
    cv2.rectangle(image, (left + 4, TOP + 44), (left + WIDE - 5, TOP + TALL - 1), (30, 30, 40), -1)
    cv2.circle(image, (left + WIDE // 2, TOP + 9), 9, (220, 170, 140), -1)
    return (left, TOP, left + WIDE, TOP + TALL)


def scene(
    *paths: tuple[list[float], tuple[int, int, int]], count: int = 40
) -> tuple[Clip, np.ndarray]:
    """A clip at 10 Hz and the true boxes `(P, F, 4)`."""
    boxes = np.zeros((len(paths), count, 4), np.float32)
    frames = []
    for index in range(count):
        image = room()
        for who, (path, rgb) in enumerate(paths):
            boxes[who, index] = draw(image, path[index], rgb)
        frames.append(Frame(index * 100_000_000, image, WIDTH, HEIGHT))
    return Clip(tuple(frames)), boxes


def walk(start: float, end: float, count: int = 40) -> list[float]:
    return np.linspace(start, end, count).tolist()


def viou(tube: CandidateTube, boxes: np.ndarray) -> float:
    return float(np.where(tube.present, paired_iou(tube.boxes_xyxy_px, boxes), 0).mean())
