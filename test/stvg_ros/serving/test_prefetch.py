# SPDX-License-Identifier: Apache-2.0

"""Frames of sessions are encoded while no command waits: what, for whom, how much, and equality."""

from __future__ import annotations

import threading

import numpy as np
import pytest

pytest.importorskip("ray", reason="Ray Serve is missing: pip install -r requirements/serving.txt")
from fakes import FixedProposer, FixedSplitter, ToyMllm, no_checkpoint
from serving_tools import HttpServer, clip_of, connect, serve, toy, until

from stvg_ros.config import Config
from stvg_ros.method.base import BaseGrounder
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.serving import prefetch
from stvg_ros.serving.image_codec import encoded
from stvg_ros.serving.prefetch import TIDY_S, SessionPrefetch, windows
from stvg_ros.serving.schema import MEDIA_TYPE, VERSION, FrameBatch, SentFrame
from stvg_ros.serving.wire_format import encoded_record
from stvg_ros.types import Clip, Frame, Query, Status

__all__ = ["connect", "serve", "toy"]  # fixtures
DOG = Query("the dog")
PREFETCH = {"sampling.prefetch": True, "window.duration_s": 1.0}


def frame(stamp_ns, frame_id="", width=8):
    return Frame(stamp_ns, np.zeros((6, 8, 3), np.uint8), width, 6, frame_id)


def stamps(frames, duration_s=10.0):
    return [clip.stamps_ns.tolist() for clip in windows(frames, duration_s)]


def test_no_frames_make_no_window():
    assert windows([], 1.0) == []


def test_cameras_have_windows_of_their_own():
    frames = [frame(1, "left"), frame(1, "right"), frame(2, "left"), frame(3, "left", 16)]
    assert stamps(frames) == [[1, 2], [1], [3]]


def test_a_window_reaches_back_as_far_as_the_clients():
    assert stamps([frame(0), frame(1), frame(10**9), frame(10**9 + 1)], 1.0) == [
        [1, 10**9, 10**9 + 1]
    ]


def test_a_jump_back_in_time_clears_the_window():
    assert stamps([frame(5), frame(6), frame(2), frame(3)]) == [[2, 3]]
    assert stamps([frame(5), frame(7), frame(6)]) == [[6]]
    assert stamps([frame(5), frame(5)]) == [[5]]


class Slots(BaseGrounder):
    """Encodes as many slots of a camera as it has, 10 bytes each."""

    def __init__(self, **left):
        self.left, self.calls, self.prepared = left, [], 0

    @property
    def prepared_bytes(self):
        return self.prepared

    def reconfigure(self, config):
        self.calls.append(config)

    def prefetch(self, clip):
        name = clip.frames[-1].frame_id
        self.calls.append((name, len(clip)))
        if not self.left.get(name):
            return False
        self.left[name] -= 1
        self.prepared += 10
        return True

    def forget(self):
        self.calls.append("forget")


RED, BLUE = ("token", "red"), ("token", "blue")
SHORT = Config.from_flat({"window.duration_s": 1.0})
SESSIONS = {
    RED: [frame(0, "left"), frame(2 * 10**9, "left"), frame(2 * 10**9, "right")],
    BLUE: [frame(0, "back")],
}


def session_prefetch(max_bytes=1000):
    return SessionPrefetch(lambda key: SESSIONS[key], max_bytes)


def test_without_sessions_and_features_nothing_is_done():
    idle, slots = session_prefetch(), Slots()
    assert (TIDY_S, idle.work(slots), idle.prepared_bytes) == (5.0, 5.0, 0)
    assert slots.calls == []


def test_each_camera_of_a_session_is_encoded_with_its_settings():
    idle, slots = session_prefetch(), Slots(left=1)
    idle.add(RED, SHORT)
    assert idle.work(slots) == 0.0  # at once again: something was encoded
    assert slots.calls == ["forget", SHORT, ("left", 1), ("right", 1)]
    assert idle.prepared_bytes == 10
    assert idle.work(slots) == TIDY_S
    assert slots.calls[4:] == ["forget", SHORT, ("left", 1), ("right", 1)]
    slots.calls.clear()
    assert idle.work(slots) == TIDY_S
    assert slots.calls == ["forget"]  # as long as there are features of frames that may go
    slots.prepared = 0
    idle.work(slots)
    assert idle.prepared_bytes == 0
    assert idle.work(slots) == TIDY_S
    assert slots.calls == ["forget", "forget"]


