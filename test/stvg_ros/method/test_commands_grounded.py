# SPDX-License-Identifier: Apache-2.0

"""What a command says beside its description, used by the method."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import FixedProposer, ToyMllm, no_checkpoint, noise_clip

from stvg_ros.commands.command import Command, TimeSpan
from stvg_ros.config import Config
from stvg_ros.errors import CommandError, WindowError
from stvg_ros.method.answering import CHOICES, answer_of, cut_to_tube
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.query import CommandSplitter, RuleSplitter
from stvg_ros.method.sampling import asked_window
from stvg_ros.method.tube_view import TubeView
from stvg_ros.setting import Value
from stvg_ros.types import CandidateTube, Clip, Grounding, Query, Status

BOXES = ((0.0, 0.0, 40.0, 80.0), (40.0, 0.0, 80.0, 80.0), (80.0, 0.0, 120.0, 80.0))


def ground(text: str, mllm: ToyMllm | None = None, **flat: Value) -> Grounding:
    values = {name.replace("__", "."): value for name, value in flat.items()}
    config = Config.from_flat({"presence.enabled": False, **values})
    made = LocalGrounder(mllm or ToyMllm(), RuleSplitter(), FixedProposer(*BOXES), config)
    return made.ground(noise_clip(), Query(text), no_checkpoint)


def test_the_answer_carries_what_was_understood() -> None:
    best = ground("please find the waving man in the kitchen and tell him the time").best
    assert best.split is not None
    command = best.split.command
    assert isinstance(command, Command)
    assert (command.place, command.then) == ("the kitchen", "tell him the time")
    assert best.split.text == "the waving man"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("find the man in red", 1),
        ("find both men", 2),
        ("find the two kids in red", 2),
        ("find three people", 3),
        ("find everyone in red", 3),
        ("find all the dogs", 3),
        ("show me the people", 3),
        ("find a couple of men", 2),
        ("find the third person from the left", 1),
        ("find ten people", 3),
    ],
)
def test_number_gives_all_matching_tubes(text: str, count: int) -> None:
    found = ground(text, presence__share=0.0)
    assert len(found.tubes) == count
    assert [tube.rank for tube in found.tubes] == list(range(count))
    assert len({tube.track_id for tube in found.tubes}) == count


def test_a_tube_far_below_the_best_does_not_match() -> None:
    assert len(ground("find everyone in red", presence__share=1.0).tubes) == 1


@pytest.mark.parametrize(
    ("text", "words", "number"),
    [
        ("how many people wear red t-shirts?", "3", 3),
        ("count the men", "3", 3),
        ("tell me how many kids are in the kitchen", "3", 3),
        ("is there somebody lying on the floor?", "yes", 1),
        ("is anyone wearing a hat?", "yes", 1),
    ],
)
def test_questions_are_answered_in_words(text: str, words: str, number: int) -> None:
    found = ground(text, presence__share=0.0)
    assert (found.text, found.number) == (words, number)


def test_nobody_matches() -> None:
    found = ground("how many people wear red?", presence__enabled=True, presence__threshold=900.0)
    assert (found.text, found.number) == ("0", 0)
    assert found.best.status is Status.NOT_FOUND
    absent = ground("is there a dog?", presence__enabled=True, presence__threshold=900.0)
    assert (absent.text, absent.number) == ("no", 0)


@pytest.mark.parametrize("asked", ["pose", "gesture", "clothes"])
def test_looks_are_a_choice_among_given_words(asked: str) -> None:
    mllm = ToyMllm()
    found = ground(f"tell me the {asked} of the person at the desk", mllm)
    assert found.text in CHOICES[asked][0]
    assert found.number == 1
    # The model was asked about each choice.
    assert sum(text in " ".join(mllm.questions) for text in CHOICES[asked][0].values()) == len(
        CHOICES[asked][0]
    )


def test_a_name_is_asked_of_the_person() -> None:
    assert "cannot be seen" in ground("tell me the name of the person in the office").text


def test_pictures_are_cut_to_the_tube() -> None:
    found = ground("find the man")
    assert found.candidates
    view = TubeView(noise_clip(), np.arange(10), tuple((i,) for i in range(10)))
    pictures = cut_to_tube(found.candidates[0], view)
    assert len(pictures) == 10
    assert {picture.shape for picture in pictures} == {(10, 10, 3)}


def image_clip() -> Clip:
    """Images of half the camera's size; each pixel holds its row, column and frame."""
    rows, columns = np.mgrid[:40, :60]
    frames = [
        replace(one, image=np.stack([rows, columns, np.full_like(rows, n + 1)], -1).astype("u1"))
        for n, one in enumerate(noise_clip(4).frames)
    ]
    return Clip(tuple(frames))


