# SPDX-License-Identifier: Apache-2.0

"""Links tracks by motion and by what their people look like.

While two people pass each other, or one of them is hidden, a tracker may continue one with the
boxes of the other. So tracks are cut where that is possible, and the pieces are joined again, the
most likely pair first: log-odds of the appearance and of the motion from one piece to the next.
A person who was out of sight for long is recognised by appearance alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stvg_ros.identity.descriptor import AppearanceDescriptor, TubeDescriptor, log_odds
from stvg_ros.proposals.people.byte_track import Track

_MEETING = 0.3  # share of the smaller of two boxes that both cover
_BREAK = 4  # frames; in a longer gap of a track, its person may have changed
_PAUSE = 8  # frames between two meetings; shorter ones are one
_WEIGHT = 1.5  # quality of a piece from which on its appearance counts wholly
_CONTINUES = 2.0  # nats for the piece that follows in the same track
_PLACE = 3.0  # nats for the same place in the background
_STEP, _SPEED = 0.5, 0.12  # heights: a likely way from one piece to the next, and per frame
_AT_REST, _FARTHEST = 2.0, -8.0  # nats of the motion
_SIZES = 0.6  # ratio of the heights from which on two boxes are of one size
_OTHER_SIZE = -2.0  # nats
_LONG = -0.5  # nats of a long absence, after which anybody can be anywhere
_JOIN = 1.5  # nats from which on two pieces are of one person ...
_BETTER = 1.0  # ... if nobody else at that time is as likely, up to this difference


@dataclass(eq=False)
class _Person:
    """The pieces of one person, in order of time.

    Attributes:
        pieces: tracks without common frames.
        look: the appearance in all of them.
        spans: first and last frame of each piece.
    """

    pieces: list[Track]
    look: TubeDescriptor
    spans: list[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.spans = [(piece.first, piece.last) for piece in self.pieces]

    @property
    def first(self) -> int:
        """The first frame."""
        return self.spans[0][0]

    @property
    def last(self) -> int:
        """The last frame."""
        return self.spans[-1][1]

    def overlaps(self, other: _Person) -> bool:
        """Whether both are seen in one frame, so that they are two people."""
        if self.last < other.first or other.last < self.first:
            return False
        return any(
            first <= end and start <= last
            for first, last in self.spans
            for start, end in other.spans
        )

    def add(self, other: _Person) -> None:
        """Adds the pieces of the same person."""
        self.pieces = sorted((*self.pieces, *other.pieces), key=lambda piece: piece.first)
        self.spans = sorted((*self.spans, *other.spans))
        self.look.join(other.look)


def linked_by_appearance(
    tracks: Sequence[Track], max_gap: int, descriptor: AppearanceDescriptor
) -> list[Track]:
    """One track for each person; see the module.

    Args:
        tracks: of a tracker, with descriptors of some of their detections.
        max_gap: longest gap in frames over which motion says who is who. Longer ones are stored in
            `Track.absences`.
        descriptor: that of the detections.
    """
    cuts = _cuts(tracks)
    origin: dict[Track, int] = {}  # of each piece: the number of its track
    people = []
    for number, track in enumerate(tracks):
        for piece in _pieces(track, cuts[number]):
            origin[piece] = number
            people.append(_Person([piece], _look(piece, descriptor)))
    people.sort(key=lambda person: person.spans)
    links = _Links(origin, max_gap)
    nats = np.array([links.nats(person, people) for person in people])
    nats = nats.reshape(len(people), len(people))
    while True:
        pairs = _by_likelihood(nats)
        pair = next((p for p in pairs if _rival(nats, *p) <= nats[p] - _BETTER), None)
        if pair is None:
            # Who is who in a meeting may stay open; then each piece goes on by its motion.
            pair = next((p for p in pairs if links.way(*(people[at] for at in p)) > 0), None)
        if pair is None:
            break
        first, second = pair
        people[first].add(people.pop(second))
        nats = np.delete(np.delete(nats, second, axis=0), second, axis=1)
        nats[first] = nats[:, first] = links.nats(people[first], people)
    return [_joined(person.pieces, links) for person in people]


class _Links:
    """How likely pieces are of one person."""

    def __init__(self, origin: dict[Track, int], max_gap: int) -> None:
        self._origin = origin
        self._max_gap = max_gap

    def nats(self, one: _Person, others: Sequence[_Person]) -> NDArray[np.float64]:
        """Log-odds that one and each of the others are one person; -inf if seen at one time."""
        found = np.full(len(others), -np.inf)
        apart = [at for at, other in enumerate(others) if not one.overlaps(other)]
        if not apart:
            return found
        looks = [others[at].look for at in apart]
        weights = np.array([look.weight for look in looks]) / _WEIGHT
        sure = np.clip(np.minimum(weights, one.look.weight / _WEIGHT), 0, 1)
        nats = np.where(sure > 0, sure * log_odds(one.look.similarities(looks)), 0)
        found[apart] = nats + [self.way(one, others[at]) for at in apart]
        return found

    def way(self, one: _Person, other: _Person) -> float:
        """Log-odds of the motion wherever a piece of one is followed by one of the other."""
        if one.last < other.first:
            return self.motion(one.pieces[-1], other.pieces[0])
        if other.last < one.first:
            return self.motion(other.pieces[-1], one.pieces[0])
        own = set(map(id, one.pieces))
        order = sorted((*one.pieces, *other.pieces), key=lambda piece: piece.first)
        return sum(
            self.motion(before, after)
            for before, after in itertools.pairwise(order)
            if (id(before) in own) != (id(after) in own)
        )

    def is_absence(self, before: Track, after: Track) -> bool:
        """Whether a person was out of sight between two pieces."""
        gap = after.first - before.last
        return gap > self._max_gap or (gap > _BREAK and self.motion(before, after) < 0)

    def motion(self, before: Track, after: Track) -> float:
        """Log-odds of the way from the end of one piece to the start of the next, in nats."""
        gap = after.first - before.last
        if before.place == after.begin_place >= 0 and gap <= 2 * self._max_gap:
            return _PLACE
        if gap > self._max_gap:
            return _LONG
        end, start = before.boxes[before.last], after.boxes[after.first]
        heights = float(end[3] - end[1]), float(start[3] - start[1])
        tall = max(*heights, 1.0)
        way = float(np.hypot(*((start[:2] + start[2:] - end[:2] - end[2:]) / 2))) / tall
        nats = max(_FARTHEST, _AT_REST * (1 - way / (_STEP + _SPEED * gap)))
        if min(heights) < _SIZES * tall:
            nats += _OTHER_SIZE
        if self._origin[before] == self._origin[after]:
            nats += _CONTINUES
        return nats


def _cuts(tracks: Sequence[Track]) -> list[set[int]]:
    """For each track, the frames with which a piece starts: around its meetings and gaps."""
    cuts: list[set[int]] = [set() for _ in tracks]
    for one, other in itertools.combinations(range(len(tracks)), 2):
        for first, last in _meetings(tracks[one], tracks[other]):
            for number in (one, other):
                cuts[number] |= {first, last + 1}
    for number, track in enumerate(tracks):
        for before, after in itertools.pairwise(sorted(track.boxes)):
            if after - before > _BREAK:
                cuts[number].add(after)
    return cuts


def _meetings(one: Track, other: Track) -> Iterator[tuple[int, int]]:
    """First and last frame of each time at which two tracks overlap."""
    frames = np.array(sorted(one.boxes.keys() & other.boxes.keys()), np.int64)
    if not len(frames):
        return
    first, second = (np.stack([t.boxes[f] for f in frames.tolist()]) for t in (one, other))
    low, high = np.maximum(first[:, :2], second[:, :2]), np.minimum(first[:, 2:], second[:, 2:])
    both = np.clip(high - low, 0, None).prod(axis=1)
    sizes = ((boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (first, second))
    met = frames[both > _MEETING * np.maximum(np.minimum(*sizes), 1e-6)]
    for run in np.split(met, np.flatnonzero(np.diff(met) > _PAUSE) + 1):
        if len(run):
            yield int(run[0]), int(run[-1])


def _pieces(track: Track, cuts: set[int]) -> Iterator[Track]:
    for frame in sorted(cuts):
        if track.boxes and track.first < frame <= track.last:
            tail = track.split(frame)
            yield track
            track = tail
    yield track


def _by_likelihood(nats: NDArray[np.float64]) -> list[tuple[int, int]]:
    """The pairs that are likely one person, the most likely one first."""
    rows, columns = np.nonzero(np.triu(nats >= _JOIN, 1))
    order = np.argsort(-nats[rows, columns], kind="stable")
    return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))


def _rival(nats: NDArray[np.float64], one: int, other: int) -> float:
    """The log-odds of the likeliest pair of one of two and somebody who is not the other."""
    rivals = []
    for here, there in ((one, other), (other, one)):
        apart = np.isneginf(nats[there])  # seen at the same time
        apart[there] = False
        rivals.append(nats[here, apart].max(initial=-np.inf))
    return float(max(rivals))


def _joined(pieces: Sequence[Track], links: _Links) -> Track:
    """The track of all pieces of a person."""
    track = pieces[0]
    for before, after in itertools.pairwise(pieces):
        if links.is_absence(before, after):
            track.absences.append((before.last, after.first))
    for piece in pieces[1:]:
        track.take(piece)
    return track


def _look(track: Track, descriptor: AppearanceDescriptor) -> TubeDescriptor:
    look = TubeDescriptor(descriptor)
    for vector, quality in track.looks.values():
        look.add(vector, quality)
    return look
