# SPDX-License-Identifier: Apache-2.0

"""Records there and back, and damaged bytes against the message."""

from __future__ import annotations

import random
import struct
import tracemalloc

import msgpack
import numpy as np
import pytest

from stvg_ros.config import Config, settings
from stvg_ros.errors import CommandError, ErrorCode, NoImagesError, StvgError
from stvg_ros.serving.schema import (
    CLIENT_GROUPS,
    SERVER_GROUPS,
    VERSION,
    Event,
    Failure,
    FrameBatch,
    Request,
    SentFrame,
    chosen_settings,
    error_of,
    settings_without_effect,
)
from stvg_ros.serving.wire_format import (
    RecordStream,
    SchemaError,
    decoded_record,
    encoded_item,
    encoded_record,
)
from stvg_ros.types import (
    STATED_INTERVAL,
    CandidateTube,
    Evidence,
    Grounding,
    Query,
    SourceFinding,
    Status,
    Tube,
    TubeBox,
)

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
    assert decoded_record(FrameBatch, encoded_record(FrameBatch(VERSION, ()))) == FrameBatch(
        VERSION, ()
    )


def test_a_request_comes_back_as_it_was():
    assert decoded_record(Request, encoded_record(request())) == request()


def test_an_answer_comes_back_bit_for_bit():
    third = 1 / 3
    tube = Tube(
        Query("the dog"), Status.FOUND, None, (TubeBox(1, (third, 0.1, 2e-308, 4.0), third),),
        score=third, error_code=ErrorCode.NONE, timings_s={"forward pass": third},
        cost={"passes": 5, "tokens": 0},
    )  # fmt: skip
    maps = np.arange(6, dtype=np.float32).reshape(1, 2, 3) / 7
    evidence = Evidence(
        np.array([1, 2]), ((0, 1),), maps, maps, np.array([np.nan, third], np.float32),
        {3: third}, ".", (third,), keypoints={3: np.full((2, 17, 3), third, np.float32)},
        findings=(SourceFinding(STATED_INTERVAL, "waves", {}, {3: np.array([third, -1.0])}),),
        looks={3: third},
    )  # fmt: skip
    back = decoded_record(
        Event, encoded_record(Event(VERSION, answer=Grounding((tube,), evidence)))
    ).answer
    assert back.best.boxes == tube.boxes
    assert (back.best.score, back.best.timings_s) == (third, {"forward pass": third})
    assert np.isnan(back.best.consistency)
    assert back.best.cost == {"passes": 5, "tokens": 0}
    (stated,) = back.evidence.findings
    assert (stated.tubes, stated.measured, back.evidence.looks) == ({}, False, {3: third})
    np.testing.assert_array_equal(stated.frames[3], [third, -1.0])
    assert back.best.status is Status.FOUND
    assert back.evidence.track_scores == {3: third}
    assert back.evidence.spatial.tobytes() == maps.tobytes()
    assert back.evidence.stamps_ns.dtype == np.int64
    np.testing.assert_array_equal(back.evidence.frame_scores, evidence.frame_scores)
    np.testing.assert_array_equal(back.evidence.keypoints[3], evidence.keypoints[3])


def test_sources_that_ask_the_model_are_chosen_by_the_client():
    chosen = {
        "attention.heads": "selected", "reattention.gate": 0.0, "evidence.sources": "stated",
        "evidence.painted_ids": True, "evidence.stated_interval": True,
        "evidence.second_look": 2,
    }  # fmt: skip
    config = Config.from_flat({"backend": "remote", "remote.address": "http://a:1", **chosen})
    assert chosen_settings(config) == chosen
    assert settings_without_effect(config) == []


