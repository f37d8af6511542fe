# SPDX-License-Identifier: Apache-2.0

"""Weights of attention, bodies and second looks, from rendered scenes with true tubes.

Each source gives log-odds; how much each is worth is fitted to the sentences whose target is
known: a choice among the tubes (conditional logit), and in or out of the true span for the frames
of the true tube (logistic regression).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from stvg_lab.ablation.padded_rows import padded, shares
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.picture_conditions import PictureCondition, taken
from stvg_lab.rendered.scene import Scene
from stvg_lab.rendered.scene_questions import FRAME_STEP, SceneQuestion, asked_scene
from stvg_lab.rendered.true_joints import TrueJoints
from stvg_ros.method.evidence import frame_levels
from stvg_ros.method.model_settings import LEVELS_ABOVE, MllmSettings
from stvg_ros.method.scoring import box_scores, slot_of_frames
from stvg_ros.types import SECOND_LOOK, Clip, Evidence, Grounding

Array = NDArray[np.float64]

NOISE = 0.08  # of the joints in each frame, in torsos; 0.12 between two of them
_RIDGE = 1e-3  # keeps weights finite where a source is never wrong
_ROUNDS = 50
_SETTLED = 1e-12  # a step after which weights are those of all rounds
_RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class SourceReading:
    """What the sources said about one sentence.

    Attributes:
        tubes: `(N, 3)` logarithm of each tube's attention against the mean of the others, nats of
            the body, and margin of a second look against their mean; 0 for a source that says
            nothing.
        target: row of the true tube.
        frames: `(T, 4)` levels of the attention in the true tube's frames above each of
            `LEVELS_ABOVE`, nats of the body, and level of a second look's attention; 0 for a source
            that says nothing. Empty if the sentence has no span of its own, or neither body nor
            look says when.
        inside: `(T,)` whether a frame is in the true span.
    """

    tubes: Array
    target: int
    frames: Array
    inside: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Weight:
    """A fitted weight with its 95 % bootstrap interval over the sentences."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def scene_questions(
    split: str, seed: int, count: int
) -> Iterator[tuple[Scene | HardScene, tuple[SceneQuestion, ...]]]:
    """Scenes with the questions about them whose target is there.

    Raises:
        ValueError: an unknown split, or seeds outside it.
    """
    for number in range(seed, seed + count):
        scene, asked = asked_scene(split, number)
        yield scene, tuple(one for one in asked if one.present)


def in_condition(
    asked: Sequence[SceneQuestion], condition: PictureCondition
) -> tuple[SceneQuestion, ...]:
    """The questions about a scene whose pictures are taken in another condition.

    Args:
        asked: at least one, all about the same clip.
        condition: of all pictures; the noise differs from one to the next.
    """
    frames = [
        replace(frame, image=taken(frame.image, condition, seed))
        for seed, frame in enumerate(asked[0].clip.frames)
    ]
    clip = Clip(tuple(frames))
    return tuple(replace(one, clip=clip) for one in asked)


def joints_of(scene: Scene | HardScene, sample: SceneQuestion) -> TrueJoints:
    """The true joints of a scene's people, with the noise of an estimator on real people."""
    images = [frame.image for frame in sample.clip.frames]
    return TrueJoints(scene, images, range(0, scene.frame_count, FRAME_STEP), NOISE)


def source_reading(sample: SceneQuestion, grounding: Grounding) -> SourceReading | None:
    """What the sources said, from an answer with `evidence.sources: both`.

    Returns:
        None where neither the body nor a second look says anything, or there is no choice.
    """
    seen = grounding.evidence
    assert seen is not None
    assert sample.query.target is not None
    found = [item for item in seen.findings if item.measured]
    tracks = [one.track_id for one in sample.people]
    if not (found or seen.looks) or len(tracks) < 2 or sample.query.target not in tracks:
        return None
    peaks = [tube_scores(sample, seen, row, seen.spatial) for row in range(len(tracks))]
    logs = np.array([np.log(max(float(np.nanmax(peak, initial=1e-6)), 1e-6)) for peak in peaks])
    attention = logs - (logs.sum() - logs) / (len(logs) - 1)
    body = np.array([sum(item.tubes.get(track, 0.0) for item in found) for track in tracks])
    least = min(seen.looks.values(), default=0.0)
    looks = np.array([seen.looks.get(track, least) for track in tracks])
    target = tracks.index(sample.query.target)
    timed = [item.frames[tracks[target]] for item in found if tracks[target] in item.frames]
    sampled = np.searchsorted(sample.clip.stamps_ns, seen.stamps_ns)
    frames = np.zeros((0, 4))
    looked = [one.frames for one in seen.findings if one.source == SECOND_LOOK]
    look_levels = looked[0].get(tracks[target]) if looked else None
    if (timed or look_levels is not None) and sample.timed:
        nothing = np.zeros(len(sampled))
        scores = tube_scores(sample, seen, target, seen.temporal)
        levels = [frame_levels(scores, above) for above in LEVELS_ABOVE]
        nats = np.sum(timed, axis=0)[sampled] if timed else nothing
        looks_at = nothing if look_levels is None else look_levels[sampled]
        frames = np.stack([*levels, nats, looks_at], axis=1)
    return SourceReading(
        np.stack([attention, body, looks - looks.mean()], axis=1),
        target,
        frames,
        sample.truth.span[sampled] if len(frames) else np.zeros(0, np.bool_),
    )


