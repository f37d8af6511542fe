# SPDX-License-Identifier: Apache-2.0

"""Colours of clothes and hair on rendered people, in clean, dark and coloured light."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from figures import CLEAN, ROOM, SIZE_PX, dressed, look_at, still, track_of_poses

from stvg_lab.rendered.character import Appearance
from stvg_lab.rendered.picture_conditions import CONDITIONS, PictureCondition
from stvg_lab.rendered.render import drawn
from stvg_lab.rendered.room import varied
from stvg_lab.rendered.scene_generator import SHIRTS
from stvg_ros.body.clothes import LOWER, SHINS, UPPER, looks, share_of
from stvg_ros.body.measures import measure_of
from stvg_ros.body.track import BodyTrack
from stvg_ros.colours import NAMES, Light, light_of, shares
from stvg_ros.commands.command import Command, Feature
from stvg_ros.commands.reader import grammar_reader

COLOURS = {**SHIRTS, "gray": (128, 128, 130), "brown": (110, 70, 40), "pink": (240, 150, 180)}
DAY = Light((1.0, 1.0, 1.0))
FEET = [(100.0, 420.0), (245.0, 420.0), (390.0, 420.0), (535.0, 420.0)]


def names_of(rgb: tuple[int, int, int]) -> dict[str, float]:
    found = shares(DAY.applied(np.array([rgb], np.uint8)))[0]
    return dict(zip(NAMES, found.tolist(), strict=True))


@pytest.mark.parametrize("name", sorted(COLOURS))
def test_a_colour_has_its_name(name: str) -> None:
    assert names_of(COLOURS[name])[name] > 0.9


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((0, 0, 0), "black"), ((255, 255, 255), "white"), ((60, 75, 110), "blue"),
     ((90, 20, 25), "red"), ((214, 166, 130), "brown"), ((20, 60, 30), "green")],
)  # fmt: skip
def test_shades_of_real_clothes(rgb: tuple[int, int, int], name: str) -> None:
    found = names_of(rgb)
    assert max(found, key=lambda one: found[one]) == name
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)


def test_the_light_of_a_grey_picture_is_its_cast() -> None:
    image = np.full((64, 64, 3), (200, 160, 120), np.uint8)
    red, green, blue = light_of(image).gains
    assert red < green < blue
    black = light_of(np.zeros((64, 64, 3), np.uint8)).gains
    assert np.isfinite(black).all()


def people(worn: list[Appearance], condition: PictureCondition = CLEAN) -> list[BodyTrack]:
    standing = still("standing")
    tracks = [track_of_poses(standing, foot_px=foot, duration_s=3) for foot in FEET[: len(worn)]]
    count = len(worn)
    look_at(tracks, [standing] * count, worn, FEET[:count], (5,), condition)
    return tracks


def evidence(feature: Feature, track: BodyTrack) -> float:
    found = measure_of(feature)
    assert found is not None
    return found.whole(found.frames(track, []), track.seconds)


def garment(part: str, *colours: str, details: tuple[str, ...] = (), name: str = "x") -> Feature:
    return Feature("garment", name, "worn", colours, part=part, details=details)


@pytest.mark.parametrize("name", CONDITIONS)
def test_shirts_by_colour(name: str) -> None:
    """Share of shirts whose own colour has the largest share among those of the scenes."""
    rng, right = np.random.default_rng(5), []
    for _ in range(5):
        for names in (list(SHIRTS)[:4], list(SHIRTS)[4:]):
            worn = [dressed(varied(rng, SHIRTS[one], 14)) for one in names]
            for own, track in zip(names, people(worn, CONDITIONS[name]), strict=True):
                seen = {one: share_of(track.looks, UPPER, one)[5] for one in SHIRTS}
                right.append(max(seen, key=lambda one: seen[one]) == own)
    assert np.mean(right) >= (0.95 if name == "clean" else 0.85)


def test_upper_and_lower_garments_are_apart() -> None:
    (track,) = people([dressed(SHIRTS["red"], trousers_rgb=SHIRTS["blue"])])
    assert evidence(garment("upper", "red"), track) > 2
    assert evidence(garment("upper", "blue"), track) < -2
    assert evidence(garment("lower", "blue"), track) > 2
    assert evidence(garment("lower", "blue", name="jeans"), track) > 2
    assert evidence(garment("lower", name="jeans"), track) > 2
    assert evidence(garment("lower", "red"), track) < -2
    assert evidence(garment("", "red", "blue", name="clothes"), track) > 1
    assert evidence(garment("whole", "red", name="clothes"), track) > 2


def test_a_dress_is_one_colour_from_top_to_bottom() -> None:
    whole, half = people(
        [dressed(SHIRTS["red"], trousers_rgb=SHIRTS["red"]), dressed(SHIRTS["red"])]
    )
    assert evidence(garment("whole", "red", name="dress"), whole) > 2
    assert evidence(garment("whole", "red", name="dress"), half) < 1


def test_two_colours_must_both_be_there() -> None:
    tracks = people([dressed(SHIRTS["black"], bag="backpack", bag_rgb=SHIRTS["red"]),
                     dressed(SHIRTS["black"])])  # fmt: skip
    both, one = (evidence(garment("upper", "red", "black"), track) for track in tracks)
    assert both > one + 1


def test_dark_and_light() -> None:
    dark, light = people([dressed((40, 40, 60)), dressed((220, 220, 200))])
    for track, own, other in ((dark, "dark", "light"), (light, "light", "dark")):
        assert evidence(garment("upper", own), track) > 1
        assert evidence(garment("upper", other), track) < -1
    assert evidence(garment("upper", "dark blue"), people([dressed((20, 25, 70))])[0]) > 0.5


def test_a_pattern_has_contrast() -> None:
    (track,) = people([dressed(SHIRTS["white"])])
    striped = Feature("garment", "shirt", "striped shirt", part="upper", details=("striped",))
    plain = Feature("garment", "shirt", "plain shirt", part="upper", details=("plain",))
    assert evidence(striped, track) < -1
    assert evidence(plain, track) > 1
    figure = [drawn([], ROOM, *SIZE_PX)]
    points, box = track.points_px[5], track.boxes_xyxy_px[5]
    image = figure[0].copy()
    image[::6], image[1::6], image[2::6] = 20, 20, 20
    track.looks.contrast[5] = looks(image, points, track.visibility[5], box, DAY).contrast
    assert evidence(striped, track) > 1
    assert evidence(plain, track) < -1


def test_long_and_short_sleeves() -> None:
    (long,) = people([dressed(SHIRTS["blue"])])
    short = Feature("garment", "shirt", "short sleeves", part="upper", details=("short sleeves",))
    assert evidence(short, long) < -1
    long.looks.lab[5, 4] = (70, 14, 24)  # skin
    assert evidence(short, long) > 1


def test_long_trousers_cover_the_shins() -> None:
    (track,) = people([dressed(SHIRTS["blue"])])
    long = Feature("garment", "trousers", "long trousers", part="lower", details=("long",))
    shorts = Feature("garment", "shorts", "shorts", part="lower")
    assert evidence(long, track) > 1
    assert evidence(shorts, track) < -1
    track.looks.lab[5, SHINS] = (70, 14, 24)  # skin
    assert evidence(long, track) < -1
    assert evidence(shorts, track) > 1


def test_hair_of_large_heads() -> None:
    tracks = people([dressed(SHIRTS["blue"]), dressed(SHIRTS["blue"], hair_rgb=(214, 180, 110))])
    dark, blond = (
        [evidence(Feature("hair", "hair", "hair", (colour,)), track) for track in tracks]
        for colour in ("dark", "blond")
    )
    assert dark[0] > 0 > dark[1]
    assert blond[1] > 0 > blond[0]


def test_nothing_seen_is_no_evidence() -> None:
    track = track_of_poses(still("standing"))
    for feature in (garment("upper", "red"), Feature("hair", "bald", "bald"),
                    garment("lower", "dark"), garment("whole", "red", name="dress")):  # fmt: skip
        assert evidence(feature, track) == 0


def test_a_shirt_outside_the_image_is_not_seen() -> None:
    (track,) = people([dressed(SHIRTS["red"])])
    points = track.points_px[5] + [-400, 0]
    image = np.zeros((480, 640, 3), np.uint8)
    found = looks(image, points, track.visibility[5], track.boxes_xyxy_px[5], DAY)
    assert np.isnan(found.shares[[UPPER, LOWER]]).all()


GESTURES = ("waving person", "person raising their left arm", "person raising their right arm",
            "person pointing to the left", "person pointing to the right")  # fmt: skip
POSES = ("sitting person", "standing person", "lying person")
WORN = ("t shirt", "shirt", "blouse", "sweater", "coat", "jacket")
ROBOCUP = ("blue", "yellow", "black", "white", "red", "orange", "gray")
# What the figure does for a description; sides are those of the image.
SHOWN = {GESTURES[0]: ("wave", 1), GESTURES[1]: ("raise arm", 1), GESTURES[2]: ("raise arm", -1),
         GESTURES[3]: ("point", -1), GESTURES[4]: ("point", 1), POSES[0]: ("sitting", 1),
         POSES[1]: ("standing", 1), POSES[2]: ("lying", 1)}  # fmt: skip


def descriptions() -> list[tuple[str, list[str], list[str]]]:
    """RoboCup's 50 descriptions of a person: sentence, postures and colours of four people."""
    rng = np.random.default_rng(8)
    made = []
    for family in (GESTURES, POSES):
        for target in family:
            others = [one for one in (*GESTURES, *POSES) if one != target]
            # Who waves, points or raises an arm stands as well.
            if target == "standing person":
                others = ["sitting person", "lying person"]
            shown = [target, *rng.choice(others, 3)]
            made.append((f"find the {target}", shown, list(rng.choice(ROBOCUP, 4))))
    for colour, worn in itertools.product(ROBOCUP, WORN):
        others = [one for one in ROBOCUP if one != colour]
        shown = ["standing person", *rng.choice(list(SHOWN)[:5], 3)]
        sentence = f"find the person wearing a {colour} {worn}"
        made.append((sentence, shown, [colour, *rng.choice(others, 3, replace=False)]))
    return made


