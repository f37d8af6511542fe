# SPDX-License-Identifier: Apache-2.0

"""The grounder whose model is elsewhere: the same answers, and every kind of trouble."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("ray", reason="Ray Serve is missing: pip install -r requirements/serving.txt")
from fakes import FixedProposer, no_checkpoint
from serving_tools import TOKEN, HttpServer, Toy, clip_of, connect, serve, toy, until

from stvg_ros.build import build_grounder
from stvg_ros.config import Config
from stvg_ros.errors import (
    CanceledError,
    ConfigError,
    DeadlineError,
    ErrorCode,
    QueueFullError,
    ReplacedError,
    StvgError,
    UnreachableError,
    WindowError,
)
from stvg_ros.external_detections import ExternalDetections
from stvg_ros.serving.http_channel import POLL_S
from stvg_ros.serving.schema import VERSION, Event
from stvg_ros.serving.server_address import Address
from stvg_ros.serving.settings import RemoteConfig
from stvg_ros.serving.wire_format import encoded_item
from stvg_ros.types import CandidateTube, Clip, Frame, Grounding, Query, Status, Tube, short_name

__all__ = ["connect", "serve", "toy"]  # fixtures
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
DOG = Query("the dog", "q-7", max_targets=2)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def frames_received(server):
    lines = server.ask("GET", "/metrics")[2].decode().splitlines()
    return next(int(float(x.rsplit(" ", 1)[1])) for x in lines if x.startswith("stvg_frames_total"))


def test_the_answer_is_the_servers_bit_for_bit(serve, connect, toy):
    client = connect(serve().address, jpeg_quality=0)
    clip, stages = clip_of(), []
    answer = client.ground(clip, DOG, lambda stage, progress: stages.append((stage, progress)))
    here = Toy()
    here.build(None, lambda proposer: proposer)
    local = here.ground(clip, DOG, no_checkpoint)
    assert answer.best.boxes == local.best.boxes
    assert answer.best.query == DOG
    assert answer.evidence.spatial.tobytes() == local.evidence.spatial.tobytes()
    assert [frame.frame_id for frame in toy.clips[0].frames] == ["camera"] * 3
    np.testing.assert_array_equal(toy.clips[0].frames[2].image, clip.frames[2].image)
    assert list(dict.fromkeys(stages)) == [("send", 0.0), ("forward pass", 0.0), ("score", 0.5)]


def test_an_early_answer_comes_where_it_is_wanted(serve, connect):
    client, early = connect(serve().address), []
    final = client.ground(clip_of(), DOG, no_checkpoint, early.append)
    assert [grounding.best.preliminary for grounding in (*early, final)] == [True, False]
    assert early[0].best.boxes == final.best.boxes


def test_jpeg_is_close(serve, connect, toy):
    connect(serve().address, jpeg_quality=100).ground(clip_of(), DOG, no_checkpoint)
    sent, came = clip_of().frames[0].image, toy.clips[0].frames[0].image
    assert not np.array_equal(sent, came)
    assert came.shape == sent.shape


def test_frames_go_ahead_and_the_command_sends_none(serve, connect):
    server = serve()
    client, clip = connect(server.address), clip_of(5)
    for frame in clip.frames[:4]:
        client.observe(frame)
    until(lambda: not client._registry.lacking(range(1, 5)))
    client.ground(clip, DOG, no_checkpoint)
    client.ground(clip, DOG, no_checkpoint)
    assert frames_received(server) == 5
    client.observe(clip.frames[4])
    client.observe(clip_of(1, seed=1).frames[0])
    until(lambda: frames_received(server) == 6)


def test_frames_that_the_session_lost_are_sent_again(serve, connect):
    server = serve()
    client, clip = connect(server.address), clip_of()
    client.ground(clip, DOG, no_checkpoint)
    (key,) = server.app._sessions._sessions
    server.app._sessions._drop(key)
    assert client.ground(clip, DOG, no_checkpoint).best.status is Status.FOUND
    assert frames_received(server) == 6


def test_a_session_too_small_for_its_window_still_answers(serve, connect):
    server = serve(**{"serving.session_bytes": 3 * 64 * 48 * 3})
    client, clip = connect(server.address), clip_of(3)
    client.ground(clip, DOG, no_checkpoint)
    other = clip_of(3, seed=5)
    for frame in other.frames:
        client.observe(frame)
    until(lambda: frames_received(server) == 6)
    assert client.ground(clip, DOG, no_checkpoint).best.status is Status.FOUND


def test_settings_and_tubes_go_along(serve, connect, toy):
    client = connect(serve().address, proposer=FixedProposer((5.0, 6.0, 7.0, 8.0)))
    client.reconfigure(Config.from_flat({"span.top_k": 4}))
    answer = client.ground(clip_of(), DOG, no_checkpoint)
    assert answer.best.boxes[0].box_xyxy_px == (5.0, 6.0, 7.0, 8.0)
    assert toy.config.span.top_k == 4


def test_detections_of_the_robot_become_the_tubes(serve, toy):
    address = serve().address
    settings = {"backend": "remote", "remote.address": address, "proposals.source": "external"}
    client, clip = build_grounder(Config.from_flat(settings)), clip_of(5)
    box = ExternalDetections(np.array([[5, 6, 47, 48]], np.float32), np.ones(1, np.float32), ("7",))
    for frame in clip.frames:
        client.proposer.put(frame, box)
    answer = client.ground(clip, DOG, no_checkpoint)
    client.close()
    assert answer.best.boxes[0].box_xyxy_px == pytest.approx((5.0, 6.0, 47.0, 48.0))


def test_tubes_are_computed_on_the_robot_if_it_is_set():
    settings = {"backend": "remote", "proposals.source": "classical"}
    client = build_grounder(Config.from_flat({**settings, "remote.tubes": "robot"}))
    assert (client.proposer.name, client.proposer.can_follow) == ("classical", True)
    client.close()
    client = build_grounder(Config.from_flat(settings))
    assert client.proposer is None
    client.close()


def test_a_clip_with_tubes_is_asked_about_these(serve, connect, toy):
    clip = clip_of(5)
    nothing = np.zeros(5, np.bool_)
    boxes = np.tile(np.array([5, 6, 47, 48], np.float32), (5, 1))
    known = CandidateTube(3, boxes, ~nothing, nothing)
    answer = connect(serve().address).ground(replace(clip, tubes=(known,)), DOG, no_checkpoint)
    assert answer.best.boxes[0].box_xyxy_px == pytest.approx((5.0, 6.0, 47.0, 48.0))


def test_candidates_come_back_without_their_masks(serve, connect, toy, monkeypatch):
    nothing = np.zeros(3, np.bool_)
    boxes = np.tile(np.array([5, 6, 47, 48], np.float32), (3, 1))
    masked = CandidateTube(3, boxes, ~nothing, nothing, masks=np.ones((3, 4, 4), np.bool_))
    ground = toy.ground
    monkeypatch.setattr(
        toy, "ground", lambda *a, **k: replace(ground(*a, **k), candidates=(masked,))
    )
    (back,) = connect(serve().address).ground(clip_of(3), DOG, no_checkpoint).candidates
    assert (back.track_id, back.masks) == (3, None)
    assert np.array_equal(back.boxes_xyxy_px, boxes)


def test_cancel_reaches_the_server(serve, connect, toy):
    client = connect(serve().address)
    toy.go.clear()

    def checkpoint(stage, progress):
        if toy.started.is_set():
            raise CanceledError("enough")

    with pytest.raises(CanceledError, match="enough"):
        client.ground(clip_of(), DOG, checkpoint)
    until(lambda: toy.ended)
    assert "the client went away" in str(toy.ended[0])
    toy.go.set()
    assert client.ground(clip_of(), DOG, no_checkpoint).best.status is Status.FOUND


class SilentServer:
    """Reads requests, and answers the first command if `answered`; others get no head."""

    HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/msgpack\r\n"

    def __init__(self, answered=True, at="head"):
        self.commands, self.closed = [], threading.Event()
        self._answered, self._at = answered, at
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as file:
            while line := file.readline():
                length = 0
                while (head := file.readline()) not in (b"\r\n", b""):
                    if head.lower().startswith(b"content-length"):
                        length = int(head.split(b":")[1])
                file.read(length)
                if b"/v1/ground" not in line:
                    continue
                self.commands.append(line)
                if len(self.commands) == 1 and self._answered:
                    tube = Tube(DOG, Status.NOT_FOUND)
                    body = encoded_item(Event(VERSION, answer=Grounding((tube,))))
                    length = b"content-length: %d\r\n\r\n" % len(body)
                    connection.sendall(self.HEAD + length + body)
                elif self._at == "stream":
                    event = encoded_item(Event(VERSION, "forward pass"))
                    connection.sendall(self.HEAD + b"transfer-encoding: chunked\r\n\r\n")
                    connection.sendall(b"%x\r\n%s\r\n" % (len(event), event))
            self.closed.set()

    def close(self):
        self._listener.close()


@pytest.fixture
def silent():
    made = []

    def start(**how):
        made.append(SilentServer(**how))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize("at", ["head", "stream"])
@pytest.mark.parametrize("error", [CanceledError, DeadlineError, ReplacedError, RuntimeError])
def test_a_command_that_is_given_up_ends_at_once_and_is_not_sent_again(
    silent, connect, answered, at, error
):
    server = silent(answered=answered, at=at)
    client = connect(server.address, timeout_s=600.0)
    if answered:  # over a kept connection, which a closed one could be taken for
        assert client.ground(clip_of(), DOG, no_checkpoint).best.status is Status.NOT_FOUND
    before = len(server.commands)

    def checkpoint(stage, progress):
        if len(server.commands) > before:
            raise error("enough")

    with pytest.raises(error, match="enough"):  # the time limit of the test is below timeout_s
        client.ground(clip_of(), DOG, checkpoint)
    assert server.closed.wait(30)
    assert len(server.commands) == before + 1


@pytest.mark.parametrize("at", ["head", "stream", "frames"])
def test_closing_ends_a_command_and_what_is_uploaded(silent, connect, at):
    server = silent(answered=False, at=at)
    client = connect(server.address, timeout_s=600.0, local=Toy())
    errors = []

    def ask():
        try:
            client.ground(clip_of(), DOG, no_checkpoint)
        except CanceledError as error:
            errors.append(str(error))

    client.observe(clip_of(seed=3).frames[0])
    asking = threading.Thread(target=ask)
    asking.start()
    until(lambda: server.commands)
    client.close()
    asking.join(60)
    assert errors == ["the client of the server was closed"]
    assert len(server.commands) == 1
    assert not client._uploader._thread.is_alive()
    assert not client._channel._thread.is_alive()
    with pytest.raises(CanceledError):
        client.ground(clip_of(), DOG, no_checkpoint)


def test_a_pause_before_a_retry_ends_with_the_command(connect):
    client = connect(f"http://127.0.0.1:{free_port()}", retries=1, backoff_s=60.0)

    def checkpoint(stage, progress):
        if stage == "retry":
            raise CanceledError("enough")

    with pytest.raises(CanceledError, match="enough"):
        client.ground(clip_of(), DOG, checkpoint)


def test_encoding_a_long_window_ends_with_the_command(connect, monkeypatch):
    client, encoded = connect(f"http://127.0.0.1:{free_port()}"), []

    def checkpoint(stage, progress):
        if encoded:
            raise CanceledError("enough")

    def slow(frame, number, quality):
        encoded.append(number)
        threading.Event().wait(2 * POLL_S)

    monkeypatch.setattr("stvg_ros.serving.client.sent_frame", slow)
    with pytest.raises(CanceledError, match="enough"):
        client.ground(clip_of(50), DOG, checkpoint)
    assert len(encoded) == 1


@pytest.mark.parametrize(
    "name",
    ["x" * 256, "x" * 257, "x" * 1000, "é" * 300, "camera" * 100, "a/" * 10_000, "", "人" * 257],
)
def test_a_frame_id_of_any_length_travels(serve, connect, toy, name):
    frames = tuple(replace(frame, frame_id=name, stream=name) for frame in clip_of().frames)
    client = connect(serve().address)
    client.observe(frames[0])
    assert client.ground(Clip(frames), DOG, no_checkpoint).best.frame_id == short_name(name)
    assert len(toy.clips[0].frames[0].frame_id) == min(len(name), 256)


def test_long_names_stay_apart():
    assert len({short_name("x" * 300 + str(number)) for number in range(10)}) == 10


@pytest.mark.parametrize("side", [16_384, 16_385, 20_000, 65_535, 65_536, 10**6, 2**31 - 1])
@pytest.mark.parametrize("upright", [True, False])
def test_a_camera_of_any_size_is_grounded(serve, connect, toy, side, upright):
    size = (64, side) if upright else (side, 64)
    frames = tuple(
        replace(frame, source_width_px=size[0], source_height_px=size[1])
        for frame in clip_of().frames
    )
    connect(serve().address).ground(Clip(frames), DOG, no_checkpoint)
    assert toy.clips[0].size_px == size


@pytest.mark.parametrize("count", [4097, 5000])
def test_a_window_of_too_many_frames_is_refused_with_the_remedy(connect, count):
    image = np.zeros((2, 2, 3), np.uint8)
    clip = Clip(tuple(Frame(number, image, 2, 2) for number in range(count)))
    with pytest.raises(StvgError, match="window.duration_s"):
        connect("http://127.0.0.1:1").ground(clip, DOG, no_checkpoint)


def test_an_error_of_the_grounder_keeps_its_kind(serve, connect, toy, monkeypatch):
    def refuse(*_):
        raise WindowError("no such window")

    monkeypatch.setattr(toy, "ground", refuse)
    with pytest.raises(WindowError, match="no such window"):
        connect(serve().address).ground(clip_of(), DOG, no_checkpoint)


def test_a_full_queue_is_told_at_once(serve, connect, toy):
    server = serve(**{"serving.client_commands": 1})
    client = connect(server.address)
    toy.go.clear()
    answers = []
    aside = threading.Thread(
        target=lambda: answers.append(client.ground(clip_of(), DOG, no_checkpoint))
    )
    aside.start()
    until(toy.started.is_set)
    other = connect(server.address)
    other._channel._client.headers.update(client._channel._client.headers)
    with pytest.raises(QueueFullError, match="serving.client_commands = 1"):
        other.ground(clip_of(), DOG, no_checkpoint)
    toy.go.set()
    aside.join(60)
    assert answers


def test_no_server_is_unreachable_and_then_left_alone(connect):
    client = connect(f"http://127.0.0.1:{free_port()}", retries=1, backoff_s=0.0, breaker_s=60.0)
    for said in ("unreachable", "attempts failed in a row", "attempts failed in a row"):
        with pytest.raises(UnreachableError, match=said) as caught:
            client.ground(clip_of(), DOG, no_checkpoint)
    assert caught.value.code is ErrorCode.UNREACHABLE
    assert "The last one: http://127.0.0.1" in str(caught.value)


def test_a_server_that_comes_back_is_used_again(connect, toy):
    port = free_port()
    client = connect(f"http://127.0.0.1:{port}", retries=0, breaker_s=0.0)
    client.observe(clip_of().frames[0])
    with pytest.raises(UnreachableError):
        client.ground(clip_of(), DOG, no_checkpoint)
    servers = []
    for _ in range(2):
        servers.append(HttpServer(toy, port=port))
        until(lambda: _answered(client))
        servers[-1].close()
        with pytest.raises(UnreachableError):
            client.ground(clip_of(), DOG, no_checkpoint)


def _answered(client):
    try:
        return client.ground(clip_of(), DOG, no_checkpoint).best.status is Status.FOUND
    except UnreachableError:
        return False


def _broken_server(answers):
    """Answers connections with these bytes, one each, then closes them; None is silence."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run():
        with contextlib.suppress(OSError):  # the test is over
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    if answer is None:
                        threading.Event().wait(3)
                    else:
                        connection.sendall(answer)
                        # Closed with a request half read, the answer could be lost to a reset.
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass

    threading.Thread(target=run, daemon=True).start()
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "RemoteProtocolError: Server disconnected"),
        (b"nonsense\r\n\r\n", "RemoteProtocolError: illegal status line"),
        (b"HTTP/1.1 500 X\r\ncontent-length: 4\r\n\r\noops", r"HTTP status 500 \(oops\)"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n",
            "RemoteProtocolError: peer closed connection",
        ),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "broke off without an answer"),
        (None, "no response|timed out"),
    ],
)
def test_a_server_that_breaks_off_is_asked_again_then_unreachable(connect, answer, said):
    listener, address = _broken_server([answer] * 2)
    client = connect(address, retries=1, backoff_s=0.01, timeout_s=1.0)
    with listener, pytest.raises(UnreachableError, match=said):
        client.ground(clip_of(), DOG, no_checkpoint)


