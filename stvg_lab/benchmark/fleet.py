# SPDX-License-Identifier: Apache-2.0

"""Number of replicas for a fleet: a simulation of robots, commands and queues.

python -m stvg_lab.benchmark.fleet --robots 1000 --service-s 1.1
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Fleet:
    """Load of the robots and capacity of a replica.

    Attributes:
        robots: number of robots.
        interval_s: mean time between the commands of one robot, at random times.
        service_s: computing time of a command.
        spread: maximum relative deviation from `service_s`.
        max_queue: maximum number of waiting commands in a replica.
    """

    robots: int = 1000
    interval_s: float = 60.0
    service_s: float = 1.0
    spread: float = 0.3
    max_queue: int = 16


@dataclass(frozen=True)
class Load:
    """Result of a simulation.

    Attributes:
        busy: utilisation of the mean replica and of the busiest one.
        latency_s: from command to answer: median, 95th, 99th percentile.
        refused: share of commands refused by a full queue.
    """

    busy: tuple[float, float]
    latency_s: tuple[float, float, float]
    refused: float


def simulated(fleet: Fleet, replicas: int, duration_s: float = 3600.0, seed: int = 0) -> Load:
    """Simulates the fleet. Each robot belongs to the replica that has its frames."""
    draw = np.random.default_rng(seed)
    home = draw.integers(0, replicas, fleet.robots)
    count = draw.poisson(fleet.robots * duration_s / fleet.interval_s)
    arrivals_s = np.sort(draw.uniform(0, duration_s, count))
    chosen = home[draw.integers(0, fleet.robots, count)]
    work_s = fleet.service_s * draw.uniform(1 - fleet.spread, 1 + fleet.spread, count)
    ends: list[deque[float]] = [
        deque() for _ in range(replicas)
    ]  # end times of running and waiting commands
    worked_s = np.zeros(replicas)
    latencies_s, refused = [], 0
    for arrival_s, replica, own_s in zip(arrivals_s, chosen, work_s, strict=True):
        queue = ends[replica]
        while queue and queue[0] <= arrival_s:
            queue.popleft()
        if len(queue) > fleet.max_queue:
            refused += 1
            continue
        end_s = max(arrival_s, queue[-1] if queue else 0.0) + own_s
        queue.append(end_s)
        worked_s[replica] += own_s
        latencies_s.append(end_s - arrival_s)
    median, p95, p99 = np.percentile(latencies_s, [50, 95, 99]) if latencies_s else (0.0,) * 3
    busy = worked_s / duration_s
    return Load(
        (float(busy.mean()), float(busy.max())),
        (float(median), float(p95), float(p99)),
        refused / max(1, count),
    )


def fleet_table(fleet: Fleet, replicas: Sequence[int]) -> str:
    """A table of the load for several numbers of replicas."""
    lines = [
        f"{fleet.robots} robots, a command each {fleet.interval_s:g} s, "
        f"{fleet.service_s:g} s of work each",
        f"{'replicas':>9}{'busy':>7}{'busiest':>9}{'median':>9}{'95%':>8}{'99%':>8}{'refused':>9}",
    ]
    for number in replicas:
        load = simulated(fleet, number)
        latency = "".join(f"{seconds:6.1f} s" for seconds in load.latency_s)
        lines.append(
            f"{number:>9}{load.busy[0]:7.0%}{load.busy[1]:9.0%} {latency}{load.refused:9.2%}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table, starting with the minimum number of replicas."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--robots", type=int, default=1000)
    parser.add_argument(
        "--interval-s", type=float, default=60.0, help="mean time between commands of one robot"
    )
    parser.add_argument(
        "--service-s", type=float, default=1.0, help="computing time of one command"
    )
    given = parser.parse_args(arguments)
    fleet = Fleet(given.robots, given.interval_s, given.service_s)
    least = given.robots * given.service_s / given.interval_s
    numbers = sorted({max(1, round(least * factor)) for factor in (1.0, 1.25, 1.5, 2.0, 3.0)})
    sys.stdout.write(fleet_table(fleet, numbers) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
