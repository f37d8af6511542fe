# SPDX-License-Identifier: Apache-2.0

"""What the model states about marked images and about cut ones, as sources of evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FixedProposer, ToyMllm, no_checkpoint, noise_clip

from stvg_ros.commands.reader import grammar_reader
from stvg_ros.config import Config
from stvg_ros.method import marked_video as module
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.marked_video import MOST_NUMBERS, marked_video
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.painted_ids import PaintedIds, log_odds, which_number
from stvg_ros.method.query import NEUTRAL, question
from stvg_ros.method.reattention import descent
from stvg_ros.method.second_look import SecondLook
from stvg_ros.method.stated_interval import StatedInterval, slot_probabilities, which_image
from stvg_ros.method.tube_look import TubeLook
from stvg_ros.method.tube_view import TubeView
from stvg_ros.method.video_passes import VideoPasses
from stvg_ros.setting import Value
from stvg_ros.types import CandidateTube, Grounding, Query, SplitQuery, Status

LEFT, RIGHT = (0.0, 0.0, 40.0, 80.0), (80.0, 0.0, 120.0, 80.0)
TEXT = "the red one who waves"
SPLIT = SplitQuery(TEXT, "the red one", "the one who waves", "rules")
CLIP = noise_clip()
VIEW = TubeView(CLIP, np.array([1, 3, 5, 7, 9]), tuple((slot,) for slot in range(5)))
CANDIDATES = FixedProposer(LEFT, RIGHT).propose(CLIP, SPLIT)


class Splitter:
    def __init__(self, split: SplitQuery = SPLIT) -> None:
        self._split = split

    def split(self, text: str) -> SplitQuery:
        return self._split


def states(number: float = 2, first: float = 2, last: float = 4) -> Any:
    """Says one number for a candidate, for the first and for the last image, quite surely."""

    def log_p(asked: str, options: Sequence[str]) -> list[float]:
        answer = first if " first " in asked else last if " last " in asked else number
        return [-0.1 if float(one) == answer else -4.0 for one in options]

    return log_p


def run(mllm: ToyMllm, split: SplitQuery = SPLIT, **flat: Value) -> Grounding:
    values = {name.replace("__", "."): value for name, value in flat.items()}
    proposer = FixedProposer(LEFT, RIGHT)
    grounder = LocalGrounder(mllm, Splitter(split), proposer, Config.from_flat(values))
    return grounder.ground(CLIP, Query(TEXT), no_checkpoint)


def span(found: Grounding) -> tuple[int, int]:
    """Numbers of the first and the last frame, which are 0.1 s apart."""
    ends = found.best.start_ns, found.best.end_ns
    return round((ends[0] - 1e9) / 1e8), round((ends[1] - 1e9) / 1e8)


class Watching(ToyMllm):
    """Keeps the images that it encodes."""

    def encode(self, images: Sequence[Any], total: int = 0) -> Any:
        self.seen = list(images)
        return super().encode(images, total)


def test_candidates_and_images_are_numbered_in_one_pass() -> None:
    mllm = Watching()
    times = tuple(0.2 * at for at in range(5))
    video = marked_video(mllm, VIEW, CANDIDATES, times, numbers=True, ordinals=True)
    assert (video.tracks, mllm.prefills, mllm.encoded) == ((0, 1), 1, 5)
    assert video.prefix.visual.times_s == times
    for image, frame in zip(mllm.seen, VIEW.sampled, strict=True):
        plain = CLIP.frames[frame].image
        assert image.shape == plain.shape
        assert (image != plain).any()
    plain_video = marked_video(mllm, VIEW, CANDIDATES, times, numbers=False, ordinals=True)
    assert plain_video.tracks == ()


def test_images_of_one_slot_have_one_number() -> None:
    mllm = Watching()
    pairs = replace(VIEW, sampled=np.array([1, 3, 5, 7]), slots=((0, 1), (2, 3)))
    gray = np.full((80, 120, 3), 100, np.uint8)
    clip = type(CLIP)(tuple(replace(frame, image=gray) for frame in CLIP.frames))
    marked_video(mllm, replace(pairs, clip=clip), (), (), numbers=False, ordinals=True)
    one, same, other, _ = mllm.seen
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_candidates_that_the_model_does_not_see_have_no_number() -> None:
    mllm = ToyMllm()
    gone = replace(CANDIDATES[0], present=np.arange(10) == 0)  # not a sampled frame
    video = marked_video(mllm, VIEW, (gone, CANDIDATES[1]), (), numbers=True, ordinals=False)
    assert video.tracks == (1,)
    many = tuple(replace(CANDIDATES[0], track_id=n) for n in range(30))
    seldom = replace(many[3], present=np.arange(10) == 1)
    many = (*many[:3], seldom, *many[4:])
    video = marked_video(mllm, VIEW, many, (), numbers=True, ordinals=False)
    assert video.tracks == (0, 1, 2, *range(4, MOST_NUMBERS + 1))
    assert len(video.tracks) == 20


@pytest.mark.parametrize(
    ("crop", "corner"), [(None, (0.0, 0.0)), ((0.25, 0.1, 0.75, 0.9), (0.25, 0.1))]
)
def test_numbers_and_where_they_are_drawn(
    monkeypatch: pytest.MonkeyPatch, crop: Any, corner: tuple[float, float]
) -> None:
    """The images have the size of the newest one, which the camera has changed."""
    drawn: list[Any] = []

    def kept(image: Any, *where: Any) -> Any:
        drawn.append((image.shape[:2], *where))
        return image

    monkeypatch.setattr(module, "with_numbers", kept)
    large = np.zeros((160, 240, 3), np.uint8)
    clip = type(CLIP)((*CLIP.frames[:-1], replace(CLIP.frames[-1], image=large)))
    marked_video(
        ToyMllm(), replace(VIEW, clip=clip, crop=crop), CANDIDATES, (), numbers=True, ordinals=True
    )
    boxes = {1: [2 * edge for edge in LEFT], 2: [2 * edge for edge in RIGHT]}
    assert drawn == [((160, 240), boxes, place + 1, corner) for place in range(5)]


def test_log_odds_against_the_mean_of_the_others() -> None:
    found = log_odds(torch.tensor([0.6, 0.3, 0.1]).log())
    expected = [math.log(0.6 / 0.2), math.log(0.3 / 0.35), math.log(0.1 / 0.45)]
    torch.testing.assert_close(found, torch.tensor(expected))


def painted(mllm: ToyMllm) -> Any:
    video = marked_video(mllm, VIEW, CANDIDATES, (), numbers=True, ordinals=False)
    return PaintedIds(mllm, video).findings(CLIP, SPLIT, CANDIDATES)


def test_a_number_speaks_for_its_tube() -> None:
    mllm = ToyMllm(states=states(number=2))
    (found,) = painted(mllm)
    assert mllm.questions == [which_number(TEXT)]
    assert "Which number has the red one who waves?" in which_number(TEXT)
    assert found.tubes == pytest.approx({0: -3.9, 1: 3.9})
    assert (found.source, found.measured) == ("painted ids", False)
    half = MllmSettings(painted_ids_weight=0.5)
    (found,) = painted(ToyMllm(half, states=states(number=2)))
    assert found.tubes == pytest.approx({0: -1.95, 1: 1.95})
    (found,) = painted(ToyMllm(MllmSettings(painted_ids_weight=9.0), states=states(number=2)))
    assert found.tubes == {0: -6.0, 1: 6.0}


@pytest.mark.parametrize(("count", "says"), [(1, False), (2, True), (3, True)])
def test_a_choice_needs_two_numbers(count: int, says: bool) -> None:
    mllm = ToyMllm(states=states(number=1))
    tubes = tuple(replace(CANDIDATES[0], track_id=track) for track in range(count))
    video = marked_video(mllm, VIEW, tubes, (), numbers=True, ordinals=False)
    found = PaintedIds(mllm, video).findings(CLIP, SPLIT, tubes)
    assert [set(one.tubes) for one in found] == [set(range(count))] * says
    assert len(mllm.questions) == says


@pytest.mark.parametrize("answer", [None, lambda asked, options: [math.nan] * len(options)])
def test_a_model_without_numbers_says_nothing(answer: Any) -> None:
    assert painted(ToyMllm(states=answer)) == ()


def test_probabilities_of_slots_by_hand() -> None:
    first, last = np.log([0.5, 0.5, 1e-12]), np.log([1e-12, 0.25, 0.75])
    expected = [0.5, 1.0, 0.75]  # of the first slot; of the second always; of the third
    np.testing.assert_allclose(slot_probabilities(first, last), expected, atol=1e-5)
    backwards = slot_probabilities(np.log([1e-12, 0.2, 0.8]), np.log([0.3, 0.7, 1e-12]))
    assert backwards.argmax() == 1  # the only slot that both allow
    never = np.array([-np.inf, -np.inf, 0.0]), np.array([0.0, -np.inf, -np.inf])
    np.testing.assert_array_equal(slot_probabilities(*never), 0.5)
    for shift in (-800.0, 800.0):  # only differences count, however improbable all numbers are
        np.testing.assert_allclose(slot_probabilities(first + shift, last), expected, atol=1e-5)
        np.testing.assert_allclose(slot_probabilities(first, last + shift), expected, atol=1e-5)
    certain = slot_probabilities(np.array([-np.inf, 0.0]), np.array([-np.inf, 0.0]))
    assert certain.tolist() == [1e-6, 1 - 1e-6]


def interval(mllm: ToyMllm, split: SplitQuery = SPLIT) -> Any:
    video = marked_video(mllm, VIEW, CANDIDATES, (), numbers=False, ordinals=True)
    return StatedInterval(mllm, video).findings(CLIP, split, CANDIDATES)


def test_an_interval_speaks_for_its_frames() -> None:
    mllm = ToyMllm(states=states(first=2, last=4))
    (found,) = interval(mllm)
    assert mllm.questions == [which_image(TEXT, "first"), which_image(TEXT, "last")]
    assert (found.source, found.words, found.tubes) == ("stated interval", SPLIT.action, {})
    nats = found.frames[0]
    assert nats is found.frames[1]
    assert nats.shape == (10,)
    assert list(np.flatnonzero(nats > 0)) == [3, 4, 5, 6, 7]  # slots 2 to 4 are frames 3 to 7
    assert nats[0] == nats[1]
    assert -6 <= nats.min() < -1
    (half,) = interval(ToyMllm(MllmSettings(stated_interval_weight=0.5), states=states()))
    np.testing.assert_allclose(half.frames[0], nats / 2)


@pytest.mark.parametrize(("count", "says"), [(1, False), (2, True), (3, True)])
def test_an_interval_needs_two_slots(count: int, says: bool) -> None:
    mllm = ToyMllm(states=states(first=1, last=1))
    slots = tuple((place,) for place in range(count))
    view = replace(VIEW, sampled=VIEW.sampled[:count], slots=slots)
    video = marked_video(mllm, view, CANDIDATES, (), numbers=False, ordinals=True)
    assert len(StatedInterval(mllm, video).findings(CLIP, SPLIT, CANDIDATES)) == says
    assert len(mllm.questions) == 2 * says


def test_what_lasts_has_no_interval() -> None:
    mllm = ToyMllm(states=states())
    assert interval(mllm, replace(SPLIT, fallbacks=("action",))) == ()
    assert mllm.questions == []
    assert interval(ToyMllm()) == ()


@pytest.mark.parametrize("number", [1, 2])
def test_painted_ids_add_to_the_attention(number: int) -> None:
    weight = MllmSettings(split="rules", frame_count=5, painted_ids_weight=50.0)
    mllm = ToyMllm(weight, states=states(number))
    found = run(mllm, evidence__painted_ids=True)
    plain = run(ToyMllm())
    assert found.evidence is not None
    attention = {one.source: one for one in found.evidence.findings}["attention"].tubes
    scores = found.evidence.track_scores
    said = {0: 6.0, 1: -6.0} if number == 1 else {0: -6.0, 1: 6.0}
    assert scores == pytest.approx({track: attention[track] + said[track] for track in (0, 1)})
    assert plain.evidence is not None
    np.testing.assert_array_equal(found.evidence.spatial, plain.evidence.spatial)
    assert "painted ids 'the red one who waves'" in found.best.decided
    assert mllm.prefills == 5 + 1
    assert found.best.confidence == pytest.approx(plain.best.confidence)


def test_a_stated_interval_is_the_span_where_the_attention_is_flat() -> None:
    flat: dict[str, Value] = {
        "evidence__stated_interval": True, "reattention__spatial": False,
        "reattention__temporal": False, "assembling__enabled": False,
    }  # fmt: skip
    settings = MllmSettings(split="rules", frame_count=5, stated_interval_weight=8.0)
    found = run(ToyMllm(settings, states=states(first=2, last=4)), **flat)
    first, last = (
        round((at - 1_000_000_000) / 1e8) for at in (found.best.start_ns, found.best.end_ns)
    )
    assert (first, last) == (3, 7)
    assert run(ToyMllm(settings), **flat).best.start_ns == run(ToyMllm()).best.start_ns


@pytest.mark.parametrize(("number", "track"), [(1, 0), (2, 1)])
def test_the_models_word_alone(number: int, track: int) -> None:
    mllm = ToyMllm(states=states(number))
    found = run(mllm, evidence__sources="stated")
    assert found.best.track_id == track
    assert "attention" not in found.best.decided
    first, last = (
        round((at - 1_000_000_000) / 1e8) for at in (found.best.start_ns, found.best.end_ns)
    )
    assert (first, last) == (3, 7)
    assert mllm.prefills == 2  # yes or no, and the marked images
    weight = {"presence__track_weight": 50.0}
    assert (
        found.best.confidence
        == run(ToyMllm(), evidence__sources="stated", **weight).best.confidence
    )


def test_a_model_that_states_nothing_has_no_preference() -> None:
    """The attention does not decide instead: the row of an ablation would be another's."""
    for boxes in ((LEFT, RIGHT), (RIGHT, LEFT)):
        values: dict[str, Value] = {"evidence.sources": "stated"}
        grounder = LocalGrounder(
            ToyMllm(), Splitter(), FixedProposer(*boxes), Config.from_flat(values)
        )
        found = grounder.ground(CLIP, Query(TEXT), no_checkpoint).best
        assert (found.track_id, found.start_ns) == (0, CLIP.frames[0].stamp_ns)
        assert "the model states no numbers" in found.warning
    for spoken in (run(ToyMllm(states=states()), evidence__sources="stated"), run(ToyMllm())):
        assert spoken.best.warning == ""


