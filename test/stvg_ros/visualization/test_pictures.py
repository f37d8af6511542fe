# SPDX-License-Identifier: Apache-2.0

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stvg_lab.rendered.queries import scene_queries, scene_tube
from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import Scene
from stvg_ros.io.recording import read_frames
from stvg_ros.types import Clip, Evidence, Frame, Query, Status, Tube, TubeBox
from stvg_ros.visualization.contact_sheet import (
    WIDTH_PX,
    candidates_at,
    cell,
    contact_sheet,
    heat_at,
    outcome,
)
from stvg_ros.visualization.drawing import (
    CANDIDATE,
    PREDICTED,
    annotate_frame,
    draw_box,
    keypoints_at,
    overlay_heat,
)
from stvg_ros.visualization.movie import write_movie


def example(seed: int = 7) -> tuple[Clip, Tube, Evidence, tuple[np.ndarray, np.ndarray]]:
    scene = Scene.from_seed(seed, width=320, height=240)
    asked = next(q for q in scene_queries(scene) if q.kind == "combined" and q.target is not None)
    truth = scene_tube(scene, asked)
    frames = tuple(Frame(int(s), render(scene, k), 640, 480) for k, s in enumerate(scene.stamps_ns))
    boxes_px = truth.boxes_xyxy_px * 2
    boxes = tuple(
        TubeBox(int(s), tuple((b + 6).tolist()), 0.9)
        for s, b in zip(truth.stamps_ns[3:], boxes_px[3:], strict=True)
    )
    tube = Tube(
        Query(asked.text), Status.FOUND, boxes=boxes, start_ns=boxes[0].stamp_ns,
        end_ns=boxes[-1].stamp_ns, confidence=0.87, consistency=0.71,
    )  # fmt: skip
    sampled = np.linspace(0, len(frames) - 1, 20).round().astype(int)
    assert asked.target is not None
    grid = np.zeros((20, 12, 16), np.float32)
    for slot, index in enumerate(sampled):
        x1, y1, x2, y2 = scene.boxes_xyxy_px[asked.target, index] / 20
        ys, xs = np.mgrid[:12, :16] + 0.5
        near = np.exp(-(((xs - (x1 + x2) / 2) / 1.2) ** 2) - ((ys - (y1 + y2) / 2) / 2) ** 2)
        grid[slot] = near * (1.0 if truth.start_frame <= index < truth.end_frame else 0.25)
    evidence = Evidence(
        scene.stamps_ns[sampled], tuple((k,) for k in range(20)), grid, grid,
        grid.max((1, 2)), {0: 1.0}, "newline",
    )  # fmt: skip
    return Clip(frames), tube, evidence, (truth.stamps_ns, boxes_px)


def test_box_is_drawn_on_its_border_only() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    draw_box(image, (20, 30, 60, 80), color=PREDICTED, thickness_px=1)
    assert image[30, 40].tolist() == list(PREDICTED)
    assert image[50, 20].tolist() == list(PREDICTED)
    assert not image[50, 40].any()
    assert not image[90, 90].any()


def test_boxes_at_the_border_and_labels_do_not_fail() -> None:
    image = np.zeros((40, 60, 3), np.uint8)
    draw_box(image, (-5, -5, 70, 50), "a label wider than the image")
    assert image.any()


def test_annotation_scales_boxes_to_the_stored_image() -> None:
    frame = Frame(1, np.zeros((100, 100, 3), np.uint8), 400, 200)
    tube = Tube(Query("x"), Status.FOUND, confidence=0.5)
    image = annotate_frame(frame, tube, TubeBox(1, (80, 100, 320, 180), 1.0))
    rows, columns = np.nonzero((image == PREDICTED).all(2))
    assert (columns.min() <= 20, columns.max() >= 78, rows.max() >= 88) == (True, True, True)
    assert not frame.image.any()
    assert not annotate_frame(frame, tube, None).any()


def test_heat_is_clear_where_low_and_warm_where_high() -> None:
    image = np.full((40, 80, 3), 100, np.uint8)
    warm = overlay_heat(image, np.array([[0.0, 0.0, 0.0, 1.0]], np.float32))
    assert np.array_equal(warm[:, :20], image[:, :20])
    assert warm[20, 79, 0] > 150 > 100 > warm[20, 79, 2] - 100
    assert np.array_equal(overlay_heat(image, np.full((2, 2), np.nan, np.float32)), image)


def test_sheet_has_a_fixed_width_and_equal_calls_give_equal_pictures() -> None:
    clip, tube, evidence, truth = example()
    first = contact_sheet(clip, tube, evidence, truth=truth)
    assert first.shape[1:] == (WIDTH_PX, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, contact_sheet(clip, tube, evidence, truth=truth))
    assert not np.array_equal(first, contact_sheet(clip, tube, evidence))


def test_sheet_of_one_frame_without_an_answer() -> None:
    clip = Clip((Frame(5, np.zeros((30, 40, 3), np.uint8), 40, 30),))
    tube = Tube(Query("the person " * 40), Status.FAILED, error="no model; " * 30)
    assert contact_sheet(clip, tube).shape[1] == WIDTH_PX
    with pytest.raises(ValueError, match="frames: expected 1 or more, got 0"):
        contact_sheet(clip, tube, frames=0)


