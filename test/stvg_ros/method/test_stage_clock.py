# SPDX-License-Identifier: Apache-2.0

"""Stages are announced, checked and measured."""

from __future__ import annotations

import time

import pytest

from stvg_ros.errors import CanceledError
from stvg_ros.method.interruption import check_interruption
from stvg_ros.method.stage_clock import STAGES, Clock


@pytest.fixture
def times_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock reads, in this order."""
    reads = [1.0, 3.5, 7.0, 7.25]
    monkeypatch.setattr(time, "perf_counter", lambda: reads.pop(0))
    return reads


def test_a_stage_is_announced_then_checked_and_its_time_is_kept(times_s: list[float]) -> None:
    calls: list[tuple[str, float]] = []
    clock = Clock(lambda stage, progress: calls.append((stage, progress)))
    assert clock.timings_s == {}
    with clock.stage("split"):
        assert calls == [("split", 0.0)]
        check_interruption()
    with clock.stage("score"):
        check_interruption()
        check_interruption()
    check_interruption()  # outside of a stage
    assert calls == [("split", 0.0)] * 2 + [("score", (len(STAGES) - 1) / len(STAGES))] * 3
    assert clock.timings_s == {"split": 2.5, "score": 0.25}


def test_progress_grows_from_stage_to_stage() -> None:
    shares: list[float] = []
    clock = Clock(lambda stage, progress: shares.append(progress))
    for name in STAGES:
        with clock.stage(name):
            pass
    assert shares == [index / 10 for index in range(10)]
    assert list(clock.timings_s) == list(STAGES)


def test_a_stage_that_is_ended_has_no_time() -> None:
    def ends(stage: str, progress: float) -> None:
        raise CanceledError("canceled by the client")

    clock = Clock(ends)
    with pytest.raises(CanceledError), clock.stage("propose"):
        pytest.fail("the stage began")
    assert clock.timings_s == {}
