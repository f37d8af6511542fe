# SPDX-License-Identifier: Apache-2.0

"""Grounds a command in the windows of one or several cameras and merges the answers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stvg_ros.crops import with_pictures
from stvg_ros.errors import (
    CanceledError,
    DeadlineError,
    ReplacedError,
    StaleImagesError,
    StvgError,
    WindowError,
)
from stvg_ros.method.interfaces import Grounder, StageCallback
from stvg_ros.runtime.grounding_job import GroundingJob, Outcome
from stvg_ros.types import Clip, Grounding, Query, Status, Tube

# A camera without images of the time asked for is no reason to doubt the others' answers.
_NO_IMAGES = (WindowError, StaleImagesError)

Answer = Callable[[Grounding], None]


@dataclass(frozen=True)
class CameraViews:
    """Snapshot of the selected cameras' windows when a command arrives.

    Attributes:
        clips: the windows by camera, at least one.
        ages_s: seconds since each camera's newest image arrived.
        refused: the errors of selected cameras that cannot be searched.
    """

    clips: Mapping[str, Clip]
    ages_s: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, StvgError] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class CameraSearch:
    """Grounds a query in the window of each selected camera.

    A known target is looked for in the window with its last box first, and in the others if it is
    not found there.

    Attributes:
        query: the command.
        views: what to search.
        finish: completes a camera's answer, for example with positions.
        preliminary: receives the answers before tuning, if they are requested.
        always_preliminary: produces them even if the query does not request them.
    """

    query: Query
    views: CameraViews
    finish: Callable[[Grounding, Clip], Grounding] = lambda grounding, clip: grounding
    preliminary: Answer | None = None
    always_preliminary: bool = False

    def job(self, answer: Answer, **options: Any) -> GroundingJob:
        """The job of this search.

        Args:
            answer: receives the answer, which contains the error if the search failed.
            options: passed to `GroundingJob`.
        """
        return search_job(self.query, self.views, self.ground, answer, **options)

    def ground(self, grounder: Grounder, checkpoint: StageCallback) -> Grounding:
        """The merged answer of all cameras; a failed camera does not discard others' tubes.

        Raises:
            StvgError: no camera was searched, or one failed and none found the target.
        """
        found: dict[str, Grounding] = {}
        refused = dict(self.views.refused)
        count = len(self.views.clips)
        clips = sorted(self.views.clips.items(), key=lambda item: not self._has_box(*item))
        for done, (camera, clip) in enumerate(clips):

            def shared(stage: str, progress: float, done: int = done) -> None:
                checkpoint(stage, (done + progress) / count)

            try:
                grounding = grounder.ground(clip, self.query, shared, *self._early(camera, clip))
                found[camera] = self._finished(camera, clip, grounding)
            except (CanceledError, DeadlineError, ReplacedError):
                raise
            except StvgError as error:
                refused[camera] = error
                continue
            if self._has_box(camera, clip) and found[camera].best.status is Status.FOUND:
                break
        failures = [e for e in refused.values() if not isinstance(e, _NO_IMAGES)]
        seen = any(each.best.status is Status.FOUND for each in found.values())
        if (refused and not found) or (failures and not seen):
            raise (failures or list(refused.values()))[0]
        return merged(found, self.query.max_targets, _warning(refused))

    def _has_box(self, camera: str, clip: Clip) -> bool:
        """Whether the last known box of a known target is in this clip."""
        known, frames = self.query.known, clip.frames
        if known is None or camera != known.camera:
            return False
        return frames[0].stamp_ns <= known.stamp_ns <= frames[-1].stamp_ns

    def _finished(self, camera: str, clip: Clip, grounding: Grounding) -> Grounding:
        whole = with_pictures(self.finish(grounding, clip), clip)
        age_s = self.views.ages_s.get(camera, 0.0)
        return replace(whole, tubes=tuple(replace(tube, image_age_s=age_s) for tube in whole.tubes))

    def _early(self, camera: str, clip: Clip) -> tuple[Answer, ...]:
        """The receiver of the answer before tuning; empty if it is not requested."""
        publish = self.preliminary
        if publish is None or not (self.query.preliminary or self.always_preliminary):
            return ()

        def early(grounding: Grounding) -> None:
            finished = self._finished(camera, clip, grounding)
            whole = merged({camera: finished}, self.query.max_targets)
            with contextlib.suppress(Exception):  # it must not fail the final answer
                publish(whole)

        return (early,)


def search_job(
    query: Query,
    views: CameraViews,
    ground: Callable[[Grounder, StageCallback], Grounding],
    answer: Answer,
    **options: Any,
) -> GroundingJob:
    """The job of a search; see `CameraSearch.job`."""

    def answered(outcome: Outcome) -> None:
        if isinstance(outcome, StvgError):
            outcome = failed(query, outcome, views)
        answer(outcome)

    return GroundingJob(query.id, ground, answered, deadline_s=query.deadline_s, **options)


def _warning(refused: Mapping[str, StvgError]) -> str:
    return "; ".join(f"camera {camera!r} was not searched: {e}" for camera, e in refused.items())


def failed(query: Query, error: StvgError, views: CameraViews | None = None) -> Grounding:
    """The answer that contains an error."""
    clips = views.clips if views else {}
    camera = next(iter(clips), "")
    newest = clips[camera].frames[-1] if clips else None
    tube = Tube(
        query=query,
        status=Status.FAILED,
        error_code=error.code,
        error=str(error),
        camera=camera,
        stamp_ns=newest.stamp_ns if newest else 0,
        frame_id=newest.frame_id if newest else "",
        width_px=newest.source_width_px if newest else 0,
        height_px=newest.source_height_px if newest else 0,
        image_age_s=views.ages_s.get(camera, 0.0) if views else 0.0,
    )
    return Grounding((tube,))


def merged(groundings: Mapping[str, Grounding], max_targets: int, warning: str = "") -> Grounding:
    """Merges the tubes of several cameras: found ones first, then by confidence.

    The evidence of the best tube's camera is kept; counts are summed.
    """
    tubes = [
        replace(tube, camera=camera, warning="; ".join(filter(None, (warning, tube.warning))))
        for camera, grounding in groundings.items()
        for tube in grounding.tubes
    ]
    tubes.sort(key=lambda tube: (tube.status, -tube.confidence))
    split = tubes[0].split
    command = split.command if split is not None else None
    if command is not None and command.number != "one":
        max_targets = len(tubes)
    ranked = tuple(replace(tube, rank=rank) for rank, tube in enumerate(tubes[:max_targets]))
    best = groundings[ranked[0].camera]
    text, number = best.text, best.number
    counts = [g.number for g in groundings.values() if g.number is not None]
    if counts:
        number = sum(counts)
        text = str(number) if command is not None and command.intent == "count" else text
    return Grounding(ranked, best.evidence, text=text, number=number)