class Looking(ToyMllm):
    """Says yes to cut images whose mean is high, by its excess over 100 of 255."""

    def ask(self, prefix: Any, questions: Sequence[str]) -> Any:
        readings = super().ask(prefix, questions)
        if not hasattr(self, "cut") or self.cut is None:
            return readings
        return tuple(replace(one, log_p_yes=one.log_p_no + self.cut) for one in readings)

    def encode(self, images: Sequence[Any], total: int = 0) -> Any:
        square = images[0].shape[0] == images[0].shape[1]
        self.cut = (float(np.mean(images)) - 100) / 10 if square else None
        return super().encode(images, total)


def looking(view: Any, settings: MllmSettings | None = None) -> SecondLook:
    mllm = Looking() if settings is None else Looking(settings)
    return SecondLook(VideoPasses(mllm, Config(), descent), view)


def looking_clip() -> Any:
    """Dark on the left, bright on the right."""
    image = np.zeros((80, 120, 3), np.uint8)
    image[:, 60:] = 250
    return type(CLIP)(tuple(replace(frame, image=image) for frame in CLIP.frames))


def test_a_second_look_compares_the_best_two() -> None:
    view = replace(VIEW, clip=looking_clip())
    look = looking(view)
    looks = look.looks(SPLIT, CANDIDATES)
    margins = {track: one.margin for track, one in looks.items()}
    assert margins[0] < 0 < margins[1]
    (found,) = look.findings(view.clip, SPLIT, CANDIDATES)
    half = (margins[1] - margins[0]) / 2
    assert found.tubes == pytest.approx({0: -half, 1: half})
    assert found.frames == {}  # the model's setting is 0
    flat = np.ones(len(view.sampled), np.float32)
    two = {3: TubeLook(1.0, flat), 5: TubeLook(2.0, flat)}
    assert look.compared(SPLIT, two)[0].tubes == {3: -0.5, 5: 0.5}
    # Who was not looked at is as little as the least.
    (rest,) = look.compared(SPLIT, two, [9])
    assert rest.tubes == pytest.approx({9: 1 - 4 / 3, 3: 1 - 4 / 3, 5: 2 - 4 / 3})
    assert look.compared(SPLIT, {3: TubeLook(1.0, flat)})[0].tubes == {3: 0.0}
    assert look.compared(SPLIT, {}) == ()
    gone = replace(CANDIDATES[0], present=np.arange(10) == 0)  # not a sampled frame
    assert look.looks(SPLIT, (gone,)) == {}


