# SPDX-License-Identifier: Apache-2.0

"""Weights of the sources of evidence: fits with known answers, and readings of a scene."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stvg_lab.ablation.evidence_weights import (
    SourceReading,
    fitted_settings,
    frame_weights,
    in_condition,
    joints_of,
    likelier_level,
    scene_questions,
    share_right,
    source_reading,
    tube_weights,
    weight_rows,
    with_intervals,
)
from stvg_lab.rendered.picture_conditions import CONDITIONS
from stvg_ros.method.model_settings import CLIP, NEUTRAL, MllmSettings
from stvg_ros.types import Evidence, Grounding, Query, SourceFinding, Status, Tube


def drawn(
    weights: tuple[float, float, float], count: int = 3000, look_level: float = 1.0
) -> list[SourceReading]:
    """Sentences about three tubes, whose targets are chosen by these weights."""
    rng, made = np.random.default_rng(1), []
    for _ in range(count):
        tubes = rng.normal(size=(3, 3))
        p = np.exp(tubes @ np.array(weights))
        target = int(rng.choice(3, p=p / p.sum()))
        frames = rng.normal(size=(4, 4))
        nats = 2 * frames[:, 1] + 0.5 * frames[:, 2] + look_level * frames[:, 3] - 1
        sure = 1 / (1 + np.exp(-nats))
        made.append(SourceReading(tubes, target, frames, rng.uniform(size=4) < sure))
    return made


def test_the_weights_are_those_that_the_targets_were_drawn_by() -> None:
    found = drawn((2.0, 0.5, 0.0), look_level=0.0)
    assert tube_weights(found) == pytest.approx([2.0, 0.5, 0.0], abs=0.15)
    assert frame_weights(found, NEUTRAL) == pytest.approx([2.0, 0.5, -1.0, 0.0, 0.0], abs=0.1)


def test_a_look_is_fitted_beside_the_other_sources() -> None:
    """What others say without a look does not depend on what it says."""
    found = drawn((1.0, 0.5, 1.0))
    silent = [replace(one, tubes=one.tubes * [1, 1, 0], frames=one.frames * [1, 1, 1, 0])
              for one in found]  # fmt: skip
    assert tube_weights(found)[:2] == pytest.approx(tube_weights(silent)[:2])
    assert frame_weights(found, NEUTRAL)[:3] == pytest.approx(frame_weights(silent, NEUTRAL)[:3])
    assert 0.7 < tube_weights(found)[2] < 1.15 and tube_weights(silent)[2] == 0
    assert 0.7 < frame_weights(found, NEUTRAL)[3] < 1.1


def test_a_source_that_says_nothing_has_no_weight() -> None:
    made = drawn((2.0, 0.0, 0.0))
    assert abs(tube_weights(made)[1]) < 0.1
    assert share_right(made, (1, 0, 0)) > share_right(made, (0, 1, 0)) + 0.2


def test_a_source_that_is_never_wrong_has_a_finite_weight() -> None:
    tubes = np.array([[1.0, 0.3, 0.0], [-1.0, 0.2, 0.0]])
    one = SourceReading(tubes, 0, np.zeros((0, 4)), np.zeros(0, np.bool_))
    assert np.isfinite(tube_weights([one] * 20)).all()


def test_intervals_hold_the_values_and_rows_are_tables() -> None:
    made = drawn((2.0, 0.5, 1.0), 60)
    for weight in with_intervals(tube_weights, made):
        assert weight.low < weight.value < weight.high
    tubes, rule, one, empty, frames, _, other = weight_rows({"true joints": made}, MllmSettings())
    assert (tubes.count("|"), rule.count("---"), one.count("|")) == (11, 10, 11)
    assert one.startswith("| true joints |")
    assert empty == ""
    assert frames.count("|") == other.count("|") == 8
    with pytest.raises(ValueError, match="no sentence whose action is measured"):
        weight_rows({"true joints": []}, MllmSettings())


def test_the_weights_as_settings_of_a_model() -> None:
    readings = drawn((2.0, 0.5, 1.0))
    found, tubes, frames = (
        fitted_settings(readings),
        tube_weights(readings),
        frame_weights(readings, NEUTRAL),
    )
    names = "attention_weight", "body_weight", "second_look_weight"
    assert [found[name] for name in names] == pytest.approx(tubes, abs=1e-3)
    assert found["frame_weight"] == pytest.approx(frames[1], abs=1e-3)
    assert found["level_above"] == NEUTRAL == likelier_level(readings)
    swapped = [replace(one, frames=one.frames[:, [1, 0, 2, 3]]) for one in readings]
    assert likelier_level(swapped) == CLIP
    # The log-odds of a frame are those of the regression.
    nats = found["level_weight"] * (0.3 - found["level_inside"])
    assert nats == pytest.approx(frames[0] * 0.3 + frames[2], abs=5e-3)
    nats = found["look_level_weight"] * (0.3 - found["look_level_inside"])
    assert nats == pytest.approx(frames[3] * 0.3 + frames[4], abs=5e-3)
    assert set(found) <= set(MllmSettings.__dataclass_fields__)
    with pytest.raises(ValueError, match=r"expected above 0, got -.* for tubes"):
        fitted_settings(drawn((-2.0, 0.5, 1.0)))
    untimed = SourceReading(np.zeros((2, 3)), 0, np.zeros((0, 4)), np.zeros(0, np.bool_))
    with pytest.raises(ValueError, match="no sentence whose action is measured"):
        fitted_settings([untimed])


def test_a_reading_of_a_scene() -> None:
    """Attention of 2 inside the target's box and 1 elsewhere; the body has two words."""
    ((_, asked),) = scene_questions("val", 2001, 1)
    sample = next(one for one in asked if one.timed and len(one.people) > 1)
    target = sample.query.target
    assert target is not None
    count, width = len(sample.clip), sample.clip.size_px[0]
    heat = np.ones((count, 24, 32), np.float32)
    y, x = np.mgrid[:24, :32] + 0.5
    for frame in range(count):
        x1, y1, x2, y2 = sample.people[target].boxes_xyxy_px[frame] / (width / 32)
        heat[frame][(x > x1) & (x < x2) & (y > y1) & (y < y2)] = 2 + (frame == 3)
    nats = np.arange(count, dtype=float)
    findings = (
        SourceFinding("body", "in red", {target: 2.0}),
        SourceFinding("body", "waves", {target: 1.0}, {target: nats}),
        SourceFinding("attention", "x", {target: 9.0}),
    )
    evidence = Evidence(
        sample.clip.stamps_ns, tuple((k,) for k in range(count)), heat, heat,
        np.zeros(count, np.float32), {}, ".", findings=findings,
    )  # fmt: skip
    answer = Grounding((Tube(Query("x"), Status.FOUND),), evidence)
    found = source_reading(sample, answer)
    assert found is not None
    assert found.target == [one.track_id for one in sample.people].index(target)
    assert found.tubes[found.target, 1] == 3.0
    assert found.tubes[found.target, 0] > 0
    assert not found.tubes[:, 2].any()  # no second look
    looks = {one.track_id: -2.0 for one in sample.people[:1]} | {target: 3.0}
    looked = source_reading(sample, replace(answer, evidence=replace(evidence, looks=looks)))
    assert looked is not None
    least = -2.0 if len(looks) > 1 else 3.0
    expected = np.array([looks.get(one.track_id, least) for one in sample.people])
    assert looked.tubes[:, 2] == pytest.approx(expected - expected.mean())
    assert int(found.frames[:, 0].argmax()) == 3
    assert found.frames[3, 1] == pytest.approx(np.log(3)) and found.frames[2, 1] == np.log(2)
    assert found.frames[:, 2].tolist() == nats.tolist()
    assert found.inside.tolist() == sample.truth.span.tolist()
    blind = Grounding(answer.tubes, Evidence(
        sample.clip.stamps_ns, evidence.slots, heat, heat, evidence.frame_scores, {}, "."
    ))  # fmt: skip
    assert source_reading(sample, blind) is None


