# SPDX-License-Identifier: Apache-2.0

"""Random messages, requests, goals, parameters and transitions over the middleware.

`STVG_ROS_FUZZ` says how many (`make fuzz` takes 100,000). The node stays alive, answers, reports
no unexpected error, and its memory stays within five percent in the second half, though one message
in a hundred has a text of up to a million characters. In a short run, libraries are still loaded.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
import rclpy
from action_msgs.srv import CancelGoal
from diagnostic_msgs.msg import DiagnosticArray
from fuzzing import message, with_long_text
from lifecycle_msgs.srv import ChangeState, GetAvailableTransitions, GetState
from rcl_interfaces import srv
from rcl_interfaces.msg import Parameter, ParameterValue
from rclpy.qos import QoSProfile
from ros_tools import Client, Loop, image
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from stvg_ros import msg
from stvg_ros.action import Ground
from stvg_ros.node.qos import LATCHED
from stvg_ros.srv import GroundQuery

COUNT = int(os.environ.get("STVG_ROS_FUZZ", "3000"))
GROWTH = 1.05 if COUNT >= 20_000 else 1.6
LONG = 0.01  # share of messages with a long text
ROUND = 50
PATIENCE_S = 120.0
# The executable, with a grounder that takes no time and has a source of tubes.
NODE = """
from stvg_ros.method.base import BaseGrounder
from stvg_ros.node import main
from stvg_ros.proposals.external import ExternalProposer
from stvg_ros.types import Grounding, SplitQuery, Status, Tube

class Quick(BaseGrounder):
    def __init__(self, config):
        super().__init__()
        self.proposer = ExternalProposer(config.proposals)
    def ground(self, clip, query, checkpoint, early=None):
        checkpoint("propose", 0.5)
        self.proposer.propose(clip, SplitQuery("x", "x", "x", "rules"))
        return Grounding((Tube(query=query, status=Status.NOT_FOUND),))

