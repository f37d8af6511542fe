# SPDX-License-Identifier: Apache-2.0

"""A target that is lost is found again, and nobody else is taken for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scripted_people import BLUE, GREEN, RED, ScriptedSource, Walker, box_at, frame_at

from stvg_ros.commands.command import Command
from stvg_ros.errors import ProposalError
from stvg_ros.identity.followed_target import TargetState
from stvg_ros.identity.garment_colours import GarmentColours
from stvg_ros.identity.long_term_tracker import LongTermTracker
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.node.settings import FollowConfig
from stvg_ros.types import Query, SplitQuery, Status, Tube, TubeBox
from stvg_ros.window import Window, WindowConfig

FOLLOWING, LOST, STOPPED, SEARCHING, FOUND_AGAIN = TargetState


class Stream:
    """Frames of some cameras through a tracker, with a search after every fifth frame."""

    def __init__(self, walkers, cameras=("",), split=None, **settings):
        self.cameras = {name: walkers.get(name, ()) for name in cameras}
        self.source = ScriptedSource(self.cameras)
        self.windows = {name: Window(WindowConfig()) for name in cameras}
        config = FollowConfig(**settings)
        self.tracker = LongTermTracker(
            self.source, TubeDescriber(GarmentColours()), self.windows.__getitem__, lambda: config
        )
        self.split = split
        self.odds = None
        self.questions = []
        self.reports = []
        self.index = 0

    def run(self, count):
        for _ in range(count):
            for name, window in self.windows.items():
                frame = replace(frame_at(self.index, self.cameras[name]), stream=name)
                window.add(frame)
                self.reports += self.tracker.update(name, frame)
            if self.index % 5 == 4:
                self.search()
            self.index += 1
        return self

    def search(self):
        for name in self.cameras:
            clip = self.tracker.search_clip(name)
            if clip is not None:
                people = self.source.propose(clip, SplitQuery("a", "a", "a", "none"))
                self.reports += self.tracker.searched(name, clip, people)
            if (question := self.tracker.question) is not None:
                self.questions.append(question)
                self.reports += self.tracker.answered(self.odds, "no model")

    def notice(self):
        """What the memory's rounds show while following."""
        clip = self.windows[""].snapshot()
        people = self.source.propose(clip, SplitQuery("a", "a", "a", "none"))
        self.reports += self.tracker.searched("", clip, people)

    def follow(self, x, camera="", **options):
        frames = self.windows[camera].snapshot().frames
        boxes = tuple(TubeBox(frame.stamp_ns, box_at(x), 1.0) for frame in frames)
        query = Query("the person in red", "q-1")
        tube = Tube(query, Status.FOUND, self.split, boxes, camera=camera)
        self.tracker.begin(tube, **options)
        return self

    def states(self):
        """The states without repetitions."""
        said = [report.state for report in self.reports]
        return [state for i, state in enumerate(said) if not i or said[i - 1] is not state]


BACK = {"": (Walker(RED, [(0, 20, 100), (70, 200, 200)]), Walker(BLUE, [(0, 200, 40)]))}


def test_a_target_that_comes_back_is_found_again_with_score_and_evidence():
    s = Stream(BACK).run(10).follow(100).run(50)
    assert s.states() == [FOLLOWING, LOST, SEARCHING]
    lost = next(r for r in s.reports if r.state is LOST)
    assert (lost.ended, lost.reason) == (False, "not seen for 1.6 s")
    s.run(40)
    assert s.states() == [FOLLOWING, LOST, SEARCHING, FOUND_AGAIN, FOLLOWING]
    found = next(r for r in s.reports if r.state is FOUND_AGAIN)
    assert found.box_xyxy_px == box_at(200)
    assert found.score > 0.5
    assert "appearance" in found.evidence
    assert 5.0 < found.unseen_s < 6.5
    assert s.reports[-1].box_xyxy_px == box_at(200)


def test_while_it_is_lost_no_box_is_reported_as_seen():
    s = Stream(BACK).run(10).follow(100).run(50)
    assert all(not r.seen for r in s.reports if r.state in (LOST, SEARCHING))