def test_pictures_in_other_conditions_keep_the_rest() -> None:
    _, asked = next(scene_questions("val", 2001, 1))
    dim = in_condition(asked, CONDITIONS["dim"])
    assert [one.query for one in dim] == [one.query for one in asked]
    assert len({id(one.clip) for one in dim}) == 1  # results about it are shared
    first, other = (one[0].clip.frames[3].image.mean() for one in (dim, asked))
    assert first < 0.75 * other
    assert dim[0].clip.stamps_ns.tolist() == asked[0].clip.stamps_ns.tolist()


def test_true_joints_have_the_noise_of_an_estimator() -> None:
    scene, asked = next(scene_questions("val", 2001, 1))
    sample = asked[0]
    estimator = joints_of(scene, sample)
    person = sample.people[0]
    wrong = []
    for index, frame in enumerate(sample.clip.frames):
        factor = frame.image.shape[1] / scene.width
        found = estimator(frame.image, person.boxes_xyxy_px[index : index + 1] * factor)
        points, _ = scene.people[0].joints(2 * index, scene.fps)
        wrong.append(found.points_px[0] / factor - points - scene.shake_px[2 * index])
    torso = 0.315 * scene.people[0].height_px
    assert np.std(wrong) / torso == pytest.approx(0.08, rel=0.1)
    assert estimator.boxes == len(sample.clip)
