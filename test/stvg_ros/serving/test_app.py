# SPDX-License-Identifier: Apache-2.0

"""The app over real HTTP: what it refuses, and that it lives on."""

from __future__ import annotations

import io
import json
import socket
import threading

import numpy as np
import pytest

pytest.importorskip("ray", reason="Ray Serve is missing: pip install -r requirements/serving.txt")
from PIL import Image
from serving_tools import (
    CONTENT,
    TOKEN,
    command,
    last_event,
    sent,
    serve,
    tar_of,
    toy,
    until,
    works,
)

from stvg_ros.errors import ErrorCode
from stvg_ros.serving.schema import (
    VERSION,
    Event,
    FrameBatch,
    Request,
    SentFrame,
    SessionState,
)
from stvg_ros.serving.wire_format import decoded_record, encoded_record
from stvg_ros.types import Query

__all__ = ["serve", "toy"]  # fixtures
HEAD = b"POST /v1/frames HTTP/1.1\r\nhost: x\r\nx-session-id: %s\r\ncontent-length: 40000\r\n\r\n"


def bare(frames):
    return tuple(SentFrame(f.id, f.stamp_ns, f.width_px, f.height_px, f.frame_id) for f in frames)


def failure(answer):
    return answer[0], decoded_record(Event, answer[2]).failure


def test_health_and_metrics(serve):
    server = serve()
    status, _, body = server.ask("GET", "/v1/health")
    assert (status, json.loads(body)) == (200, {"status": "ok", "version": 1})
    assert works(server)
    status, headers, body = server.ask("GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = body.decode().splitlines()
    assert 'stvg_requests_total{outcome="200",path="/v1/ground",replica="r0"} 1.0' in lines
    assert 'stvg_requests_total{outcome="answered",path="command",replica="r0"} 1.0' in lines
    assert 'stvg_frames_total{replica="r0"} 3.0' in lines
    assert 'stvg_command_seconds_count{replica="r0"} 1.0' in lines
    assert 'stvg_commands_waiting{replica="r0"} 0.0' in lines


def test_frames_travel_once(serve, toy):
    server, frames = serve(), sent()
    headers = {**CONTENT, "x_session_id": "s1"}
    batch = encoded_record(FrameBatch(VERSION, frames[:2]))
    status, _, body = server.ask("POST", "/v1/frames", batch, **headers)
    assert (status, decoded_record(SessionState, body)) == (200, SessionState(VERSION, 2))
    both = (*bare(frames[:2]), frames[2])
    assert server.ask("POST", "/v1/ground", command(both), **headers)[0] == 200
    status, _, body = server.ask("POST", "/v1/ground", command(bare(frames)), **headers)
    assert status == 200
    assert last_event(body).answer.best.boxes[0].box_xyxy_px == (1.0, 2.0, 30.0, 40.0)
    # The same frames, not only equal ones: what is kept with a frame is found again.
    assert toy.clips[1].frames == toy.clips[0].frames
    assert toy.clips[0].size_px == (128, 96)


def test_frames_of_robots_with_one_frame_id_are_of_different_streams(serve, toy):
    server, frames = serve(), sent()
    for session in ("robot 1", "robot 2"):
        headers = {**CONTENT, "x_session_id": session}
        assert server.ask("POST", "/v1/ground", command(frames), **headers)[0] == 200
    streams = [{frame.stream for frame in clip.frames} for clip in toy.clips]
    assert [len(names) for names in streams] == [1, 1]
    assert streams[0] != streams[1]


def test_a_session_is_nobody_elses(serve, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"red {TOKEN}\nblue {TOKEN}2\n")
    server, frames = serve(str(tokens)), sent()
    headers = {**CONTENT, "x_session_id": "s1"}
    batch = encoded_record(FrameBatch(VERSION, frames))
    red = {"authorization": f"Bearer {TOKEN}", **headers}
    blue = {"authorization": f"Bearer {TOKEN}2", **headers}
    assert server.ask("POST", "/v1/frames", batch, **red)[0] == 200
    status, failed = failure(server.ask("POST", "/v1/ground", command(bare(frames)), **blue))
    assert (status, failed.missing) == (409, (0, 1, 2))
    assert server.ask("POST", "/v1/ground", command(bare(frames)), **red)[0] == 200


def test_tubes_of_the_client_take_the_place_of_the_proposers(serve, toy):
    from stvg_ros.types import CandidateTube

    there = np.ones(3, np.bool_)
    tube = CandidateTube(9, np.full((3, 4), [5, 6, 7, 8], np.float32), there, ~there)
    server = serve()
    body = server.ask("POST", "/v1/ground", command(sent(), tubes=(tube,)), **CONTENT)[2]
    assert last_event(body).answer.best.boxes[0].box_xyxy_px == (5.0, 6.0, 7.0, 8.0)
    assert works(server)
    body = server.ask("POST", "/v1/ground", command(sent()), **CONTENT)[2]
    assert last_event(body).answer.best.boxes[0].box_xyxy_px == (1.0, 2.0, 30.0, 40.0)


def test_settings_of_a_command_are_its_own(serve, toy):
    server = serve(**{"span.top_k": 5})
    body = encoded_record(Request(VERSION, Query("a"), sent(), {"span.method": "top_k"}))
    assert server.ask("POST", "/v1/ground", body, **CONTENT)[0] == 200
    assert (toy.config.span.method, toy.config.span.top_k) == ("top_k", 5)
    assert works(server)
    assert toy.config.span.method == "adaptive"
    body = encoded_record(Request(VERSION, Query("a"), sent(), {"span.method": "guess"}))
    failed = failure(server.ask("POST", "/v1/ground", body, **CONTENT))[1]
    assert failed.code is ErrorCode.CONFIGURATION
    assert "adaptive" in failed.message


def _bomb(pixels):
    file = io.BytesIO()
    Image.new("1", pixels).save(file, "PNG")
    return file.getvalue()


def _frame(image):
    return (SentFrame(0, 1, 64, 48, "", image),)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "do not decode"),
        (b"{}", 400, "expected a map, got int"),
        (command(_frame(b"no picture")), 400, "expected a JPEG or PNG file, got 10 bytes"),
        (command(_frame(sent(1)[0].image[:100])), 400, "JPEG or PNG"),
        (command(_frame(_bomb((8000, 8000)))), 400, "at most 16777216 pixels, got 8000 x 8000"),
        (command(tuple(SentFrame(i, i, 9, 9, "", _bomb((4000, 4000))) for i in range(9))), 413,
         "serving.session_bytes"),
        (command((*sent(1), *sent(1))), 400, "stamps must increase"),
        (command(bare(sent())), 409, "lacks 3 frames"),
    ],
)  # fmt: skip
def test_a_bad_command_is_refused_with_a_reason_and_the_next_one_works(serve, body, status, said):
    server = serve()
    answered, failed = failure(server.ask("POST", "/v1/ground", body, **CONTENT))
    assert answered == status
    assert said in failed.message
    assert (failed.code is ErrorCode.INTERNAL) == (status == 409)  # the client sends them again
    assert works(server)


