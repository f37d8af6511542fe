# SPDX-License-Identifier: Apache-2.0

"""Bodies and images of requests: their bounds, what they reserve, and their threads."""

from __future__ import annotations

import asyncio
import os
import threading

import numpy as np
import pytest

pytest.importorskip("starlette", reason="Starlette is missing: requirements/serving.txt")
from starlette.requests import Request as HttpRequest

from stvg_ros.errors import ImageError, QueueFullError
from stvg_ros.serving.authentication import RefusedError
from stvg_ros.serving.image_codec import encoded
from stvg_ros.serving.request_reader import RequestReader, upright
from stvg_ros.serving.schema import SentFrame
from stvg_ros.serving.sessions import MIN_FRAME_BYTES
from stvg_ros.serving.settings import ServingConfig
from stvg_ros.types import Frame

LIMIT = 2000


class Held:
    """Notes the sizes that a request reserves."""

    def __init__(self, most=2**60):
        self.sizes, self.most = [], most

    def resize(self, nbytes):
        if nbytes > self.most:
            raise QueueFullError("full")
        self.sizes.append(nbytes)


def request(*chunks, length=None, last=None):
    """A request whose body comes in pieces; `last` is awaited in place of its end."""
    messages = [
        {"type": "http.request", "body": chunk, "more_body": last or index < len(chunks) - 1}
        for index, chunk in enumerate(chunks)
    ]
    given = iter(messages)

    async def receive():
        message = next(given, None)
        return await last() if message is None else message

    headers = [] if length is None else [(b"content-length", length.encode())]
    return HttpRequest({"type": "http", "method": "POST", "headers": headers}, receive)


@pytest.fixture
def reader():
    made = RequestReader(ServingConfig(max_body_bytes=LIMIT, body_timeout_s=0.1))
    yield made
    made.close()


def body(reader, http, held):
    return asyncio.run(reader.body(http, held))


@pytest.mark.parametrize("length", ["300", "0300", "300".zfill(20)])
def test_a_declared_length_is_reserved_twice_before_the_body_comes(reader, length):
    held = Held()
    assert body(reader, request(b"a" * 100, b"b" * 200, length=length), held) == (
        b"a" * 100 + b"b" * 200
    )
    assert held.sizes == [600]


@pytest.mark.parametrize("length", [None, "", "many", "+300"])
def test_without_a_length_the_reservation_grows_with_the_body(reader, length):
    held = Held()
    body(reader, request(b"a" * 100, b"b" * 200, b"", length=length), held)
    assert held.sizes == [200, 600, 600]


@pytest.mark.parametrize("length", [None, str(LIMIT)])
def test_a_body_of_the_limit_is_read(reader, length):
    assert len(body(reader, request(b"a" * LIMIT, length=length), Held())) == LIMIT


@pytest.mark.parametrize("length", [str(LIMIT + 1), "9" * 20, "300".zfill(21), "9" * 5000])
def test_a_length_above_the_limit_is_refused_before_anything_is_read(reader, length):
    held = Held()
    with pytest.raises(RefusedError, match="serving.max_body_bytes = 2000") as caught:
        body(reader, request(b"a", length=length), held)
    assert (caught.value.status, held.sizes) == (413, [])


def test_a_body_above_the_limit_is_refused_where_it_exceeds_it(reader):
    held = Held()
    with pytest.raises(RefusedError, match="got more") as caught:
        body(reader, request(b"a" * LIMIT, b"b", b"c" * 10**6), held)
    assert (caught.value.status, held.sizes) == (413, [2 * LIMIT])


def test_a_full_budget_is_told(reader):
    with pytest.raises(QueueFullError):
        body(reader, request(b"a" * 100, b"b" * 100), Held(most=399))


def test_a_body_that_does_not_come_and_a_client_that_goes(reader):
    async def never():
        await asyncio.Event().wait()

    async def gone():
        return {"type": "http.disconnect"}

    for last, status, said in ((never, 408, "body_timeout_s = 0.1 s"), (gone, 400, "went away")):
        with pytest.raises(RefusedError, match=said) as caught:
            body(reader, request(b"a", last=last), Held())
        assert caught.value.status == status