def test_a_second_look_says_when() -> None:
    """The logarithm of its attention, weighted, at the sampled frames and between them."""
    settings = MllmSettings(
        split="rules", frame_count=5, look_level_weight=4.0, look_level_inside=0.25
    )
    look = looking(VIEW, settings)
    scores = np.array([1, 1, 1, 3, np.nan], np.float32)
    (found,) = look.compared(SPLIT, {0: TubeLook(1.0, scores)})
    sampled = VIEW.sampled
    assert found.frames[0][sampled] == pytest.approx([-1.0, -1.0, -1.0, 4 * math.log(3) - 1, -1.0])
    between = (sampled[2] + sampled[3]) // 2
    assert -1 < found.frames[0][between] < 3.3
    lasting = replace(SPLIT, fallbacks=("action",))
    assert lasting.lasts
    assert look.compared(lasting, {0: TubeLook(1.0, scores)})[0].frames == {}
    half = replace(CANDIDATES[0], present=np.arange(10) < 5)
    seen = looking(VIEW, settings).looks(SPLIT, (half,))[0].scores
    assert np.isfinite(seen).tolist() == (sampled < 5).tolist()


def test_a_second_look_can_change_the_choice_and_the_presence() -> None:
    settings = MllmSettings(split="rules", frame_count=5, second_look_weight=20.0)
    grounder = LocalGrounder(
        Looking(settings), Splitter(), FixedProposer(LEFT, RIGHT),
        Config.from_flat({"evidence.second_look": 2, "presence.enabled": False}),
    )  # fmt: skip
    found = grounder.ground(looking_clip(), Query(TEXT), no_checkpoint)
    assert found.evidence is not None
    assert set(found.evidence.looks) == {0, 1}
    assert found.best.cost["passes"] == 5 + 2
    sources = [one.source for one in found.evidence.findings]
    assert sources == ["attention", "second look"]
    totals = found.evidence.track_scores
    assert found.best.track_id == max(totals, key=lambda track: totals[track])
    plain = LocalGrounder(
        Looking(settings), Splitter(), FixedProposer(LEFT, RIGHT),
        Config.from_flat({"presence.enabled": False}),
    ).ground(looking_clip(), Query(TEXT), no_checkpoint)  # fmt: skip
    margin = found.evidence.looks[found.best.track_id]
    odds = [math.log(one.best.confidence / (1 - one.best.confidence)) for one in (found, plain)]
    assert odds[0] - odds[1] == pytest.approx(margin, abs=0.5)