def test_an_oversized_request_is_refused_before_it_has_come(serve):
    server = serve(**{"serving.max_body_bytes": 50_000})
    with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
        raw.sendall(b"POST /v1/ground HTTP/1.1\r\nhost: x\r\ncontent-length: 50001\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
        raw.sendall(b"POST /v1/ground HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        raw.sendall(b"c351\r\n" + b"x" * 50_001 + b"\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")
    assert works(server)


def _held(server):
    return server.app._memory.nbytes


def test_what_a_client_holds_is_bounded_before_its_body_has_come(serve):
    server = serve(**{"serving.client_bytes": 100_000})
    with socket.create_connection(("127.0.0.1", server.port), 30) as first:
        first.sendall(HEAD % b"a")
        until(lambda: _held(server) == 80_000)
        with socket.create_connection(("127.0.0.1", server.port), 30) as second:
            second.sendall(HEAD % b"a")
            answer = second.recv(4096)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"serving.client_bytes = 100000" in answer
        with socket.create_connection(("127.0.0.1", server.port), 30) as other:
            other.sendall(HEAD % b"b")
            until(lambda: _held(server) == 160_000)
    until(lambda: _held(server) == 0)
    assert works(server)


def test_what_all_clients_hold_is_bounded(serve):
    server = serve(**{"serving.request_bytes": 100_000})
    with socket.create_connection(("127.0.0.1", server.port), 30) as first:
        first.sendall(HEAD % b"a")
        until(lambda: _held(server) == 80_000)
        with socket.create_connection(("127.0.0.1", server.port), 30) as second:
            second.sendall(HEAD % b"b")
            assert b"serving.request_bytes = 100000" in second.recv(4096)
    until(lambda: _held(server) == 0)


def test_a_command_holds_its_frames_until_it_is_answered(serve, toy):
    server = serve()
    toy.go.clear()
    thread, answers = _ask_aside(server, x_session_id="a")
    until(toy.started.is_set)
    assert _held(server) == 3 * 64 * 48 * 3
    toy.go.set()
    thread.join(60)
    assert answers[0][0] == 200
    until(lambda: _held(server) == 0)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", command(_frame(b"x")), command(bare(sent())), command((*sent(1), *sent(1))),
     b"\x93" * 1000, b"\xc1", command(sent())[:-3], command(sent()) + b"x"],
)  # fmt: skip
def test_a_refused_request_holds_nothing(serve, body):
    server = serve()
    assert server.ask("POST", "/v1/ground", body, **CONTENT)[0] in (400, 409)
    assert _held(server) == 0


