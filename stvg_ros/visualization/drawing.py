# SPDX-License-Identifier: Apache-2.0

"""Boxes, labels and heat on RGB images."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.body.keypoints import SKELETON
from stvg_ros.body.track import SEEN
from stvg_ros.types import Evidence, Frame, Tube, TubeBox

Image = NDArray[np.uint8]
Rgb = tuple[int, int, int]

PREDICTED: Rgb = (255, 176, 32)
TRUE: Rgb = (64, 214, 140)
CANDIDATE: Rgb = (205, 214, 228)
INK: Rgb = (28, 33, 41)
_OVERSAMPLING = 4  # text is drawn this much larger, then averaged down
_SMALL_PX = 60.0  # height of a person from which on points are drawn as dots
_FONT = cv2.FONT_HERSHEY_DUPLEX


def text_size(text: str, height_px: float) -> tuple[int, int]:
    """Width and height that `draw_text` covers, in pixels."""
    scale = height_px / 21.0
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    return width, round(height_px * 1.4)


def draw_text(
    image: Image, text: str, origin_px: tuple[int, int], height_px: float, color: Rgb
) -> None:
    """Writes one line into `image`; `origin` is its top left, the height is that of a capital."""
    big = height_px * _OVERSAMPLING
    width, height = text_size(text, height_px)
    if not text or width < 1:
        return
    mask = np.zeros((height * _OVERSAMPLING, (width + 2) * _OVERSAMPLING), np.uint8)
    thickness = max(1, round(big / 9.5))
    # OpenCV draws only Latin letters and replaces others by question marks.
    cv2.putText(
        mask, text, (_OVERSAMPLING, round(big * 1.07)), _FONT, big / 21.0, (255,), thickness,
        cv2.LINE_AA,
    )  # fmt: skip
    small = cv2.resize(mask, (width + 2, height), interpolation=cv2.INTER_AREA)
    x, y = origin_px
    x1, y1 = max(x, 0), max(y, 0)
    x2, y2 = min(x + width + 2, image.shape[1]), min(y + height, image.shape[0])
    if x2 <= x1 or y2 <= y1:
        return
    share = small[y1 - y : y2 - y, x1 - x : x2 - x, None].astype(np.float32) / 255
    part = image[y1:y2, x1:x2].astype(np.float32)
    image[y1:y2, x1:x2] = np.round(part + share * (np.array(color) - part)).astype(np.uint8)


def draw_box(
    image: Image,
    box_xyxy_px: tuple[float, float, float, float],
    label: str = "",
    color: Rgb = PREDICTED,
    thickness_px: int = 0,
) -> None:
    """Draws a box with an optional label above it (inside, where there is no room).

    Args:
        image: `(h, w, 3)` RGB uint8, changed in place.
        box_xyxy_px: in pixels of `image`.
        label: short text on a plate of the same colour.
        color: RGB.
        thickness_px: 0 chooses it from the image's size.
    """
    height, width = image.shape[:2]
    thickness = thickness_px or max(2, round(height / 200))
    x1, y1, x2, y2 = (round(float(v)) for v in box_xyxy_px)
    cv2.rectangle(image, (x1, y1), (x2 - 1, y2 - 1), color, thickness)
    if label:
        letter = max(9.0, height / 42)
        wide, high = text_size(label, letter)
        pad = round(letter / 3)
        top = y1 - high - pad if y1 - high - pad >= 0 else max(y1, 0)
        left = min(max(x1 - thickness // 2, 0), max(0, width - wide - 2 * pad))
        cv2.rectangle(image, (left, top), (left + wide + 2 * pad, top + high + pad), color, -1)
        draw_text(image, label, (left + pad, top + pad), letter, INK)


def annotate_frame(
    frame: Frame,
    tube: Tube,
    box: TubeBox | None,
    keypoints: NDArray[np.float32] | None = None,
) -> Image:
    """A copy of the frame's stored image with the box of the tube, if it has one here.

    Args:
        frame: the image.
        tube: whose confidence is written.
        box: of the tube in this frame.
        keypoints: `(17, 3)` of the person in this frame, see `Evidence.keypoints`; drawn if given.
    """
    image: Image = np.array(frame.image, np.uint8, order="C")
    height, width = image.shape[:2]
    if box is not None:
        x_scale, y_scale = width / frame.source_width_px, height / frame.source_height_px
        x1, y1, x2, y2 = box.box_xyxy_px
        scaled = (x1 * x_scale, y1 * y_scale, x2 * x_scale, y2 * y_scale)
        draw_box(image, scaled, f"{tube.confidence:.2f}")
        if keypoints is not None:
            draw_keypoints(image, keypoints * np.array([x_scale, y_scale, 1], np.float32))
    return image


def keypoints_at(evidence: Evidence, track: int, stamp_ns: int) -> NDArray[np.float32] | None:
    """`(17, 3)` keypoints of a tube in the frame of a stamp; None if there are none."""
    known = evidence.keypoints.get(track)
    rows = np.flatnonzero(evidence.stamps_ns == stamp_ns)
    if known is None or not len(rows) or np.isnan(known[rows[0]]).any():
        return None
    return np.asarray(known[rows[0]], np.float32)


def seen_lines(keypoints: NDArray[np.float32]) -> list[tuple[int, int]]:
    """The lines of a person's drawing, as pairs of points `(17, 3)`, both of which are seen."""
    seen = (keypoints[:, 2] >= SEEN) & np.isfinite(keypoints).all(axis=1)
    return [(first, last) for first, last in SKELETON if seen[first] and seen[last]]


