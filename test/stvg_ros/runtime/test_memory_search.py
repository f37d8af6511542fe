# SPDX-License-Identifier: Apache-2.0

"""Commands about the time before the window: what is remembered answers them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import no_checkpoint
from scripted_people import BLUE, RED, STEP_NS, ScriptedSource, Walker, box_at, frame_at

from stvg_ros.commands.reader import grammar_reader
from stvg_ros.errors import WindowError
from stvg_ros.identity.garment_colours import GarmentColours
from stvg_ros.identity.settings import MemoryConfig
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.identity.tube_memory import TubeMemory
from stvg_ros.method.base import BaseGrounder
from stvg_ros.method.known_tube import found_tube, known_grounding
from stvg_ros.method.sampling import asked_window, cut
from stvg_ros.runtime.camera_search import CameraSearch, CameraViews
from stvg_ros.runtime.memory_search import MemorySearch
from stvg_ros.types import Clip, Grounding, Query, SplitQuery, Status, Tube

PEOPLE = SplitQuery("people", "people", "people", "none")
# Red waves from frame 40 to 60, leaves, and comes back at another place at frame 250.
RED_BACK = Walker(RED, [(0, 80, 100), (250, 400, 200)])
WALKERS = (RED_BACK, Walker(BLUE, [(30, 400, 30)]))
WAVES = (40, 60)


class Knowing(BaseGrounder):
    """Finds the walker who waves, in the frames in which it does."""

    def __init__(self, walkers=WALKERS):
        self.source = ScriptedSource({"": walkers, " memory": walkers})
        self.clips = []

    def ground(self, clip, query, checkpoint, preliminary=None):
        command = grammar_reader("rules").read(query.text)
        clip = cut(clip, *asked_window(query, command, clip))
        tubes = self.source.propose(clip, PEOPLE) if clip.tubes is None else clip.tubes
        newest = clip.frames[-1]
        answer = Tube(query, Status.NOT_FOUND, stamp_ns=newest.stamp_ns, frame_id=newest.frame_id)
        if query.known is not None:
            return known_grounding(query.known, clip, tubes, answer)
        self.clips.append(clip)
        for tube in tubes:
            rows = [
                tube.present[i] and tube.boxes_xyxy_px[i, 0] == 100 and WAVES[0] <= at <= WAVES[1]
                for i, at in enumerate((clip.stamps_ns - 10**9) // STEP_NS)
            ]
            if any(rows):
                part = clip.part(clip.stamps_ns == clip.stamps_ns)  # all of it
                found = found_tube(tube, part, answer, 0.9)
                return Grounding((found,), candidates=tubes)
        return Grounding((answer,), candidates=tubes)


def searched(text, now=200, walkers=WALKERS, remembered=True, **fields):
    """The answer to a command at a frame, whose window is 4 s, after 20 s of remembering."""
    describer = TubeDescriber(GarmentColours())
    memory = TubeMemory(describer, MemoryConfig)
    source = ScriptedSource({"": walkers})
    for end in range(40, now + 1 if remembered else 0, 20):
        frames = tuple(frame_at(i, walkers) for i in range(max(0, end - 40), end))
        memory.add("", Clip(frames), source.propose(Clip(frames), PEOPLE))
    window = Clip(tuple(frame_at(i, walkers) for i in range(now - 40, now)))
    search = CameraSearch(Query(text, "q-7", **fields), CameraViews({"": window}))
    command = grammar_reader("rules").read(text)
    grounder = Knowing(walkers)
    return MemorySearch(search, command, memory, describer).ground(grounder, no_checkpoint).best


def test_a_time_before_the_window_is_answered_from_memory():
    tube = searched("who was waving fifteen seconds ago")
    assert (tube.status, tube.from_memory) == (Status.FOUND, True)
    assert tube.query.id == "q-7"
    assert tube.boxes[0].box_xyxy_px == box_at(100)
    # 15 s before frame 199, give or take 5 s.
    assert 10.0 <= (199 - (tube.end_ns - 10**9) / STEP_NS) / 10 <= 20.0
    assert "from memory: 19.9 s to 11.9 s before the newest image" in tube.warning
    assert tube.picture is not None


def test_a_time_that_is_not_remembered_is_an_error():
    with pytest.raises(WindowError, match=r"nothing of that time is remembered \(memory.duration"):
        searched("who was waving two minutes ago")
    with pytest.raises(WindowError):
        searched("who was waving fifteen seconds ago", remembered=False)


def test_nobody_in_that_time_is_an_answer():
    tube = searched("who was waving five seconds ago")
    assert (tube.status, tube.from_memory) == (Status.NOT_FOUND, False)


def test_a_time_that_the_window_begins_is_continued_in_memory():
    assert searched("who waved in the last minute").from_memory
    window = searched("who waved in the last minute", now=62)
    assert (window.status, window.from_memory) == (Status.FOUND, False)


def test_again_finds_the_person_where_they_are_now():
    tube = searched("find the person who waved again", now=300)
    assert (tube.status, tube.from_memory) == (Status.FOUND, False)
    assert tube.boxes[-1].box_xyxy_px == box_at(200)
    assert tube.boxes[-1].stamp_ns == 10**9 + 299 * STEP_NS
    assert "from memory" in tube.warning
    assert "appearance" in tube.decided
    assert tube.query.text == "find the person who waved again"


def test_again_with_a_time_and_a_picture():
    text = "find the person who was waving twenty five seconds ago again"
    tube = searched(text, now=300, picture=True)
    assert (tube.from_memory, tube.boxes[-1].box_xyxy_px) == (False, box_at(200))
    assert tube.picture.stamp_ns >= 10**9 + 260 * STEP_NS


def test_again_without_the_person_in_view_says_so():
    tube = searched("find the person who waved again", now=240)
    assert (tube.status, tube.from_memory) == (Status.FOUND, True)
    assert "not in view now" in tube.warning
    assert tube.boxes[-1].box_xyxy_px == box_at(100)


def test_positions_then_are_in_the_answer():
    place = (1.0, 2.0, 3.0)
    describer = TubeDescriber(GarmentColours())
    memory = TubeMemory(describer, MemoryConfig, lambda box, frame: replace(box, position_m=place))
    source = ScriptedSource({"": WALKERS})
    clip = Clip(tuple(frame_at(i, WALKERS) for i in range(80)))
    memory.add("", clip, source.propose(clip, PEOPLE))
    window = Clip(tuple(frame_at(i, WALKERS) for i in range(160, 200)))
    text = "who was waving fifteen seconds ago"
    search = CameraSearch(Query(text), CameraViews({"": window}))
    command = grammar_reader("rules").read(text)
    found = MemorySearch(search, command, memory, describer).ground(Knowing(), no_checkpoint)
    assert {box.position_m for box in found.best.boxes} == {place}