def test_candidate_tubes_come_back():
    there = np.array([True, False])
    tube = CandidateTube(4, np.array([[1, 2, 3, 4], [0, 0, 0, 0]], np.float32), there, ~there, 0.5)
    back = decoded_record(Request, encoded_record(request(tubes=(tube,)))).tubes[0]
    assert back.track_id == 4
    np.testing.assert_array_equal(back.boxes_xyxy_px, tube.boxes_xyxy_px)
    np.testing.assert_array_equal(back.present, there)


def _with(path, value):
    """The request as maps and lists, with one place changed."""
    plain = msgpack.unpackb(encoded_record(request()))
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
        (encoded_record(request())[:-1], "do not decode"),
        (encoded_record(request()) + b"\x00", "do not decode"),
        (b"\x93" * 100_000, "Request: expected a map, got a list"),
        (msgpack.packb([1]), "Request: expected a map, got a list"),
        (msgpack.packb({"version": 1}), "the field 'query' is missing"),
        (_with(["more"], 1), "unknown field 'more'"),
        (_with(["version"], 2), "expected 1, got 2; install the same release"),
        (_with(["version"], "1"), "Request.version: expected int, got str"),
        (_with(["version"], True), "Request.version: expected int, got bool"),
        (_with(["frames"], []), "expected 1 to 4096 frames, got 0"),
        (_with(["frames", 0, "id"], 2**63), "frames[0].id: expected int <= 9223372036854775807"),
        (_with(["frames", 0, "stamp_ns"], 1.0), "stamp_ns: expected int, got float"),
        (_with(["frames", 0, "width_px"], 0), "width_px: expected int >= 1"),
        (_with(["frames", 0, "image"], "text"), "image: expected bytes | null, got str"),
        (_with(["frames", 0, "frame_id"], "x" * 257), "frame_id: expected str of length <= 256"),
        (_with(["query", "text"], "x" * 20_000), "query.text: expected str of length <= 16384"),
        (_with(["settings"], {"model.path": "/x"}), "'model.path' is not for clients"),
        (_with(["settings"], {"span.top_k": None}), "expected bool | int | float | str, got None"),
        (_with(["tubes"], [1]), "tubes[0]: expected a map, got int"),
    ],
)
def test_damaged_requests_are_refused_with_the_place(body, said):
    with pytest.raises(SchemaError) as caught:
        decoded_record(Request, body)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["query", "more"], 1),
        (["frames", 1, "more"], 1),
        (["frames"], [{}] * 4097),
        (["frames"], [[]] * 4097),
        (["frames", 0, "width_px"], 2**31),
        (["frames", 0, "height_px"], -1),
        (["frames", 0, "frame_id"], "é" * 257),
        (["frames", 0, "stream"], "x" * 257),
        (["frames", 0, "image"], []),
        (["frames", 0, "stamp_ns"], 2**63),
        (["settings"], {f"span.{number}": 1 for number in range(257)}),
        (["settings"], {"span.top_k": []}),
        (["settings"], {1: 1}),
        (["settings"], {"span.method": "x" * 20_000}),
        (["tubes"], [{}] * 1025),
        (["query", "id"], "x" * 20_000),
        (["query", "start_ns"], 2**63),
        (["keep_from"], 2**63),
        (["preliminary"], 1),
    ],
)
def test_what_is_out_of_bounds_is_refused(path, value):
    with pytest.raises(SchemaError) as caught:
        decoded_record(Request, _with(path, value))
    assert str(caught.value).startswith("Request")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("name", ["id", "camera"])
def test_a_long_name_in_a_command_is_refused(name):
    assert getattr(decoded_record(Request, _with(["query", name], "x" * 256)).query, name)
    with pytest.raises(CommandError, match="at most 256 characters, got 257"):
        decoded_record(Request, _with(["query", name], "x" * 257))


def _large(inner, count):
    return b"\xdd" + struct.pack(">I", count) + inner * count