def test_sessions_are_encoded_in_turn_and_the_newest_settings_count():
    idle, slots, config = session_prefetch(), Slots(right=2, back=1), Config()
    idle.add(RED, SHORT)
    idle.add(BLUE, SHORT)
    assert [idle.work(slots) for _ in range(2)] == [0.0, 0.0]
    assert [call for call in slots.calls if isinstance(call, tuple)] == [
        ("left", 1), ("right", 1), ("back", 1),
    ]  # fmt: skip
    slots.calls.clear()
    idle.add(RED, config)
    assert idle.work(slots) == 0.0
    assert slots.calls == ["forget", config, ("left", 2), ("right", 1)]


@pytest.mark.parametrize(("max_bytes", "encoded_slots"), [(10, 1), (11, 2), (20, 2)])
def test_no_more_is_encoded_than_the_bound(max_bytes, encoded_slots):
    idle, slots = session_prefetch(max_bytes), Slots(back=5)
    idle.add(BLUE, SHORT)
    while idle.work(slots) == 0.0:
        pass
    assert (slots.left["back"], idle.prepared_bytes) == (5 - encoded_slots, 10 * encoded_slots)


def test_after_an_error_the_other_sessions_are_encoded(caplog):
    idle, slots = session_prefetch(), Slots(back=1)
    idle.add(("token", "gone"), SHORT)
    idle.add(BLUE, SHORT)
    assert idle.work(slots) == 0.0
    assert "prefetching frames failed" in caplog.text
    assert idle.work(slots) == 0.0
    assert idle.prepared_bytes == 10


def grounder(mllm, config, around=lambda proposer: proposer):
    proposer = around(FixedProposer((1.0, 2.0, 30.0, 40.0)))
    return LocalGrounder(mllm, FixedSplitter(), proposer, config)


class Real:
    """The real grounder around a toy model."""

    def __init__(self):
        self.mllm = ToyMllm()

    def build(self, config, around):
        return grounder(self.mllm, config, around)


@pytest.fixture
def real():
    servers = []

    def start(**settings):
        model = Real()
        servers.append(HttpServer(model, **settings))
        return servers[-1], model.mllm

    yield start
    for server in servers:
        server.close()


def observed(connect, server, clip, settings=PREFETCH):
    """A client whose frames are on the server."""
    client = connect(server.address, jpeg_quality=0)
    client.reconfigure(Config.from_flat(settings))
    for one in clip.frames:
        client.observe(one)
    numbers = [client._registry.number(one.image) for one in clip.frames]
    until(lambda: not client._registry.lacking(numbers))
    return client


def test_a_command_finds_its_frames_encoded_and_answers_the_same(real, connect):
    server, mllm = real()
    clip = clip_of(11)
    client = observed(connect, server, clip)
    until(lambda: mllm.encoded == 5)
    found = client.ground(clip, DOG, no_checkpoint)
    assert mllm.encoded == 5
    late = grounder(ToyMllm(), Config.from_flat(PREFETCH)).ground(clip, DOG, no_checkpoint)
    assert found.best.boxes == late.best.boxes
    assert found.best.confidence == late.best.confidence
    assert found.evidence.spatial.tobytes() == late.evidence.spatial.tobytes()
    assert found.evidence.stamps_ns.tolist() == late.evidence.stamps_ns.tolist()


def test_frames_that_come_with_a_command_are_encoded_for_the_next(real, connect):
    server, mllm = real()
    client, clip = connect(server.address, jpeg_quality=0), clip_of(11)
    client.reconfigure(Config.from_flat(PREFETCH))
    first = client.ground(clip, DOG, no_checkpoint)
    until(lambda: mllm.encoded == 10)
    assert client.ground(clip, DOG, no_checkpoint).best.boxes == first.best.boxes
    assert mllm.encoded == 10


def test_nothing_is_encoded_ahead_unasked(real, connect):
    server, mllm = real()
    *early, last = clip_of(12).frames
    clip = Clip(tuple(early))
    client = observed(connect, server, clip, {})
    client.ground(clip, DOG, no_checkpoint)
    assert mllm.encoded == 5
    client.reconfigure(Config.from_flat(PREFETCH))
    client.observe(last)
    until(lambda: mllm.encoded > 5)


def test_a_server_can_encode_ahead_for_all(real, connect):
    server, mllm = real(**PREFETCH)
    observed(connect, server, clip_of(11), {})
    until(lambda: mllm.encoded == 5)


