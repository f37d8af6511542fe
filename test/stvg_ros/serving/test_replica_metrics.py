# SPDX-License-Identifier: Apache-2.0

"""The metrics of all replicas from any of them."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("prometheus_client", reason="missing: pip install -r requirements/serving.txt")
from prometheus_client.parser import text_string_to_metric_families

from stvg_ros.serving.replica_metrics import STALE_S, LocalBoard, ReplicaMetrics


def samples(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_any_replica_shows_the_metrics_of_all():
    board, waiting = LocalBoard(), {"commands_waiting": lambda: 2.0}
    made = [ReplicaMetrics(f"r{number}", waiting, board) for number in range(10)]
    for number, one in enumerate(made):
        for _ in range(number):
            one.request("/v1/ground", "200")
        one.decoded(number)
        one.received(10 * number)
        one.command(0.3)
        one.publish()
    text = made[3].text()
    found = samples(text)
    for number in range(10):
        replica = ("replica", f"r{number}")
        request = ("stvg_requests_total", ("outcome", "200"), ("path", "/v1/ground"), replica)
        assert found.get(request, 0) == number
        assert found["stvg_frames_total", replica] == number
        assert found["stvg_received_bytes_total", replica] == 10 * number
        assert found["stvg_commands_waiting", replica] == 2
        assert found["stvg_command_seconds_bucket", ("le", "0.2"), replica] == 0
        assert found["stvg_command_seconds_bucket", ("le", "0.5"), replica] == 1
    assert text.count("# TYPE stvg_frames_total counter") == 1


def test_a_replica_that_ended_is_not_shown(monkeypatch):
    board = LocalBoard()
    one, other, killed = (ReplicaMetrics(name, {}, board) for name in ("r0", "r1", "r2"))
    for each in (one, other, killed):
        each.publish()
    assert ("stvg_frames_total", ("replica", "r1")) in samples(one.text())
    other.close()
    assert ("stvg_frames_total", ("replica", "r1")) not in samples(one.text())
    now_s = time.time()
    monkeypatch.setattr(time, "time", lambda: now_s + STALE_S + 1)
    assert ("stvg_frames_total", ("replica", "r2")) not in samples(one.text())
    assert ("stvg_frames_total", ("replica", "r0")) in samples(one.text())
