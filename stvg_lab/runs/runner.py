# SPDX-License-Identifier: Apache-2.0

"""Grounds samples one by one, and stores each answer with its scores."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stvg_lab.datasets.samples import Sample
from stvg_lab.runs.conventions import CONVENTIONS, convention, scored
from stvg_lab.runs.losses import choice_of, kind_of
from stvg_lab.runs.recording_grounder import recording_pass
from stvg_lab.runs.records import Choice, Result
from stvg_lab.runs.references import references
from stvg_lab.runs.scores import NO_SCORE, FrameTube, Score, on_clip, spread
from stvg_lab.runs.true_tubes import TrueTubes
from stvg_lab.runs.window_replay import Moment, replay, whole_window
from stvg_ros.errors import AnnotationError, ErrorCode, ImageError, StvgError
from stvg_ros.io.read_report import ReadReport
from stvg_ros.io.recording import SourceImage, source_images
from stvg_ros.method.interfaces import Grounder
from stvg_ros.method.sampling import cut
from stvg_ros.types import Clip, Grounding, Query, Status
from stvg_ros.window import WindowConfig


@dataclass(frozen=True)
class EvaluationSettings:
    """Settings of grounding and scoring.

    Attributes:
        window: window settings of the simulated node.
        convention: name of the convention of the scores; the answer is also scored under the
            others, as "answer@NAME".
        keep_evidence: whether results have evidence.
        true_tubes: the grounder's source of tubes, if it is to have the people of each sample.
        show: is called with each sample's frames and answer.
    """

    window: WindowConfig
    convention: str = "frames"
    keep_evidence: bool = False
    true_tubes: TrueTubes | None = None
    show: Callable[[Sample, Clip, Grounding], None] | None = None


def evaluate(
    samples: Sequence[Sample], grounder: Grounder, job: EvaluationSettings
) -> Iterator[Result]:
    """The result of every sample; samples of one part of a source share a pass over it.

    An error of a sample or its images becomes a failed result with scores of 0, and the run
    continues. Each pass starts with a grounder without stored frames, which observes every stored
    image in order, like the node: a result depends only on its own recording.
    """
    groups: dict[object, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.replay_key, []).append(sample)
    for group in groups.values():
        asked = in_order(group)
        fine = [sample for sample in asked if not sample.problem]
        for sample in asked:
            if sample.problem:
                yield failed(sample, AnnotationError(sample.problem))
        if fine:
            yield from _replayed(fine, grounder, job)


def in_order(samples: Sequence[Sample]) -> list[Sample]:
    """The samples in order of their commands, those at the end of the source last."""
    return sorted(samples, key=lambda s: (s.command_ns is None, s.command_ns or 0))


def _replayed(
    samples: list[Sample], grounder: Grounder, job: EvaluationSettings
) -> Iterator[Result]:
    """The results of samples that share a pass, in order of their commands."""
    first, waiting = samples[0], list(samples)
    report = ReadReport()
    images: Iterator[SourceImage] = source_images(first.source, report)
    window, begin = job.window, time.perf_counter()
    try:
        if first.duration_s > 0:
            opening, size = _opening(images, window.long_side_px)
            images = itertools.chain(opening, images)
            window = whole_window(window, first.duration_s, size)
        commands_ns = [sample.command_ns for sample in samples]
        with recording_pass(grounder) as own:
            for moment in replay(images, window, commands_ns, first.frames, own.observe):
                timings_s = {"read": time.perf_counter() - begin}
                result = answered(
                    waiting.pop(0), moment, own.grounder, job, window.duration_s, timings_s
                )
                yield with_losses(result, report)
                begin = time.perf_counter()
    except Exception as error:
        for sample in waiting:
            yield failed(sample, error)


def _opening(images: Iterator[SourceImage], long_side_px: int) -> tuple[list[SourceImage], int]:
    """The images up to the first one that decodes, and its size in bytes."""
    opening = []
    for image in images:
        opening.append(image)
        try:
            return opening, image.frame(long_side_px).image.nbytes
        except ImageError:
            continue
    return opening, 1


def with_losses(result: Result, report: ReadReport) -> Result:
    """The result, with the count of its recording's lost images."""
    lost = report.never_given
    images = {**result.images, "lost": lost} if lost else result.images
    error = result.error
    if error and report.sentences:
        error = f"{error} ({'; '.join(report.sentences)})"
    return replace(result, images=images, error=error)


def answered(
    sample: Sample,
    moment: Moment,
    grounder: Grounder,
    job: EvaluationSettings,
    duration_s: float,
    timings_s: dict[str, float],
) -> Result:
    """The result of one sample.

    Args:
        sample: the question.
        moment: state of the window at the command.
        grounder: the grounder.
        job: scoring settings.
        duration_s: duration of the window.
        timings_s: seconds so far; "ground" is added.
    """
    try:
        clip = moment.clip
        if clip is None:
            raise moment.error or StvgError("no images")
        moment = _with_missing(moment, sample.frames)
        low_ns, high_ns = asked_window(sample, int(moment.stamps_ns[-1]), duration_s)
        stored_ns = cut(clip, low_ns, high_ns).stamps_ns
        if job.true_tubes is not None:
            job.true_tubes.people = sample.people
        begin = time.perf_counter()
        query = Query(sample.query, sample.id, low_ns, high_ns)
        grounding = grounder.ground(clip, query, lambda stage, share: None)
        timings_s["ground"] = time.perf_counter() - begin
        if job.show is not None:
            job.show(sample, cut(clip, low_ns, high_ns), grounding)
        result = judged(sample, moment, grounding, stored_ns, (low_ns, high_ns), job)
    except Exception as error:
        result = failed(sample, error)
    return replace(result, images=moment.images, timings_s=timings_s)