class Described(ToyMllm):
    """Says how surely a cut image is in red: by its mean; of other words nothing."""

    def encode(self, images: Sequence[Any], total: int = 0) -> Any:
        self.mean = float(np.mean(images))
        return super().encode(images, total)

    def ask(self, prefix: Any, questions: Sequence[str]) -> Any:
        self.asked = list(questions)
        margins = [(self.mean - 100) / 10 if "in red" in one else 0.5 for one in questions]
        readings = super().ask(prefix, questions)
        return tuple(
            replace(one, log_p_yes=one.log_p_no + margin)
            for one, margin in zip(readings, margins, strict=True)
        )


@pytest.mark.parametrize(
    ("text", "signs", "asked"),
    [
        ("the person left of the person in red", "+-", ["the person in red"]),
        ("the person right of the person in red", "--", ["the person in red"]),
        ("the man in blue left of the person in red", "+-",
         ["the man in blue", "the person in red"]),
    ],
)  # fmt: skip
def test_a_relation_is_looked_at_on_both_tubes(text: str, signs: str, asked: list[str]) -> None:
    """The right one is in red: who is left of it is meant, and nobody is right of it."""
    view, mllm = replace(VIEW, clip=looking_clip()), Described()
    look = SecondLook(VideoPasses(mllm, Config(), descent), view)
    split = replace(SPLIT, text=text, command=grammar_reader("rules").read(text))
    looks = look.looks(split, CANDIDATES)
    assert "".join("+" if looks[track].margin > 0 else "-" for track in (0, 1)) == signs
    assert mllm.asked == [*(question(one) for one in asked), NEUTRAL]


