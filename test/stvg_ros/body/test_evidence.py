# SPDX-License-Identifier: Apache-2.0

"""Bodies as a source of evidence: true joints of rendered scenes in place of an estimator."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import Scene
from stvg_lab.rendered.true_joints import TrueJoints
from stvg_ros.body.body_evidence import BodyEvidence
from stvg_ros.body.frame_choice import MOST_LATE
from stvg_ros.body.settings import BodyConfig
from stvg_ros.body.tracks import BodyMeter
from stvg_ros.commands.reader import grammar_reader
from stvg_ros.config import Config
from stvg_ros.method.query import RuleSplitter
from stvg_ros.types import CandidateTube, Clip, Frame, SourceFinding

READER = grammar_reader("rules")


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Three people: red stands, green walks and jumps, another one turns."""
    return Scene.from_seed(10_000_007, people=3, duration_s=4, difficulty=0.0)


@pytest.fixture(scope="module")
def clip(scene: Scene) -> Clip:
    return Clip(
        tuple(
            Frame(int(stamp), render(scene, i), scene.width, scene.height)
            for i, stamp in enumerate(scene.stamps_ns)
        )
    )


@pytest.fixture(scope="module")
def tubes(scene: Scene) -> tuple[CandidateTube, ...]:
    count = scene.frame_count
    there, nothing = np.ones(count, np.bool_), np.zeros(count, np.bool_)
    return tuple(
        CandidateTube(10 + i, boxes, there, nothing) for i, boxes in enumerate(scene.boxes_xyxy_px)
    )


@pytest.fixture
def joints(scene: Scene, clip: Clip) -> TrueJoints:
    return TrueJoints(scene, [frame.image for frame in clip.frames], range(len(clip)))


def source(estimator: TrueJoints, **settings: float) -> tuple[BodyEvidence, TrueJoints]:
    config = BodyConfig(**settings)  # type: ignore[arg-type]
    return BodyEvidence(BodyMeter(estimator, config.megabytes), READER, config), estimator


def findings(
    body: BodyEvidence, clip: Clip, tubes: Sequence[CandidateTube], text: str
) -> tuple[SourceFinding, ...]:
    return body.findings(clip, RuleSplitter(READER).split(text), tubes)


