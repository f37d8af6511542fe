# SPDX-License-Identifier: Apache-2.0

"""Gestures, poses, changes and movements of the rendered figure with its true joints."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from figures import action, still, track_of_poses

from stvg_lab.rendered.pose import Pose
from stvg_ros.body import keypoints as body
from stvg_ros.body.logic import log_odds
from stvg_ros.body.measures import Measure, evidence_at_some_time, measure_of
from stvg_ros.body.track import BodyTrack
from stvg_ros.commands.command import Feature

GESTURES = {
    "wave": ("wave", ""), "raise left": ("raise arm", "left"),
    "raise right": ("raise arm", "right"),
    "raise both": ("raise arm", "both"), "point left": ("point", "left"),
    "point right": ("point", "right"), "cross arms": ("cross arms", ""),
    "hand to face": ("hand to face", ""),
}  # fmt: skip
POSES = ("standing", "sitting", "lying", "crouching", "kneeling", "bending")
CHANGES = ("sit down", "stand up", "fall", "pick up", "turn round", "jump")
OTHER_SIDE = {"left": "right", "right": "left"}


def measure(kind: str, name: str, side: str = "", sides: str = "robocup") -> Measure:
    found = measure_of(Feature(kind, name, name, (), side), sides)  # type: ignore[arg-type]
    assert found is not None
    return found


def evidence(one: Measure, track: BodyTrack) -> float:
    return one.whole(one.frames(track, []), track.seconds)


def best_of(measures: dict[str, Measure], track: BodyTrack) -> str:
    return max(measures, key=lambda name: evidence(measures[name], track))


MEASURES = {
    "gesture": {name: measure("gesture", *words) for name, words in GESTURES.items()},
    "pose": {name: measure("pose", name) for name in POSES},
    "change": {name: measure("change", name) for name in CHANGES},
}


def shown(turned: bool, **given: object) -> list[tuple[str, str, BodyTrack]]:
    """Kind, name and track of each posture, to both sides."""

    def track(name: str, side: int) -> BodyTrack:
        return track_of_poses(still(name, side), turned=turned, **given)  # type: ignore[arg-type]

    result = [("pose", name, track(name, 1)) for name in POSES]
    result += [("change", name, track(name, 1)) for name in CHANGES if name != "turn round"]
    result += [("gesture", name, track(f"{name} arms".replace("arms arms", "arms"), 1))
               for name in ("raise both", "cross arms")]  # fmt: skip
    for side, place in ((-1, "left"), (1, "right")):
        # Who faces the camera has the own left at the image's right.
        own = place if turned else OTHER_SIDE[place]
        result += [
            ("gesture", f"raise {own}", track("raise arm", side)),
            ("gesture", f"point {place}", track("point", side)),
            ("gesture", "wave", track("wave", side)),
            ("change", "pick up", track("pick up", side)),
            ("change", "fall", track("fall", side)),
            ("pose", "lying", track("lying", side)),
        ]
        if not turned:
            result.append(("gesture", "hand to face", track("hand to face", side)))
    if not turned:
        result.append(("change", "turn round", track("turn round", 1)))
    return result


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("phase_s", [0.0, 0.21, 0.47])
def test_each_posture_is_told_from_the_others(phase_s: float, turned: bool) -> None:
    for kind, name, track in shown(turned, phase_s=phase_s):
        assert best_of(MEASURES[kind], track) == name
        assert evidence(MEASURES[kind][name], track) > 0.5, name


def test_with_the_noise_of_an_estimator() -> None:
    """98 of 100, with a standard deviation of 0.08 torsos in each frame by itself."""
    right = [
        best_of(MEASURES[kind], track) == name
        for turned, seed in itertools.product((False, True), range(2))
        for kind, name, track in shown(turned, noise=0.08, seed=seed)
    ]
    assert np.mean(right) >= 0.98


def test_all_phases_with_the_noise_of_an_estimator() -> None:
    """98 of 100 over the phases of a wave, from the front and behind."""
    right = [
        best_of(MEASURES[kind], track) == name
        for turned, step in itertools.product((False, True), range(8))
        for kind, name, track in shown(turned, noise=0.08, seed=step, phase_s=step / 8)
    ]
    assert len(right) > 300
    assert np.mean(right) >= 0.98


@pytest.mark.parametrize("turned", [False, True])
def test_people_who_are_half_hidden(turned: bool) -> None:
    """A gesture of one arm without the other arm and the legs; a pose without the arms."""
    legs, arms = (*body.KNEES, *body.ANKLES), (*body.ELBOWS, *body.WRISTS)
    for side, place in ((-1, "left"), (1, "right")):
        own = place if turned else OTHER_SIDE[place]
        other = 1 if own == "left" else 0
        hidden = (*legs, body.ELBOWS[other], body.WRISTS[other])
        for gesture, name in (("raise arm", f"raise {own}"), ("point", f"point {place}"),
                              ("wave", "wave")):  # fmt: skip
            track = track_of_poses(still(gesture, side), turned=turned, hidden=hidden)
            assert best_of(MEASURES["gesture"], track) == name
    for name in POSES:
        track = track_of_poses(still(name), turned=turned, hidden=arms)
        assert best_of(MEASURES["pose"], track) == name


@pytest.mark.parametrize("height_px", [60.0, 400.0])
def test_size_does_not_matter(height_px: float) -> None:
    for kind, name, track in shown(False, height_px=height_px):
        assert best_of(MEASURES[kind], track) == name


def test_picking_up_begins_with_bending_and_ends_upright() -> None:
    track = track_of_poses(still("pick up"), duration_s=3)
    leans = np.abs(track.points_px[:, 5:7, 0].mean(1) - track.points_px[:, 11:13, 0].mean(1))
    bent = leans > 0.4 * track.torso_px
    nats = MEASURES["change"]["pick up"].frames(track, [])
    assert bent.sum() > 10
    assert (nats[bent] > 0).all()
    assert nats[0] < -1
    assert nats[-1] < -1


def turning(first: float, last: float, **given: object) -> BodyTrack:
    """Two seconds in one direction, a second of turning, two in another; see `Pose.turn`."""

    def pose(share: float, time_s: float) -> Pose:
        done = float(np.clip(5 * share - 2, 0, 1))
        return Pose(turn=first + done * (last - first))

    return track_of_poses(pose, duration_s=5, **given)  # type: ignore[arg-type]


FRONT, SIDE, BACK = 0.0, 0.45, 1.0  # `Pose.turn`


@pytest.mark.parametrize(
    ("first", "last", "ways"),
    [
        (FRONT, BACK, {"away", ""}), (BACK, FRONT, {"towards", ""}), (FRONT, FRONT, set()),
        (BACK, BACK, set()),
    ],
)  # fmt: skip
def test_turning_has_a_direction(first: float, last: float, ways: set[str]) -> None:
    for seed in range(3):
        track = turning(first, last, noise=0.08, seed=seed)
        for way, name in (("away", "turn"), ("towards", "turn"), ("", "turn round")):
            nats = evidence(measure("change", name, way), track)
            assert (nats > 1) if way in ways else (nats < -0.5), (way, seed)


@pytest.mark.parametrize(
    ("words", "side", "way"),
    [
        ("turns his back to the camera", "towards", "away"),
        ("turns their back to us", "towards", "away"),
        ("turns back to the camera", "towards", "towards"),
        ("turns to the camera", "towards", "towards"),
        ("turns away", "away", "away"),
    ],
)
def test_who_turns_the_back_to_the_camera_turns_away(words: str, side: str, way: str) -> None:
    found = measure_of(Feature("change", "turn", words, side=side))
    assert found is not None
    for first, last, shown in ((FRONT, BACK, "away"), (BACK, FRONT, "towards")):
        assert (evidence(found, turning(first, last)) > 1) == (shown == way)
    assert measure_of(Feature("change", "turn", "turns left", side="left")) is None


def test_who_shows_the_front_or_the_back() -> None:
    front, back = turning(FRONT, FRONT, noise=0.08), turning(BACK, BACK, noise=0.08)
    for side, own, other in (("towards", front, back), ("away", back, front)):
        facing = measure("pose", "facing", side)
        assert evidence(facing, own) > 2
        assert evidence(facing, other) < -2


def test_a_hidden_arm_says_nothing() -> None:
    track = track_of_poses(still("raise arm"), hidden=(*body.WRISTS, *body.ELBOWS))
    for name in ("raise left", "raise right", "wave", "point left", "cross arms"):
        assert not MEASURES["gesture"][name].frames(track, []).any()


def test_hidden_legs_leave_gestures() -> None:
    hidden = (*body.KNEES, *body.ANKLES)
    assert best_of(MEASURES["gesture"], track_of_poses(still("raise arm"), hidden=hidden)) == (
        "raise left"
    )
    assert (
        not MEASURES["pose"]["sitting"]
        .frames(track_of_poses(still("sitting"), hidden=hidden), [])
        .any()
    )


def test_nobody_is_no_evidence() -> None:
    track = track_of_poses(still("standing"))
    track.points_px[:] = np.nan
    track.visibility[:] = 0
    track.present[:] = False
    for measures in MEASURES.values():
        for one in measures.values():
            assert evidence(one, track) == 0


def test_whose_left_is_a_setting() -> None:
    facing = track_of_poses(still("raise arm", -1))  # at the image's left: the own right arm
    for sides, side in (("robocup", "right"), ("person", "right"), ("image", "left")):
        assert evidence(measure("gesture", "raise arm", side, sides), facing) > 1
        assert evidence(measure("gesture", "raise arm", OTHER_SIDE[side], sides), facing) < -1
    pointing = track_of_poses(still("point", -1))
    for sides, side in (("robocup", "left"), ("image", "left"), ("person", "right")):
        assert evidence(measure("gesture", "point", side, sides), pointing) > 1
        assert evidence(measure("gesture", "point", OTHER_SIDE[side], sides), pointing) < -1


@pytest.mark.parametrize("way", [-1, 1])
def test_walking_has_a_direction(way: int) -> None:
    name = {-1: "left", 1: "right"}[way]
    track = track_of_poses(action(f"walk_{name}"), duration_s=3, speed_px_s=way * 140)
    assert evidence(measure("movement", "walk", name), track) > 3
    assert evidence(measure("movement", "walk"), track) > 3
    assert evidence(measure("movement", "walk", OTHER_SIDE[name]), track) < -2
    assert evidence(measure("movement", "stand still"), track) < -2
    assert evidence(measure("movement", "run"), track) < -2


def test_who_is_hidden_for_a_moment_stands_still() -> None:
    """Somebody passes in front: the box shrinks by a fifth and grows again within 2 s."""
    track = track_of_poses(still("standing"), duration_s=8)
    dip = 0.2 * np.clip(1 - np.abs(track.seconds - 4), 0, 1)
    tall = track.boxes_xyxy_px[:, 3] - track.boxes_xyxy_px[:, 1]
    track.boxes_xyxy_px[:, 1] += dip * tall
    assert (measure("movement", "stand still").frames(track, []) > 0).mean() > 0.85
    growing = track_of_poses(still("standing"), duration_s=8)
    growing.boxes_xyxy_px[:, 1] -= 0.1 * tall * growing.seconds
    assert evidence(measure("movement", "stand still"), growing) < -1


def test_running_is_faster() -> None:
    track = track_of_poses(action("walk_left"), duration_s=2, speed_px_s=-400)
    assert evidence(measure("movement", "run"), track) > 2


def test_a_panning_camera_moves_nobody() -> None:
    track = track_of_poses(still("standing"), speed_px_s=140, duration_s=3)
    track.shift_px[:, 0] = 140 * track.seconds
    assert evidence(measure("movement", "walk", "right"), track) < -2
    assert evidence(measure("movement", "stand still"), track) > 2


@pytest.mark.parametrize("eye", [0.6, 3.0], ids=["a robot's camera", "one under the ceiling"])
@pytest.mark.parametrize(("way", "rate"), [("towards", 0.12), ("away", -0.12)])
def test_who_comes_nearer_grows_and_comes_lower(way: str, rate: float, eye: float) -> None:
    """`eye` is the height of the camera in body heights: where feet are below the horizon."""
    track = track_of_poses(still("standing"))
    height = 60 * np.exp(rate * track.seconds)
    track.boxes_xyxy_px[:, 3] = 100 + eye * height
    track.boxes_xyxy_px[:, 1] = track.boxes_xyxy_px[:, 3] - height
    other = {"towards": "away", "away": "towards"}[way]
    assert evidence(measure("movement", "walk", way), track) > 3
    assert evidence(measure("movement", "walk", other), track) < -2


def test_who_comes_nearer_and_turns_to_the_side_is_narrower() -> None:
    """A low camera, whose image shows the feet hardly lower, and arms that no longer swing wide."""
    track = track_of_poses(still("standing"))
    height = 60 * np.exp(0.12 * track.seconds)
    track.boxes_xyxy_px[:, 3] = 100 + 0.3 * height
    track.boxes_xyxy_px[:, 1] = track.boxes_xyxy_px[:, 3] - height
    track.boxes_xyxy_px[:, 2] = track.boxes_xyxy_px[:, 0] + 40 * np.exp(-0.15 * track.seconds)
    assert evidence(measure("movement", "walk", "towards"), track) > 1


def test_who_raises_the_arms_does_not_come_nearer() -> None:
    """The box grows by a fifth within a second, and the feet stay."""
    track = track_of_poses(still("standing"), duration_s=6)
    tall = track.boxes_xyxy_px[:, 3] - track.boxes_xyxy_px[:, 1]
    track.boxes_xyxy_px[:, 1] -= 0.2 * tall * np.clip(track.seconds - 3, 0, 1)
    assert evidence(measure("movement", "walk", "towards"), track) < 0.5


def test_depth_decides_where_there_is_depth() -> None:
    track = track_of_poses(still("standing"))
    track.distance_m[:] = 5 - 0.8 * track.seconds
    assert evidence(measure("movement", "walk", "towards"), track) > 3


@pytest.mark.parametrize("name", ["enter", "leave"])
def test_who_enters_and_leaves(name: str) -> None:
    track = track_of_poses(action("walk_left"), speed_px_s=-140, foot_px=(600, 400))
    staying = evidence(measure("movement", name), track)
    gone = track.seconds > 2 if name == "leave" else track.seconds < 2
    track.present[gone] = False
    track.boxes_xyxy_px[:, [0, 2]] -= 590 if name == "enter" else 300
    assert staying < 0
    assert evidence(measure("movement", name), track) > 1


def test_the_time_line_shows_when() -> None:
    """The second half of the track raises the arm."""
    standing, raised = still("standing"), still("raise arm")
    track = track_of_poses(lambda share, t: standing(share, t) if share < 0.5 else raised(0.5, t))
    nats = MEASURES["gesture"]["raise left"].frames(track, [])
    assert (nats[: len(nats) // 2] < -1).all()
    assert (nats[len(nats) // 2 + 1 :] > 0.5).all()


@pytest.mark.parametrize(
    ("nats", "evidence"),
    [
        ([4.0] * 40, 16.0),  # 4 nats a second, for 4 seconds
        ([-4.0] * 40, -4.0),
        ([0.0] * 40, 0.0),
        ([4.0] * 10 + [-4.0] * 30, 4.0 + np.log(10 / 40)),  # a second of four
        ([-0.01] * 4 + [-4.0] * 36, -2.4),  # seen badly in a tenth of the time
    ],
)
def test_what_happens_at_some_time(nats: list[float], evidence: float) -> None:
    found = evidence_at_some_time(np.array(nats), np.arange(40) / 10)
    assert found == pytest.approx(evidence, abs=0.35)


def test_what_is_negated_speaks_against() -> None:
    track = track_of_poses(still("sitting"))
    found = measure_of(Feature("pose", "sitting", "sitting", negated=True))
    assert found is not None
    assert evidence(found, track) < -1


def test_what_must_never_happen() -> None:
    """Who waves for a part of the time does wave."""
    found = measure_of(Feature("gesture", "wave", "wave", negated=True))
    assert found is not None
    assert found.lasts
    waves = still("wave")
    part = track_of_poses(lambda s, t: waves(0.5, t) if 0.4 < s < 0.6 else Pose(), duration_s=10)
    assert evidence(found, part) < -1
    assert evidence(found, track_of_poses(still("standing"))) > 1


@pytest.mark.parametrize("seconds", [2.0, 3.0, 4.0])
def test_a_raised_arm_with_jitter_does_not_wave(seconds: float) -> None:
    """Also when it goes up and comes down quickly."""
    for side, seed in itertools.product((-1, 1), range(6)):
        track = track_of_poses(
            still("raise arm", side), duration_s=seconds, noise=0.08, seed=100 + seed
        )
        own = "left" if side > 0 else "right"
        assert best_of(MEASURES["gesture"], track) == f"raise {own}"


@pytest.mark.parametrize("seconds", [4.0, 8.0])
def test_who_sits_down_slowly_picks_nothing_up(seconds: float) -> None:
    for name, seed in itertools.product(("sit down", "stand up"), range(4)):
        track = track_of_poses(still(name), duration_s=seconds, noise=0.08, seed=seed)
        assert best_of(MEASURES["change"], track) == name


def test_who_bends_or_falls_does_not_walk() -> None:
    """One side of the box moves, or its height and its width change the opposite way."""
    for name, side in itertools.product(("pick up", "fall", "sit down", "raise arm"), (-1, 1)):
        track = track_of_poses(still(name, side), duration_s=4)
        for way in ("", "left", "right", "towards", "away"):
            assert evidence(measure("movement", "walk", way), track) < 0.2, (name, way)


@pytest.mark.parametrize("name", ["bending", "crouching", "kneeling", "sitting"])
def test_who_stays_down_picks_nothing_up(name: str) -> None:
    for turned in (False, True):
        track = track_of_poses(still(name), noise=0.08, turned=turned)
        assert evidence(MEASURES["change"]["pick up"], track) < 0.2
        assert evidence(MEASURES["change"]["jump"], track) < 0.2


def test_who_bends_does_not_turn() -> None:
    for side, turned in itertools.product((-1, 1), (False, True)):
        track = track_of_poses(still("pick up", side), turned=turned, noise=0.08)
        for way in ("away", "towards"):
            assert evidence(measure("change", "turn", way), track) < 0.2


@pytest.mark.parametrize("degrees", [15.0, 28.0, 40.0])
@pytest.mark.parametrize("rate_hz", [1.0, 1.6, 2.4])
def test_waves_of_all_rates_and_sizes(degrees: float, rate_hz: float) -> None:
    def pose(share: float, time_s: float) -> Pose:
        flap = degrees * float(np.sin(2 * np.pi * rate_hz * time_s))
        return Pose(arms=(-8, -4, 140, 165 + flap))

    track = track_of_poses(pose, noise=0.03)
    assert best_of(MEASURES["gesture"], track) == "wave"
    assert evidence(MEASURES["gesture"]["wave"], track) > 1.2


def column(x: float) -> BodyTrack:
    return track_of_poses(still("standing"), foot_px=(x, 400.0), duration_s=2)


@pytest.mark.parametrize(
    ("name", "text", "side", "details", "chosen"),
    [
        ("left", "leftmost", "left", (), 0), ("right", "rightmost", "right", (), 3),
        ("ordinal", "from the left", "left", ("2",), 1),
        ("ordinal", "from the right", "right", ("2",), 2),
        ("ordinal", "from the right", "right", ("1",), 3),
    ],
)  # fmt: skip
def test_the_number_from_a_side(
    name: str, text: str, side: str, details: tuple[str, ...], chosen: int
) -> None:
    """All four are in the left half of the image."""
    found = measure_of(Feature("place", name, text, side=side, details=details))  # type: ignore[arg-type]
    assert found is not None
    tracks = [column(x) for x in (60.0, 130.0, 200.0, 280.0)]
    nats = []
    for track in tracks:
        others = [other for other in tracks if other is not track]
        nats.append(found.whole(found.frames(track, others), track.seconds))
    assert nats[chosen] > 1
    assert all(value < -1 for row, value in enumerate(nats) if row != chosen)


def test_who_is_absent_does_not_count() -> None:
    found = measure_of(Feature("place", "ordinal", "from the left", side="left", details=("1",)))
    assert found is not None
    first, second = column(60.0), column(200.0)
    first.present[:10] = False
    assert (found.frames(second, [first])[:10] > 1).all()
    assert (found.frames(second, [first])[10:] < -1).all()


def test_log_odds_are_bounded() -> None:
    assert log_odds(np.array([0.0, 0.5, 1.0, np.nan])).tolist() == pytest.approx([-4, 0, 4, 0])


@pytest.mark.parametrize(
    "feature",
    [
        Feature("words", "bored", "who looks bored"),
        Feature("gesture", "nod", "nods"),
        Feature("movement", "walk", "walks up", side="up"),
        Feature("pose", "leaning", "leaning"),
        Feature("garment", "hat", "red hat", ("red",), part="head"),
        Feature("garment", "jacket", "jacket", part="upper"),
        Feature("garment", "jacket", "mauve jacket", ("mauve",), part="upper"),
        Feature("place", "corner", "in the corner"),
        Feature("size", "fat", "fat"),
        Feature("hair", "hair", "long hair", details=("long",)),
    ],
)
def test_words_without_a_measure_have_none(feature: Feature) -> None:
    assert measure_of(feature) is None