def test_images_that_become_too_large_for_a_client_are_refused(serve):
    server = serve(**{"serving.client_bytes": 10**6})
    body = command(tuple(SentFrame(i, i, 9, 9, "", _bomb((400, 400))) for i in range(4)))
    status, failed = failure(server.ask("POST", "/v1/ground", body, **CONTENT))
    assert (status, failed.code) == (503, ErrorCode.QUEUE_FULL)
    assert "serving.client_bytes" in failed.message
    assert works(server)


def test_the_event_loop_answers_while_a_request_is_parsed(serve, monkeypatch):
    from stvg_ros.serving import app

    go, parsing = threading.Event(), threading.Event()
    parse = app.decoded_record

    def slow(kind, body):
        parsing.set()
        assert go.wait(60)
        return parse(kind, body)

    monkeypatch.setattr(app, "decoded_record", slow)
    server = serve()
    thread, answers = _ask_aside(server)
    assert parsing.wait(60)
    assert server.ask("GET", "/v1/health")[0] == 200
    go.set()
    thread.join(60)
    assert answers[0][0] == 200


@pytest.mark.parametrize("session", ["\xff\xfe", "\xe9", "a\tb", "x" * 129, "\x80" * 10])
def test_a_session_name_that_is_not_ascii_is_refused(serve, session):
    server = serve()
    status, failed = failure(server.ask("POST", "/v1/frames", b"", **CONTENT, x_session_id=session))
    assert (status, "expected at most 128 ASCII characters" in failed.message) == (400, True)


def test_robots_with_one_frame_id_have_streams_of_their_own(serve, toy):
    server = serve()
    for session in "ab":
        headers = {**CONTENT, "x_session_id": session}
        assert server.ask("POST", "/v1/ground", command(sent()), **headers)[0] == 200
    for _ in range(2):
        assert server.ask("POST", "/v1/ground", command(sent()), **CONTENT)[0] == 200
    streams = [clip.frames[0].stream for clip in toy.clips]
    assert streams[:2] == ["/a/", "/b/"]
    assert len(set(streams)) == 4


def test_a_body_that_does_not_come_is_refused_in_time(serve):
    server = serve(**{"serving.body_timeout_s": 0.3})
    with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
        raw.sendall(b"POST /v1/ground HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nx")
        answer = raw.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not arrive within serving.body_timeout_s" in answer
    assert works(server)


def test_a_wrong_token_is_refused_and_health_needs_none(serve, tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text(f"red {TOKEN}\n")
    server = serve(str(tokens))
    status, failed = failure(server.ask("POST", "/v1/ground", command(sent()), **CONTENT))
    assert (status, failed.message.endswith("got no token")) == (401, True)
    wrong = {"authorization": "Bearer wrong", **CONTENT}
    assert server.ask("POST", "/v1/ground", command(sent()), **wrong)[0] == 401
    assert server.ask("POST", "/v1/frames", b"", **wrong)[0] == 401
    assert server.ask("GET", "/metrics")[0] == 401
    assert server.ask("GET", "/v1/health")[0] == 200


def test_other_paths_and_sessions(serve):
    server = serve()
    status, _, body = server.ask("GET", "/v2/ground")
    assert (status, "expected one of GET /v1/health" in body.decode()) == (404, True)
    assert failure(server.ask("POST", "/v1/frames", b"", **CONTENT))[0] == 400
    long = {**CONTENT, "x_session_id": "x" * 129}
    assert failure(server.ask("POST", "/v1/frames", b"", **long))[0] == 400


def test_too_many_requests_of_a_client(serve):
    server = serve(**{"serving.client_rate_hz": 0.5})
    answers = [server.ask("GET", "/metrics") for _ in range(3)]
    assert [status for status, *_ in answers] == [200, 429, 429]
    assert answers[-1][1]["retry-after"] == "1"


def _ask_aside(server, **headers):
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(
            server.ask("POST", "/v1/ground", command(sent()), **CONTENT, **headers)
        )
    )
    thread.start()
    return thread, answers


def test_a_full_queue_is_told_at_once(serve, toy):
    server = serve(**{"serving.max_queue": 1})
    toy.go.clear()
    first = _ask_aside(server, x_session_id="a")
    until(toy.started.is_set)
    second = _ask_aside(server, x_session_id="b")
    until(lambda: b'commands_waiting{replica="r0"} 1.0' in server.ask("GET", "/metrics")[2])
    headers = {**CONTENT, "x_session_id": "c"}
    answer = server.ask("POST", "/v1/ground", command(sent()), **headers)
    status, failed = failure(answer)
    assert (status, failed.code, answer[1]["retry-after"]) == (503, ErrorCode.QUEUE_FULL, "1")
    assert "serving.max_queue = 1" in failed.message
    toy.go.set()
    for thread, answers in (first, second):
        thread.join(60)
        assert last_event(answers[0][2]).answer is not None


