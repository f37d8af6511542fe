# SPDX-License-Identifier: Apache-2.0

"""Where people stand to one another: evidence in nats for each tube."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from stvg_ros.commands.command import Relation
from stvg_ros.method.conditions import relation_share
from stvg_ros.method.evidence import ABSENT
from stvg_ros.types import CandidateTube, Clip

_NATS = 4.0  # for a relation that always holds to somebody who is described
_TO_ANYBODY = 0.5  # share of it for one to anybody
_NOBODY_NATS = -2.0  # of a relation to somebody who is not there
_ANCHOR_NATS = 1.0  # evidence from which on another person is the one of a relation
_NEAR_HEIGHTS = 1.5  # between the middles of two people who are neither near nor apart
_MOST_ANCHORS = 8

Fits = Sequence[float] | None  # nats of a description for each tube; None if it has no measure


def related(
    relation: Relation, fits: Sequence[Fits], candidates: Sequence[CandidateTube], clip: Clip
) -> dict[int, float]:
    """Evidence of each tube by track id; empty if it is not clear who the others are.

    Args:
        relation: to the others.
        fits: how well each description of `others_of` fits each tube.
        candidates: tubes over the clip.
        clip: F frames.
    """
    options: list[list[int]] = []
    for fit in fits:
        if fit is None:
            options.append(list(range(len(candidates)))[:_MOST_ANCHORS])
            continue
        best = [row for row in np.argsort(-np.array(fit)).tolist() if fit[row] > _ANCHOR_NATS]
        pair = relation.kind == "between" and len(fits) == 1
        options.append(best[: 2 if pair else 1])
        if not best:
            nobody = max(fit, default=0.0) < ABSENT
            return {c.track_id: _NOBODY_NATS for c in candidates} if nobody else {}
    certain = all(fit is not None for fit in fits)
    anchors = {row for rows in options for row in rows} if certain else set[int]()
    tubes = {}
    for row, candidate in enumerate(candidates):
        if row in anchors:
            tubes[candidate.track_id] = -_NATS
            continue
        found = [
            nats
            for group in _groups(relation.kind, options, row)
            if (nats := _nats(relation.kind, candidate, [candidates[i] for i in group], clip))
            is not None
        ]
        if found:
            tubes[candidate.track_id] = max(found) * (1.0 if certain else _TO_ANYBODY)
    return tubes


def _groups(kind: str, options: Sequence[list[int]], row: int) -> Iterator[tuple[int, ...]]:
    """Who the others may be, for the tube in a row."""
    rest = [[other for other in rows if other != row] for rows in options]
    if kind != "between":
        yield from ((other,) for other in rest[0])
    elif len(rest) == 1:
        yield from permutations(rest[0], 2)
    else:
        yield from ((one, other) for one in rest[0] for other in rest[1] if one != other)


def _nats(
    kind: str, tube: CandidateTube, anchors: Sequence[CandidateTube], clip: Clip
) -> float | None:
    if kind == "near":
        return _near(tube, anchors[0])
    share = relation_share(kind, tube, anchors, clip)
    return None if share is None else _NATS * (2 * share - 1)


def _near(tube: CandidateTube, other: CandidateTube) -> float | None:
    """The nearer, the more: so the nearest of several who are near is the one."""
    frames = np.flatnonzero(tube.present & other.present)
    if not len(frames):
        return None
    mine, theirs = tube.boxes_xyxy_px[frames], other.boxes_xyxy_px[frames]
    apart = np.hypot(*((mine[:, :2] + mine[:, 2:] - theirs[:, :2] - theirs[:, 2:]) / 2).T)
    tall = (mine[:, 3] - mine[:, 1] + theirs[:, 3] - theirs[:, 1]) / 2
    heights = float(np.median(apart / np.maximum(tall, 1.0)))
    return float(np.clip(_NATS * (1 - heights / _NEAR_HEIGHTS), -_NATS, _NATS))
