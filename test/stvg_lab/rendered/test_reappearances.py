# SPDX-License-Identifier: Apache-2.0

"""Scenes of people who come back: what is hidden, who shares a garment, and how long."""

from __future__ import annotations

import numpy as np
import pytest

from stvg_lab.rendered.queries import IDENTITY, SPLITS, split_seed
from stvg_lab.rendered.reappearances import identity_scene, reappearance_scene
from stvg_lab.rendered.visible_parts import visible_shares


def test_equal_seeds_give_equal_scenes() -> None:
    first, second = (reappearance_scene(4, duration_s=20, fps=3) for _ in range(2))
    assert first.scene.people == second.scene.people
    assert first.absences == second.absences


@pytest.mark.parametrize("seed", range(4))
def test_people_are_out_of_sight_for_3_to_20_s_among_others(seed: int) -> None:
    made = reappearance_scene(seed, fps=5.0)
    assert 4 <= len(made.scene.people) <= 6
    assert made.absences
    for absence in made.absences:
        seen = made.shown[absence.person]
        assert not seen[absence.start_frame : absence.end_frame].any()
        assert seen[absence.start_frame - 1] and seen[absence.end_frame]
        assert 3.0 <= (absence.end_frame - absence.start_frame) / 5.0 <= 26.0


def test_a_target_is_absent_as_often_as_asked() -> None:
    made = reappearance_scene(3, duration_s=120.0, losses=4, target=0, fps=3.0)
    assert sum(absence.person == 0 for absence in made.absences) == 4


def test_every_kind_of_clothes_is_in_any_five_scenes() -> None:
    for first in (0, 3):
        kinds = []
        for index in range(first, first + 5):
            people = identity_scene(index, duration_s=4, losses=0, fps=1).scene.people
            shirts = len({person.shirt for person in people})
            trousers = len({person.look.trousers_rgb for person in people})
            kinds.append((len(people) - shirts, len(people) - trousers))
        assert sorted(kinds) == [(0, 0), (0, 1), (0, 1), (1, 0), (1, 0)]


def test_what_is_shared_is_worn_by_one_other() -> None:
    kinds = set()
    for seed in range(7):
        made = reappearance_scene(seed, duration_s=20, fps=3)
        people = made.scene.people
        for absence in made.absences:
            own = people[absence.person]
            others = [p for i, p in enumerate(people) if i != absence.person]
            shirts = sum(p.look.shirt_rgb == own.look.shirt_rgb for p in others)
            trousers = sum(p.look.trousers_rgb == own.look.trousers_rgb for p in others)
            assert (shirts, trousers) == {"": (0, 0), "shirt": (1, 0), "trousers": (0, 1)}[
                absence.shares
            ]
            kinds.add(absence.shares)
    assert kinds == {"", "shirt", "trousers"}


def test_the_split_has_seeds_of_its_own() -> None:
    assert IDENTITY in SPLITS
    assert identity_scene(2, duration_s=20, fps=3).scene.seed == split_seed(IDENTITY, 2)


def test_a_person_behind_the_screen_is_not_seen() -> None:
    for seed in range(5):
        made = reappearance_scene(seed, duration_s=20, fps=3)
        if made.scene.foreground:
            break
    shares = visible_shares(made.scene, len(made.scene.people), range(made.scene.frame_count))
    assert shares.min() >= 0 and shares.max() <= 1
    # Everybody stands free in the first frame, and nobody is seen where the screen is.
    assert np.median(shares[:, 0]) > 0.9
    x1, x2 = (made.scene.foreground[k].points_px[:, 0] for k in (0, 1))
    for person in range(len(made.scene.people)):
        box = made.scene.boxes_xyxy_px[person]
        behind = (box[:, 0] > x1.min() + 2) & (box[:, 2] < x2.max() - 2)
        assert (shares[person, behind] < 0.1).all()
