# SPDX-License-Identifier: Apache-2.0

"""Cameras do not share the state of their views, and views go with their frames."""

import gc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from drawn_people import HEIGHT, QUERY, RED, WIDTH, room, scene, walk

from stvg_ros.proposals.people.classical import ClassicalProposer
from stvg_ros.proposals.people.views import View, Views
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Clip, Frame

COUNT = 40


def frames_of(name: str, offset_s: float, frame_id: str = "camera", width: int = 64) -> list[Frame]:
    """40 images at 10 Hz of one camera."""
    image = np.zeros((48, 64, 3), np.uint8)
    return [
        Frame(round((i * 0.1 + offset_s) * 1e9), image.copy(), width, 48, frame_id, stream=name)
        for i in range(COUNT)
    ]


def turns(*cameras: list[Frame]) -> Iterator[tuple[int, Frame]]:
    for frames in zip(*cameras, strict=True):
        yield from enumerate(frames)


CAMERAS = {
    "named, apart in time": [("front", 0.0, "c", 64), ("rear", 0.03, "c", 64)],
    "named, triggered together": [("front", 0.0, "c", 64), ("rear", 0.0, "c", 64)],
    "named, three": [("a", 0.0, "c", 64), ("b", 0.01, "c", 64), ("d", 0.02, "c", 64)],
    "sessions of a server": [("robot1/s", 0.0, "c", 64), ("robot2/s", 0.05, "c", 64)],
    "one stream, other frame_ids": [("", 0.0, "left", 64), ("", 0.0, "right", 64)],
    "one stream, other frame_ids, apart": [("", 0.0, "left", 64), ("", 0.04, "right", 64)],
    "one stream, other sizes": [("", 0.0, "c", 64), ("", 0.02, "c", 128)],
    "unnamed, triggered together": [("", 0.0, "c", 64), ("", 0.0, "c", 64)],
    "unnamed, three together": [("", 0.0, "c", 64)] * 3,
    "unnamed, without frame_id": [("", 0.0, "", 64)] * 2,
    "far apart clocks": [("a", 0.0, "c", 64), ("b", 1e9, "c", 64)],
    "unnamed, the second one behind": [("", 1000.0, "c", 64), ("", 0.0, "c", 64)],
}


@pytest.mark.parametrize("name", CAMERAS)
def test_each_camera_has_a_view_of_its_own(name: str) -> None:
    views = Views()
    cameras = [frames_of(*camera) for camera in CAMERAS[name]]
    found: list[list[View]] = [[] for _ in cameras]
    for index, frame in turns(*cameras):
        found[index].append(views.of(frame))
    assert [len(set(of_camera)) for of_camera in found] == [1] * len(cameras)
    assert len(views) == len(cameras)


@pytest.mark.parametrize("name", CAMERAS)
def test_each_camera_is_searched_for_people_as_often(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    monkeypatch.setattr(
        "stvg_ros.proposals.people.hog_detector.ShapeDetector.__call__", lambda *_: nobody
    )
    proposer = ClassicalProposer(ProposalConfig())
    cameras = [frames_of(*camera) for camera in CAMERAS[name]]
    searched = [0] * len(cameras)
    for index, frame in turns(*cameras):
        searched[index] += proposer._observation(frame).shapes is not None
    assert searched == [COUNT // 4] * len(cameras)


def test_views_go_with_the_frames_that_were_observed() -> None:
    proposer = ClassicalProposer(ProposalConfig())
    image = room()
    for session in range(20):
        frames = [
            Frame(i, image.copy(), WIDTH, HEIGHT, "camera", stream=f"robot/{session}")
            for i in range(3)
        ]
        for frame in frames:
            proposer.observe(frame)
        assert len(proposer._views) == 1
        del frames, frame
        gc.collect()
    assert len(proposer._views) == 0


def test_a_clip_does_not_depend_on_another_one_asked_before() -> None:
    clip, _ = scene((walk(20, 270), RED))
    (alone,) = ClassicalProposer(ProposalConfig()).propose(clip, QUERY)
    proposer = ClassicalProposer(ProposalConfig())
    before, _ = scene((walk(200, 20, 7), RED), count=7)
    proposer.propose(before, QUERY)
    del before
    (after,) = proposer.propose(clip, QUERY)
    assert np.array_equal(alone.boxes_xyxy_px, after.boxes_xyxy_px)
    assert alone.score == after.score


def test_frames_older_than_those_observed_do_not_spoil_the_view() -> None:
    clip, _ = scene((walk(20, 270), RED))
    (alone,) = ClassicalProposer(ProposalConfig()).propose(Clip(clip.frames[20:]), QUERY)
    proposer = ClassicalProposer(ProposalConfig())
    (late,) = proposer.propose(Clip(clip.frames[20:]), QUERY)
    proposer.propose(Clip(tuple(replace(f, image=f.image.copy()) for f in clip.frames)), QUERY)
    (again,) = proposer.propose(Clip(clip.frames[20:]), QUERY)
    for tube in (late, again):
        assert np.array_equal(alone.boxes_xyxy_px, tube.boxes_xyxy_px)
