# SPDX-License-Identifier: Apache-2.0

"""Counts of one replica in the text format of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Requests by outcome, bytes, and how long commands took. Thread contract: one thread."""

    def __init__(self, replica: str) -> None:
        """`replica` is a label of every value."""
        self._replica = replica
        self._requests: Counter[tuple[str, str]] = Counter()
        self._received = self._frames = 0
        self._buckets = [0] * (len(BUCKETS_S) + 1)
        self._seconds = 0.0

    def request(self, path: str, outcome: str) -> None:
        """Counts an answered request; the outcome is a status, or an error code's name."""
        self._requests[path, outcome] += 1

    def received(self, nbytes: int) -> None:
        """Counts a body."""
        self._received += nbytes

    def decoded(self, frames: int) -> None:
        """Counts frames that came with their image."""
        self._frames += frames

    def command(self, seconds: float) -> None:
        """Counts a command from its receipt to its answer."""
        self._buckets[bisect_left(BUCKETS_S, seconds)] += 1
        self._seconds += seconds

    def text(self, gauges: Mapping[str, float]) -> str:
        """All values, and the gauges given by name."""
        own = f'replica="{self._replica}"'
        lines = ["# TYPE stvg_requests_total counter"]
        for (path, outcome), count in sorted(self._requests.items()):
            labels = f'{own},path="{path}",outcome="{outcome}"'
            lines.append(f"stvg_requests_total{{{labels}}} {count}")
        for name, value in (("received_bytes", self._received), ("frames", self._frames)):
            lines.append(f"# TYPE stvg_{name}_total counter")
            lines.append(f"stvg_{name}_total{{{own}}} {value}")
        lines.append("# TYPE stvg_command_seconds histogram")
        total = 0
        for bound, count in zip((*BUCKETS_S, "+Inf"), self._buckets, strict=True):
            total += count
            lines.append(f'stvg_command_seconds_bucket{{{own},le="{bound}"}} {total}')
        lines.append(f"stvg_command_seconds_sum{{{own}}} {self._seconds}")
        lines.append(f"stvg_command_seconds_count{{{own}}} {total}")
        for name, gauge in gauges.items():
            lines.append(f"# TYPE stvg_{name} gauge")
            lines.append(f"stvg_{name}{{{own}}} {gauge:g}")
        return "\n".join(lines) + "\n"