def test_somebody_else_is_never_taken_for_it():
    others = {"": (Walker(RED, [(0, 20, 100)]), Walker(BLUE, [(50, 200, 200)]))}
    s = Stream(others).run(10).follow(100).run(120)
    assert s.states() == [FOLLOWING, LOST, SEARCHING]
    assert "appearance" in s.reports[-1].reason


def test_two_alike_are_not_told_apart_by_appearance():
    twins = (Walker(RED, [(0, 20, 100), (60, 200, 200)]), Walker(RED, [(60, 200, 40)]))
    s = Stream({"": twins}).run(10).follow(100).run(120)
    assert s.states() == [FOLLOWING, LOST, SEARCHING]
    assert "2 people cannot be distinguished" in s.reports[-1].reason


def described(attribute="the person with the hat"):
    command = Command("find", attribute, attribute=attribute, noun="the person")
    return SplitQuery(attribute, attribute, "", "rules", ("action",), command)


def test_the_query_decides_between_two_alike():
    twins = (Walker(RED, [(0, 20, 100), (60, 200, 200)]), Walker(RED, [(60, 200, 40)]))
    s = Stream({"": twins}, split=described()).run(10)
    s.odds = {0: 1.5, 1: -1.5}
    s.follow(100).run(90)
    found = next(r for r in s.reports if r.state is FOUND_AGAIN)
    assert found.box_xyxy_px == box_at(200)
    assert "query +1.5 nats" in found.evidence
    assert s.questions[0].text == "the person with the hat"
    assert len(s.questions[0].clip.tubes) == 2


def test_a_query_that_contradicts_keeps_the_search_going():
    s = Stream(BACK, split=described()).run(10)
    s.odds = {0: -2.0, 1: -2.0}
    s.follow(100).run(110)
    assert FOUND_AGAIN not in s.states()
    assert any("the query does not describe" in r.reason for r in s.reports)
    assert 1 < len(s.questions) < 4  # asked again after a while


def test_without_a_model_the_appearance_decides_alone_and_says_so():
    s = Stream(BACK, split=described()).run(10).follow(100).run(90)
    found = next(r for r in s.reports if r.state is FOUND_AGAIN)
    assert "query not asked: no model" in found.evidence


def test_an_action_may_be_over_and_is_not_asked():
    command = Command("find", "the one who waves", action="who waves", noun="the one")
    split = SplitQuery("the one who waves", "the one", "the one who waves", "rules", (), command)
    s = Stream(BACK, split=split).run(10).follow(100).run(90)
    assert (s.questions, FOUND_AGAIN in s.states()) == ([], True)


def test_who_was_in_view_with_the_target_is_not_the_target():
    # The other one, dressed alike, is next to it from the start and stays.
    twins = (Walker(RED, [(0, 20, 100)]), Walker(RED, [(0, 200, 200)]))
    s = Stream({"": twins}).run(10).follow(100)
    s.notice()
    s.run(120)
    assert s.states() == [FOLLOWING, LOST, SEARCHING]
    assert any("together with the target" in r.reason for r in s.reports)


def test_a_track_that_jumps_to_another_person_is_a_loss():
    # Blue takes the place of red within a frame: the short-term tracker follows it.
    swap = (Walker(RED, [(0, 20, 100), (60, 200, 220)]), Walker(BLUE, [(21, 200, 104)]))
    s = Stream({"": swap}).run(10).follow(100).run(40)
    lost = next(r for r in s.reports if r.state is LOST)
    assert "another person is at its place" in lost.reason
    s.run(50)
    found = next(r for r in s.reports if r.state is FOUND_AGAIN)
    assert found.box_xyxy_px == box_at(220)


