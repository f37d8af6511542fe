# SPDX-License-Identifier: Apache-2.0

"""The simulation against what is known without one."""

from __future__ import annotations

import pytest

from stvg_lab.benchmark.fleet import Fleet, main, simulated


def test_no_commands_no_load():
    load = simulated(Fleet(robots=1, interval_s=1e9), 1, duration_s=10.0)
    assert (load.busy, load.latency_s, load.refused) == ((0.0, 0.0), (0.0, 0.0, 0.0), 0.0)


def test_a_lonely_robot_waits_for_its_own_work_alone():
    load = simulated(Fleet(robots=1, interval_s=1000.0, service_s=2.0, spread=0.0), 1, 1e5)
    assert load.latency_s[0] == pytest.approx(2.0)
    assert load.refused == 0.0


def test_the_mean_wait_of_a_queue_is_that_of_theory():
    # Pollaczek-Khinchine for constant work: the wait is rho / (2 (1 - rho)) times the work.
    fleet = Fleet(robots=500, interval_s=1000.0, service_s=1.0, spread=0.0, max_queue=10**6)
    load = simulated(fleet, 1, duration_s=4e5)
    assert load.busy[0] == pytest.approx(0.5, abs=0.01)
    assert load.latency_s[0] == pytest.approx(1.0, abs=0.35)


def test_too_few_replicas_refuse_what_they_cannot_do():
    load = simulated(Fleet(robots=200, interval_s=10.0, service_s=1.0), 10, 2000.0)
    assert load.refused == pytest.approx(0.5, abs=0.05)
    assert load.busy[1] == pytest.approx(1.0, abs=0.02)


def test_more_replicas_wait_less(capsys):
    fleet = Fleet(robots=300, interval_s=60.0, service_s=1.0)
    few, many = simulated(fleet, 6), simulated(fleet, 15)
    assert many.latency_s[1] < few.latency_s[1]
    assert main(["--robots", "10", "--service-s", "0.5"]) == 0
    assert "10 robots, a command each 60 s" in capsys.readouterr().out
