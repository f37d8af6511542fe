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


def test_the_bounds_of_the_durations_of_commands():
    one = ReplicaMetrics("r0", {})
    for seconds in (0.05, 0.06, 30.0, 120.0, 121.0):
        one.command(seconds)
    found = samples(one.text())
    replica = ("replica", "r0")
    expected = {
        "0.05": 1, "0.1": 2, "0.2": 2, "0.5": 2, "1.0": 2, "2.0": 2, "5.0": 2, "10.0": 2,
        "30.0": 3, "60.0": 3, "120.0": 4, "+Inf": 5,
    }  # fmt: skip
    for bound, count in expected.items():
        assert found["stvg_command_seconds_bucket", ("le", bound), replica] == count
    assert len([name for name, *_ in found if name == "stvg_command_seconds_bucket"]) == 12
    assert found["stvg_command_seconds_count", replica] == 5


@pytest.mark.parametrize(("age_s", "shown"), [(STALE_S, True), (STALE_S + 0.5, False)])
def test_a_replica_that_published_nothing_for_half_a_minute_is_left_out(monkeypatch, age_s, shown):
    assert STALE_S == 30.0
    board, now_s = LocalBoard(), [1.0e9]
    monkeypatch.setattr(time, "time", lambda: now_s[0])
    first, last = ReplicaMetrics("r0", {}, board), ReplicaMetrics("r1", {}, board)
    first.publish()
    now_s[0] += age_s
    found = samples(last.text())
    assert (("stvg_frames_total", ("replica", "r0")) in found) is shown
    assert ("stvg_frames_total", ("replica", "r1")) in found


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