node = main.GroundingNode
main.GroundingNode = lambda: node(Quick)
main.main()
"""
# Where each is sent, and how often compared with the others.
TOPICS = {
    "image": (Image, 4), "depth": (Image, 3), "camera_info": (CameraInfo, 3),
    "detections": (msg.DetectionArray, 3), "command": (String, 2), "query": (msg.Query, 3),
}  # fmt: skip
SERVICES = {
    "change_state": (ChangeState, 1), "get_state": (GetState, 1),
    "get_available_transitions": (GetAvailableTransitions, 1),
    "set_parameters": (srv.SetParameters, 3),
    "set_parameters_atomically": (srv.SetParametersAtomically, 2),
    "get_parameters": (srv.GetParameters, 1), "list_parameters": (srv.ListParameters, 1),
    "describe_parameters": (srv.DescribeParameters, 1),
    "get_parameter_types": (srv.GetParameterTypes, 1),
    "ground_query": (GroundQuery, 2), "follow": (SetBool, 1), "reground": (Trigger, 1),
    "ground/_action/send_goal": (Ground.Impl.SendGoalService, 2),
    "ground/_action/cancel_goal": (CancelGoal, 1),
    "ground/_action/get_result": (Ground.Impl.GetResultService, 1),
}  # fmt: skip
# Services that are there in every state, so that each request is answered.
ALWAYS = {
    name for name in SERVICES
    if "parameter" in name or name.startswith("get_") or name == "change_state"
}  # fmt: skip
STEPS = ("configure", "activate", "deactivate", "cleanup")


class Fuzz:
    """The node's process and what is sent to it."""

    def __init__(self, transport: str) -> None:
        values = {
            "depth.enabled": "true", "proposals.source": "external", "image.qos": "reliable",
            "proposals.detections": "stvg_ros", "follow.enabled": "true",
            "image.transport": transport, "diagnostics.period_s": "0.2",
        }  # fmt: skip
        words = [word for name, text in values.items() for word in ("-p", f"{name}:={text}")]
        safe = ["-P"] if sys.version_info >= (3, 11) else []
        self.process = subprocess.Popen(
            [sys.executable, *safe, "-c", NODE, "--ros-args", *words, "--log-level", "fatal"],
            env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"},
        )
        self.client = Client("/unused")  # its image topic has one type
        self.loop = Loop(self.client)
        self.states: list[str] = []
        self.client.create_subscription(
            String, "/grounding/status", lambda m: self.states.append(m.data), LATCHED
        )
        self.health: list[DiagnosticArray] = []
        self.client.create_subscription(DiagnosticArray, "/diagnostics", self.health.append, 10)
        deep = QoSProfile(depth=1000)
        kinds = {**TOPICS, "image": (CompressedImage if transport == "compressed" else Image, 4)}
        self.publishers = {
            name: (kind, self.client.create_publisher(kind, f"/grounding/{name}", deep))
            for name, (kind, _) in kinds.items()
        }
        self.clients = {
            name: (
                kind, self.client.create_client(kind, f"/grounding/{name}", qos_profile=deep)
            )
            for name, (kind, _) in SERVICES.items()
        }  # fmt: skip
        self.pending: list[tuple[str, object]] = []
        self.names: list[str] = []

    def until(self, condition) -> None:
        """Waits; the node must live on."""

        def settled():
            assert self.process.poll() is None, f"the node ended with {self.process.returncode}"
            return condition()

        self.loop.until(settled, PATIENCE_S)

    def call(self, name: str, **fields):
        """The answer of a service."""
        kind, client = self.clients[name]
        self.until(client.service_is_ready)
        future = client.call_async(kind.Request(**fields))
        self.until(future.done)
        return future.result()

    def state(self) -> str:
        return self.call("get_state").current_state.label

    def activate(self) -> None:
        """All parameters as at the start, and the node active."""
        request = [
            Parameter(name=name, value=value) for name, value in self.defaults.items()
        ]  # fmt: skip
        for _ in range(2 * len(STEPS)):
            state = self.state()
            if state == "active":
                break
            self.call("set_parameters", parameters=request)
            change = ChangeState.Request()
            change.transition.label = "configure" if state == "unconfigured" else "activate"
            self.call("change_state", transition=change.transition)
        self.call("set_parameters", parameters=request)
        assert self.state() == "active"

    def remember(self) -> None:
        """Keeps the values that the parameters have now."""
        self.until(lambda: self.clients["list_parameters"][1].service_is_ready())
        self.names = list(self.call("list_parameters").result.names)
        values = self.call("get_parameters", names=self.names).values
        self.defaults: dict[str, ParameterValue] = dict(zip(self.names, values, strict=True))

    def send(self, chance: random.Random) -> None:
        """One random message or request."""
        weights = {**TOPICS, **SERVICES}
        name = chance.choices(list(weights), [weight for _, weight in weights.values()])[0]
        if name in self.publishers:
            kind, publisher = self.publishers[name]
            publisher.publish(self.sensible(self.odd(kind, chance), chance))
            return
        kind, client = self.clients[name]
        request = self.odd(kind.Request, chance)
        if name == "change_state":
            request.transition.label = chance.choice((*STEPS, request.transition.label))
            if "shutdown" in request.transition.label or not request.transition.label:
                request.transition.label = "fly"
        if name.startswith("set_parameters"):
            for item in request.parameters:
                item.name = chance.choice((*self.names, item.name))
                if item.name in self.defaults and chance.random() < 0.5:
                    item.value.type = self.defaults[item.name].type
        if client.service_is_ready():
            self.pending.append((name, client.call_async(request)))

    def odd(self, kind: type, chance: random.Random):
        """A message of random fields."""
        sent = message(kind, chance)
        return with_long_text(sent, chance) if chance.random() < LONG else sent

    def sensible(self, sent, chance: random.Random):
        """The message; half of those with a stamp get one that goes on with the time."""
        if hasattr(sent, "header") and chance.random() < 0.5:
            ns = time.monotonic_ns()
            sent.header.stamp.sec, sent.header.stamp.nanosec = ns // 10**9, ns % 10**9
            if isinstance(sent, Image) and chance.random() < 0.5:
                stamp, sent = sent.header.stamp, image(1.0)
                sent.header.stamp = stamp
        return sent

    def settle(self) -> None:
        """Waits for the answers of the services that are always there."""
        asked = [future for name, future in self.pending if name in ALWAYS]
        self.until(lambda: all(future.done() for future in asked))
        for name, future in self.pending:
            if not future.done():
                self.clients[name][1].remove_pending_request(future)
        self.pending.clear()
        self.state()

    def memory_bytes(self) -> int:
        """What the node's process has resident, in its rest state."""
        self.activate()
        for label in ("deactivate", "activate"):
            change = ChangeState.Request()
            change.transition.label = label
            self.call("change_state", transition=change.transition)
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        (kilobytes,) = (line.split()[1] for line in text.splitlines() if line.startswith("VmRSS"))
        return int(kilobytes) * 1024

    def faults(self) -> str:
        """What the node's diagnostics say of unexpected errors now."""
        self.health.clear()
        self.until(lambda: len(self.health) > 1)
        return next(s.message for s in self.health[-1].status if s.name.endswith("callbacks"))

    def close(self) -> None:
        self.process.terminate()
        self.loop.close()
        self.client.ground.destroy()
        self.client.destroy_node()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()


@pytest.fixture(params=["raw", "compressed"])
def fuzz(request):
    rclpy.init()
    made = Fuzz(request.param)
    yield made
    made.close()
    rclpy.shutdown()


@pytest.mark.timeout(36_000)
@pytest.mark.slow
def test_random_messages_leave_the_node_alive_answering_and_small(fuzz):
    fuzz.until(lambda: "ready" in fuzz.states)
    fuzz.remember()
    chance = random.Random(20)
    rounds = max(COUNT // 2 // ROUND, 4)
    for number in range(rounds):
        for _ in range(ROUND):
            fuzz.send(chance)
        fuzz.settle()
        if number % 10 == 9:
            fuzz.activate()
        if number == rounds // 2:
            before = fuzz.memory_bytes()
    after = fuzz.memory_bytes()
    assert fuzz.faults() == "no unexpected error"
    assert after <= before * GROWTH, f"{before / 1e6:.1f} MB, then {after / 1e6:.1f} MB"
    fuzz.process.terminate()
    assert fuzz.process.wait(20) == 0
