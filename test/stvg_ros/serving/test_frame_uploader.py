# SPDX-License-Identifier: Apache-2.0

"""The thread that sends frames: batches, what is left out, pauses after failures, the end."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

pytest.importorskip("msgspec", reason="pip install -r requirements/serving.txt")
from stvg_ros.errors import UnreachableError
from stvg_ros.serving.frame_uploader import FrameRegistry, FrameUploader, sent_frame
from stvg_ros.serving.schema import VERSION, FrameBatch
from stvg_ros.serving.wire_format import decoded_record
from stvg_ros.types import Frame

WAIT_S = 20.0  # for an event that comes at once; only a failing test waits so long


def frame_of(index: int) -> Frame:
    image = np.full((4, 6, 3), index % 256, np.uint8)
    return Frame(1000 + index, image, 12, 8, "camera", stream="front")


class Link:
    """Notes the batches; `answers` are called one after another, the last one for all others."""

    def __init__(self) -> None:
        self.batches: list[FrameBatch] = []
        self.answers: list[Callable[[], None]] = [lambda: None]
        self.began, self.sent = threading.Semaphore(0), threading.Semaphore(0)
        self.aborted = threading.Event()

    def send(self, body: bytes) -> None:
        self.batches.append(decoded_record(FrameBatch, body))
        self.began.release()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        try:
            answer()
        finally:
            self.sent.release()

    def wait(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.sent.acquire(timeout=WAIT_S)

    @property
    def stamps(self) -> list[list[int]]:
        """Of the frames of each batch, less 1000."""
        return [[frame.stamp_ns - 1000 for frame in batch.frames] for batch in self.batches]


@pytest.fixture
def link() -> Link:
    return Link()


@pytest.fixture
def registry() -> FrameRegistry:
    return FrameRegistry()


@pytest.fixture
def uploader(registry: FrameRegistry, link: Link) -> Iterator[FrameUploader]:
    made = FrameUploader(registry, 0, lambda: {"sampling.frames": 4}, link.send, link.aborted.set)
    yield made
    made.close()
    assert not made._thread.is_alive()


@pytest.fixture
def pauses(uploader: FrameUploader, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which take no time here."""
    made: list[float] = []
    changed = uploader._changed
    monkeypatch.setattr(changed, "wait_for", lambda condition, pause_s: made.append(pause_s))
    return made


def hold(link: Link, go: threading.Event) -> None:
    """The first batch stays on its way until the event is set."""

    def first() -> None:
        assert go.wait(WAIT_S)

    link.answers.insert(0, first)


def unreachable() -> None:
    raise UnreachableError("no route")


def test_images_keep_their_numbers_while_they_live():
    registry, images = FrameRegistry(), [np.zeros((2, 2, 3), np.uint8) for _ in range(3)]
    assert [registry.number(image) for image in images] == [1, 2, 3]
    assert registry.number(images[1]) == 2
    registry.arrived([1, 2])
    assert registry.lacking([1, 2, 3]) == {3}
    registry.lost([2])
    assert registry.lacking([1, 2, 3]) == {2, 3}
    assert registry.keep_from() == 1
    del images[0]
    gc.collect()
    assert registry.keep_from() == 2
    images.clear()
    gc.collect()
    assert registry.keep_from() == 4


def test_a_frame_goes_with_its_number_and_the_settings(uploader, link):
    uploader.put(frame_of(0))
    link.wait()
    (batch,) = link.batches
    assert (batch.version, batch.keep_from, batch.settings) == (VERSION, 1, {"sampling.frames": 4})
    (frame,) = batch.frames
    assert (frame.id, frame.stamp_ns, frame.width_px, frame.height_px) == (1, 1000, 12, 8)
    assert (frame.frame_id, frame.stream) == ("camera", "front")
    assert frame.image


def test_a_frame_without_its_image_has_the_same_fields():
    frame = frame_of(3)
    assert sent_frame(frame, 7, None).image is None
    assert sent_frame(frame, 7, 0).image is not None
    assert sent_frame(frame, 7, None).id == 7


def put_while_held(uploader, link, frames):
    """All frames but the first wait while the first is being sent."""
    go = threading.Event()
    hold(link, go)
    uploader.put(frames[0])
    assert link.began.acquire(timeout=WAIT_S)
    for frame in frames[1:]:
        uploader.put(frame)
    go.set()


def test_frames_that_wait_go_eight_at_a_time_in_their_order(uploader, link):
    frames = [frame_of(index) for index in range(18)]
    put_while_held(uploader, link, frames)
    link.wait(4)
    assert link.stamps == [[0], [*range(1, 9)], [*range(9, 17)], [17]]


def test_of_more_than_256_that_wait_the_oldest_are_dropped(uploader, link):
    frames = [frame_of(index) for index in range(1 + 257)]
    put_while_held(uploader, link, frames)
    link.wait(1 + 32)
    assert [stamp for batch in link.stamps for stamp in batch] == [0, *range(2, 258)]


def test_what_a_command_has_sent_is_left_out(uploader, link, registry):
    frames = [frame_of(index) for index in range(3)]
    registry.arrived([registry.number(frames[0].image), registry.number(frames[1].image)])
    for frame in frames:
        uploader.put(frame)
    link.wait()
    uploader.put(frames[2])
    uploader.put(frame_of(3))
    link.wait()
    assert link.stamps == [[2], [3]]


def test_the_pause_doubles_from_half_a_second_to_five(uploader, link, pauses, caplog):
    link.answers = [unreachable] * 6 + [lambda: None, unreachable, lambda: None]
    frames = [frame_of(index) for index in range(9)]
    with caplog.at_level(logging.WARNING):
        for frame in frames:
            uploader.put(frame)
            link.wait()
        uploader.close()
    assert pauses[:6] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert pauses[6:7] == [0.5]  # after a success anew
    assert [record.getMessage() for record in caplog.records] == [
        "frames are not sent: no route"
    ] * 2


def test_frames_that_failed_are_lacking(uploader, link, registry, pauses):
    link.answers = [unreachable, lambda: None]
    frame = frame_of(0)
    uploader.put(frame)
    link.wait()
    assert registry.lacking([1]) == {1}
    uploader.put(frame)
    link.wait()
    assert link.stamps == [[0], [0]]


def test_an_unexpected_error_is_logged_and_the_longest_pause_follows(
    uploader, link, pauses, caplog
):
    def broken() -> None:
        raise ZeroDivisionError("odd")

    link.answers = [broken, lambda: None]
    uploader.put(frame_of(0))
    link.wait()
    uploader.put(frame_of(1))
    link.wait()
    assert pauses == [5.0]
    assert "ZeroDivisionError: odd" in caplog.text


def test_closing_ends_what_is_sent_and_drops_what_waits(uploader, link):
    hold(link, link.aborted)
    uploader.put(frame_of(0))
    assert link.began.acquire(timeout=WAIT_S)
    uploader.put(frame_of(1))
    uploader.close()
    assert link.stamps == [[0]]
    assert not uploader._thread.is_alive()


def test_closing_ends_a_pause(uploader, link):
    link.answers = [unreachable]
    uploader.put(frame_of(0))
    link.wait()
    uploader.close()
    assert not uploader._thread.is_alive()
    assert link.aborted.is_set()