EMPTY = [b"\x90", b"\x80", b"\xc0", b"\x01", b"\xa0", b"\xc4\x00"]  # list, map, none, ...
AMPLIFIED = {
    "frames": lambda inner: b"\x82\xa7version\x01\xa6frames" + inner,
    "tubes": lambda inner: b"\x82\xa7version\x01\xa5tubes" + inner,
    "array": lambda inner: b"\x82\xa7version\x01\xa5tubes\x91\x81\xa7present" + inner,
    "shape": lambda inner: b"\x82\xa7version\x01\xa5tubes\x91\x81\xa7present\x81\xa5shape" + inner,
    "settings": lambda inner: b"\x82\xa7version\x01\xa8settings" + inner,
    "unknown": lambda inner: b"\x82\xa7version\x01\xa4more" + inner,
    "root": lambda inner: inner,
}


@pytest.mark.parametrize("place", AMPLIFIED)
@pytest.mark.parametrize("inner", EMPTY)
def test_a_body_of_small_things_takes_no_more_memory_than_it_has_bytes(place, inner):
    for things in (
        _large(inner, 10**6),
        _large(_large(inner, 10**4), 100),
        b"\xdd\xff\xff\xff\xff",
    ):
        body = AMPLIFIED[place](things)
        tracemalloc.start()
        try:
            with pytest.raises(SchemaError):
                decoded_record(Request, body)
            assert tracemalloc.get_traced_memory()[1] < 10**6
        finally:
            tracemalloc.stop()


def test_a_thousand_damaged_bodies_are_read_or_refused():
    draw = random.Random(5)
    there = np.array([True, False])
    tube = CandidateTube(4, np.zeros((2, 4), np.float32), there, ~there)
    whole = encoded_record(request(tubes=(tube,)))
    read, refused = 0, []
    for _ in range(1000):
        body = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(body))
            change = draw.randrange(3)
            if change == 0:
                body[at] = draw.choice((draw.randrange(256), 0xC1, 0xDD, 0x90, 0xFF, 0))
            elif change == 1:
                del body[at : at + draw.randint(1, 20)]
            else:
                body[at:at] = draw.randbytes(draw.randint(1, 20))
        try:
            decoded_record(Request, bytes(body))
            read += 1
        except StvgError as error:
            refused.append(len(str(error)))
    assert 10 < read < 900
    assert max(refused) < 400


def test_a_bad_command_keeps_its_own_error():
    with pytest.raises(CommandError, match="the command is empty"):
        decoded_record(Request, _with(["query", "text"], " "))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        ({"shape": [2], "data": b"\x00"}, "expected 2 bytes for (2,) bool, got 1"),
        ({"shape": [1] * 5, "data": b"\x00"}, "present.shape: expected a list of length <= 4"),
        ({"shape": [-1, -1], "data": b"\x00"}, "present.shape[0]: expected int >= 0"),
        ({"shape": [2**40, 2**40], "data": b""}, "expected 1208925819614629174706176 bytes"),
        ({"shape": [2], "data": b"\x00\x07"}, "bytes of 0 and 1"),
        ({"data": b""}, "the field 'shape' is missing"),
    ],
)
def test_arrays_are_checked_before_they_are_made(array, said):
    there = np.array([True, False])
    tube = CandidateTube(4, np.zeros((2, 4), np.float32), there, ~there)
    plain = msgpack.unpackb(encoded_record(request(tubes=(tube,))))
    plain["tubes"][0]["present"] = array
    with pytest.raises(SchemaError) as caught:
        decoded_record(Request, msgpack.packb(plain))
    assert said in str(caught.value)


def test_a_stream_gives_records_as_they_are_complete():
    first, second = (
        Event(VERSION, "forward pass", 0.5),
        Event(VERSION, failure=Failure(ErrorCode.MODEL, "x")),
    )
    body = encoded_item(first) + encoded_item(second)
    stream = RecordStream(Event, 1024)
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


def test_the_weights_of_negations_and_relations_travel():
    config = Config.from_flat({"conditions.negation_weight": 0.5, "evidence.sources": "body"})
    chosen = chosen_settings(config)
    assert chosen == {"conditions.negation_weight": 0.5, "evidence.sources": "body"}
    assert FrameBatch(VERSION, (), settings=chosen).settings == chosen


