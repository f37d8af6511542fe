# SPDX-License-Identifier: Apache-2.0

"""Records there and back, and damaged bytes against the message."""

from __future__ import annotations

import msgpack
import numpy as np
import pytest

from stvg_ros.config import Config
from stvg_ros.errors import CommandError, ErrorCode, NoImagesError
from stvg_ros.serving.schema import (
    VERSION,
    Event,
    Failure,
    FrameBatch,
    Request,
    SentFrame,
    chosen_settings,
    error_of,
)
from stvg_ros.serving.wire_format import SchemaError, Stream, packed, unpacked
from stvg_ros.types import CandidateTube, Evidence, Grounding, Query, Status, Tube, TubeBox

FRAME = SentFrame(7, 10**18, 640, 480, "camera", b"\xff\xd8")


def request(**changes):
    values = {
        "version": VERSION,
        "query": Query("the person in red", "q-1", start_ns=5, deadline_s=1.5),
        "frames": (FRAME, SentFrame(8, 10**18 + 1, 640, 480)),
        "settings": {"span.top_k": 3, "span.threshold": 0.1, "span.method": "top_k"},
    }
    return Request(**{**values, **changes})


def test_an_empty_batch():
    assert unpacked(FrameBatch, packed(FrameBatch(VERSION, ()))) == FrameBatch(VERSION, ())


def test_a_request_comes_back_as_it_was():
    assert unpacked(Request, packed(request())) == request()


def test_an_answer_comes_back_bit_for_bit():
    third = 1 / 3
    tube = Tube(
        Query("the dog"), Status.FOUND, None, (TubeBox(1, (third, 0.1, 2e-308, 4.0), third),),
        score=third, error_code=ErrorCode.NONE, timings_s={"forward pass": third},
    )  # fmt: skip
    maps = np.arange(6, dtype=np.float32).reshape(1, 2, 3) / 7
    evidence = Evidence(
        np.array([1, 2]), ((0, 1),), maps, maps, np.array([np.nan, third], np.float32),
        {3: third}, ".", (third,),
    )  # fmt: skip
    back = unpacked(Event, packed(Event(VERSION, answer=Grounding((tube,), evidence)))).answer
    assert back.best.boxes == tube.boxes
    assert (back.best.score, back.best.timings_s) == (third, {"forward pass": third})
    assert np.isnan(back.best.consistency)
    assert back.best.status is Status.FOUND
    assert back.evidence.track_scores == {3: third}
    assert back.evidence.spatial.tobytes() == maps.tobytes()
    assert back.evidence.stamps_ns.dtype == np.int64
    np.testing.assert_array_equal(back.evidence.frame_scores, evidence.frame_scores)


def test_candidate_tubes_come_back():
    there = np.array([True, False])
    tube = CandidateTube(4, np.array([[1, 2, 3, 4], [0, 0, 0, 0]], np.float32), there, ~there, 0.5)
    back = unpacked(Request, packed(request(tubes=(tube,)))).tubes[0]
    assert back.track_id == 4
    np.testing.assert_array_equal(back.boxes_xyxy_px, tube.boxes_xyxy_px)
    np.testing.assert_array_equal(back.present, there)


def _with(path, value):
    """The request as maps and lists, with one place changed."""
    plain = msgpack.unpackb(packed(request()))
    *places, last = path
    place = plain
    for step in places:
        place = place[step]
    place[last] = value
    return msgpack.packb(plain)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "0 bytes that do not decode"),
        (b"\xc1", "do not decode"),
        (packed(request())[:-1], "do not decode"),
        (packed(request()) + b"\x00", "do not decode"),
        (b"\x93" * 100_000, "do not decode"),
        (msgpack.packb([1]), "Request: expected a map, Request, got"),
        (msgpack.packb({"version": 1}), "the field 'query' is missing"),
        (_with(["more"], 1), "unknown field 'more'"),
        (_with(["version"], 2), "expected 1, got 2; install the same release"),
        (_with(["version"], "1"), "Request.version: expected int, got '1'"),
        (_with(["version"], True), "Request.version: expected int, got True"),
        (_with(["frames"], []), "expected 1 to 4096 frames, got 0"),
        (_with(["frames", 0, "id"], 2**63), "expected an integer of 64 bits"),
        (_with(["frames", 0, "stamp_ns"], 1.0), "stamp_ns: expected int, got 1.0"),
        (_with(["frames", 0, "width_px"], 0), "expected sides of 1 to 16384 px, got 0 x 480"),
        (_with(["frames", 0, "image"], "text"), "image: expected bytes, got 'text'"),
        (_with(["frames", 0, "frame_id"], "x" * 257), "expected 256 characters, got 257"),
        (_with(["query", "text"], "x" * 20_000), "do not decode"),
        (_with(["settings"], [["model.path", "/x"]]), "'model.path' is not for clients"),
        (_with(["settings"], [["span.top_k", None]]), "expected str, got None"),
        (_with(["tubes"], [1]), "tubes[0]: expected a map, CandidateTube, got 1"),
    ],
)
def test_damaged_requests_are_refused_with_the_place(body, said):
    with pytest.raises(SchemaError) as caught:
        unpacked(Request, body)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_bad_command_keeps_its_own_error():
    with pytest.raises(CommandError, match="the command is empty"):
        unpacked(Request, _with(["query", "text"], " "))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        ({"shape": [2], "data": b"\x00"}, "expected 2 bytes for (2,) bool, got 1"),
        ({"shape": [1] * 5, "data": b"\x00"}, "at most 4 dimensions"),
        ({"shape": [-1, -1], "data": b"\x00"}, "at most 4 dimensions"),
        ({"shape": [2**40, 2**40], "data": b""}, "expected 1208925819614629174706176 bytes"),
        ({"shape": [2], "data": b"\x00\x07"}, "bytes of 0 and 1"),
        ({"data": b""}, "an array: a map of shape and data"),
    ],
)
def test_arrays_are_checked_before_they_are_made(array, said):
    there = np.array([True, False])
    tube = CandidateTube(4, np.zeros((2, 4), np.float32), there, ~there)
    plain = msgpack.unpackb(packed(request(tubes=(tube,))))
    plain["tubes"][0]["present"] = array
    with pytest.raises(SchemaError) as caught:
        unpacked(Request, msgpack.packb(plain))
    assert said in str(caught.value)


def test_a_stream_gives_records_as_they_are_complete():
    first, second = (
        Event(VERSION, "forward pass", 0.5),
        Event(VERSION, failure=Failure(ErrorCode.MODEL, "x")),
    )
    body = packed(first) + packed(second)
    stream = Stream(Event, 1024)
    assert stream.feed(body[:3]) == []
    assert stream.feed(body[3:-1])[0].stage == "forward pass"
    assert stream.feed(body[-1:])[0].failure == second.failure
    with pytest.raises(SchemaError, match="do not decode"):
        stream.feed(bytes([0xC4, 0xFF]) * 2000)


def test_errors_keep_their_kind():
    assert type(error_of(Failure(ErrorCode.NO_IMAGES, "none"))) is NoImagesError
    assert str(error_of(Failure(ErrorCode.INTERNAL, "why"))) == "why"


def test_only_what_differs_is_chosen():
    assert chosen_settings(Config()) == {}
    config = Config.from_flat({"span.method": "top_k", "model.path": "x", "command.queue_size": 3})
    assert chosen_settings(config) == {"span.method": "top_k"}
