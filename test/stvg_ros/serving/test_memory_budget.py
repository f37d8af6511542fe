# SPDX-License-Identifier: Apache-2.0

"""What the requests of one client and of all may hold at once."""

from __future__ import annotations

import gc

import pytest

from stvg_ros.errors import QueueFullError
from stvg_ros.serving.memory_budget import MemoryBudget
from stvg_ros.serving.settings import ServingConfig


def budget(client=2000, total=5000):
    return MemoryBudget(ServingConfig(client_bytes=client, request_bytes=total))


@pytest.mark.parametrize("sizes", [[2000], [1000, 1000], [1, 1999], [500] * 4, [2000, 0]])
def test_a_client_may_hold_its_share(sizes):
    memory = budget()
    held = [memory.reservation("a") for _ in sizes]
    for one, nbytes in zip(held, sizes, strict=True):
        one.resize(nbytes)
    assert memory.nbytes == 2000
    with pytest.raises(QueueFullError, match=r"2001 bytes .* serving.client_bytes = 2000"):
        memory.reservation("a").resize(1)
    memory.reservation("b").resize(2000)


@pytest.mark.parametrize("nbytes", [2001, 10**6, 2**40, 2**63])
def test_one_request_larger_than_the_share_is_refused(nbytes):
    memory = budget()
    with pytest.raises(QueueFullError, match="serving.client_bytes"):
        memory.reservation("a").resize(nbytes)
    assert memory.nbytes == 0


def test_all_together_may_hold_no_more_than_the_server_has():
    memory = budget()
    held = [memory.reservation(name) for name in "abc"]
    for one, nbytes in zip(held, (2000, 2000, 1000), strict=True):
        one.resize(nbytes)
    with pytest.raises(QueueFullError, match=r"5001 bytes .* serving.request_bytes = 5000"):
        memory.reservation("d").resize(1)
    held[0].resize(1999)
    memory.reservation("d").resize(1)


def test_less_is_always_released():
    memory = budget()
    one = memory.reservation("a")
    one.resize(2000)
    with pytest.raises(QueueFullError):
        one.resize(2001)
    assert memory.nbytes == 2000
    one.resize(10)
    assert memory.nbytes == 10
    other = memory.reservation("a")
    other.resize(5)
    one.release()
    one.release()
    assert memory.nbytes == 5
    other.release()
    assert memory.nbytes == 0
    assert not memory._held  # clients come and go


def test_a_reservation_that_is_gone_holds_nothing():
    memory = budget()
    one = memory.reservation("a")
    one.resize(2000)
    del one
    gc.collect()
    assert memory.nbytes == 0
