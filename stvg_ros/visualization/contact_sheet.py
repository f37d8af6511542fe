# SPDX-License-Identifier: Apache-2.0

"""The contact sheet: one picture with the query, the answer and the evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import RecordingError
from stvg_ros.types import Clip, Evidence, Frame, Status, Tube
from stvg_ros.visualization.drawing import (
    CANDIDATE,
    PREDICTED,
    TRUE,
    Image,
    Rgb,
    draw_box,
    draw_keypoints,
    draw_text,
    keypoints_at,
    overlay_heat,
    text_size,
)

WIDTH_PX = 1440
COLUMNS = 4
_MARGIN = 36
_GAP = 14
_PAPER: Rgb = (250, 250, 248)
_TEXT: Rgb = (32, 36, 44)
_SOFT: Rgb = (120, 127, 138)
_GRID: Rgb = (226, 228, 231)
_PANEL: Rgb = (241, 242, 243)
_PREDICTED_DARK: Rgb = (214, 132, 0)
_TRUE_DARK: Rgb = (24, 150, 92)

TrueBoxes = tuple[NDArray[np.int64], NDArray[np.float32]]


def contact_sheet(
    clip: Clip,
    tube: Tube,
    evidence: Evidence | None = None,
    *,
    truth: TrueBoxes | None = None,
    frames: int = 12,
) -> Image:
    """Frames with attention, candidates and boxes above a time line of scores and spans.

    With evidence the frames are those that the model saw. Each has the candidate tubes with their
    scores, also where nothing was found.

    Args:
        clip: the frames that were grounded.
        tube: the answer.
        evidence: its attention maps, frame scores and candidates, if known.
        truth: stamps `(N,)` ns and boxes `(N, 4)` in camera pixels of the true tube, if known.
        frames: number of frames shown, evenly spaced over the clip.

    Returns:
        `(height, WIDTH_PX, 3)` RGB uint8; equal arguments give equal pictures.

    Raises:
        ValueError: `frames` is not positive.
    """
    if frames < 1:
        raise ValueError(f"frames: expected 1 or more, got {frames}")
    count = min(frames, len(clip))
    shown = np.unique(np.linspace(0, len(clip) - 1, count).round().astype(int))
    if evidence is not None:
        seen = np.flatnonzero(np.isin(clip.stamps_ns, evidence.stamps_ns))
        if len(seen):
            places = np.linspace(0, len(seen) - 1, min(frames, len(seen))).round().astype(int)
            shown = seen[np.unique(places)]
    columns = min(COLUMNS, len(shown))
    cell_width = (WIDTH_PX - 2 * _MARGIN - (COLUMNS - 1) * _GAP) // COLUMNS
    width, height = clip.size_px
    cell_height = min(max(1, round(cell_width * height / width)), 2 * cell_width)
    rows = -(-len(shown) // columns)
    top = 134
    grid_height = rows * (cell_height + _GAP)
    sheet = np.full((top + grid_height + 250, WIDTH_PX, 3), _PAPER, np.uint8)
    legend_px = _legend(sheet, evidence, truth)
    _title(sheet, tube, clip.frames[0].stamp_ns, legend_px)
    for place, index in enumerate(shown):
        x = _MARGIN + place % columns * (cell_width + _GAP)
        y = top + place // columns * (cell_height + _GAP)
        sheet[y : y + cell_height, x : x + cell_width] = cell(
            clip.frames[index],
            (cell_width, cell_height),
            tube,
            origin_ns=clip.frames[0].stamp_ns,
            evidence=evidence,
            truth=truth,
        )
    _time_line(sheet, top + grid_height + 14, clip, tube, evidence, truth)
    return sheet


def outcome(tube: Tube, origin_ns: int) -> str:
    """The outcome of the command in one line; times relative to `origin_ns`."""
    sure = f"confidence {tube.confidence:.2f}{'' if tube.calibrated else ' (not calibrated)'}"
    if tube.status == Status.FOUND:
        start_s, end_s = (tube.start_ns - origin_ns) / 1e9, (tube.end_ns - origin_ns) / 1e9
        text = f"found from {start_s:.1f} s to {end_s:.1f} s, {sure}"
        return text if np.isnan(tube.consistency) else f"{text}, consistency {tube.consistency:.2f}"
    if tube.status == Status.NOT_FOUND:
        return f"not found, {tube.error}, {sure}" if tube.error else f"not found, {sure}"
    return f"failed: {tube.error}"


def _fitted(text: str, letter: float, width_px: int) -> str:
    """`text`, cut to a width."""
    while len(text) > 4 and text_size(text, letter)[0] > width_px:
        text = text[:-4].rstrip() + "..."
    return text


def _title(sheet: Image, tube: Tube, origin_ns: int, legend_px: int) -> None:
    """Query, outcome left of the legend, and warning."""
    room = WIDTH_PX - 2 * _MARGIN
    draw_text(sheet, _fitted(f'"{tube.query.text}"', 23, room), (_MARGIN, 26), 23, _TEXT)
    line, left_px = outcome(tube, origin_ns), legend_px - _MARGIN - 20
    if text_size(line, 15)[0] > left_px:  # whole parts only: the report has all of them
        line = line.rpartition(", consistency")[0] or line
    draw_text(sheet, _fitted(line, 15, left_px), (_MARGIN, 82), 15, _SOFT)
    if tube.warning:
        draw_text(sheet, _fitted(tube.warning, 13, room), (_MARGIN, 108), 13, _PREDICTED_DARK)


def _legend(
    sheet: Image,
    evidence: Evidence | None,
    truth: TrueBoxes | None,
) -> int:
    """Draws the legend, right-aligned above the grid; returns its left end in px."""
    keys: list[tuple[str, Rgb]] = [("predicted", PREDICTED)]
    if truth is not None:
        keys.append(("true", TRUE))
    if evidence is not None:
        count = len(evidence.track_scores)
        keys.append((f"{count or 'no'} candidate{'' if count == 1 else 's'}, score", CANDIDATE))
    x, y = WIDTH_PX - _MARGIN, 84
    for name, color in reversed(keys):
        x -= text_size(name, 14)[0]
        draw_text(sheet, name, (x, y), 14, _SOFT)
        x -= 24
        cv2.rectangle(sheet, (x, y + 1), (x + 15, y + 16), color, 3)
        x -= 26
    if evidence is not None:
        name = "attention"
        x -= text_size(name, 14)[0]
        draw_text(sheet, name, (x, y), 14, _SOFT)
        bar = np.linspace(0.2, 1, 54, dtype=np.float32)[None].repeat(16, 0)
        x -= 62
        sheet[y + 1 : y + 17, x : x + 54] = overlay_heat(
            np.full((16, 54, 3), _PAPER, np.uint8), bar, 0.9
        )
    return x


def cell(
    frame: Frame,
    size_px: tuple[int, int],
    tube: Tube,
    *,
    origin_ns: int,
    evidence: Evidence | None = None,
    truth: TrueBoxes | None = None,
) -> Image:
    """One frame with its attention, boxes and time.

    Args:
        frame: the frame to draw.
        size_px: width and height of the picture.
        tube: its boxes at the frame's stamp are drawn.
        origin_ns: the stamp shown as 0 s.
        evidence: of the tube, if known; candidates, with their keypoints if it has some, are drawn
            at the frames that the model saw.
        truth: as in `contact_sheet`.
    """
    shrinks = size_px[0] < frame.image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(frame.image, size_px, interpolation=how), np.uint8)
    if evidence is not None:
        picture = overlay_heat(picture, heat_at(evidence, frame.stamp_ns))
    scale = np.array(size_px * 2) / np.array(
        (frame.source_width_px, frame.source_height_px) * 2, np.float64
    )

    def draw(box: object, color: Rgb, thickness_px: int, label: str = "") -> None:
        x1, y1, x2, y2 = (np.asarray(box, np.float64) * scale).tolist()
        draw_box(picture, (x1, y1, x2, y2), label, color, thickness_px)

    for other, score in [] if evidence is None else candidates_at(evidence, frame.stamp_ns):
        draw(other, CANDIDATE, 1, f"{score:.2f}")
    if truth is not None:
        for row in np.flatnonzero(truth[0] == frame.stamp_ns):
            draw(truth[1][row], TRUE, 2)
    if evidence is not None:
        _draw_people(picture, evidence, frame.stamp_ns, tube.track_id, scale)
    mine = [box for box in tube.boxes if box.stamp_ns == frame.stamp_ns]
    for box in mine:
        draw(box.box_xyxy_px, PREDICTED, 3)
    _stamp(picture, (frame.stamp_ns - origin_ns) / 1e9, bool(mine))
    return picture


def _draw_people(
    picture: Image, evidence: Evidence, stamp_ns: int, chosen: int, scale: NDArray[np.float64]
) -> None:
    """The keypoints of all candidates in a frame, if there are some; bolder for the chosen one."""
    for track in evidence.keypoints:
        points = keypoints_at(evidence, track, stamp_ns)
        if points is not None:
            shown = points * np.array([*scale[:2], 1], np.float32)
            draw_keypoints(picture, shown, 2 if track == chosen else 1)


def _stamp(picture: Image, time_s: float, inside: bool) -> None:
    """The time in the lower left corner; amber inside the predicted span."""
    label = f"{time_s:.1f} s"
    width, height = text_size(label, 12)
    y = picture.shape[0] - height - 10
    plate = picture[y:, : width + 18].astype(np.float32)
    plate += 0.8 * (np.array(PREDICTED if inside else (24, 28, 34)) - plate)
    picture[y:, : width + 18] = plate.astype(np.uint8)
    draw_text(picture, label, (9, y + 6), 12, _TEXT if inside else (255, 255, 255))


def candidates_at(evidence: Evidence, stamp_ns: int) -> list[tuple[NDArray[np.float32], float]]:
    """Boxes `(4,)` in camera pixels and scores of the candidates at a sampled frame, best last."""
    found = [
        (boxes[row], evidence.track_scores[track])
        for track, boxes in evidence.track_boxes.items()
        for row in np.flatnonzero(evidence.stamps_ns == stamp_ns)
        if np.isfinite(boxes[row]).all()
    ]
    return sorted(found, key=lambda item: item[1])


def heat_at(evidence: Evidence, stamp_ns: int) -> NDArray[np.float32]:
    """`(h, w)` spatial attention of the slot nearest in time, 0 to 1 over the whole clip."""
    sampled = int(np.argmin(np.abs(evidence.stamps_ns - stamp_ns)))
    slot = next((k for k, members in enumerate(evidence.slots) if sampled in members), 0)
    low, high = np.nanpercentile(evidence.spatial, (50, 99.7))
    return np.asarray((evidence.spatial[slot] - low) / max(float(high - low), 1e-12), np.float32)


def _time_line(
    sheet: Image,
    top: int,
    clip: Clip,
    tube: Tube,
    evidence: Evidence | None,
    truth: TrueBoxes | None,
) -> None:
    """The curve of frame scores, the spans below it, and an axis in seconds."""
    origin_ns = clip.frames[0].stamp_ns
    length_ns = max(1, clip.frames[-1].stamp_ns - origin_ns)
    left, right = _MARGIN + 110, WIDTH_PX - _MARGIN
    curve, base = top + 6, top + 122

    def x_of(stamp_ns: float) -> float:
        return left + (stamp_ns - origin_ns) / length_ns * (right - left)

    cv2.rectangle(sheet, (left, curve), (right, base), _PANEL, -1)
    draw_text(sheet, "score", (_MARGIN, (curve + base) // 2 - 10), 14, _SOFT)
    step_s = next(s for s in (0.1, 0.5, 1, 2, 5, 10, 30, 60, 600, 1e9) if length_ns / 1e9 / s <= 14)
    for tick in np.arange(0, length_ns / 1e9 + 1e-6, step_s):
        x = round(x_of(origin_ns + tick * 1e9))
        cv2.line(sheet, (x, curve), (x, base + 74), _GRID, 1)
        label = f"{tick:g} s"
        draw_text(sheet, label, (x - text_size(label, 13)[0] // 2, base + 80), 13, _SOFT)
    if tube.status == Status.FOUND:
        x1, x2 = round(x_of(tube.start_ns)), round(x_of(tube.end_ns))
        part = sheet[curve:base, x1 : x2 + 1].astype(np.float32)
        part += 0.16 * (np.array(PREDICTED) - part)
        sheet[curve:base, x1 : x2 + 1] = part.astype(np.uint8)
    if evidence is not None:
        _curve(sheet, evidence, (curve, base), x_of)
    row = base + 14
    spans: list[tuple[str, tuple[int, int] | None, Rgb, Rgb]] = []
    found = (tube.start_ns, tube.end_ns) if tube.status == Status.FOUND else None
    spans.append(("predicted", found, PREDICTED, _PREDICTED_DARK))
    if truth is not None:
        true = (int(truth[0][0]), int(truth[0][-1])) if len(truth[0]) else None
        spans.append(("true", true, TRUE, _TRUE_DARK))
    for name, span, color, dark in spans:
        draw_text(sheet, name, (_MARGIN, row), 14, dark)
        cv2.line(sheet, (left, row + 9), (right, row + 9), _GRID, 1)
        if span is None:
            draw_text(sheet, "none", (left + 8, row), 14, _SOFT)
        else:
            x1, x2 = round(x_of(span[0])), round(x_of(span[1]))
            cv2.rectangle(sheet, (x1, row + 1), (max(x2, x1 + 3), row + 17), color, -1)
        row += 30


def _curve(
    sheet: Image, evidence: Evidence, rows: tuple[int, int], x_of: Callable[[float], float]
) -> None:
    """S_frame as a smooth line with a dot for each sampled frame."""
    known = np.isfinite(evidence.frame_scores)
    if not known.any():
        return
    scores = evidence.frame_scores[known].astype(np.float64)
    peak, floor = float(scores.max()), min(float(scores.min()), 0.0)
    top, base = rows[0] + 12, rows[1] - 4
    heights = (scores - floor) / max(peak - floor, 1e-12)
    points = [
        (x_of(float(stamp)), base - height * (base - top))
        for stamp, height in zip(evidence.stamps_ns[known], heights, strict=True)
    ]
    fixed = np.round(np.array(points) * 16).astype(np.int32)
    cv2.polylines(sheet, [fixed], False, _TEXT, 2, cv2.LINE_AA, 4)
    for x, y in fixed:
        cv2.circle(sheet, (int(x), int(y)), 4 * 16, _TEXT, -1, cv2.LINE_AA, 4)


def write_png(path: Path | str, image: Image) -> None:
    """Writes an RGB image as PNG.

    Raises:
        RecordingError: the file cannot be written.
    """
    _, data = cv2.imencode(".png", image[..., ::-1])
    try:
        Path(path).write_bytes(data.tobytes())
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error})") from error
