# SPDX-License-Identifier: Apache-2.0

"""The figures of small scenes, with a detector that knows everybody's true boxes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from stvg_lab.identity import measurement
from stvg_lab.identity.lost_and_found import PARTS, Following, following
from stvg_lab.identity.measurement import (
    BYTE_TRACK,
    OURS,
    PLAIN,
    IdentityMeasurement,
    proportion_interval,
    shown,
)
from stvg_lab.identity.track_rows import byte_track_rows, library_installed, true_rows
from stvg_lab.rendered.reappearances import ReappearanceScene, reappearance_scene
from stvg_ros.boxes import Boxes
from stvg_ros.identity.garment_colours import GarmentColours
from stvg_ros.proposals.people.transformer_detector import PeopleProposer
from stvg_ros.proposals.settings import ProposalConfig


class TrueBoxes:
    """Everybody who is seen in the next frame of a scene, which is shown once."""

    name = "true"
    new_track_score = 0.5
    smoothing_s = 0.0
    every = 1

    def __init__(self, made: ReappearanceScene) -> None:
        self._rows = iter(true_rows(made))

    def __call__(self, image: NDArray[np.uint8]) -> tuple[Boxes, NDArray[np.float32]]:
        boxes = np.array(list(next(self._rows).values()), np.float32).reshape(-1, 4)
        return boxes, np.full(len(boxes), 0.9, np.float32)


def scene(seed: int) -> ReappearanceScene:
    return reappearance_scene(
        seed, duration_s=24.0, losses=1, target=0, width=320, height=240, fps=5.0
    )


def source_of(made: ReappearanceScene) -> PeopleProposer:
    return PeopleProposer(ProposalConfig(), TrueBoxes(made))


def test_no_scene_has_no_figure() -> None:
    made = scene(1)
    table = IdentityMeasurement(source_of(made), GarmentColours()).table()
    assert table["rank1_distinct"] is None and table["found_again"] is None
    assert table["hota"] == {OURS: None, PLAIN: None, BYTE_TRACK: None}
    assert "not measured" in shown(table)


def test_a_scene_of_true_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "library_installed", lambda: False)
    made = scene(1)
    measured = IdentityMeasurement(source_of(made), GarmentColours())
    measured.add(made)
    table = measured.table()
    ranks = [table[key] for key in ("rank1_distinct", "rank1_shared", "rank1_trousers")]
    assert sum(one["samples"] for one in ranks if one) >= 1
    assert all(one["mean"] == 1.0 for one in ranks if one)
    assert table["hota"][BYTE_TRACK] is table["id_switches"][BYTE_TRACK] is None
    assert set(table["differences"]) == {PLAIN}
    assert table["hota"][OURS]["mean"] > table["hota"][PLAIN]["mean"]
    assert table["hota"][OURS]["mean"] > 0.8
    assert table["id_switches"][OURS]["total"] <= table["id_switches"][PLAIN]["total"]
    assert table["differences"][PLAIN]["hota"]["mean"] > 0


def test_a_target_is_found_again() -> None:
    made = scene(1)
    result = following(made, 0, source_of(made), GarmentColours())
    assert result.found_again == (True,)
    assert len(result.delays_s) == 1 and 0 <= result.delays_s[0] < 5
    assert result.silent_swaps == (0, 0)


def test_totals_and_means_have_intervals() -> None:
    made = scene(1)
    measured = IdentityMeasurement(source_of(made), GarmentColours())
    measured.add_stream(Following((True, True, False), (0.5, 1.5), (0, 0, 1, 0)))
    table = measured.table()
    assert (table["losses"]["total"], table["found_again"]["total"]) == (3, 2)
    assert table["found_again"]["low"] < 2 <= table["found_again"]["high"]
    assert table["silent_swaps"] == {**table["silent_swaps"], "total": 1, "samples": 4}
    assert table["delay_s"]["mean"] == 1.0


def test_byte_track_of_the_library() -> None:
    if not library_installed():
        pytest.skip("requirements/trackers.txt is not installed")
    made = scene(1)
    rows = [
        (
            np.array(list(row.values()), np.float32).reshape(-1, 4),
            np.full(len(row), 0.9, np.float32),
        )
        for row in true_rows(made)
    ]
    found = byte_track_rows(rows, 5.0, 0.5)
    assert len(found) == len(rows)
    assert max(map(len, found)) <= len(made.scene.people)
    assert BYTE_TRACK == "ByteTrack"
    assert len(set().union(*found)) >= len(made.scene.people)


@pytest.mark.parametrize(
    ("events", "samples", "low", "high"),
    [(0, 20, 0.0, 0.161), (20, 20, 0.839, 1.0), (9, 10, 0.596, 0.982)],
)
def test_proportions_that_were_never_or_always_seen(
    events: int, samples: int, low: float, high: float
) -> None:
    assert proportion_interval(events, samples) == pytest.approx((low, high), abs=1e-3)


def test_what_never_happened_may_happen() -> None:
    measured = IdentityMeasurement(source_of(scene(1)), GarmentColours())
    measured.add_stream(Following((True,) * 20, (1.0,) * 20, (0,) * 21))
    table = measured.table()
    swaps, found = table["silent_swaps"], table["found_again"]
    assert (swaps["total"], swaps["low"]) == (0, 0)
    assert 3 < swaps["high"] < 4
    assert (found["total"], found["high"]) == (20, 20)
    assert 16 < found["low"] < 17


def test_a_stream_has_costs() -> None:
    made = scene(1)
    frames = []
    result = following(
        made, 0, source_of(made), GarmentColours(), lambda: frames.append(len(frames))
    )
    assert len(frames) == made.scene.frame_count
    assert set(result.spent_ms) == set(PARTS)
    assert result.spent_ms["remembering"] > 0
    measured = IdentityMeasurement(source_of(made), GarmentColours())
    minutes = replace(result, remembered_mb=(1.0, 2.0), resident_mb=(100.0, 101.0))
    measured.add_stream(minutes)
    table = measured.table()
    assert table["costs"][0]["remembered_mb"] == [1.0, 2.0]
    assert "memory beyond the window, MB each minute 1 2" in " ".join(shown(table).split())


def test_the_memory_of_a_stream_is_written_down_each_minute() -> None:
    made = reappearance_scene(
        1, duration_s=62.0, losses=1, target=0, width=160, height=120, fps=2.0
    )
    result = following(made, 0, source_of(made), GarmentColours())
    minutes = int(made.scene.frame_count / 120)
    assert len(result.remembered_mb) == len(result.resident_mb) == minutes >= 1
    assert result.remembered_mb[0] > 0.01
    assert result.resident_mb[0] > 10


def test_an_interrupted_measurement_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "library_installed", lambda: False)
    made = scene(1)
    first = IdentityMeasurement(source_of(made), GarmentColours())
    first.add(made)
    first.add_stream(
        Following((True, False), (0.5,), (0, 1, 0), {"following": 1.0}, (2.0,), (9.0,))
    )
    later = IdentityMeasurement(source_of(made), GarmentColours())
    later.restore(json.loads(json.dumps(first.details())))
    assert (later.scenes, later.streams) == (1, 1)
    assert json.dumps(later.table()) == json.dumps(first.table())
