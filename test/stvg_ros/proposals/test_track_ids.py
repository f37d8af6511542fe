# SPDX-License-Identifier: Apache-2.0

"""Ids that are track ids, and all the others that people publish."""

from __future__ import annotations

import random

import numpy as np
import pytest

from stvg_ros.errors import ProposalError
from stvg_ros.external_detections import ExternalDetections
from stvg_ros.proposals.external import ExternalProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Clip, Frame, SplitQuery

QUERY = SplitQuery("x", "x", "x", "rules")
COUNT = 40
RED, BLUE = (200, 30, 30), (30, 30, 200)


def people(index):
    """Two people who cross: one walks to the right, a larger one to the left."""
    first = [50 + 8 * index, 100, 110 + 8 * index, 300]
    second = [520 - 8 * index, 150, 590 - 8 * index, 380]
    return first, second


def proposed(ids_of, *, order=None, frames=None, count=COUNT, rate_hz=10):
    """The tubes for ids `(first's, second's)` by index of the image, and the source."""
    source = ExternalProposer(ProposalConfig(source="external"))
    stored = []
    for index in range(count):
        image = np.full((480, 640, 3), 128, np.uint8)
        boxes = people(index)
        for box, colour in zip(boxes, (RED, BLUE), strict=True):
            image[box[1] : box[3], box[0] : box[2]] = colour
        frame = Frame(10**18 + index * 10**9 // rate_hz, image, 640, 480)
        stored.append(frame)
        if frames is not None and index not in frames:
            continue
        rows = list(zip(boxes, ids_of(index), strict=True))
        if order is not None:
            rows = order(rows)
        source.put(frame, detections([row[0] for row in rows], [row[1] for row in rows]))
    return source.propose(Clip(tuple(stored)), QUERY), source


def detections(boxes, ids):
    array = np.array(boxes, np.float32).reshape(-1, 4)
    return ExternalDetections(array, np.full(len(ids), 0.9, np.float32), tuple(ids))


def off_px(tube, person):
    """How far the tube's boxes are from a person's, at most, over the frames where it is."""
    wanted = np.array([people(index)[person] for index in range(len(tube.present))])
    return float(np.abs(tube.boxes_xyxy_px - wanted)[tube.present].max())


chance = random.Random(3)
SWAPS = [chance.random() < 0.5 for _ in range(COUNT)]
NO_TRACKS = {
    "class name": lambda i: ("person", "person"),
    "constant 0": lambda i: ("0", "0"),
    "constant -1": lambda i: ("-1", "-1"),
    "no id": lambda i: ("", ""),
    "one has none": lambda i: ("7", "-1"),
    "one has none, empty": lambda i: ("", "7"),
    "fresh letters": lambda i: (f"{i}a", f"{i}b"),
    "fresh numbers": lambda i: (str(2 * i), str(2 * i + 1)),
    "fresh now and then": lambda i: (str(i // 5), f"b{i // 7}"),
    "restarted, exchanged": lambda i: ("1", "2") if i < 20 else ("2", "1"),
    "restarted twice": lambda i: ("1", "2") if i < 8 or i >= 22 else ("2", "1"),
    "restarted, other numbers": lambda i: ("1", "2") if i < 20 else ("8", "9"),
    "restarted, one is the other's": lambda i: ("1", "2") if i < 14 else ("3", "1"),
    "exchanged in each image": lambda i: ("1", "2") if i % 2 else ("2", "1"),
    "exchanged by chance": lambda i: ("a", "b") if SWAPS[i] else ("b", "a"),
    "class name of one": lambda i: ("person", f"{i}"),
    "two names by turns": lambda i: ("cat", "cat") if i % 2 else ("dog", "dog"),
    "twice once": lambda i: ("1", "1") if i == 20 else ("1", "2"),
}


@pytest.mark.parametrize("name", NO_TRACKS)
def test_each_person_keeps_one_tube_whatever_the_ids_are(name):
    tubes, source = proposed(NO_TRACKS[name])
    assert len(tubes) == 2, source.counts.ids
    found = sorted(tubes, key=lambda tube: off_px(tube, 0))
    assert off_px(found[0], 0) < 5
    assert off_px(found[1], 1) < 5
    assert min(tube.present.mean() for tube in tubes) > 0.9


TRACKS = {
    "numbers": ("1", "2"),
    "from zero": ("0", "1"),
    "names": ("anna", "berta"),
    "uuids": ("5f3c", "9a1b"),
    "class and number": ("person_1", "person_2"),
    "large numbers": ("4294967295", "18446744073709551615"),
    "of one class each": ("person", "dog"),
    "characters": ("é", "人"),
    "blanks": (" ", "  "),
    "negative": ("-2", "-3"),
}


@pytest.mark.parametrize("name", TRACKS)
@pytest.mark.parametrize("every", [1, 2, 4])
def test_true_track_ids_are_used_and_said(name, every):
    tubes, source = proposed(lambda i: TRACKS[name], frames=range(0, COUNT, every))
    assert len(tubes) == 2
    assert source.counts.ids == "2 track ids"
    assert all(source.is_track(each) for each in TRACKS[name])


@pytest.mark.parametrize("gap", [range(15, 25), range(10, 28), range(12, 33)])
def test_a_detector_that_pauses_and_counts_anew_mixes_nobody(gap):
    frames = [index for index in range(COUNT) if index not in gap]
    tubes, _ = proposed(lambda i: ("1", "2") if i < gap[0] else ("2", "1"), frames=frames)
    for tube in tubes:
        real = tube.present & ~tube.interpolated
        for person in (0, 1):
            wanted = np.array([people(index)[person] for index in range(COUNT)])
            near = np.abs(tube.boxes_xyxy_px - wanted).max(axis=1) < 5
            if near[real][0] and not near[real][-1]:
                pytest.fail("a tube goes on with another person")


def test_a_fast_ball_keeps_its_id():
    source = ExternalProposer(ProposalConfig(source="external"))
    frames = []
    for index in range(12):
        frame = Frame(index * 10**8, np.full((480, 640, 3), 128, np.uint8), 640, 480)
        ball, still = [10 + 45 * index, 100, 25 + 45 * index, 115], [300, 90, 330, 130]
        source.put(frame, detections([ball, still], ["3", "4"]))
        frames.append(frame)
    tubes = source.propose(Clip(tuple(frames)), QUERY)
    assert len(tubes) == 2
    assert source.counts.ids == "2 track ids"


DECIDED = {
    "class name": r"1 ids that are no track ids \('person' is more than once in one image\)",
    "fresh letters": r"80 ids that are no track ids \('.*' is in one image only\)",
    "no id": "no ids; boxes without one are linked by place",
    "one has none": "^1 track ids$",
    "restarted, exchanged": r"2 track ids; ids that jump or change .* \(2 cut, 2 joined\)",
    "restarted, other numbers": r"4 track ids; ids that jump or change .* \(0 cut, 2 joined\)",
}


@pytest.mark.parametrize("name", DECIDED)
def test_what_was_decided_is_said(name):
    import re

    _, source = proposed(NO_TRACKS[name])
    assert re.search(DECIDED[name], source.counts.ids), source.counts.ids


def test_a_follower_does_not_follow_a_class_name():
    _, source = proposed(lambda i: ("person", "person"))
    frames = [Frame(index * 10**8, np.zeros((480, 640, 3), np.uint8), 640, 480) for index in (1, 2)]
    source.put(frames[0], detections(people(5), ["person"] * 2))
    follower = source.follower(frames[0], np.array(people(5)[1], np.float32))
    source.put(frames[1], detections(people(6), ["person"] * 2))
    sighting = follower.update(frames[1])
    assert sighting.box_xyxy_px == tuple(people(6)[1])


NORMALISED = [
    [[0.1, 0.1, 0.5, 0.9]], [[0.0, 0.0, 1.0, 1.0]], [[0.4, 0.4, 0.6, 0.6]],
    [[0.1, 0.1, 0.5, 0.9], [0.6, 0.2, 0.9, 0.8]], [[-0.1, 0.0, 0.5, 1.1]],
    [[0.99, 0.99, 1.0, 1.0]], [[0.0, 0.0, 0.001, 0.001]], [[0.2, 0.0, 0.3, 1.5]],
    [[0.1, 0.1, 0.2, 0.2]] * 50, [[0.5, 0.5, 0.75, 1.0], [0.0, 0.0, 1.0, 0.5]],
]  # fmt: skip


@pytest.mark.parametrize("boxes", NORMALISED)
def test_normalised_boxes_are_named_and_counted(boxes):
    source = ExternalProposer(ProposalConfig(source="external"))
    frame = Frame(0, np.zeros((480, 640, 3), np.uint8), 640, 480)
    with pytest.raises(ProposalError, match="look normalised; expected pixels"):
        source.put(frame, detections(boxes, [""] * len(boxes)))
    assert source.counts.dropped == len(boxes)


@pytest.mark.parametrize("boxes", [
    [], [[0, 0, 2, 2]], [[0, 0, 640, 480]], [[0.5, 0.5, 3.0, 3.0]], [[0, 0, 1, 1], [9, 9, 20, 20]],
    [[float("nan")] * 4], [[1.0, 1.0, 0.0, 0.0]], [[-50, -50, 1, 1]], [[0.2, 0.2, 0.2, 0.2]],
    [[float("inf"), 0, 1, 1]],
])  # fmt: skip
def test_pixels_are_taken_for_pixels(boxes):
    source = ExternalProposer(ProposalConfig(source="external"))
    frame = Frame(0, np.zeros((480, 640, 3), np.uint8), 640, 480)
    source.put(frame, detections(boxes, [""] * len(boxes)))
    assert source.counts.matched == 1