def sent(number, image, camera="left", size=(80, 60)):
    return SentFrame(number, number * 10, *size, "optical", image, camera)


def picture(width, height):
    return encoded(np.full((height, width, 3), 90, np.uint8), 90)


def frames(reader, given, held, stream="robot"):
    return asyncio.run(reader.frames(given, stream, held))


def test_frames_are_those_with_an_image_and_hold_twice_their_bytes_while_decoded(reader):
    images = [picture(40, 30), picture(1, 1)]
    held = Held()
    given = [sent(3, images[0]), sent(4, None), sent(5, images[1], "right")]
    found = frames(reader, given, held)
    assert list(found) == [3, 5]
    assert found[3].image.shape == (30, 40, 3)
    first = found[3]
    assert (first.stamp_ns, first.source_width_px, first.source_height_px) == (30, 80, 60)
    assert (first.frame_id, first.stream) == ("optical", "robot/left")
    assert found[5].stream == "robot/right"
    decoded = 3 * 40 * 30 + MIN_FRAME_BYTES  # a small image has its objects
    assert held.sizes == [2 * sum(map(len, images)) + decoded, decoded]


def test_nothing_to_decode(reader):
    held = Held()
    assert frames(reader, [sent(1, None)], held) == {}
    assert held.sizes == [0, 0]


def test_images_may_become_as_large_as_a_session():
    nbytes = 3 * 40 * 30
    for limit, fits in ((nbytes, True), (nbytes - 1, False)):
        reader = RequestReader(ServingConfig(session_bytes=limit))
        held = Held()
        try:
            if fits:
                assert len(frames(reader, [sent(1, picture(40, 30))], held)) == 1
            else:
                with pytest.raises(RefusedError, match=f"{limit} when decoded, got 3600") as caught:
                    frames(reader, [sent(1, picture(40, 30))], held)
                assert (caught.value.status, held.sizes) == (413, [])
        finally:
            reader.close()


def test_one_image_that_does_not_decode_ends_the_others(reader):
    whole = picture(40, 30)
    with pytest.raises(ImageError):
        frames(reader, [sent(1, whole), sent(2, whole[:-200] + b"\0" * 3), sent(3, b"no")], Held())


def names_of_threads(count):
    reader = RequestReader(ServingConfig())
    names = set()

    async def run():
        gate = threading.Barrier(count)

        def work(index):
            if index < count:
                gate.wait(60)  # so many work at once
            names.add(threading.current_thread().name)
            return index

        jobs = [reader.parsed(work, index) for index in range(40)]
        assert await asyncio.gather(*jobs) == list(range(40))

    asyncio.run(run())
    reader.close()
    return names


@pytest.mark.parametrize(("cores", "threads"), [(64, 4), (4, 4), (2, 2), (1, 1), (None, 1)])
def test_decoding_uses_the_cores_and_at_most_four(monkeypatch, cores, threads):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    names = names_of_threads(threads)
    assert len(names) == threads
    assert all(name.startswith("decoding") for name in names)


def test_close_does_not_wait_and_drops_what_waits(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    reader = RequestReader(ServingConfig())
    begun, release = threading.Event(), threading.Event()

    def work(body):
        begun.set()
        assert release.wait(60)
        return body

    async def run():
        first, second = (asyncio.ensure_future(reader.parsed(work, n)) for n in (b"1", b"2"))
        while not begun.is_set():
            await asyncio.sleep(0)
        reader.close()
        with pytest.raises(asyncio.CancelledError):
            await second
        release.set()
        assert await first == b"1"

    asyncio.run(run())


def test_a_turned_picture_has_its_own_size():
    image = np.zeros((40, 30, 3), np.uint8)
    frame = Frame(5, image, 40, 30, "camera")
    (turned,) = upright({7: frame}).values()
    assert (turned.source_width_px, turned.source_height_px) == (30, 40)
    assert (turned.stamp_ns, turned.image is image) == (5, True)