def test_a_group_of_the_method_travels_or_is_the_servers():
    own = {
        "node", "diagnostics", "image", "depth", "command", "follow", "remote", "serving",
        "identity", "memory", "rerun",
    }  # fmt: skip
    groups = {item.name.split(".")[0] for item in settings() if "." in item.name}
    assert groups - own == {*CLIENT_GROUPS, *SERVER_GROUPS}


def _frames(count):
    return [{"id": n, "stamp_ns": n, "width_px": 4, "height_px": 3} for n in range(count)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["frames", 0, "stamp_ns"], 2**63 - 1),
        (["frames", 0, "stamp_ns"], -(2**63)),
        (["frames", 0, "width_px"], 1),
        (["frames", 0, "width_px"], 2**31 - 1),
        (["frames", 0, "frame_id"], "x" * 256),
        (["frames", 0, "stream"], "x" * 256),
        (["frames"], _frames(1)),
        (["frames"], _frames(4096)),
        (["settings"], {f"span.{number}": 1 for number in range(256)}),
    ],
)
def test_what_is_just_within_the_bounds_is_read(path, value):
    decoded_record(Request, _with(path, value))


@pytest.mark.parametrize(
    ("kind", "field", "item", "most"),
    [
        (Request, "frames", _frames(1)[0], 4096),
        (FrameBatch, "frames", _frames(1)[0], 4096),
        (Failure, "missing", 7, 65_536),
    ],
)
def test_lists_are_bounded_by_their_length(kind, field, item, most):
    plain = {
        Request: {"version": 1, "query": {"text": "a"}, "frames": [], "settings": {}},
        FrameBatch: {"version": 1, "frames": []},
        Failure: {"code": 1, "message": ""},
    }[kind]
    body = msgpack.packb({**plain, field: [item] * most})
    assert len(getattr(decoded_record(kind, body), field)) == most
    with pytest.raises(SchemaError, match=f"{field}: expected a list of length <= {most}"):
        decoded_record(kind, msgpack.packb({**plain, field: [item] * (most + 1)}))


def test_texts_are_bounded():
    for length in (16_384, 16_385):
        body = msgpack.packb({"code": 1, "message": "é" * length})
        if length == 16_384:
            assert len(decoded_record(Failure, body).message) == length
        else:
            with pytest.raises(SchemaError, match="message: expected str of length <= 16384"):
                decoded_record(Failure, body)


def test_tubes_are_bounded_and_have_a_box_for_each_frame():
    there = np.array([True, False])
    tube = CandidateTube(4, np.zeros((2, 4), np.float32), there, ~there)
    whole = msgpack.unpackb(encoded_record(request(tubes=(tube,))))
    (one,) = whole["tubes"]
    read = decoded_record(Request, msgpack.packb({**whole, "tubes": [one] * 1024}))
    assert len(read.tubes) == 1024
    with pytest.raises(SchemaError, match="tubes: expected a list.* of length <= 1024"):
        decoded_record(Request, msgpack.packb({**whole, "tubes": [one] * 1025}))
    with pytest.raises(ValueError, match="expected boxes for 1 frames, got 2"):
        request(tubes=(tube,), frames=(FRAME,))


@pytest.mark.parametrize("value", [2, 3, 7, 255])
def test_a_flag_is_0_or_1(value):
    there = np.array([True, False])
    tube = CandidateTube(4, np.zeros((2, 4), np.float32), there, ~there)
    plain = msgpack.unpackb(encoded_record(request(tubes=(tube,))))
    plain["tubes"][0]["present"]["data"] = bytes([1, value])
    with pytest.raises(SchemaError, match="bytes of 0 and 1"):
        decoded_record(Request, msgpack.packb(plain))


