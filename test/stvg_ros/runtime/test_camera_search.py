# SPDX-License-Identifier: Apache-2.0

"""A command about several cameras: what one of them lacks does not cost the others' answers."""

from __future__ import annotations

import pytest
from fakes import no_checkpoint, noise_clip

from stvg_ros.errors import (
    CanceledError,
    DeadlineError,
    ModelError,
    NoImagesError,
    ProposalError,
    ReplacedError,
    StaleImagesError,
    StvgError,
    UnreachableError,
    WindowError,
)
from stvg_ros.known_target import KnownTarget
from stvg_ros.method.base import BaseGrounder
from stvg_ros.runtime.camera_search import CameraSearch, CameraViews, merged
from stvg_ros.types import Grounding, Query, Status, Tube

FRONT, REAR = noise_clip(2, 1), noise_clip(2, 2)


class Scripted(BaseGrounder):
    """Answers for each camera as configured: a status, or an error to raise."""

    def __init__(self, front, rear):
        self.by_clip = {id(FRONT): front, id(REAR): rear}
        self.progress = []

    def ground(self, clip, query, checkpoint):
        checkpoint("score", 0.5)
        what = self.by_clip[id(clip)]
        if isinstance(what, Exception):
            raise what
        return Grounding((Tube(query, what, confidence=0.5),))


def search(front, rear, **views):
    clips = {"front": FRONT, "rear": REAR}
    return CameraSearch(Query("x"), CameraViews(clips, **views)).ground(
        Scripted(front, rear), no_checkpoint
    )


@pytest.mark.parametrize(
    "error",
    [
        ProposalError("the lens is dirty"),
        ModelError("numbers"),
        UnreachableError("no server"),
        WindowError("no such time"),
        NoImagesError("none"),
        StvgError("odd"),
    ],
)
@pytest.mark.parametrize("failing", ["front", "rear"])
def test_what_one_camera_found_is_the_answer_and_the_other_one_is_named(error, failing):
    both = {"front": Status.FOUND, "rear": Status.FOUND, failing: error}
    best = search(**both).best
    assert (best.status, best.camera) == (Status.FOUND, {"front": "rear", "rear": "front"}[failing])
    assert best.warning == f"camera {failing!r} was not searched: {error}"


def test_an_absence_is_not_claimed_where_a_camera_failed():
    with pytest.raises(ProposalError):
        search(Status.NOT_FOUND, ProposalError("the lens is dirty"))


@pytest.mark.parametrize("error", [WindowError("no such time"), StaleImagesError("60 s ago")])
def test_a_camera_without_images_of_that_time_leaves_the_absence_to_the_others(error):
    best = search(Status.NOT_FOUND, error).best
    assert (best.status, best.camera) == (Status.NOT_FOUND, "front")
    assert "'rear' was not searched" in best.warning


@pytest.mark.parametrize("error", [CanceledError("c"), DeadlineError("d"), ReplacedError("r")])
def test_the_end_of_the_command_is_no_fault_of_a_camera(error):
    with pytest.raises(type(error)):
        search(Status.FOUND, error)


def test_all_cameras_failing_is_the_first_failure():
    with pytest.raises(ProposalError, match="dirty"):
        search(WindowError("no such time"), ProposalError("dirty"))
    with pytest.raises(WindowError):
        search(WindowError("a"), WindowError("b"))


def test_limits_of_the_answer_stay_beside_what_was_not_searched() -> None:
    tube = Tube(Query("x"), Status.FOUND, warning="the model does not know: jeans")
    best = merged({"front": Grounding((tube,))}, 1, "camera 'rear' was not searched").best
    assert best.warning == "camera 'rear' was not searched; the model does not know: jeans"


def test_a_stale_camera_is_named_and_ages_are_told():
    views = CameraViews({"front": FRONT}, {"front": 0.25}, {"rear": StaleImagesError("60 s ago")})
    best = CameraSearch(Query("x"), views).ground(Scripted(Status.FOUND, None), no_checkpoint).best
    assert best.image_age_s == 0.25
    assert best.warning == "camera 'rear' was not searched: 60 s ago"


def test_progress_is_shared_among_the_cameras():
    told = []
    clips = {"front": FRONT, "rear": REAR}
    CameraSearch(Query("x"), CameraViews(clips)).ground(
        Scripted(Status.FOUND, Status.FOUND), lambda stage, progress: told.append(progress)
    )
    assert told == [0.25, 0.75]


@pytest.mark.parametrize(
    ("camera", "front", "rear", "answered", "best"),
    [
        ("rear", Status.FOUND, Status.FOUND, [REAR], "rear"),
        ("rear", Status.FOUND, Status.NOT_FOUND, [REAR, FRONT], "front"),
        ("rear", Status.FOUND, ModelError("numbers"), [FRONT], "front"),
        ("elsewhere", Status.FOUND, Status.FOUND, [FRONT, REAR], "front"),
    ],
)
def test_a_known_target_is_looked_for_where_its_box_is_first(camera, front, rear, answered, best):
    known = KnownTarget("Morgan", (0.0, 0.0, 1.0, 1.0), FRONT.frames[-1].stamp_ns, camera)
    clips = []
    search = CameraSearch(
        Query("x", known=known),
        CameraViews({"front": FRONT, "rear": REAR}),
        finish=lambda grounding, clip: clips.append(clip) or grounding,
    )
    tube = search.ground(Scripted(front, rear), no_checkpoint).best
    assert (tube.status, tube.camera) == (Status.FOUND, best)
    assert clips == answered


def test_a_known_box_that_has_left_the_window_is_in_no_camera():
    known = KnownTarget("Morgan", (0.0, 0.0, 1.0, 1.0), REAR.frames[0].stamp_ns - 1, "rear")
    views = CameraViews({"front": FRONT, "rear": REAR})
    search = CameraSearch(Query("x", known=known), views)
    assert search.ground(Scripted(Status.FOUND, Status.FOUND), no_checkpoint).best.camera == "front"