def tube_scores(
    sample: SceneQuestion, seen: Evidence, row: int, heat: NDArray[np.float32]
) -> NDArray[np.float32]:
    """`(T,)` largest values of a map inside the tube of person `row` at the sampled frames."""
    sampled = np.searchsorted(sample.clip.stamps_ns, seen.stamps_ns)
    tube = sample.people[row]
    return box_scores(
        heat, tube.boxes_xyxy_px[sampled], tube.present[sampled],
        slot_of_frames(seen.slots, len(sampled)), sample.clip.size_px,
    )  # fmt: skip


def tube_weights(readings: Sequence[SourceReading]) -> Array:
    """Weights `(3,)` that make the true tubes the likeliest choice (conditional logit).

    Those of attention and body are fitted without looks, which are not always taken; that of a look
    beside these.
    """
    nothing = [np.zeros(len(one.tubes)) for one in readings]
    known = _choice([one.tubes[:, :2] for one in readings], nothing, readings)
    offsets = [one.tubes[:, :2] @ known for one in readings]
    look = _choice([one.tubes[:, 2:] for one in readings], offsets, readings)
    return np.concatenate([known, look])


def _choice(
    tubes: Sequence[Array], offsets: Sequence[Array], readings: Sequence[SourceReading]
) -> Array:
    """Weights of the columns of `tubes`, beside log-odds that are known."""
    x, known = padded(tubes), padded(offsets, -np.inf)
    right = x[np.arange(len(x)), [one.target for one in readings]]

    def step(weights: Array) -> Array:
        weighted = shares(x @ weights + known)[..., None] * x
        mean = weighted.sum(axis=1)
        flat = weighted.reshape(-1, len(weights))
        curve = mean.T @ mean - flat.T @ x.reshape(flat.shape) - _RIDGE * np.eye(len(weights))
        slope = (right - mean).sum(axis=0) - _RIDGE * weights
        return np.asarray(np.linalg.solve(curve, slope), np.float64)

    return _by_newton(step, x.shape[-1])


def frame_weights(readings: Sequence[SourceReading], above: str) -> Array:
    """Weights `(5,)` of level, body and 1, and of a look's level and 1, in a frame's log-odds.

    As for tubes, the look's are fitted beside the others.

    Args:
        readings: of sentences with a span.
        above: what the level of the attention is compared with.
    """
    first, looks, y = _frames(readings, above)
    known = _inside(first, np.zeros(len(first)), y)
    return np.concatenate([known, _inside(looks, first @ known, y)])


def _frames(readings: Sequence[SourceReading], above: str) -> tuple[Array, Array, Array]:
    """The columns of the first fit and of a look's, and which frames are inside."""
    x = np.concatenate([one.frames for one in readings])
    y = np.concatenate([one.inside for one in readings]).astype(np.float64)
    ones, level = np.ones(len(x)), x[:, LEVELS_ABOVE.index(above)]
    return np.stack([level, x[:, -2], ones], axis=1), np.stack([x[:, -1], ones], axis=1), y


def likelier_level(readings: Sequence[SourceReading]) -> str:
    """Which of `LEVELS_ABOVE` tells better what is in the span, beside the body."""

    def likelihood(above: str) -> float:
        first, _, y = _frames(readings, above)
        nats = first @ _inside(first, np.zeros(len(first)), y)
        return float((y * nats - np.logaddexp(0, nats)).sum())

    return max(LEVELS_ABOVE, key=likelihood)


