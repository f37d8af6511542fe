# SPDX-License-Identifier: Apache-2.0

"""The memory of tubes: continued across windows, bounded by age and bytes, never on a disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scripted_people import BLUE, RED, STEP_NS, ScriptedSource, Walker, box_at, frame_at

from stvg_ros.identity.garment_colours import GarmentColours
from stvg_ros.identity.settings import MemoryConfig
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.identity.tube_memory import TubeMemory
from stvg_ros.images import jpeg_image
from stvg_ros.types import Clip, SplitQuery, TubeBox

PEOPLE = SplitQuery("people", "people", "people", "none")
WALKERS = (Walker(RED, [(0, 80, 100)]), Walker(BLUE, [(30, 400, 220)]))


class Past:
    """A memory that is filled from windows of 4 s, every 2 s."""

    def __init__(self, walkers=WALKERS, **settings):
        self.config = MemoryConfig(**settings)
        self.now_s = 0.0
        self.walkers = walkers
        self.source = ScriptedSource({"": walkers})
        self.memory = TubeMemory(
            TubeDescriber(GarmentColours()), lambda: self.config, clock=lambda: self.now_s
        )

    def window(self, end, length=40):
        frames = (frame_at(i, self.walkers) for i in range(max(0, end - length), end))
        return Clip(tuple(frames))

    def run(self, first, last):
        for end in range(first, last + 1, 20):
            clip = self.window(end)
            self.now_s = clip.frames[-1].stamp_ns / 1e9
            self.memory.add("", clip, self.source.propose(clip, PEOPLE))
        return self

    def clip(self, first=0, last=10_000):
        return self.memory.clip("", 10**9 + first * STEP_NS, 10**9 + last * STEP_NS)


def test_an_empty_memory_has_nothing():
    past = Past()
    assert (past.memory.fill, past.clip(), past.memory.span_ns("")) == ((0, 0, 0), None, None)
    assert past.memory.tube(0) is None


def test_a_tube_is_continued_from_window_to_window():
    past = Past().run(40, 200)
    tubes, frames, nbytes = past.memory.fill
    assert (tubes, frames) == (2, 40)  # two images per second of 20 s
    assert 0 < nbytes < 2_000_000
    red, blue = (past.memory.tube(number) for number in (0, 1))
    assert red.span_ns == (10**9, 10**9 + 80 * STEP_NS)
    assert blue.span_ns[1] == 10**9 + 195 * STEP_NS
    assert red.boxes[10**9].box_xyxy_px == box_at(100)
    assert red.appearance.similarity(blue.appearance) < 0.5


def test_the_clip_of_a_span_has_its_tubes():
    past = Past().run(40, 200)
    clip = past.clip(20, 50)
    assert [frame.stamp_ns for frame in clip.frames] == [
        10**9 + i * STEP_NS for i in range(20, 51, 5)
    ]
    red, blue = clip.tubes
    assert (red.track_id, red.present.tolist()) == (0, [True] * 7)
    assert blue.present.tolist() == [False, False] + [True] * 5
    assert np.allclose(red.boxes_xyxy_px, box_at(100))
    original = frame_at(20, WALKERS).image.astype(int)
    assert np.abs(clip.frames[0].image.astype(int) - original).mean() < 4  # JPEG
    assert past.clip(5000, 6000) is None


def test_the_best_pictures_are_kept_and_show_the_person():
    past = Past().run(40, 200)
    red = past.memory.tube(0)
    assert 1 <= len(red.crops) <= 3
    assert [q for q, _ in red.crops] == sorted((q for q, _ in red.crops), reverse=True)
    picture = jpeg_image(red.picture.jpeg)
    middle = picture[int(0.4 * len(picture)), picture.shape[1] // 2].astype(int)
    assert np.abs(middle - RED).max() < 40


def test_what_is_too_old_is_dropped_by_stamps():
    past = Past(duration_s=6.0).run(40, 200)
    assert past.memory.tube(0) is None
    first_ns, last_ns = past.memory.span_ns("")
    assert (last_ns - first_ns) / 1e9 <= 6.0
    assert past.memory.fill[0] == 1
    assert min(past.memory.tube(1).boxes) >= first_ns


def test_what_is_too_old_is_dropped_while_no_images_arrive():
    past = Past(duration_s=30.0).run(40, 200)
    past.now_s += 100
    past.memory.expire()
    assert past.memory.fill == (0, 0, 0)


def test_the_bytes_are_bounded_and_the_newest_is_kept():
    past = Past(max_bytes=150_000).run(40, 400)
    assert past.memory.fill[2] <= 150_000
    assert past.memory.span_ns("")[1] == 10**9 + 395 * STEP_NS


def test_a_duration_of_zero_remembers_nothing():
    past = Past().run(40, 100)
    past.config = replace(past.config, duration_s=0.0)
    past.run(120, 120)
    assert past.memory.fill == (0, 0, 0)
    assert not past.memory.enabled


def test_a_jump_back_of_the_stamps_starts_again():
    past = Past().run(100, 200)
    past.run(40, 40)
    assert past.memory.span_ns("") == (10**9, 10**9 + 35 * STEP_NS)


def test_cameras_are_apart_and_cleared_apart():
    past = Past().run(40, 40)
    clip = past.window(40)
    past.memory.add("left", clip, past.source.propose(clip, PEOPLE))
    assert past.memory.fill[0] == 4
    past.memory.clear("left")
    assert past.memory.fill[0] == 2
    past.memory.clear()
    assert past.memory.fill == (0, 0, 0)


@pytest.mark.parametrize("rate_hz", [1.0, 5.0])
def test_the_rate_of_images_is_a_setting(rate_hz):
    past = Past(rate_hz=rate_hz).run(40, 100)
    assert past.memory.fill[1] == 10 * rate_hz


def test_a_tube_of_an_answer_is_known_by_its_boxes():
    past = Past().run(40, 200)
    boxes = [TubeBox(10**9 + i * STEP_NS, box_at(100), 1.0) for i in range(0, 40)]
    assert past.memory.like("", boxes) is past.memory.tube(0)
    blue = [replace(box, box_xyxy_px=box_at(220)) for box in boxes]
    assert past.memory.like("", blue) is past.memory.tube(1)
    nobody = [replace(box, box_xyxy_px=box_at(160)) for box in boxes]
    assert past.memory.like("", nobody) is None
    assert past.memory.like("left", boxes) is past.memory.like("", []) is None