def caption(image: Image, text: str, color: Rgb = (255, 255, 255)) -> None:
    """Writes `text` on a dark strip along the lower edge of `image`, in place."""
    letter = max(9.0, image.shape[0] / 42)
    while len(text) > 4 and text_size(text, letter)[0] > image.shape[1] - 16:
        text = text[:-4].rstrip() + "..."
    strip = round(letter * 2.1)
    part = image[-strip:].astype(np.float32)
    image[-strip:] = (part * 0.35 + np.array(INK) * 0.65).astype(np.uint8)
    draw_text(image, text, (8, image.shape[0] - strip + round(letter * 0.4)), letter, color)


def overlay_heat(image: Image, heat: NDArray[np.float32], strength: float = 0.55) -> Image:
    """A copy of `image` under a heat map: clear where it is low, warm where it is high.

    Args:
        image: `(h, w, 3)` RGB uint8.
        heat: `(rows, columns)` values from 0 (low) to 1 (high); others are clipped, NaN is 0.
        strength: opacity at 1.
    """
    height, width = image.shape[:2]
    clean = np.clip(np.nan_to_num(heat.astype(np.float32)), 0, 1)
    smooth = np.clip(cv2.resize(clean, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    bgr = cv2.applyColorMap(np.round(60 + 195 * smooth).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opacity = (strength * np.clip((smooth - 0.15) / 0.6, 0, 1))[..., None]
    mixed = image + opacity * (bgr[..., ::-1].astype(np.float32) - image)
    return np.asarray(np.round(mixed), np.uint8)


def draw_keypoints(image: Image, keypoints: NDArray[np.float32], thickness_px: int = 2) -> None:
    """Draws the keypoints of a person that are seen, and the lines between them.

    Args:
        image: `(h, w, 3)` RGB uint8, changed in place.
        keypoints: `(17, 3)` x and y in pixels of `image`, visibility from 0 to 1.
        thickness_px: of the lines, at most; less for small people, whose points are then no dots.
            Lines of the person's own left are drawn in another colour.
    """
    fixed = np.round(np.nan_to_num(keypoints[:, :2])).astype(int)
    seen = np.flatnonzero(keypoints[:, 2] >= SEEN)
    reach_px = float(np.ptp(keypoints[seen, :2], axis=0).max()) if len(seen) else 0.0
    thickness_px = min(thickness_px, max(1, round(reach_px / _SMALL_PX)))
    for first, last in seen_lines(keypoints):
        colour = TRUE if first % 2 and last % 2 else PREDICTED
        ends = fixed[first].tolist(), fixed[last].tolist()
        cv2.line(image, *ends, colour, thickness_px, cv2.LINE_AA)
    for point in seen if reach_px > _SMALL_PX else ():
        cv2.circle(image, fixed[point].tolist(), thickness_px + 1, INK, -1, cv2.LINE_AA)