def chosen(command: Command, tracks: list[BodyTrack]) -> int:
    measures = [found for one in command.features if (found := measure_of(one)) is not None]
    assert measures, command.target
    totals = [
        sum(m.whole(m.frames(t, [o for o in tracks if o is not t]), t.seconds) for m in measures)
        for t in tracks
    ]
    return int(np.argmax(totals))


def test_the_right_person_of_four_by_robocups_descriptions() -> None:
    reader, rng, right = grammar_reader("rules"), np.random.default_rng(9), []
    made = descriptions()
    assert len(made) == 50
    for sentence, shown, colours in made:
        order = rng.permutation(4)
        poses = [still(*SHOWN[shown[i]]) for i in order]
        worn = [dressed(varied(rng, COLOURS[colours[i]], 10)) for i in order]
        tracks = [
            track_of_poses(pose, foot_px=foot, duration_s=3, noise=0.03, seed=int(rng.integers(99)))
            for pose, foot in zip(poses, FEET, strict=True)
        ]
        if "wearing" in sentence:
            look_at(tracks, poses, worn, FEET, (15,))
        right.append(order[chosen(reader.read(sentence), tracks)] == 0)
    assert np.mean(right) >= 0.95, [one[0] for one, ok in zip(made, right, strict=True) if not ok]