def test_a_long_refusal_is_cut():
    with pytest.raises(SchemaError) as caught:
        decoded_record(Request, _with(["x" * 1000], 1))
    assert len(str(caught.value)) == len("Request: ") + 200


def test_a_stream_in_pieces_of_any_size_is_the_same():
    events = [Event(VERSION, stage, 0.5) for stage in ("a", "", "forward pass")]
    body = b"".join(map(encoded_item, events))
    largest = max(len(encoded_record(event)) for event in events)
    for size in range(1, len(body) + 1):
        stream, found = RecordStream(Event, largest), []
        for start in range(0, len(body), size):
            found += stream.feed(body[start : start + size])
        assert [event.stage for event in found] == ["a", "", "forward pass"]
    with pytest.raises(SchemaError, match=f"at most {largest - 1} bytes"):
        RecordStream(Event, largest - 1).feed(body)


@pytest.mark.parametrize(
    ("flat", "ignored"),
    [
        ({}, []),
        ({"backend": "remote"}, []),
        ({"backend": "remote", "model.path": "x"}, ["model.path"]),
        ({"model.path": "x"}, []),
        ({"backend": "remote", "remote.fallback": "local", "model.path": "x"}, []),
        ({"backend": "remote", "span.method": "top_k"}, []),  # travels with the command
        ({"backend": "remote", "evidence.keypoints": True}, []),
        ({"backend": "remote", "body.rate_hz": 5.0}, ["body.rate_hz"]),
        ({"backend": "remote", "proposals.source": "classical"}, ["proposals.source"]),
        ({"backend": "remote", "proposals.source": "external"}, []),
        ({"backend": "remote", "remote.tubes": "robot", "proposals.source": "classical"}, []),
    ],
)
def test_settings_that_only_the_server_decides_are_named(flat, ignored):
    assert settings_without_effect(Config.from_flat(flat)) == ignored


def test_what_a_client_leaves_out_has_its_default():
    frame = {"id": 1, "stamp_ns": 2, "width_px": 4, "height_px": 3}
    plain = {"version": 1, "frames": [frame]}
    read = decoded_record(Request, msgpack.packb({**plain, "query": {"text": "a"}, "settings": {}}))
    assert (read.tubes, read.keep_from, read.preliminary) == (None, 0, False)
    batch = decoded_record(FrameBatch, msgpack.packb(plain))
    assert (batch.keep_from, batch.settings) == (0, {})
    (sent,) = batch.frames
    assert (sent.frame_id, sent.image, sent.stream) == ("", None, "")
    event = Event(VERSION)
    assert (event.stage, event.progress) == ("", 0.0)
    assert (event.early, event.answer, event.failure) == (None, None, None)
    assert decoded_record(Failure, msgpack.packb({"code": 1, "message": ""})).missing == ()
    named = decoded_record(Failure, msgpack.packb({"code": 1, "message": "", "missing": [7]}))
    assert named.missing == (7,)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["frames", 0, "width_px"], 2**31),
        (["frames", 0, "height_px"], 2**31),
        (["frames", 0, "width_px"], 2**32 - 1),
        (["frames", 0, "width_px"], 0),
        (["frames", 0, "height_px"], 0),
        (["frames", 0, "width_px"], -1),
        (["frames", 0, "frame_id"], "x" * 257),
        (["frames", 0, "stream"], "x" * 257),
        (["frames"], []),
        (["frames"], _frames(4097)),
        (["settings"], {f"span.{number}": 1 for number in range(257)}),
        (["settings"], {"model.path": "x"}),
        (["settings"], {"span": 1, "x.span": 1}),
        (["version"], 2),
        (["version"], 0),
        (["query", "id"], "x" * 257),
        (["query", "camera"], "x" * 257),
    ],
)
def test_what_is_just_outside_the_bounds_is_refused(path, value):
    with pytest.raises((SchemaError, CommandError)):
        decoded_record(Request, _with(path, value))
