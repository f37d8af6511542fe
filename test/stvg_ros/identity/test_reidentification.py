# SPDX-License-Identifier: Apache-2.0

"""Which candidate is the target: appearance and query, with known similarities."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_ros.identity.descriptor import TubeDescriptor
from stvg_ros.identity.gallery import MOST_OTHERS, TargetGallery
from stvg_ros.identity.reidentification import Candidate, identified


class Angles:
    """People are angles; alike is the cosine of twice their difference, from 0 to 1."""

    name = "angles"

    def similarity(self, first, second):
        between = first @ second.T
        norms = np.linalg.norm(first, axis=1)[:, None] * np.linalg.norm(second, axis=1)[None]
        return np.clip(2 * (between / norms) ** 2 - 1, 0, 1).astype(np.float32)


def person(degrees, frames=3):
    seen = TubeDescriptor(Angles())
    for _ in range(frames):
        angle = np.radians(degrees)
        seen.add(np.array([np.cos(angle), np.sin(angle)], np.float32))
    return seen


def candidate(track, degrees, **more):
    return Candidate(track, person(degrees, more.pop("frames", 3)), **more)


def found(*people, others=()):
    gallery = TargetGallery(person(0))
    for other in others:
        gallery.add_other(person(other))
    return identified(gallery, people)


def test_nobody_is_not_the_target():
    result = found()
    assert (result.track_id, np.isnan(result.score)) == (None, True)
    assert "nobody" in result.reason


def test_the_one_who_looks_like_it_is_the_target():
    result = found(candidate(4, 60), candidate(7, 5))
    assert (result.track_id, result.reason) == (7, "")
    assert result.score == pytest.approx(np.cos(np.radians(10)), abs=1e-3)
    assert result.evidence == "appearance 0.98 (at least 0.50, next 0.00)"


def test_a_glimpse_is_not_enough():
    assert found(candidate(7, 5, frames=2)).track_id is None


def test_below_half_nobody_is_the_target():
    result = found(candidate(1, 31))
    assert (result.track_id, result.score) == (None, pytest.approx(0.469, abs=1e-3))
    assert "0.47 of at least 0.50" in result.reason


def test_two_alike_are_ambiguous_until_the_query_decides():
    pair = found(candidate(1, 12), candidate(2, -14))
    assert (pair.track_id, pair.ambiguous) == (None, (1, 2))
    decided = found(candidate(1, 12, query=-0.5), candidate(2, -14, query=1.0))
    assert (decided.track_id, decided.ambiguous) == (2, ())
    assert decided.evidence.endswith("query +1.0 nats")


def test_the_query_alone_does_not_make_somebody_the_target():
    assert found(candidate(1, 40, query=3.0)).track_id is None


def test_a_query_that_contradicts_refuses():
    result = found(candidate(1, 2, query=-1.5))
    assert result.track_id is None
    assert "the query does not describe" in result.reason


def test_who_was_elsewhere_at_the_same_time_is_not_the_target():
    assert found(candidate(1, 1, elsewhere=True), candidate(2, 15)).track_id == 2
    nobody = found(candidate(1, 1, elsewhere=True))
    assert nobody.track_id is None
    assert "together with the target" in nobody.reason


def test_who_is_more_like_another_person_is_refused():
    assert found(candidate(1, 14), others=[30]).track_id == 1
    result = found(candidate(1, 16), others=[30])
    assert result.track_id is None
    assert "more like somebody" in result.reason


def test_others_are_merged_and_bounded():
    gallery = TargetGallery(person(0))
    for _ in range(5):
        gallery.add_other(person(60))
    assert len(gallery.others) == 1
    gallery.add_other(TubeDescriptor(Angles()))  # nothing was described
    assert len(gallery.others) == 1

    class NobodyAlike(Angles):
        def similarity(self, first, second):
            return np.zeros((len(first), len(second)), np.float32)

    many = TargetGallery(TubeDescriptor(NobodyAlike()))
    for index in range(30):
        other = TubeDescriptor(NobodyAlike())
        other.add(np.array([1.0, index], np.float32))
        many.add_other(other)
    assert len(many.others) == MOST_OTHERS


def test_the_targets_mean_stops_growing():
    gallery = TargetGallery(person(0))
    for _ in range(200):
        gallery.confirm(person(0))
    assert gallery.target.weight <= 45
