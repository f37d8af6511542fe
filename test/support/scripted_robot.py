# SPDX-License-Identifier: Apache-2.0

"""A node whose cameras play a script, with a grounder that finds whoever wears red."""

from __future__ import annotations

import threading
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from ros_tools import call
from scripted_people import BLUE, RED, ScriptedSource, Walker, frame_at
from sensor_msgs.msg import CompressedImage, Image

from stvg_ros import msg
from stvg_ros.commands.reader import grammar_reader
from stvg_ros.method.base import BaseGrounder
from stvg_ros.method.known_tube import found_tube, known_grounding
from stvg_ros.method.sampling import asked_window, cut
from stvg_ros.node.image_conversions import image_message
from stvg_ros.node.qos import LATCHED
from stvg_ros.srv import GroundQuery
from stvg_ros.types import Grounding, SplitQuery, Status, Tube

PEOPLE = SplitQuery("people", "people", "people", "none")
# Small windows, so that much is beyond them; the last image stays searchable.
SETTINGS = {
    "follow.enabled": True, "follow.search_every_s": 0.01, "window.duration_s": 3.0,
    "identity.descriptor": "garments",
    "window.max_age_s": 0.0, "window.max_rate_hz": 0.0,
}  # fmt: skip
LEAVES = Walker(RED, [(0, 20, 100), (60, 400, 200)])
STAYS = Walker(BLUE, [(0, 400, 30)])


def source_of(cameras):
    streams = {f"{name} memory": walkers for name, walkers in cameras.items()}
    return ScriptedSource({**cameras, **streams})


class Reddest(BaseGrounder):
    """Finds candidates whose box is red; waits while `go` is not set."""

    def __init__(self, cameras):
        self.proposer = source_of(cameras)
        self.go = threading.Event()
        self.go.set()
        self.asked = []

    def build(self, config, around):
        """As a server does it."""
        self.proposer = around(self.proposer)
        return self

    def ground(self, clip, query, checkpoint, preliminary=None):
        self.asked.append(query.text)
        while not self.go.wait(0.02):
            checkpoint("wait", 0.0)
        command = grammar_reader("rules").read(query.text)
        split = SplitQuery(
            command.target, command.attribute or command.target, "", "rules", ("action",), command
        )
        clip = cut(clip, *asked_window(query, command, clip))
        tubes = self.proposer.propose(clip, PEOPLE) if clip.tubes is None else clip.tubes
        newest = clip.frames[-1]
        answer = Tube(
            query, Status.NOT_FOUND, split, stamp_ns=newest.stamp_ns, frame_id=newest.frame_id
        )
        if query.known is not None:
            return known_grounding(query.known, clip, tubes, answer)
        red = [tube for tube in tubes if self._red(clip, tube)]
        if not red:
            return Grounding((answer,), candidates=tubes)
        found = [found_tube(one, clip, answer, 0.9) for one in red[: query.max_targets]]
        return Grounding(tuple(found), candidates=tubes)

    @staticmethod
    def _red(clip, tube):
        row = int(np.flatnonzero(tube.present)[-1])
        x1, y1, x2, y2 = (int(v) for v in tube.boxes_xyxy_px[row])
        pixel = clip.frames[row].image[(y1 + y2) // 2 - 8, (x1 + x2) // 2]
        return int(pixel[0]) > int(pixel[2]) + 60


class ScriptedRobot:
    """A node with cameras that play the script, frame by frame."""

    def __init__(self, start, cameras, server=None, **settings):
        self.cameras = cameras
        self.grounder = Reddest(cameras)
        named = {"cameras": ",".join(cameras)} if "" not in cameras else {}
        build = lambda config: self.grounder  # noqa: E731
        if server is not None:
            address = server(self.grounder)
            named |= {"backend": "remote", "remote.address": address, "remote.tubes": "robot"}
            build = partial(remote_grounder, source_of(cameras))
        self.s = start(build, connect=False, **{**SETTINGS, **named, **settings})
        self.until = self.s.until
        client = self.s.client
        self.images = {
            name: client.create_publisher(Image, f"/grounding/{name}/image".replace("//", "/"), 10)
            for name in cameras
        }
        self.targets, self.pictures = [], []
        client.create_subscription(msg.Target, "/grounding/target", self.targets.append, 1000)
        client.create_subscription(
            CompressedImage, "/grounding/target_image", self.pictures.append, LATCHED
        )
        node = self.s.node
        self.until(lambda: all(p.get_subscription_count() for p in self.images.values()))
        self.until(lambda: node.count_subscribers("/grounding/target"))
        self.until(client.commands.get_subscription_count)
        self.index = 0

    def show(self, count):
        for _ in range(count):
            for name, publisher in self.images.items():
                window = self.s.node.cameras[name].window
                stored = window.counts["stored"]
                frame = replace(frame_at(self.index, self.cameras[name]), stream=name)
                publisher.publish(image_message(frame.image, frame.stamp_ns, "camera"))
                waiting = self.s.node._parts.tracking._observing
                self.until(
                    lambda w=window, n=stored, q=waiting: w.counts["stored"] > n and not q.fill[0]
                )
            self.index += 1
        return self

    def ask(self, text, **fields):
        request = GroundQuery.Request(text=text, **fields)
        return call(self.s, GroundQuery, "ground_query", request).tube

    def states(self):
        """The states without repetitions."""
        said = [target.status for target in self.targets]
        return [state for i, state in enumerate(said) if not i or said[i - 1] != state]

    def wait(self, status):
        self.until(lambda: self.targets and self.targets[-1].status == status)
        return self.targets[-1]


def remote_grounder(source, config):
    from stvg_ros.serving.client import RemoteGrounder

    return RemoteGrounder(config, None, source)


@pytest.fixture(params=["local", "remote"])
def robot_of(request, start):
    """Makes robots whose model is in the node, and robots whose model is on a server."""
    servers = []

    def serve(grounder):
        from serving_tools import HttpServer

        servers.append(HttpServer(grounder))
        return servers[-1].address

    if request.param == "remote":
        reason = "Ray Serve is missing: pip install -r requirements/serving.txt"
        pytest.importorskip("ray", reason=reason)
    server = serve if request.param == "remote" else None
    yield lambda cameras, **settings: ScriptedRobot(start, cameras, server, **settings)
    for each in servers:
        each.close()