def test_an_answer_that_is_none_is_refused(connect):
    listener, address = _broken_server(
        [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n\0\0\0\1\xc1"]
    )
    client = connect(address, retries=0)
    with listener, pytest.raises(UnreachableError, match="do not decode.*of the same release"):
        client.ground(clip_of(), DOG, no_checkpoint)


def test_without_the_server_a_local_model_answers(connect):
    here = Toy()
    here.build(None, lambda proposer: proposer)
    address = f"http://127.0.0.1:{free_port()}"
    client = connect(address, local=here, retries=0)
    client.reconfigure(Config.from_flat({"span.top_k": 4}))
    assert client.ground(clip_of(), DOG, no_checkpoint).best.status is Status.FOUND
    assert (here.asked, here.config.span.top_k) == (["the dog"], 4)


def test_a_wrong_token_is_a_matter_of_configuration(serve, connect, tmp_path):
    tokens, own = tmp_path / "tokens", tmp_path / "own"
    tokens.write_text(f"red {TOKEN}\n")
    own.write_text("wrong-wrong-wrong")
    server = serve(str(tokens))
    client = connect(server.address, token_file=str(own))
    with pytest.raises(ConfigError, match="got a wrong token"):
        client.ground(clip_of(), DOG, no_checkpoint)
    own.write_text(TOKEN)
    client = connect(server.address, token_file=str(own))
    assert client.ground(clip_of(), DOG, no_checkpoint).best.status is Status.FOUND


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"address": "gpu-box:8000"}, "expected a URL such as"),
        ({"address": "ftp://gpu-box"}, "expected a URL such as"),
        ({"address": "http://x:99999"}, "remote.address"),
        ({"address": "http://x", "token_file": "none"}, "remote.token_file: none cannot be read"),
        ({"address": "https://x", "ca_file": "none"}, "remote.ca_file: expected a certificate"),
    ],
)
def test_impossible_addresses_are_told_at_the_start(settings, said):
    with pytest.raises(ConfigError, match=said):
        Address.of(RemoteConfig(**settings), "s")