def test_candidates_are_shown_also_where_nothing_was_found() -> None:
    clip, tube, evidence, _ = example()
    stamps_ns = evidence.stamps_ns
    boxes = np.tile(np.array([64, 48, 200, 400], np.float32), (len(stamps_ns), 1))
    boxes[10:] = np.nan  # gone in the second half
    known = replace(evidence, track_boxes={4: boxes, 5: boxes + 300}, track_scores={4: 2.5, 5: 0.5})
    missing = replace(tube, status=Status.NOT_FOUND, boxes=(), warning="a limit")
    plain = contact_sheet(clip, missing, replace(known, track_boxes={}))
    sheet = contact_sheet(clip, missing, known)

    def drawn(picture: np.ndarray) -> int:
        return int((picture == CANDIDATE).all(2).sum())

    assert drawn(plain) < drawn(sheet)
    # The frames are those that the model saw; each has the candidates that are there.
    found = candidates_at(known, int(stamps_ns[2]))
    assert [score for _, score in found] == [0.5, 2.5]
    np.testing.assert_array_equal(found[1][0], boxes[2])
    assert candidates_at(known, int(stamps_ns[12])) == []
    assert candidates_at(known, int(stamps_ns[2]) + 1) == []
    size = (320, 240)
    for at, there in ((2, True), (12, False)):
        (frame,) = (one for one in clip.frames if one.stamp_ns == stamps_ns[at])
        picture = cell(frame, size, missing, origin_ns=0, evidence=known)
        assert (drawn(picture) > 0) is there
    # Evidence about frames that the clip does not have: those of the clip are shown.
    other = replace(known, stamps_ns=stamps_ns + 1)
    assert contact_sheet(clip, missing, other).shape == sheet.shape


def person(left: float, top: float) -> np.ndarray:
    """The keypoints `(17, 3)` of somebody who stands, 400 px tall, in a camera of 640 x 480."""
    x = [0, 5, -5, 10, -10, 40, -40, 50, -50, 55, -55, 30, -30, 30, -30, 30, -30]
    y = [20, 15, 15, 20, 20, 60, 60, 130, 130, 190, 190, 190, 190, 290, 290, 390, 390]
    points = np.column_stack([np.array(x) + left, np.array(y) + top, np.ones(17)])
    return points.astype(np.float32)


def test_keypoints_are_drawn_where_they_are_given() -> None:
    clip, tube, evidence, _ = example()
    points = np.stack([person(300, 40)] * 20)
    points[10:] = np.nan
    known = replace(evidence, keypoints={tube.track_id: points, 5: points + [200, 0, 0]})
    stamps_ns = [int(stamp) for stamp in evidence.stamps_ns]
    found = keypoints_at(known, tube.track_id, stamps_ns[3])
    assert found is not None
    assert np.array_equal(found, points[3])
    for track, stamp_ns in ((tube.track_id, stamps_ns[12]), (tube.track_id, 5), (9, stamps_ns[3])):
        assert keypoints_at(known, track, stamp_ns) is None
    (frame,) = (one for one in clip.frames if one.stamp_ns == stamps_ns[3])
    plain = cell(frame, (320, 240), tube, origin_ns=0, evidence=evidence)
    drawn = cell(frame, (320, 240), tube, origin_ns=0, evidence=known)
    differs = (plain != drawn).any(axis=2)
    # Half way between a shoulder and an elbow of both people, in a picture of half the size.
    for left in (300, 500):
        assert differs[(40 + 95) // 2, round((left + 45) / 2)]
    assert not differs[:, :80].any()
    assert contact_sheet(clip, tube, known).shape == contact_sheet(clip, tube, evidence).shape


def test_keypoints_of_the_annotated_image() -> None:
    frame = Frame(7, np.zeros((240, 320, 3), np.uint8), 640, 480)
    box = TubeBox(7, (200, 20, 400, 460), 1.0)
    tube = Tube(Query("x"), Status.FOUND, boxes=(box,))
    plain, drawn = (
        annotate_frame(frame, tube, box),
        annotate_frame(frame, tube, box, person(300, 40)),
    )
    assert not plain[(40 + 95) // 2, 172].any()
    assert drawn[(40 + 95) // 2, 172].any()
    hidden = person(300, 40)
    hidden[:, 2] = 0.2
    assert np.array_equal(annotate_frame(frame, tube, box, hidden), plain)


def test_outcome_in_words() -> None:
    found = Tube(Query("x"), Status.FOUND, start_ns=2_000_000_000, end_ns=3_500_000_000)
    assert outcome(found, 1_000_000_000) == "found from 1.0 s to 2.5 s, confidence 0.00"
    missing = Tube(Query("x"), Status.NOT_FOUND, confidence=0.2)
    assert outcome(missing, 0) == "not found, confidence 0.20"
    guess = replace(missing, calibrated=False)
    assert outcome(guess, 0) == "not found, confidence 0.20 (not calibrated)"
    said = replace(missing, error="nobody with: red jacket; 3 people")
    assert outcome(said, 0) == "not found, nobody with: red jacket; 3 people, confidence 0.20"


def test_heat_of_the_nearest_slot() -> None:
    maps = np.stack([np.zeros((2, 2)), np.ones((2, 2))]).astype(np.float32)
    evidence = Evidence(
        np.array([0, 10, 20, 30]), ((0, 1), (2, 3)), maps, maps, np.zeros(4, np.float32), {}, ""
    )
    assert heat_at(evidence, 12).max() <= 0 < heat_at(evidence, 19).max()


def test_movie_has_every_frame(tmp_path: Path) -> None:
    clip, tube, _, _ = example()
    assert write_movie(tmp_path / "a.mp4", clip, tube) == len(clip)
    assert len(list(read_frames(tmp_path / "a.mp4"))) == len(clip)
