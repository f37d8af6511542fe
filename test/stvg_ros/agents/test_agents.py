# SPDX-License-Identifier: Apache-2.0

"""The tools for agents: the SDK's own client asks a running node, in process, by stdio and HTTP."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
pytest.importorskip("mcp", reason="the MCP SDK is missing: run `make libraries`")
import anyio
import cv2
import numpy as np
from fakes import FixedProposer, ToyMllm
from mcp import Client, StdioServerParameters
from ros_tools import ToyGrounder, context, start

from stvg_ros import msg
from stvg_ros.agents.node_client import NodeClient
from stvg_ros.agents.robot_tools import mcp_server
from stvg_ros.cli.main import main
from stvg_ros.config import Config
from stvg_ros.method.base import BaseProposer
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.interfaces import TargetObservation
from stvg_ros.method.query import RuleSplitter
from stvg_ros.types import Grounding, Status, Tube

__all__ = ["context", "start"]  # fixtures
pytestmark = pytest.mark.usefixtures("context")
SETTINGS = {"presence.enabled": False, "presence.share": 0.0, "window.max_age_s": 0.0}
BOXES = ((0.0, 0.0, 20.0, 40.0), (30.0, 4.0, 60.0, 44.0))
PROGRAM = "import sys; from stvg_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"


class Source(BaseProposer):
    """Follows: the target rests."""

    name = "toy"
    can_follow = True
    most_replayed = 100

    def follower(self, frame, box):
        return self

    def update(self, frame):
        return TargetObservation((1.0, 2.0, 3.0, 4.0), seen=True)


class Seeing(ToyGrounder):
    """Finds somebody only while `seen` is set; reports each search."""

    def __init__(self) -> None:
        super().__init__()
        self.proposer = Source()
        self.seen = threading.Event()
        self.searched = threading.Event()

    def ground(self, clip, query, checkpoint):
        answer = super().ground(clip, query, checkpoint)
        self.searched.set()
        if self.seen.is_set():
            return Grounding((replace(answer.best, split=RuleSplitter().split(query.text)),))
        nobody = Tube(query, Status.NOT_FOUND, error="nobody with: in red; 3 people")
        return Grounding((nobody,))


@pytest.fixture
def people(start):
    """A node that sees two people."""
    grounder = LocalGrounder(
        ToyMllm(), RuleSplitter(), FixedProposer(*BOXES), Config.from_flat(SETTINGS)
    )
    s = start(lambda config: grounder, **SETTINGS)
    s.show(10.0, 10.1, 10.2)
    return s


@pytest.fixture
def seeing(start):
    toy = Seeing()
    s = start(lambda config: toy, **SETTINGS)
    s.toy = toy
    s.show(10.0, 10.1)
    return s


@pytest.fixture
def server():
    client = NodeClient("/grounding", timeout_s=60.0)
    yield mcp_server(client)
    client.close()


def pictured(s):
    """Waits until the node knows that somebody looks at its pictures."""
    s.until(lambda: s.node.count_subscribers("/grounding/annotated_image"))


def asked(server, name, **arguments):
    """The result of one tool, by the SDK's client."""

    async def once():
        async with Client(server) as client:
            return await client.call_tool(name, arguments)

    return anyio.run(once)


def text(result):
    return " ".join(part.text for part in result.content if part.type == "text")


def test_the_tools_and_their_arguments_are_typed(server):
    async def listed():
        async with Client(server) as client:
            return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in anyio.run(listed)}
    assert list(tools) == [
        "find_person", "count_people", "describe_person", "follow_person", "stop", "watch_for",
    ]  # fmt: skip
    find = tools["find_person"].input_schema
    assert find["required"] == ["description"]
    assert find["properties"]["description"]["maxLength"] == 800
    about = tools["describe_person"].input_schema["properties"]["about"]
    assert about["enum"] == ["description", "clothes", "pose", "gesture", "action"]
    watch = tools["watch_for"].input_schema["properties"]
    assert watch["timeout_s"]["maximum"] == 3600 and "context" not in watch
    for tool in tools.values():
        assert tool.description
        assert "people" in tool.output_schema["properties"]


def test_a_found_person_comes_with_a_picture(people, server):
    asked(server, "find_person", description="the person")  # subscribes to the pictures
    pictured(people)
    result = asked(server, "find_person", description="the person")
    assert not result.is_error, text(result)
    values = result.structured_content
    assert (values["outcome"], values["number"]) == ("found", 1)
    (person,) = values["people"]
    assert person["box_xyxy_px"] in [list(box) for box in BOXES]
    assert person["image_size_px"] == [64, 48]
    assert (person["seen_s_ago"], person["position_m"]) == (0.0, [])
    assert "confidence" in text(result)
    (picture,) = [part for part in result.content if part.type == "image"]
    assert picture.mime_type == "image/jpeg"
    data = np.frombuffer(base64.b64decode(picture.data), np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_counting_gives_the_number_and_all_people(people, server):
    values = asked(server, "count_people").structured_content
    assert (values["outcome"], values["text"], values["number"]) == ("answered", "2", 2)
    assert sorted(person["box_xyxy_px"] for person in values["people"]) == [
        list(box) for box in BOXES
    ]


def test_describing_gives_words(people, server):
    result = asked(server, "describe_person", description="the person in red", about="pose")
    assert text(result) in ("standing", "sitting", "lying", "crouching", "walking")
    assert result.structured_content["number"] == 1


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("find_person", {"description": "Morgan"}, "describe the person"),
        ("find_person", {"description": "the person", "camera": "rear"}, "rear"),
        ("describe_person", {"description": "the person", "about": "mood"}, "about"),
        ("watch_for", {"event": "somebody falls", "timeout_s": -1.0}, "timeout_s"),
        ("find_person", {}, "description"),
    ],
)
def test_what_cannot_be_asked_is_an_error_with_the_reason(people, server, name, arguments, reason):
    result = asked(server, name, **arguments)
    assert result.is_error
    assert reason in text(result)


