# SPDX-License-Identifier: Apache-2.0

"""Open-set re-identification: which of the candidates is the target, if any of them is.

Appearance and query give log-odds in nats, which are added. A candidate must be the target rather
than not, and clearly rather than any other candidate; otherwise nobody is identified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stvg_ros.identity.descriptor import SAME_PERSON, TubeDescriptor, log_odds
from stvg_ros.identity.gallery import TargetGallery

LEAST_LEAD = 1.0  # nats by which the best candidate must be ahead of the next
LEAST_FRAMES = 3  # described frames of a candidate
VETO = -1.0  # nats of the query from which on it contradicts


@dataclass(frozen=True, eq=False)
class Candidate:
    """Somebody who may be the target.

    Attributes:
        track_id: of the candidate tube.
        appearance: in the tube.
        query: log-odds in nats that the words of the query describe this tube; None if unknown.
        elsewhere: whether it was in view while the target was, at another place.
    """

    track_id: int
    appearance: TubeDescriptor
    query: float | None = None
    elsewhere: bool = False


@dataclass(frozen=True)
class Identification:
    """The decision.

    Attributes:
        track_id: the target's tube; None if nobody is identified.
        score: similarity of the best candidate's appearance, 0 to 1; NaN without a candidate.
        evidence: the numbers that decided.
        reason: why nobody is identified, or what is missing; empty if somebody is.
        ambiguous: track ids of candidates that cannot be distinguished.
    """

    track_id: int | None
    score: float = float("nan")
    evidence: str = ""
    reason: str = ""
    ambiguous: tuple[int, ...] = field(default=())


def identified(gallery: TargetGallery, candidates: Sequence[Candidate]) -> Identification:
    """Decides which of the candidates is the target."""
    shown = [one for one in candidates if one.appearance.frames >= LEAST_FRAMES]
    if not shown:
        return Identification(None, reason="nobody is in view long enough to be compared")
    alike = gallery.target.similarities([one.appearance for one in shown])
    free = [i for i, one in enumerate(shown) if not one.elsewhere]
    if not free:
        reason = "everybody in view was there together with the target"
        return Identification(None, float(alike.max()), reason=reason)
    nats = log_odds(alike) + [one.query or 0.0 for one in shown]
    ranked = sorted(free, key=lambda i: -nats[i])
    best = ranked[0]
    score = float(alike[best])
    said = _evidence(shown[best], score, [float(alike[i]) for i in ranked[1:]])
    refusal = _refusal(gallery, shown[best], score)
    if refusal:
        return Identification(None, score, said, refusal)
    near = [i for i in ranked[1:] if nats[best] - nats[i] < LEAST_LEAD]
    if near:
        alikes = ", ".join(f"{alike[i]:.2f}" for i in (best, *near))
        ids = tuple(shown[i].track_id for i in (best, *near))
        reason = f"{1 + len(near)} people cannot be distinguished (appearance {alikes})"
        return Identification(None, score, said, reason, ids)
    return Identification(shown[best].track_id, score, said)


def _refusal(gallery: TargetGallery, candidate: Candidate, score: float) -> str:
    """Why the best candidate is not the target; empty if it is."""
    if score < SAME_PERSON:
        return f"the most similar person has appearance {score:.2f} of at least {SAME_PERSON:.2f}"
    other = gallery.nearest_other(candidate.appearance)
    if other >= score:
        return (
            f"the most similar person (appearance {score:.2f}) is more like somebody who was in "
            f"view together with the target ({other:.2f})"
        )
    if candidate.query is not None and candidate.query <= VETO:
        return (
            f"the query does not describe the most similar person (appearance {score:.2f}, query "
            f"{candidate.query:+.1f} nats)"
        )
    return ""


def _evidence(candidate: Candidate, score: float, next_ones: Sequence[float]) -> str:
    parts = [f"at least {SAME_PERSON:.2f}"]
    if next_ones:
        parts.append(f"next {max(next_ones):.2f}")
    query = "" if candidate.query is None else f"; query {candidate.query:+.1f} nats"
    return f"appearance {score:.2f} ({', '.join(parts)}){query}"


def best_of(
    appearance: TubeDescriptor, track_ids: Sequence[int], seen: Sequence[TubeDescriptor]
) -> Identification:
    """As `identified`, for an appearance without known others or a query."""
    people = [Candidate(track, one) for track, one in zip(track_ids, seen, strict=True)]
    return identified(TargetGallery(appearance), people)
