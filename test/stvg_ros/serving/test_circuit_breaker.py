# SPDX-License-Identifier: Apache-2.0

"""When attempts are refused after failures, and for how long."""

from __future__ import annotations

import pytest

from stvg_ros.errors import UnreachableError
from stvg_ros.serving.circuit_breaker import CircuitBreaker
from stvg_ros.serving.settings import RemoteConfig


def test_the_breaker_opens_and_closes():
    now_s = [0.0]
    breaker = CircuitBreaker(RemoteConfig(breaker_failures=2, breaker_s=5.0), lambda: now_s[0])
    breaker.failed(UnreachableError("a"))
    breaker.check()
    breaker.failed(UnreachableError("b"))
    with pytest.raises(UnreachableError, match=r"2 attempts .* in 5.0 s .* one: b"):
        breaker.check()
    now_s[0] = 4.5
    with pytest.raises(UnreachableError, match=r"2 attempts .* in 0.5 s"):
        breaker.check()
    now_s[0] = 5.0
    breaker.check()
    breaker.failed(UnreachableError("c"))
    with pytest.raises(UnreachableError, match="3 attempts"):
        breaker.check()
    breaker.succeeded()
    breaker.check()


def test_the_breaker_counts_from_the_last_success():
    breaker = CircuitBreaker(RemoteConfig(breaker_failures=2, breaker_s=5.0), lambda: 0.0)
    for _ in range(3):
        breaker.failed(UnreachableError("a"))
    breaker.succeeded()
    breaker.failed(UnreachableError("b"))
    breaker.check()
    breaker.failed(UnreachableError("c"))
    with pytest.raises(UnreachableError, match=r"2 attempts .* one: c"):
        breaker.check()