@pytest.mark.parametrize(
    ("boxes", "side", "centres"),
    [  # in pixels of the camera; side and centres in those of the image
        ([(20, 10, 60, 70), (-10, -20, 30, 20), (100, 50, 150, 110), (30, 20, 50, 40)],
         38, [(20, 20), (5, 0), (62, 40), (20, 15)]),
        ([(10, 20, 90, 30), (0, 0, 20, 40), (40, 40, 44, 44), (110, 70, 118, 78)],
         50, [(25, 12), (5, 10), (21, 21), (57, 37)]),
        ([(60, 40, 64, 44), (0, 0, 4, 4), (116, 76, 120, 80), (80, 20, 84, 24)],
         8, [(31, 21), (1, 1), (59, 39), (41, 11)]),
        ([(-40, 40, -36, 44), (60, -40, 64, -36), (140, 40, 144, 44), (60, 100, 64, 104)],
         8, [(-19, 21), (31, -19), (71, 21), (31, 51)]),
    ],
)  # fmt: skip
def test_pictures_hold_the_pixels_around_each_box(
    boxes: list[tuple[float, ...]], side: int, centres: list[tuple[int, int]]
) -> None:
    clip = image_clip()
    present = np.array([True, True, True, True])
    tube = CandidateTube(1, np.array(boxes, np.float32), present, ~present)
    pictures = cut_to_tube(tube, TubeView(clip, np.arange(4), ((0,), (1,), (2,), (3,))))
    for number, (picture, (x, y)) in enumerate(zip(pictures, centres, strict=True)):
        expected = np.zeros((side, side, 3), np.uint8)
        for row, column in np.ndindex(side, side):
            at = y - side // 2 + row, x - side // 2 + column
            if 0 <= at[0] < 40 and 0 <= at[1] < 60:
                expected[row, column] = *at, number + 1
        np.testing.assert_array_equal(picture, expected)


def test_pictures_are_those_of_sampled_frames_with_the_tube() -> None:
    present = np.array([False, True, True, False])
    boxes = np.tile(np.array([20, 10, 60, 70], np.float32), (4, 1))
    tube = CandidateTube(1, boxes, present, np.zeros(4, np.bool_))
    for sampled, frames in (([0, 2, 3], [3]), ([1, 2], [2, 3]), ([0, 3], [])):
        view = TubeView(image_clip(), np.array(sampled), tuple((n,) for n in range(len(sampled))))
        assert [picture.max(axis=(0, 1))[2] for picture in cut_to_tube(tube, view)] == frames


def test_a_question_is_about_the_best_tube() -> None:
    found = ground("find everyone in red", presence__share=0.0)
    view = TubeView(noise_clip(), np.arange(10), tuple((i,) for i in range(10)))

    def answered(grounding: Grounding, asked: str, intent: str = "describe") -> tuple[str, int]:
        command = Command(intent, "the man", asked=asked)  # type: ignore[arg-type]
        return answer_of(command, grounding, view, ToyMllm())

    only = replace(
        found,
        candidates=tuple(c for c in found.candidates if c.track_id == found.best.track_id),
    )
    words, number = answered(only, "pose")
    assert words in CHOICES["pose"][0] and number == 3
    assert answered(replace(found, candidates=()), "pose") == ("", 3)
    assert answered(found, "name")[1] == 3
    none = Grounding((replace(found.best, status=Status.NOT_FOUND),), candidates=found.candidates)
    assert answered(none, "pose") == ("no matching target is visible", 0)
    assert answered(none, "", "count") == ("0", 0)
    assert answered(none, "", "exists") == ("no", 0)


@pytest.mark.parametrize(
    "text",
    ["follow Morgan", "find my mum", "stop", "thank you", "finde die Person in Rot, die springt"],
)
def test_what_pictures_cannot_answer_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(CommandError, match=r"describe|language|German|Nobody"):
        ground(text)


@pytest.mark.parametrize(
    ("text", "start_s", "end_s"),
    [
        ("find who waved in the last second", 0.9, 1.9),
        ("find the man who fell in the last two seconds", -0.1, 1.9),
        ("find the man who fell just now", -8.1, 1.9),
        ("find the man in red", None, None),
        ("who was here half a second ago", -3.6, 1.9),
    ],
)
def test_time_chooses_the_window(text: str, start_s: float | None, end_s: float | None) -> None:
    command = RuleSplitter().split(text).command
    start, end = asked_window(Query(text), command, noise_clip())
    assert (start, end) == tuple(None if s is None else round(s * 1e9) for s in (start_s, end_s))


def test_a_time_that_ends_at_the_oldest_frame_is_in_the_window() -> None:
    command = Command("find", "the man", time=TimeSpan("so long ago", 2.1, 0.9))
    assert asked_window(Query("Q"), command, noise_clip()) == (-200_000_000, 1_000_000_000)
    gone = replace(command, time=TimeSpan("so long ago", 2.1, 0.9 + 1e-9))
    with pytest.raises(WindowError, match="'so long ago'"):
        asked_window(Query("Q"), gone, noise_clip())


def test_a_time_before_the_window_is_refused() -> None:
    with pytest.raises(WindowError, match=r"'two minutes ago'.*0\.9 s.*window\.duration_s"):
        ground("find the man who waved two minutes ago")


def test_the_callers_window_counts_before_the_words() -> None:
    query = Query("who waved two minutes ago", start_ns=1_200_000_000)
    command = RuleSplitter().split(query.text).command
    assert asked_window(query, command, noise_clip()) == (1_200_000_000, None)


def test_a_sentence_is_read_once() -> None:
    class Counting:
        name = "rules"
        read_texts: list[str] = []  # noqa: RUF012

        def read(self, text: str) -> Command:
            self.read_texts.append(text)
            return Command("find", text)

    reader = Counting()
    splitter = CommandSplitter(reader)
    for text in ("the man", "the dog", "the man", "the man"):
        splitter.split(text)
    assert reader.read_texts == ["the man", "the dog"]


def test_a_denied_part_is_asked_on_its_own() -> None:
    mllm = ToyMllm()
    ground("find the man without a hat", mllm)
    assert "Is there the man with a hat in this video?" in mllm.questions
