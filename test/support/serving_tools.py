# SPDX-License-Identifier: Apache-2.0

"""What the tests of serving share: a server in this process, a grounder without a model."""

from __future__ import annotations

import http.client
import io
import tarfile
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("ray", reason="Ray Serve is missing: pip install -r requirements/serving.txt")
import uvicorn
from fakes import FixedProposer
from starlette.requests import Request as HttpRequest

from stvg_ros.config import Config
from stvg_ros.method.base import BaseGrounder
from stvg_ros.serving.app import App
from stvg_ros.serving.client import RemoteGrounder
from stvg_ros.serving.image_codec import encoded
from stvg_ros.serving.schema import MEDIA_TYPE, VERSION, Event, Request, SentFrame
from stvg_ros.serving.wire_format import RecordStream, encoded_record
from stvg_ros.types import (
    Clip,
    Evidence,
    Frame,
    Grounding,
    Query,
    SplitQuery,
    Status,
    Tube,
    TubeBox,
)

TOKEN = "0123456789abcdef-red"
CONTENT = {"content_type": MEDIA_TYPE}


def clip_of(count: int = 3, seed: int = 0, width: int = 64, height: int = 48) -> Clip:
    """Frames of noise, 0.1 s apart."""
    draw = np.random.default_rng(seed)
    return Clip(
        tuple(
            Frame(
                10**9 + index * 10**8,
                draw.integers(0, 256, (height, width, 3), np.uint8),
                2 * width,
                2 * height,
                "camera",
            )
            for index in range(count)
        )
    )


class Toy(BaseGrounder):
    """Finds the first candidate tube in every frame; waits at each stage until `go` is set."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()
        self.asked: list[str] = []
        self.clips: list[Clip] = []
        self.ended: list[Exception] = []
        self.config = Config()
        self.slots = 0  # how many there are to encode ahead

    def build(self, config, around):
        self.proposer = around(FixedProposer((1.0, 2.0, 30.0, 40.0)))
        return self

    def reconfigure(self, config: Config) -> None:
        self.config = config

    def prefetch(self, clip: Clip) -> bool:
        self.started.set()
        self.go.wait(60)
        if self.slots == 0:
            return False
        self.slots -= 1
        self.asked.append(f"prefetch {clip.frames[0].frame_id}")
        return True

    def forget(self) -> None:
        self.asked.append("forget")

    def ground(self, clip: Clip, query: Query, checkpoint, preliminary=None) -> Grounding:
        self.asked.append(query.text)
        self.clips.append(clip)
        try:
            for number, stage in enumerate(("forward pass", "score")):
                checkpoint(stage, number / 2)
                self.started.set()
                while not self.go.wait(0.01):
                    checkpoint(stage, number / 2)
        except Exception as error:
            self.ended.append(error)
            raise
        split = SplitQuery(query.text, "a", "b", "rules", ("action",))
        tube = self.proposer.propose(clip, split)[0]
        boxes = tuple(
            TubeBox(frame.stamp_ns, tuple(map(float, box)), 1 / 3)
            for frame, box in zip(clip.frames, tube.boxes_xyxy_px, strict=True)
        )
        answer = Tube(
            query, Status.FOUND, split, boxes, clip.frames[0].stamp_ns, clip.frames[-1].stamp_ns,
            score=float("nan"), timings_s={"forward pass": 0.5}, frame_id=clip.frames[-1].frame_id,
        )  # fmt: skip
        if preliminary is not None:
            preliminary(Grounding((replace(answer, preliminary=True),)))
        maps = np.ones((len(clip), 2, 3), np.float32) / 3
        evidence = Evidence(
            clip.stamps_ns, tuple((i,) for i in range(len(clip))), maps, maps,
            np.full(len(clip), np.nan, np.float32), {0: 0.5}, ".", (1.5, -0.5),
        )  # fmt: skip
        return Grounding((answer,), evidence)


class HttpServer:
    """The app on a port of its own, served by uvicorn from a thread, as Ray Serve would."""

    def __init__(self, toy: Toy, token_file: str = "", port: int = 0, **settings) -> None:
        self.app = App(Config.from_flat(settings), toy.build, token_file, "r0")

        async def asgi(scope, receive, send):
            response = await self.app.handle(HttpRequest(scope, receive, send))
            await response(scope, receive, send)

        config = uvicorn.Config(asgi, port=port, lifespan="off", log_level="critical")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str):
        """Status, headers and body of one request by hand."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        result = answer.status, answer.headers, answer.read()
        connection.close()
        return result

    def close(self) -> None:
        self.app.close()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)


def until(condition, timeout_s: float = 60.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "the condition did not come true in time"
        time.sleep(0.01)


def sent(count=3, quality=90, **changes):
    return tuple(
        SentFrame(index, f.stamp_ns, 128, 96, "camera", encoded(f.image, quality))
        for index, f in enumerate(clip_of(count, **changes).frames)
    )


def command(frames, text="the dog", **more):
    return encoded_record(Request(VERSION, Query(text), frames, {}, **more))


def last_event(body):
    return RecordStream(Event, 2**26).feed(body)[-1]


def works(server):
    """A whole command goes through."""
    status, _, body = server.ask("POST", "/v1/ground", command(sent()), **CONTENT)
    return status == 200 and last_event(body).answer is not None


def tar_of(*pictures, names="{:03}.jpg"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for index, picture in reversed(list(enumerate(pictures))):
            info = tarfile.TarInfo(names.format(index))
            info.size = len(picture)
            archive.addfile(info, io.BytesIO(picture))
    return file.getvalue()


@pytest.fixture
def toy():
    made = Toy()
    yield made
    made.go.set()


@pytest.fixture
def serve(toy):
    """Starts a server with the toy; settings by name."""
    made = []

    def start(token_file: str = "", **settings) -> HttpServer:
        made.append(HttpServer(toy, token_file, **settings))
        return made[-1]

    yield start
    toy.go.set()
    for server in made:
        server.close()


@pytest.fixture
def connect():
    """Makes clients; settings of `remote.` by their short name."""
    made = []

    def client(address: str, local=None, proposer=None, **settings) -> RemoteGrounder:
        flat = {f"remote.{name}": value for name, value in settings.items()}
        config = Config.from_flat({"backend": "remote", "remote.address": address, **flat})
        made.append(RemoteGrounder(config, local, proposer))
        return made[-1]

    yield client
    for one in made:
        one.close()