def _with_missing(moment: Moment, frames: tuple[int, int] | None) -> Moment:
    """Adds stamps for the last frames of a part if its video ends early.

    These frames are scored, so that a truncated video does not improve the score.
    """
    if frames is None or len(moment.numbers) < 2:
        return moment
    missing = np.arange(moment.numbers[-1] + 1, frames[1], dtype=np.int64)
    step_ns = int(np.median(np.diff(moment.stamps_ns)))
    stamps_ns = moment.stamps_ns[-1] + step_ns * np.arange(1, len(missing) + 1, dtype=np.int64)
    return replace(
        moment,
        stamps_ns=np.concatenate([moment.stamps_ns, stamps_ns]),
        numbers=np.concatenate([moment.numbers, missing]),
        images={**moment.images, "missing": len(missing)} if len(missing) else moment.images,
    )


def asked_window(sample: Sample, last_ns: int, duration_s: float) -> tuple[int, int]:
    """First and last stamp of a command's request: the sample's part of the node's window.

    Args:
        sample: with the moment of its command; None is at `last_ns`.
        last_ns: stamp of the last image.
        duration_s: duration of the window.
    """
    high_ns = last_ns if sample.command_ns is None else sample.command_ns
    low_ns = max(0, high_ns - round(duration_s * 1e9))
    if sample.window_ns is not None:
        low_ns, high_ns = max(low_ns, sample.window_ns[0]), min(high_ns, sample.window_ns[1])
    return low_ns, high_ns


def judged(
    sample: Sample,
    moment: Moment,
    grounding: Grounding,
    stored_ns: NDArray[np.int64],
    window_ns: tuple[int, int],
    job: EvaluationSettings,
) -> Result:
    """The result of an answer; the camera's frames in the window and all true ones are scored.

    Args:
        sample: the question.
        moment: with all frames of the camera.
        grounding: the answer; a failed tube gives a failed result.
        stored_ns: `(K,)` stamps of the stored frames in the request.
        window_ns: first and last stamp of the request.
        job: scoring settings.

    Raises:
        AnnotationError: the truth is invalid, or no frame up to the command is in the true span.
    """
    best = grounding.best
    if best.status is Status.FAILED:
        return failed(sample, StvgError(best.error), best.error_code)
    truth = sample.truth(moment.stamps_ns, moment.numbers)
    if truth is not None and not truth.span.any():
        raise AnnotationError(
            f"{sample.id}: the true span has no image up to the command; check span_ns and "
            "command_ns"
        )
    asked = (moment.stamps_ns >= window_ns[0]) & (moment.stamps_ns <= window_ns[1])
    shown = asked if truth is None else asked | truth.span
    stamps_ns, asked = moment.stamps_ns[shown], asked[shown]
    scores: dict[str, Score] = {}
    choice = None
    if truth is not None:
        truth = FrameTube(truth.boxes_xyxy_px[shown], truth.present[shown], truth.span[shown])
        clock = sample.rate_hz or rate_hz(stamps_ns), int(moment.numbers[shown][0])
        scores, choice = _scores(grounding, truth, stored_ns, stamps_ns, asked, job, clock)
    return Result(
        id=sample.id,
        group=sample.group,
        query=sample.query,
        source=sample.source,
        outcome="found" if best.status is Status.FOUND else "not_found",
        size_px=(best.width_px, best.height_px),
        stamps_ns=stamps_ns,
        truth=truth,
        tubes=grounding.tubes,
        evidence=grounding.evidence if job.keep_evidence else None,
        scores=scores,
        kind=kind_of(best.split),
        choice=choice,
    )


def _scores(
    grounding: Grounding,
    truth: FrameTube,
    stored_ns: NDArray[np.int64],
    stamps_ns: NDArray[np.int64],
    asked: NDArray[np.bool_],
    job: EvaluationSettings,
    clock: tuple[float, int],
) -> tuple[dict[str, Score], Choice | None]:
    """Scores by name, and the choice of the track.

    `clock` is the frame rate, and the number of the first frame in its video.
    """
    best, (frames_hz, first) = grounding.best, clock

    def carried(tube: FrameTube) -> FrameTube:
        found = spread(tube, stored_ns, stamps_ns)
        return FrameTube(found.boxes_xyxy_px, found.present & asked, found.span & asked)

    def score(found: FrameTube) -> Score:
        how = convention(job.convention)
        return scored(found, truth, how, rate_hz=frames_hz, first_frame=first)

    answer = carried(on_clip(best, stored_ns))
    beside, best_track = references(
        answer, best.track_id, grounding.candidates, truth, asked, carried=carried, score=score
    )
    others = {
        f"answer@{name}": scored(answer, truth, how, rate_hz=frames_hz, first_frame=first)
        for name, how in CONVENTIONS.items()
    }
    return {"answer": score(answer), **beside, **others}, choice_of(grounding, best_track)


def rate_hz(stamps_ns: NDArray[np.int64]) -> float:
    """Mean rate of frames; 1 for a single one."""
    if len(stamps_ns) < 2:
        return 1.0
    return float((len(stamps_ns) - 1) * 1e9 / (stamps_ns[-1] - stamps_ns[0]))


def failed(sample: Sample, error: Exception, code: ErrorCode | None = None) -> Result:
    """The result of a failed sample; all scores are 0."""
    if code is None:
        code = error.code if isinstance(error, StvgError) else ErrorCode.INTERNAL
    known = isinstance(error, StvgError)
    return Result(
        id=sample.id,
        group=sample.group,
        query=sample.query,
        source=sample.source,
        outcome="failed",
        scores={"answer": NO_SCORE} if sample.present else {},
        error_code=code.name,
        error=str(error) if known else f"unexpected {type(error).__name__}: {error}",
    )
