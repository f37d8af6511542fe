# SPDX-License-Identifier: Apache-2.0

"""Bursts of service calls and goals: each is answered exactly once."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from rclpy.action import ActionClient
from rclpy.qos import QoSProfile
from ros_tools import context, start

from stvg_ros import msg
from stvg_ros.action import Ground
from stvg_ros.srv import GroundQuery

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")
DEEP = QoSProfile(depth=1000)


@pytest.mark.parametrize("count", [1, 10, 20, 60, 200])
@pytest.mark.parametrize("images", [False, True])
def test_service_calls_at_once(start, count, images):
    s = start(**{"command.queue_size": 1000})
    if images:
        s.show(1.0)
    client = s.client.create_client(GroundQuery, "/grounding/ground_query", qos_profile=DEEP)
    s.until(client.service_is_ready)
    asked = [client.call_async(GroundQuery.Request(text=f"person {n}")) for n in range(count)]
    s.until(lambda: all(future.done() for future in asked))
    assert [future.result().tube.query for future in asked] == [f"person {n}" for n in range(count)]
    s.until(lambda: len(s.client.tubes) == count)


@pytest.mark.parametrize("count", [1, 20, 60, 200])
@pytest.mark.parametrize("queue_size", [3, 1000])
def test_goals_at_once(start, count, queue_size):
    s = start(**{"command.queue_size": queue_size})
    s.show(1.0)
    client = ActionClient(
        s.client, Ground, "/grounding/ground",
        goal_service_qos_profile=DEEP, result_service_qos_profile=DEEP,
    )  # fmt: skip
    s.until(client.server_is_ready)
    sent = [client.send_goal_async(Ground.Goal(text=f"person {n}")) for n in range(count)]
    s.until(lambda: all(future.done() for future in sent))
    assert all(future.result().accepted for future in sent)
    results = [future.result().get_result_async() for future in sent]
    s.until(lambda: all(future.done() for future in results))
    codes = [future.result().result.tube.error_code for future in results]
    assert set(codes) <= {msg.Tube.ERROR_NONE, msg.Tube.ERROR_QUEUE_FULL}
    if queue_size == 1000:
        assert set(codes) == {msg.Tube.ERROR_NONE}
    client.destroy()
