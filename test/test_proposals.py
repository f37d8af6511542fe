"""Candidate tubes of the classical source, on small exact cases and on rendered scenes."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.boxes import paired_iou
from stvg_ros.config import ProposalConfig
from stvg_ros.evaluation.synthetic.render import render
from stvg_ros.evaluation.synthetic.scene import Scene
from stvg_ros.proposals.classical import ClassicalProposer
from stvg_ros.proposals.detection import Detections, distinct
from stvg_ros.proposals.tracking import Tracker, appearance
from stvg_ros.types import Clip, Frame, SplitQuery

QUERY = SplitQuery("the person", "the person", "the person", "rules")


def found(boxes, scores) -> Detections:
    return Detections(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32))


def rendered(seed: int, source: int = 1) -> tuple[Scene, Clip]:
    scene = Scene.from_seed(seed, people=2, duration_s=4.0, difficulty=0.2)
    frames = tuple(
        Frame(int(ns), render(scene, index), 640 * source, 480 * source)
        for index, ns in enumerate(scene.stamps_ns)
    )
    return scene, Clip(frames)


def test_an_empty_scene_gives_no_tubes():
    grey = np.full((120, 160, 3), 90, np.uint8)
    clip = Clip(tuple(Frame(i * 100_000_000, grey, 160, 120) for i in range(5)))
    assert ClassicalProposer(ProposalConfig()).propose(clip, QUERY) == ()


def test_one_image_is_a_clip_too():
    clip = Clip((Frame(0, np.zeros((48, 64, 3), np.uint8), 64, 48),))
    assert ClassicalProposer(ProposalConfig()).propose(clip, QUERY) == ()


def test_people_of_a_rendered_scene_become_tubes_in_camera_pixels():
    scene, clip = rendered(1001, source=2)
    proposer = ClassicalProposer(ProposalConfig())
    tubes = proposer.propose(clip, QUERY)
    best = [
        max(float((paired_iou(2 * true, t.boxes_xyxy_px) * t.present).mean()) for t in tubes)
        for true in scene.boxes_xyxy_px
    ]
    assert min(best) > 0.5
    assert all(t.boxes_xyxy_px.min() >= 0 and t.boxes_xyxy_px.max() <= 1280 for t in tubes)
    again = proposer.propose(clip, QUERY)
    assert all(np.array_equal(a.boxes_xyxy_px, b.boxes_xyxy_px) for a, b in zip(tubes, again))
    assert all(t.interpolated.any() and not t.interpolated.all() for t in tubes)


def test_of_two_that_overlap_the_better_detection_stays():
    kept = distinct(found([[0, 0, 10, 20], [1, 0, 11, 20], [30, 0, 40, 20]], [0.6, 0.9, 0.4]))
    assert kept.scores.tolist() == pytest.approx([0.9, 0.4])


def test_high_scores_are_linked_before_low_ones():
    image = np.zeros((50, 100, 3), np.uint8)
    tracker = Tracker(10)
    tracker.update(0, image, found([[10, 10, 20, 40]], [0.9]))
    tracker.update(1, image, found([[10, 10, 20, 40], [12, 10, 22, 40]], [0.4, 0.9]))
    assert len(tracker.tracks) == 1
    assert tracker.tracks[0].boxes[1].tolist() == [12, 10, 22, 40]


def test_two_who_cross_keep_their_identity_by_looks():
    tracker = Tracker(10)
    for step in range(21):
        image = np.full((60, 220, 3), 128, np.uint8)
        boxes = [[10 * step, 10, 10 * step + 16, 50], [200 - 10 * step, 10, 216 - 10 * step, 50]]
        for box, colour in zip(boxes, ((255, 0, 0), (0, 0, 255)), strict=True):
            image[box[1] : box[3], box[0] : box[2]] = colour
        tracker.update(
            step, image, found(boxes if step != 10 else boxes[1:], [0.9, 0.8][: 2 - (step == 10)])
        )
    assert len(tracker.tracks) == 2
    first, second = tracker.tracks
    assert first.boxes[-1][0] == 200
    assert second.boxes[-1][0] == 0


def test_looks_are_a_distribution_even_outside_the_image():
    image = np.zeros((10, 10, 3), np.uint8)
    for box in ([0, 0, 5, 10], [50, 50, 60, 70]):
        assert appearance(image, np.array(box, np.float32)).sum() == pytest.approx(1)