def test_nobody_is_beside_somebody_who_is_not_there() -> None:
    text = "the person left of the person in red"
    split = replace(SPLIT, text=text, command=grammar_reader("rules").read(text))
    dark = replace(looking_clip().frames[0], image=np.zeros((80, 120, 3), np.uint8))
    view = replace(VIEW, clip=type(CLIP)(tuple(
        replace(dark, stamp_ns=frame.stamp_ns) for frame in CLIP.frames
    )))  # fmt: skip
    looks = SecondLook(VideoPasses(Described(), Config(), descent), view).looks(split, CANDIDATES)
    assert all(look.margin < -5 for look in looks.values())


def test_the_early_answer_takes_no_second_look() -> None:
    early: list[Grounding] = []
    mllm = ToyMllm()
    grounder = LocalGrounder(
        mllm,
        Splitter(),
        FixedProposer(LEFT, RIGHT),
        Config.from_flat({"evidence.second_look": 2}),
    )
    final = grounder.ground(CLIP, Query(TEXT), no_checkpoint, early.append)
    assert early[0].evidence is not None
    assert early[0].evidence.looks == {}
    assert (early[0].best.cost["passes"], final.best.cost["passes"]) == (1, 7)


@pytest.mark.parametrize(
    ("flat", "images", "passes", "gradients"),
    [
        ({}, 5, 5, 3),
        ({"assembling__enabled": False}, 5, 3, 2),
        ({"reattention__epochs": 2}, 5, 8, 6),
        ({"evidence__painted_ids": True, "evidence__stated_interval": True}, 10, 6, 3),
        ({"evidence__second_look": 2}, 15, 7, 3),
        ({"evidence__sources": "stated"}, 10, 2, 0),
    ],
)
def test_the_cost_of_an_answer(
    flat: dict[str, Value], images: int, passes: int, gradients: int
) -> None:
    for _ in range(2):
        found = run(ToyMllm(states=states()), **flat)
        assert found.best.cost == {
            "images": images, "passes": passes, "gradients": gradients, "tokens": 0,
        }  # fmt: skip
        assert found.best.status is Status.FOUND