def test_nobody_there_is_an_answer_without_a_picture(seeing, server):
    result = asked(server, "find_person", description="the person in red")
    assert result.structured_content["outcome"] == "not_found"
    assert text(result).endswith("the person in red (nobody with: in red; 3 people)")
    assert [part.type for part in result.content] == ["text"]


def test_following_begins_with_newer_images_and_stops(seeing, server):
    seeing.toy.seen.set()
    over = threading.Event()

    def camera():
        stamp_s = 11.0
        while not over.wait(0.05):
            seeing.show(stamp_s)
            stamp_s += 0.1

    thread = threading.Thread(target=camera)
    thread.start()
    try:
        result = asked(server, "follow_person", description="the person")
        assert result.structured_content["outcome"] == "following", text(result)
        targets = []
        seeing.client.create_subscription(msg.Target, "/grounding/target", targets.append, 100)
        seeing.until(lambda: targets)
        assert targets[-1].status == msg.Target.FOLLOWING
        stopped = asked(server, "stop")
        assert stopped.structured_content["outcome"] == "stopped"
        assert text(stopped).startswith("following is off; ")
        seeing.until(lambda: targets[-1].status == msg.Target.STOPPED)
    finally:
        over.set()
        thread.join()


def test_a_source_that_cannot_follow_says_so(people, server):
    result = asked(server, "follow_person", description="the person")
    assert result.is_error
    assert "cannot follow" in text(result)


def test_watching_answers_with_the_event(seeing, server):
    def event():
        seeing.toy.searched.wait(60)
        seeing.toy.seen.set()
        seeing.show(12.0)

    thread = threading.Thread(target=event)
    thread.start()
    result = asked(server, "watch_for", event="somebody waves", rate_hz=10.0)
    thread.join()
    assert result.structured_content["outcome"] == "found", text(result)
    assert result.structured_content["number"] == 1
    seeing.until(lambda: len(seeing.node.standing) == 0)


def test_watching_ends_with_its_time(seeing, server):
    result = asked(server, "watch_for", event="somebody waves", rate_hz=10.0, timeout_s=0.3)
    assert result.structured_content["outcome"] == "timed_out"
    seeing.until(lambda: len(seeing.node.standing) == 0)


def test_stop_ends_a_watch_of_the_same_server(seeing, server):
    async def both():
        async with Client(server) as client:
            results = {}

            async def watch():
                values = {"event": "somebody waves", "rate_hz": 10.0, "timeout_s": 3600.0}
                results["watched"] = await client.call_tool("watch_for", values)

            async with anyio.create_task_group() as group:
                group.start_soon(watch)
                await anyio.to_thread.run_sync(seeing.toy.searched.wait)
                results["stopped"] = await client.call_tool("stop", {})
            return results

    results = anyio.run(both)
    assert "watches stopped: 1" in text(results["stopped"])
    assert results["watched"].structured_content["outcome"] == "stopped"
    seeing.until(lambda: len(seeing.node.standing) == 0)


def test_without_a_node_the_error_says_what_to_start(context, monkeypatch):
    monkeypatch.setattr("stvg_ros.agents.node_client._DISCOVERY_S", 0.2)
    client = NodeClient("/nobody", timeout_s=1.0)
    result = asked(mcp_server(client), "find_person", description="the person")
    client.close()
    assert result.is_error
    assert "/nobody/ground_query" in text(result) and "--node" in text(result)


def test_the_program_on_standard_input_and_output(people):
    program = StdioServerParameters(
        command=sys.executable, args=["-c", PROGRAM, "mcp"], env=dict(os.environ), cwd="/"
    )

    async def counted():
        async with Client(program) as client:
            return await client.call_tool("count_people", {"description": "people"})

    assert anyio.run(counted).structured_content["number"] == 2


def test_the_program_on_http(people):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "mcp", "--http", str(port)],
        cwd="/", stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def reachable():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    async def counted():
        async with Client(f"http://127.0.0.1:{port}/mcp") as client:
            return await client.call_tool("count_people", {"description": "people"})

    try:
        assert program.stderr.readline() == f"serving at http://127.0.0.1:{port}/mcp\n"
        people.until(reachable)
        assert anyio.run(counted).structured_content["number"] == 2
    finally:
        program.terminate()
        program.communicate(timeout=60)


def test_only_this_machine_reaches_the_server(capsys):
    assert main(["mcp", "--http", "8080", "--host", "0.0.0.0"]) == 2
    assert "loopback" in capsys.readouterr().err