def test_a_token_does_not_travel_in_the_clear(tmp_path, monkeypatch):
    monkeypatch.setenv("STVG_ROS_TOKEN", TOKEN)
    with pytest.raises(ConfigError, match="must not travel in the clear"):
        Address.of(RemoteConfig(address="http://10.0.0.1"), "s")
    address = Address.of(RemoteConfig(address="https://10.0.0.1/qwen/"), "s")
    assert (address.url, address.headers["authorization"]) == (
        "https://10.0.0.1:443/qwen",
        f"Bearer {TOKEN}",
    )


def test_the_configuration_chooses_the_backend():
    remote = build_grounder(Config.from_flat({"backend": "remote"}))
    try:
        with pytest.raises(UnreachableError):
            remote.ground(clip_of(1), DOG, no_checkpoint)
    finally:
        remote.close()


def test_a_missing_library_is_named_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "stvg_ros.serving.client", None)
    with pytest.raises(ConfigError, match=r"backend: remote needs .* pip install -r"):
        build_grounder(Config.from_flat({"backend": "remote"}))


def test_eight_clients_at_once_are_all_answered(serve, connect, toy):
    server = serve()
    clients = [connect(server.address) for _ in range(8)]
    done = []

    def ask(number, client):
        for round_ in range(3):
            query = Query(f"dog {number} {round_}")
            done.append(client.ground(clip_of(seed=number), query, no_checkpoint).best.query.text)

    threads = [
        threading.Thread(target=ask, args=(number, client)) for number, client in enumerate(clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == [f"dog {n} {r}" for n in range(8) for r in range(3)]