def test_what_is_computed_between_commands_is_not_an_answers_cost() -> None:
    values: dict[str, Value] = {"sampling.prefetch": True, "window.duration_s": 1.0}
    proposer = FixedProposer(LEFT, RIGHT)
    grounder = LocalGrounder(ToyMllm(), Splitter(), proposer, Config.from_flat(values))
    found = grounder.ground(CLIP, Query(TEXT), no_checkpoint).best
    before, later = dict(found.cost), noise_clip(seed=3)
    while grounder.prefetch(later):
        pass
    assert dict(found.cost) == before
    assert grounder.ground(later, Query(TEXT), no_checkpoint).best.cost["images"] == 0


def test_generated_tokens_are_the_models_own_count() -> None:
    class Writing(ToyMllm):
        generated = 7

        def ask(self, prefix: Any, questions: Sequence[str]) -> Any:
            self.generated += 3
            return super().ask(prefix, questions)

    assert run(Writing(), assembling__enabled=False).best.cost["tokens"] == 9


def test_what_a_candidate_is_drawn_on() -> None:
    """Boxes are in pixels of the camera, whose stored image is a tenth as large."""
    mllm = Watching()
    tube = CandidateTube(
        4, np.tile(np.array([60, 40, 120, 80], np.float32), (10, 1)),
        np.ones(10, np.bool_), np.zeros(10, np.bool_),
    )  # fmt: skip
    gray = np.full((40, 60, 3), 100, np.uint8)
    clip = type(CLIP)(tuple(replace(frame, image=gray) for frame in CLIP.frames))
    marked_video(mllm, replace(VIEW, clip=clip), (tube,), (), numbers=True, ordinals=False)
    rows, columns = np.nonzero((mllm.seen[0] != 100).any(2))
    assert (columns.min(), rows.min()) == (30, 20)