def test_colours_find_their_people(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, _ = source(joints)
    for index, person in enumerate(scene.people):
        if sum(other.shirt == person.shirt for other in scene.people) == 1:
            (found,) = findings(body, clip, tubes, f"the person in the {person.shirt} shirt")
            assert found.source == "body"
            assert max(found.tubes, key=lambda track: found.tubes[track]) == 10 + index
            assert found.frames == {}


def test_every_box_is_measured_once(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, estimator = source(joints)
    findings(body, clip, tubes, "the person in the red shirt")
    assert estimator.boxes == 12 * 3
    findings(body, clip, tubes, "the person in the blue shirt")
    assert estimator.boxes == 12 * 3
    findings(body, clip, tubes, "the person who sits")
    assert estimator.boxes == 32 * 3  # four frames are among both the 12 and the 24
    findings(body, clip, tubes, "the person who waves")
    assert estimator.boxes == len(clip) * 3


def test_poses_are_known_at_all_times(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    """Between measured frames, points lie between theirs, also over ten seconds."""
    body, _ = source(joints)
    images = [replace(frame, stamp_ns=frame.stamp_ns * 10 // 4) for frame in clip.frames]
    (found,) = findings(body, Clip(tuple(images)), tubes, "the person who stands")
    nats = found.frames[10][2:-2]
    assert (nats != 0).all()


def test_what_was_measured_on_arrival_is_used(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, estimator = source(joints)
    for index, frame in enumerate(clip.frames):
        body.arrived(frame, scene.boxes_xyxy_px[:, index] + np.float32(0.5))
    before = estimator.boxes
    findings(body, clip, tubes, "the person who waves")
    assert estimator.boxes == before == len(clip) * 3


def test_frames_that_arrive_wait_for_a_command(
    scene: Scene, joints: TrueJoints, clip: Clip
) -> None:
    meter = BodyMeter(joints, 8.0)
    first, second = clip.frames[:2]
    done = threading.Event()

    def arrive() -> None:
        meter.observe(second, scene.boxes_xyxy_px[:, 1])
        done.set()

    with meter.for_command():
        thread = threading.Thread(target=arrive)
        thread.start()
        meter.measured(first, scene.boxes_xyxy_px[:1, 0])
        assert not done.wait(0.05)
        assert joints.boxes == 1  # the command's, which does not wait for the arriving frame
    thread.join()
    assert joints.boxes == 1 + len(scene.people)
    assert meter.ready(second, scene.boxes_xyxy_px[:, 1]).all()
    assert not meter.ready(first, scene.boxes_xyxy_px[:, 0]).any()  # measured, but for a command


def test_people_who_were_not_tracked_are_measured_in_few_frames(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, estimator = source(joints)
    for index, frame in enumerate(clip.frames):
        body.arrived(frame, scene.boxes_xyxy_px[:2, index])
    before = estimator.boxes
    findings(body, clip, tubes, "the person who waves")
    assert estimator.boxes == before + MOST_LATE


@pytest.mark.parametrize(("rate_hz", "measured"), [(0.0, 0), (5.0, 20), (20.0, 40)])
def test_frames_that_arrive_are_measured_at_a_rate(
    scene: Scene, joints: TrueJoints, clip: Clip, rate_hz: float, measured: int
) -> None:
    body, estimator = source(joints, rate_hz=rate_hz)
    for index, frame in enumerate(clip.frames):
        body.arrived(frame, scene.boxes_xyxy_px[:1, index])
    assert estimator.boxes == measured


def test_people_of_a_frame_and_memory_are_bounded(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, estimator = source(joints, people=2, megabytes=0.1)
    findings(body, clip, tubes, "the person who waves")
    assert estimator.boxes == len(clip) * 2
    assert 0 < body.stored_bytes <= 0.1e6


def test_movement_needs_no_keypoints(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, estimator = source(joints)
    (found,) = findings(body, clip, tubes, "the person who walks to the left")
    assert estimator.boxes == 0
    assert set(found.frames) == {10, 11, 12}
    assert found.frames[10].shape == (len(clip),)


def test_a_relation_is_to_the_one_whom_its_words_fit(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, _ = source(joints)
    alone = [p.shirt for p in scene.people if sum(o.shirt == p.shirt for o in scene.people) == 1]
    anchor = next(i for i, p in enumerate(scene.people) if p.shirt == alone[0])
    x = scene.feet_px.mean(axis=1)
    (found,) = findings(body, clip, tubes, f"the person left of the person in {alone[0]}")
    assert found.tubes[10 + anchor] < -2
    for index in range(3):
        if index != anchor:
            assert (found.tubes[10 + index] > 0) == (x[index] < x[anchor])


def test_findings_have_the_words_that_can_follow_nobody(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, _ = source(joints)
    found = findings(body, clip, tubes, "find the person in the red shirt who is waving")
    assert [one.words for one in found] == ["in the red shirt", "who is waving"]


def test_a_relation_to_anybody_and_one_that_cannot_be_measured(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, _ = source(joints)
    (found,) = findings(body, clip, tubes, "the person between two people")
    x = scene.feet_px.mean(axis=1)
    assert max(found.tubes, key=lambda track: found.tubes[track]) == 10 + int(np.argsort(x)[1])
    (found,) = findings(body, clip, tubes, "the person behind the tired person")
    assert (found.words, dict(found.tubes)) == ("behind the tired person", {})
    assert findings(body, clip, tubes, "the person left of the table") == ()


def test_what_comes_later_in_a_sentence_is_measured_later(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, _ = source(joints)
    first, last = findings(body, clip, tubes, "the person who stands, then jumps")
    for track in first.frames:
        begins = np.flatnonzero(last.frames[track])
        ends = np.flatnonzero(first.frames[track])
        assert not len(begins) or ends.max() < begins.min()
    at_once = findings(body, clip, tubes, "the standing person who jumps")[0]
    assert any((at_once.frames[t] != first.frames[t]).any() for t in first.frames)


def test_unmeasured_words_are_named(scene: Scene, joints: TrueJoints) -> None:
    body, _ = source(joints)
    split = RuleSplitter(READER).split("the person in red with the umbrella")
    assert body.unmeasured(split) == ("umbrella",)
    assert body.unmeasured(replace(split, command=None)) == (split.text,)


def test_without_a_command_nothing_is_measured(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, estimator = source(joints)
    split = replace(RuleSplitter(READER).split("in red"), command=None)
    assert body.findings(clip, split, tubes) == ()
    assert findings(body, clip, tubes, "the person with the umbrella") == ()
    assert estimator.boxes == 0


def test_settings_take_effect_with_the_next_command(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, estimator = source(joints)
    body.reconfigure(Config.from_flat({"body.people": 1}))
    findings(body, clip, tubes, "the person in the red shirt")
    assert estimator.boxes == 12
    assert body.renewed().stored_bytes == 0


def test_a_person_is_described_by_the_lists(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, _ = source(joints, rate_hz=5.0)
    for tube, person in zip(tubes, scene.people, strict=True):
        assert body.described(clip, tube, "clothes").startswith(f"{person.shirt} top")
        assert body.described(clip, tube, "pose") in ("standing", "bending", "crouching")
        if "wave" not in person.actions:
            assert body.described(clip, tube, "gesture") != "waving"
        for act in person.acts:
            if act.name in ("walk_left", "walk_right"):
                way = act.name.removeprefix("walk_")
                assert f"walking to the {way}" in body.described(clip, tube, "action")


def test_keypoints_of_some_frames(
    scene: Scene, joints: TrueJoints, clip: Clip, tubes: tuple[CandidateTube, ...]
) -> None:
    body, estimator = source(joints, people=2)
    there = np.ones(len(clip), np.bool_)
    there[20:] = False
    tubes = (replace(tubes[0], present=there), *tubes[1:])
    frames = np.array([3, 30])
    found = body.keypoints(clip, tubes, frames)
    assert {track: points.shape for track, points in found.items()} == dict.fromkeys(
        (10, 11, 12), (2, 17, 3)
    )
    assert estimator.boxes == 4  # the two largest people of each frame
    assert np.isnan(found[10][1]).all()
    for index, frame in ((1, 30), (2, 30)):
        points, seen = scene.people[index].joints(frame, scene.fps)
        assert found[10 + index][1, :, :2] == pytest.approx(points + scene.shake_px[frame], abs=0.1)
        assert found[10 + index][1, :, 2] == pytest.approx(seen, abs=1e-4)