def test_a_box_with_another_person_is_not_reported_as_seen_until_the_target_is_back():
    # Blue stands in the place of red for half a second, then red again.
    hidden = (Walker(RED, [(0, 20, 100), (25, 200, 100)]), Walker(BLUE, [(20, 25, 102)]))
    s = Stream({"": hidden}).run(10).follow(100).run(40)
    assert s.states() == [FOLLOWING]
    seen = {round(r.frame.stamp_ns / 1e8) % 1000: r.seen for r in s.reports}
    first = min(seen)
    wrong = [seen[first + i] for i in range(10, 15)]
    assert not all(wrong) and not wrong[-1]
    assert all(list(seen.values())[:9]) and all(list(seen.values())[-15:])


def test_a_track_on_another_person_is_not_seen_from_the_first_look_on():
    swap = (Walker(RED, [(0, 20, 100)]), Walker(BLUE, [(20, 200, 104)]))
    s = Stream({"": swap}).run(10).follow(100).run(40)
    followed = [r for r in s.reports if r.state is FOLLOWING]
    assert sum(r.seen for r in followed) <= 13  # 10 of red, 3 before blue was looked at


def test_the_search_ends_after_search_s():
    s = Stream({"": (Walker(RED, [(0, 20, 100)]),)}, search_s=3.0).run(10).follow(100).run(90)
    last = s.reports[-1]
    assert (last.state, last.ended, s.tracker.target) == (LOST, True, None)
    assert "follow.search_s (3 s)" in last.reason
    assert s.states() == [FOLLOWING, LOST, SEARCHING, LOST]


def test_without_a_search_a_loss_is_the_end():
    s = Stream(BACK, search_s=0.0).run(10).follow(100).run(90)
    assert (s.states(), s.reports[-1].ended) == ([FOLLOWING, LOST], True)


def test_a_lost_target_is_found_by_another_camera():
    walkers = {
        "front": (Walker(RED, [(0, 20, 250)]), Walker(GREEN, [(0, 200, 40)])),
        "left": (Walker(BLUE, [(0, 200, 150)]), Walker(RED, [(50, 200, 20)])),
    }
    s = Stream(walkers, ("front", "left")).run(10).follow(250, "front").run(80)
    found = next(r for r in s.reports if r.state is FOUND_AGAIN)
    assert (found.camera, found.box_xyxy_px) == ("left", box_at(20))
    assert (s.reports[-1].state, s.reports[-1].camera) == (FOLLOWING, "left")


def test_a_target_that_cannot_be_followed_there_stays_where_it_was_seen():
    walkers = {
        "front": (Walker(RED, [(0, 20, 250)]),),
        "left": (Walker(RED, [(50, 200, 20)]),),
    }
    s = Stream(walkers, ("front", "left")).run(10).follow(250, "front").run(20)

    def refuses(frame, box):
        raise ProposalError("too small")

    s.source.follower = refuses
    s.run(50)
    assert any("cannot be followed: too small" in r.reason for r in s.reports)
    target = s.tracker.target
    assert (target.camera, target.seen_box.box_xyxy_px) == ("front", box_at(250))


def test_a_target_from_memory_is_awaited():
    s = Stream(BACK).run(10).follow(100)
    appearance = s.tracker.target.gallery.target
    tube = s.tracker.target.tube
    s.tracker.await_return(tube, appearance)
    s.index = 30
    s.run(70)
    assert s.states()[-2:] == [FOUND_AGAIN, FOLLOWING]


def test_a_tube_that_left_the_window_cannot_be_followed():
    s = Stream(BACK).run(5)
    tube = Tube(Query("x"), Status.FOUND, boxes=(TubeBox(5, box_at(1), 1.0),))
    with pytest.raises(ProposalError, match="has left the window"):
        s.tracker.begin(tube)


def test_memory_is_flat_over_many_losses():
    spells = [(k * 60, k * 60 + 30, 60.0 + 20 * (k % 5)) for k in range(20)]
    people = (Walker(RED, spells), Walker(BLUE, [(0, 1300, 250)]))
    s = Stream({"": people}).run(10).follow(60)
    s.notice()
    s.run(1190)
    target = s.tracker.target
    assert s.states().count(FOUND_AGAIN) >= 18
    assert len(target.places) < 40
    assert target.gallery.target.weight < 50
    assert len(target.gallery.others) <= 2