def _inside(x: Array, offset: Array, y: Array) -> Array:
    """Weights of logistic regression, beside log-odds that are known."""

    def step(weights: Array) -> Array:
        p = 1 / (1 + np.exp(-np.clip(x @ weights + offset, -40, 40)))
        slope = x.T @ (y - p) - _RIDGE * weights
        curve = -(x.T * (p * (1 - p))) @ x - _RIDGE * np.eye(len(weights))
        return np.asarray(np.linalg.solve(curve, slope), np.float64)

    return _by_newton(step, x.shape[1])


def _by_newton(step: Callable[[Array], Array], count: int) -> Array:
    """`count` weights from which steps are subtracted until they no longer change."""
    weights = np.zeros(count)
    for _ in range(_ROUNDS):
        change = step(weights)
        weights = weights - change
        if np.abs(change).max() < _SETTLED:
            break
    return weights


def with_intervals(
    fit: Callable[[Sequence[SourceReading]], Array],
    readings: Sequence[SourceReading],
    seed: int = 0,
) -> tuple[Weight, ...]:
    """The weights of `fit` with their bootstrap intervals."""
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(_RESAMPLES):
        picks = rng.integers(len(readings), size=len(readings))
        drawn.append(fit([readings[i] for i in picks]))
    low, high = np.quantile(np.array(drawn), (0.025, 0.975), axis=0)
    values = zip(fit(readings), low, high, strict=True)
    return tuple(Weight(*map(float, one)) for one in values)


def fitted_settings(readings: Sequence[SourceReading]) -> dict[str, float | str]:
    """The weights as settings of a model.

    Raises:
        ValueError: no sentence has a measured action; or a weight is below 0, so that a source
            speaks for the wrong one.
    """
    timed = [one for one in readings if len(one.frames)]
    if not timed:
        raise ValueError("no sentence whose action is measured")
    attention, body, look = map(float, tube_weights(readings))
    above = likelier_level(timed)
    level, frame, constant, look_level, look_constant = map(float, frame_weights(timed, above))
    if min(attention, body, look, frame, look_level) < 0 or level <= 0:
        raise ValueError(
            f"weights: expected above 0, got {attention:.2f}, {body:.2f} and {look:.2f} for "
            f"tubes, {level:.2f}, {frame:.2f} and {look_level:.2f} for frames"
        )
    return {
        "attention_weight": round(attention, 3),
        "body_weight": round(body, 3),
        "second_look_weight": round(look, 3),
        "frame_weight": round(frame, 3),
        "level_above": above,
        "level_weight": round(level, 3),
        "level_inside": round(-constant / level, 3),
        "look_level_weight": round(look_level, 3),
        "look_level_inside": round(-look_constant / look_level, 3) if look_level > 0 else 0.5,
    }


def weight_rows(readings: Mapping[str, Sequence[SourceReading]], own: MllmSettings) -> list[str]:
    """Two Markdown tables: weights of the choice of a tube, and of the frames of a span.

    Args:
        readings: by the name of their row.
        own: the settings of the model, for its weights as set.

    Raises:
        ValueError: no sentence has a measured word, or no measured action.
    """
    shown = "| {} | " + " | ".join(["{}"] * 9) + " |"
    lines = [
        shown.format("tubes", "attention", "body", "second look", "right by attention", "by body",
                     "by looks", "as set", "as fitted", "sentences"),
        shown.format(*["---"] * 10),
    ]  # fmt: skip
    timed = {name: [one for one in found if len(one.frames)] for name, found in readings.items()}
    if not all(timed.values()):
        raise ValueError("no sentence whose action is measured")
    for name, found in readings.items():
        weights = with_intervals(tube_weights, found)
        as_set = own.attention_weight, own.body_weight, own.second_look_weight
        ways = (1, 0, 0), (0, 1, 0), (0, 0, 1), as_set, [one.value for one in weights]
        shares = [f"{100 * share_right(found, way):.1f}" for way in ways]
        lines.append(shown.format(name, *weights, *shares, len(found)))
    shown = "| " + " | ".join(["{}"] * 7) + " |"
    lines += ["", shown.format("frames", "level of attention", "body", "constant",
                               "level of looks", "constant", "sentences")]  # fmt: skip
    lines.append(shown.format(*["---"] * 7))
    for name, found in timed.items():
        fit = partial(frame_weights, above=likelier_level(found))
        lines.append(shown.format(name, *with_intervals(fit, found), len(found)))
    return lines


def share_right(readings: Sequence[SourceReading], weights: Sequence[float]) -> float:
    """The share of sentences whose true tube has the largest weighted sum."""
    return float(
        np.mean([int(np.argmax(one.tubes @ np.array(weights))) == one.target for one in readings])
    )