def forget_frames(server):
    store = server.app._sessions
    for key in list(store._sessions):
        store._drop(key)


def test_features_go_with_their_frames(real, connect, monkeypatch):
    monkeypatch.setattr(prefetch, "TIDY_S", 0.05)
    server, mllm = real()
    observed(connect, server, clip_of(11))
    slot = mllm.encode([clip_of(1).frames[0].image]).nbytes
    prepared = lambda: server.app._commands.prepared_bytes  # noqa: E731
    until(lambda: prepared() == 5 * slot)
    assert (
        f'stvg_prepared_bytes{{replica="r0"}} {5 * slot}'
        in server.ask("GET", "/metrics")[2].decode()
    )
    forget_frames(server)
    until(lambda: prepared() == 0)


def test_a_commands_frames_are_not_held_after_it(real, connect, monkeypatch):
    monkeypatch.setattr(prefetch, "TIDY_S", 0.05)
    server, mllm = real()
    clip = clip_of(11)
    client = observed(connect, server, clip)
    until(lambda: mllm.encoded == 5)
    client.ground(clip, DOG, no_checkpoint)
    forget_frames(server)
    until(lambda: server.app._commands.prepared_bytes == 0)


def test_what_is_encoded_ahead_is_bounded(real, connect):
    slot = ToyMllm().encode([clip_of(1).frames[0].image]).nbytes
    server, mllm = real(**{"serving.prefetch_bytes": 2 * slot})
    clip = clip_of(11)
    client = observed(connect, server, clip)
    until(lambda: server.app._commands.prepared_bytes == 2 * slot)
    client.ground(clip, DOG, no_checkpoint)
    assert mllm.encoded == 5
    assert server.app._commands.prepared_bytes == 2 * slot


def batch(frame_id="camera", **settings):
    image = encoded(clip_of(1).frames[0].image, 90)
    return encoded_record(
        FrameBatch(VERSION, (SentFrame(1, 1, 64, 48, frame_id, image),), 0, settings)
    )


def test_a_command_is_not_kept_waiting_by_frames(serve, connect, toy):
    server = serve(**PREFETCH)
    toy.slots = 1000
    toy.go.clear()
    client = connect(server.address)
    client.observe(clip_of(1).frames[0])
    until(toy.started.is_set)
    answers = []
    aside = threading.Thread(
        target=lambda: answers.append(client.ground(clip_of(2, 1), DOG, no_checkpoint))
    )
    aside.start()
    until(lambda: server.app._commands.waiting == 1)
    toy.go.set()
    aside.join(60)
    assert answers[0].best.status is Status.FOUND
    assert [text for text in toy.asked if text != "forget"][:2] == ["prefetch camera", "the dog"]


def test_sessions_take_turns(serve, toy):
    server = serve(**PREFETCH)
    toy.go.clear()
    for name in ("first", "red", "blue"):
        headers = {"content_type": MEDIA_TYPE, "x_session_id": name}
        assert server.ask("POST", "/v1/frames", batch(name), **headers)[0] == 200
        until(toy.started.is_set)
    toy.slots = 6
    toy.go.set()
    until(lambda: toy.slots == 0)
    assert [text for text in toy.asked if text != "forget"] == [
        "prefetch first", "prefetch red", "prefetch blue", "prefetch first", "prefetch red",
        "prefetch blue",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"window.duration_s": -1.0, "sampling.prefetch": True}, "window.duration_s"),
        ({"model.path": "x"}, "not for clients to choose"),
    ],
)
def test_settings_that_are_refused_are_told_with_the_frames(serve, settings, said):
    server = serve()
    headers = {"content_type": MEDIA_TYPE, "x_session_id": "s"}
    try:
        body = batch(**settings)
    except ValueError:
        good = FrameBatch(VERSION, ())
        object.__setattr__(good, "settings", settings)
        body = encoded_record(good)
    status, _, answer = server.ask("POST", "/v1/frames", body, **headers)
    assert status == 400
    assert said.encode() in answer


def test_a_model_that_cannot_encode_ahead_still_answers(serve, connect, toy, monkeypatch):
    server = serve(**PREFETCH)

    def broken(clip):
        toy.started.set()
        raise RuntimeError("out of memory")

    monkeypatch.setattr(toy, "prefetch", broken)
    client = connect(server.address)
    client.observe(clip_of(1).frames[0])
    until(toy.started.is_set)
    assert client.ground(clip_of(), DOG, no_checkpoint).best.status is Status.FOUND
