# SPDX-License-Identifier: Apache-2.0

"""Answers a command about somebody whose appearance is known: the candidate who looks like them."""

from __future__ import annotations

from dataclasses import replace

from stvg_ros.frames import Clip
from stvg_ros.identity.descriptor import SAME_PERSON, TubeDescriptor
from stvg_ros.identity.reidentification import best_of
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.method.known_tube import found_tube
from stvg_ros.types import Grounding, Status


def recognised(
    grounding: Grounding, clip: Clip, appearance: TubeDescriptor, describer: TubeDescriber, who: str
) -> Grounding:
    """The answer with the candidate who looks like somebody, or why nobody does.

    Args:
        grounding: an answer with the candidate tubes over the clip.
        clip: the frames.
        appearance: what is known.
        describer: describes the candidates.
        who: the name in texts, such as "'Morgan'".
    """
    seen = describer.of_tubes(clip, grounding.candidates)
    found = best_of(appearance, [one.track_id for one in grounding.candidates], seen)
    template = replace(grounding.best, boxes=(), track_id=-1, decided="")
    if found.track_id is None:
        reason = f"{who} is not recognised: {found.reason}"
        tube = replace(template, status=Status.NOT_FOUND, error=reason)
        return Grounding((tube,), candidates=grounding.candidates)
    chosen = next(one for one in grounding.candidates if one.track_id == found.track_id)
    tube = found_tube(chosen, clip, template, found.score)
    return Grounding((replace(tube, decided=found.evidence),), candidates=grounding.candidates)


def agrees(
    grounding: Grounding, clip: Clip, appearance: TubeDescriptor, describer: TubeDescriber
) -> bool:
    """Whether the tube that was found looks like somebody, or cannot be compared."""
    tracks = {one.track_id: index for index, one in enumerate(grounding.candidates)}
    index = tracks.get(grounding.best.track_id)
    if index is None or appearance.vector is None:
        return True
    seen = describer.of_tubes(clip, grounding.candidates)[index]
    return seen.vector is None or appearance.similarity(seen) >= SAME_PERSON


def clip_of_candidates(grounding: Grounding, clip: Clip) -> Clip | None:
    """The part of a searched clip that an answer's candidates are over; None without any."""
    count = len(grounding.candidates[0].present) if grounding.candidates else 0
    frames = [frame for frame in clip.frames if frame.stamp_ns <= grounding.best.stamp_ns]
    return Clip(tuple(frames[-count:])) if 0 < count <= len(frames) else None
