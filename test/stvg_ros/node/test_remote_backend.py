# SPDX-License-Identifier: Apache-2.0

"""The node whose model is on a server: frames go ahead, and trouble is answered."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
pytest.importorskip("ray", reason="Ray Serve is missing: pip install -r requirements/serving.txt")
import threading

from ros_tools import context, start
from serving_tools import HttpServer, serve, toy

from stvg_ros import msg
from stvg_ros.build import build_grounder

__all__ = ["context", "serve", "start", "toy"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")


def test_frames_go_ahead_and_commands_are_answered_by_the_server(serve, start, toy):
    server = serve()
    s = start(build_grounder, **{"backend": "remote", "remote.address": server.address})
    s.show(10.0, 10.1, 10.2)
    s.until(lambda: b'stvg_frames_total{replica="r0"} 3' in server.ask("GET", "/metrics")[2])
    tube = s.say("the dog")
    assert (tube.status, tube.error) == (msg.Tube.FOUND, "")
    assert (tube.query_id, len(tube.boxes)) == ("q-000001", 3)
    assert [frame.frame_id for frame in toy.clips[0].frames] == ["camera"] * 3


def test_a_server_gone_is_told_and_the_node_goes_on(serve, start, toy):
    server = serve()
    remote = {"backend": "remote", "remote.address": server.address, "remote.breaker_s": 0.0}
    s = start(build_grounder, **remote, **{"remote.retries": 0})
    s.show(10.0, 10.1)
    assert s.say("the dog").status == msg.Tube.FOUND
    server.close()
    tube = s.say("the dog")
    assert (tube.status, tube.error_code) == (msg.Tube.FAILED, msg.Tube.ERROR_UNREACHABLE)
    assert "unreachable" in tube.error
    again = HttpServer(toy, port=server.port)
    assert s.say("the dog").status == msg.Tube.FOUND
    again.close()


def test_an_impossible_address_fails_the_activation(start):
    s = start(build_grounder, "failed", **{"backend": "remote", "remote.address": "gpu-box"})
    assert any("expected a URL such as" in text for text in s.client.states)


def test_deactivation_ends_the_clients_threads(serve, start):
    s = start(build_grounder, **{"backend": "remote", "remote.address": serve().address})
    s.show(10.0)
    assert any(thread.name == "frames" for thread in threading.enumerate())
    s.node.trigger_deactivate()
    s.until(lambda: all(thread.name != "frames" for thread in threading.enumerate()))