def test_a_client_may_not_fill_the_queue_alone(serve, toy):
    server = serve(**{"serving.client_commands": 1})
    toy.go.clear()
    first = _ask_aside(server, x_session_id="a")
    until(toy.started.is_set)
    headers = {**CONTENT, "x_session_id": "a"}
    status, failed = failure(server.ask("POST", "/v1/ground", command(sent()), **headers))
    assert (status, "serving.client_commands = 1" in failed.message) == (503, True)
    toy.go.set()
    first[0].join(60)


def test_a_long_command_ends(serve, toy):
    server = serve(**{"serving.command_timeout_s": 0.2})
    toy.go.clear()
    failed = last_event(server.ask("POST", "/v1/ground", command(sent()), **CONTENT)[2]).failure
    assert failed.code is ErrorCode.DEADLINE
    toy.go.set()
    assert works(server)


def test_an_unexpected_error_is_answered(serve, toy, monkeypatch):
    server = serve()
    monkeypatch.setattr(toy, "reconfigure", lambda config: 1 / 0)
    failed = last_event(server.ask("POST", "/v1/ground", command(sent()), **CONTENT)[2]).failure
    assert failed.code is ErrorCode.INTERNAL
    assert "ZeroDivisionError" in failed.message
    monkeypatch.undo()
    assert works(server)


def test_the_answer_stops_being_made_when_its_client_goes(serve, toy):
    server = serve()
    toy.go.clear()
    raw = socket.create_connection(("127.0.0.1", server.port), 30)
    body = command(sent())
    raw.sendall(b"POST /v1/ground HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % len(body))
    raw.sendall(b"content-type: application/msgpack\r\n\r\n" + body)
    until(toy.started.is_set)
    raw.close()
    until(lambda: toy.ended)
    assert "the client went away" in str(toy.ended[0])
    toy.go.set()
    assert works(server)


def test_a_tar_of_pictures_is_answered_with_json(serve, toy):
    server = serve()
    tar = tar_of(*(frame.image for frame in sent(3)))
    url = "/v1/ground?query=the%20dog&rate_hz=4"
    status, _, body = server.ask("POST", url, tar, content_type="application/x-tar")
    tube = json.loads(body)["tubes"][0]
    assert (status, tube["status"], tube["score"]) == (200, "found", None)
    assert tube["boxes"][2] == {"time_s": 0.5, "box_xyxy_px": [1.0, 2.0, 30.0, 40.0]}
    assert toy.asked == ["the dog"]
    assert toy.clips[0].size_px == (64, 48)


@pytest.mark.parametrize(
    ("url", "tar", "said"),
    [
        ("?query=a", b"", "a tar of JPEG or PNG files"),
        ("?query=a", b"x" * 1024, "a tar of JPEG or PNG files"),
        ("?query=a", tar_of(b"x"), "expected a JPEG or PNG file"),
        ("?query=a", tar_of(), "expected 1 to 4096 frames, got 0"),
        ("", tar_of(sent(1)[0].image), "the command is empty"),
        ("?query=a&rate_hz=0", tar_of(sent(1)[0].image), "rate_hz: expected 0.001 to 1000"),
        ("?query=a&targets=two", tar_of(sent(1)[0].image), "expected numbers"),
    ],
)
def test_a_bad_tar_is_refused(serve, url, tar, said):
    server = serve()
    status, _, body = server.ask("POST", "/v1/ground" + url, tar, content_type="application/x-tar")
    assert status == 400
    assert said in json.loads(body)["error"]["message"]


def test_a_head_that_does_not_come_is_refused_in_time(serve):
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    from stvg_ros.serving.proxy import limit_heads

    server = serve()
    connected = AutoHTTPProtocol.connection_made
    limit_heads(AutoHTTPProtocol, 0.3, 0.5)
    try:
        with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
            raw.sendall(b"GET /v1/health HTTP/1.1\r\nx-slow: ")
            answer = raw.recv(4096)
            assert answer.startswith(b"HTTP/1.1 408")
            assert raw.recv(4096) == b""
        with socket.create_connection(("127.0.0.1", server.port), 30) as raw:
            raw.sendall(b"GET /v1/health HTTP/1.1\r\nhost: x\r\n\r\n")
            assert raw.recv(4096).startswith(b"HTTP/1.1 200")
            raw.sendall(b"GET /v1/health HTTP/1.1\r\nx-slow: ")
            while raw.recv(4096):  # the socket's own time-out ends what never ends
                pass
        assert works(server)
    finally:
        AutoHTTPProtocol.connection_made = connected
