# SPDX-License-Identifier: Apache-2.0

"""Findings of several sources: their sum, presence, spans, and which of them are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import FixedProposer, FixedSplitter, ToyMllm, no_checkpoint, noise_clip
from numpy.typing import NDArray

from stvg_ros.config import Config
from stvg_ros.method.evidence import (
    AttentionEvidence,
    FusedEvidence,
    asked_keypoints,
    attention_levels,
    evident_run,
    frame_levels,
    gathered,
    nobody,
    span_evidence,
)
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.interfaces import ModelLimits
from stvg_ros.method.model_settings import CLIP, NEUTRAL, MllmSettings
from stvg_ros.method.rendered_pictures import flat_share, looks_rendered
from stvg_ros.method.tube_selection import TubeSelection
from stvg_ros.method.tube_view import TubeView
from stvg_ros.types import (
    CandidateTube,
    Clip,
    Grounding,
    Query,
    SourceFinding,
    SplitQuery,
    Status,
    Tube,
)

SPLIT = SplitQuery("the person in red who waves", "in red", "waves", "rules")
COUNT = 6


def candidate(track: int, left: float) -> CandidateTube:
    boxes = np.tile(np.array([left, 10, left + 30, 70], np.float32), (COUNT, 1))
    return CandidateTube(track, boxes, np.ones(COUNT, np.bool_), np.zeros(COUNT, np.bool_))


CANDIDATES = (candidate(3, 0), candidate(8, 60))


def grounding(
    findings: tuple[SourceFinding, ...],
    *,
    attention: bool = True,
    margin: float = 2.0,
    heats: tuple[float, float] = (2.0, 1.0),
    unmeasured: tuple[str, ...] = (),
    split: SplitQuery = SPLIT,
) -> Grounding:
    clip = noise_clip(COUNT)
    width, height = clip.size_px
    heat = torch.ones(COUNT, height, width)
    heat[:, :, :50] = heats[0]
    heat[:, :, 50:] = heats[1]
    selection = TubeSelection(
        TubeView(clip, np.arange(COUNT), tuple((index,) for index in range(COUNT))),
        CANDIDATES,
        (margin,),
        MllmSettings(),
        Config(),
        fused=FusedEvidence(findings, attention, unmeasured),
    )
    template = Tube(Query(SPLIT.text), Status.NOT_FOUND, split=split)
    return selection.grounding(heat, heat, "<end>", template)


def test_without_other_sources_attention_decides() -> None:
    found = grounding(())
    assert found.best.track_id == 3
    assert found.best.decided == ""
    assert found.evidence is not None
    assert found.evidence.findings == ()


def test_log_odds_of_the_sources_add() -> None:
    """Attention has 6 ln 2 = 4.2 nats for tube 3, and as many against the other."""
    assert grounding((SourceFinding("body", "in red", {3: -0.9, 8: 7.3}),)).best.track_id == 3
    assert grounding((SourceFinding("body", "in red", {3: -0.9, 8: 7.5}),)).best.track_id == 8


def test_a_switched_off_attention_says_nothing() -> None:
    found = grounding((SourceFinding("body", "in red", {3: 0.1, 8: 0.4}),), attention=False)
    assert found.best.track_id == 8
    assert found.evidence is not None
    assert [one.source for one in found.evidence.findings] == ["body"]


def test_missing_evidence_counts_zero() -> None:
    found = grounding((SourceFinding("body", "in red", {3: -2.0}),), attention=False)
    assert found.best.track_id == 8
    assert found.best.confidence == pytest.approx(1 / (1 + np.exp(-1)))


def test_the_answer_says_what_decided() -> None:
    found = grounding((SourceFinding("body", "in red", {3: 4.0}),), unmeasured=("bored",))
    assert found.best.decided == (
        "attention 'the person in red who waves' +4.2; body 'in red' +4.0; not measured: bored"
    )


def test_words_that_nobody_has_are_named() -> None:
    findings = (
        SourceFinding("body", "in red", {3: -3.0, 8: -5.0}),
        SourceFinding("body", "waves", {3: 2.0}),
    )
    tube = grounding(findings, margin=1.0).best
    assert tube.status is Status.NOT_FOUND
    assert tube.error == "nobody in red; 2 people"
    assert tube.confidence < 0.5
    assert tube.decided.startswith(
        "attention 'the person in red who waves' +4.2; body 'in red' -3.0"
    )


def test_who_has_all_words_is_taken_before_who_has_more_of_some() -> None:
    """Tube 3 is redder, but does not wave."""
    findings = (
        SourceFinding("body", "in red", {3: 6.0, 8: 1.5}),
        SourceFinding("body", "who waves", {3: -1.5, 8: 1.5}, {3: np.zeros(6), 8: np.zeros(6)}),
    )
    found = grounding(findings, attention=False)
    assert (found.best.status, found.best.track_id) == (Status.FOUND, 8)
    assert found.evidence is not None
    assert found.evidence.track_scores == {3: 4.5, 8: 3.0}


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (("in red",), "nobody in red; 2 people"),
        (("in red", "who waves"), "nobody in red, who waves; 2 people"),
        (("waving",), "nobody with: waving; 2 people"),
    ],
)
def test_words_of_a_refusal(missing: tuple[str, ...], said: str) -> None:
    assert nobody(missing, 2) == said
    assert nobody(("in red",), 1) == "nobody in red; 1 person"


def test_words_that_different_people_have_are_named() -> None:
    findings = (
        SourceFinding("body", "in red", {3: 4.0, 8: -4.0}),
        SourceFinding("body", "waves", {3: -3.0, 8: 4.0}),
    )
    tube = grounding(findings, attention=False).best
    assert tube.status is Status.NOT_FOUND
    assert tube.error == "nobody with: waves; 2 people"


def test_confidence_is_that_of_the_weakest_word() -> None:
    findings = (SourceFinding("body", "in red", {3: 4.0}), SourceFinding("body", "waves", {3: 1.0}))
    assert grounding(findings, attention=False).best.confidence == pytest.approx(
        1 / (1 + np.exp(-2))
    )
    assert grounding(findings, margin=2.0).best.confidence == pytest.approx(1 / (1 + np.exp(-4)))


def test_an_action_that_nobody_was_seen_doing_is_not_there() -> None:
    """No evidence leaves a colour possible; most people do not wave."""
    nothing = np.zeros(COUNT)
    waves = SourceFinding("body", "waves", {3: -0.0, 8: 0.1}, {3: nothing, 8: nothing})
    tube = grounding((waves,), attention=False).best
    assert tube.status is Status.NOT_FOUND
    assert tube.error == "nobody with: waves; 2 people"
    seen = replace(waves, tubes={3: 1.5})
    assert grounding((seen,), attention=False).best.status is Status.FOUND
    red = SourceFinding("body", "in red", {3: -0.0})
    assert grounding((red,), attention=False).best.status is Status.FOUND


def test_the_frames_of_a_measure_are_the_span() -> None:
    nats = np.array([-3.0, -3, 4, 4, -3, -3])
    found = grounding((SourceFinding("body", "waves", {3: 3.0}, {3: nats}),))
    stamps = noise_clip(COUNT).stamps_ns
    assert (found.best.start_ns, found.best.end_ns) == (stamps[2], stamps[3])


def test_attention_and_a_measure_find_the_span_together() -> None:
    """The measure knows the second half of an action, the attention all of it."""
    nats = np.array([-3.0, -3, -1, 2, 2, -3])
    levels = np.array([0.0, 0, 1, 1, 1, 0])
    clip = noise_clip(COUNT)
    width, height = clip.size_px
    heat = torch.ones(COUNT, height, width) * torch.tensor(levels + 0.2)[:, None, None]
    findings = (SourceFinding("body", "waves", {3: 3.0}, {3: nats}),)
    spans = []
    for attention in (True, False):
        selection = TubeSelection(
            TubeView(clip, np.arange(COUNT), tuple((index,) for index in range(COUNT))),
            CANDIDATES,
            (2.0,),
            MllmSettings(),
            Config(),
            fused=FusedEvidence(findings, attention),
        )
        template = Tube(Query(SPLIT.text), Status.NOT_FOUND, split=SPLIT)
        best = selection.grounding(heat, heat, "<end>", template).best
        stamps = clip.stamps_ns
        spans.append([int(np.flatnonzero(stamps == at)[0]) for at in (best.start_ns, best.end_ns)])
    assert spans == [[2, 4], [3, 4]]


def test_log_odds_of_a_spans_frames() -> None:
    nats = np.array([1.0, 0, -1])
    levels, sampled = np.array([1.0, 0.0]), np.array([0, 2])
    found = span_evidence(nats, levels, sampled, MllmSettings())
    assert found == pytest.approx([0.35 + 6.6 * 0.57, 6.6 * 0.07, -0.35 - 6.6 * 0.43])
    own = MllmSettings(frame_weight=0.5, level_weight=2.0, level_inside=0.1)
    found = span_evidence(nats, levels, sampled, own)
    assert found == pytest.approx([0.5 + 2 * 0.9, 2 * 0.4, -0.5 - 2 * 0.1])
    assert span_evidence(nats, np.zeros(2), sampled, own) is nats


@pytest.mark.parametrize(
    ("scores", "levels"),
    [([1, 1, 1, 2, 3], [0, 0, 0, 0.5, 1]), ([2, 2, 2.1, 2], [0, 0, 0, 0]),
     ([np.nan, 1, 1, 3], [0, 0, 0, 1]), ([np.nan, np.nan], [0, 0]),
     ([0, 4, 4, 4], [-3, 1, 1, 1])],
)  # fmt: skip
def test_levels_of_the_attention(scores: list[float], levels: list[float]) -> None:
    assert attention_levels(np.array(scores, np.float32)) == pytest.approx(levels)


@pytest.mark.parametrize(
    ("scores", "logs"),
    [([1, np.e, 0], [0, 1, np.log(1e-3)]), ([np.nan, 2, 4], [np.log(2), np.log(2), np.log(4)]),
     ([np.nan, np.nan], [0, 0])],
)  # fmt: skip
def test_logarithms_of_the_attention(scores: list[float], logs: list[float]) -> None:
    found = frame_levels(np.array(scores, np.float32), NEUTRAL)
    assert found == pytest.approx(logs, abs=1e-6)
    assert frame_levels(np.array([1, 1, 1, 3], np.float32), CLIP)[3] == 1


ABOVE_NEUTRAL = MllmSettings(level_above=NEUTRAL, level_weight=2.0, level_inside=0.3)


@pytest.mark.parametrize(
    ("own", "sources", "span"),
    [
        # Twice the neutral prompt's attention in all frames: it lasts the whole clip.
        (ABOVE_NEUTRAL, "both", [0, 5]),
        # Compared with the same clip, only the peak is left; so it is with the paper's sources.
        (MllmSettings(), "both", [3, 3]),
        (ABOVE_NEUTRAL, "attention", [3, 3]),
    ],
)
def test_attention_above_the_neutral_prompt_says_what_lasts(
    own: MllmSettings, sources: str, span: list[int]
) -> None:
    clip, heat = noise_clip(COUNT), torch.full((COUNT, 6, 8), 2.0)
    heat[3] = 4.0
    config = Config.from_flat({"evidence.sources": sources})
    view = TubeView(clip, np.arange(COUNT), tuple((index,) for index in range(COUNT)))
    selection = TubeSelection(view, CANDIDATES, (2.0,), own, config)
    template = Tube(Query(SPLIT.text), Status.NOT_FOUND, split=SPLIT)
    best = selection.grounding(heat, heat, "<end>", template).best
    stamps = clip.stamps_ns
    found = [int(np.flatnonzero(stamps == at)[0]) for at in (best.start_ns, best.end_ns)]
    assert found == span


@pytest.mark.parametrize("own", [MllmSettings(), MllmSettings(presence_match_threshold=9.0)])
def test_all_who_match_are_returned(own: MllmSettings) -> None:
    """What a model needs of its own looks does not count where none was taken."""
    from stvg_ros.commands.reader import grammar_reader

    command = grammar_reader("rules").read("find all people in red")
    assert command.number == "all"
    split = replace(SPLIT, command=command)
    clip = noise_clip(COUNT)
    heat = torch.ones(COUNT, 4, 4)
    selection = TubeSelection(
        TubeView(clip, np.arange(COUNT), tuple((index,) for index in range(COUNT))),
        CANDIDATES,
        (2.0,),
        own,
        Config(),
        fused=FusedEvidence((SourceFinding("body", "in red", {3: 3.0, 8: -3.0}),), False),
    )
    template = Tube(Query(SPLIT.text), Status.NOT_FOUND, split=split)
    tubes = selection.grounding(heat, heat, "<end>", template).tubes
    assert [tube.track_id for tube in tubes] == [3]


@pytest.mark.parametrize(
    ("red", "tracks"),
    [({3: 3.0, 8: 0.1}, [3, 8]), ({3: 3.0, 8: -0.1}, [3]), ({3: 3.0}, [3]), ({3: -0.5}, [])],
)
def test_who_could_not_be_measured_is_not_counted(red: dict[int, float], tracks: list[int]) -> None:
    from stvg_ros.commands.reader import grammar_reader

    command = grammar_reader("rules").read("how many people wear red")
    found = grounding(
        (SourceFinding("body", "in red", red),),
        attention=False,
        split=replace(SPLIT, command=command),
    )
    assert [tube.track_id for tube in found.tubes if tube.status is Status.FOUND] == tracks
    if not tracks:
        assert found.best.error == "nobody in red; 2 people"


def test_attention_against_the_mean_of_the_others() -> None:
    scores = {3: 2.0, 8: 1.0}
    (found,) = AttentionEvidence(lambda c: scores[c.track_id], 6.0).findings(
        noise_clip(COUNT), SPLIT, CANDIDATES
    )
    assert found.tubes == pytest.approx({3: 6 * np.log(2), 8: -6 * np.log(2)})
    (found,) = AttentionEvidence(lambda c: float("-inf"), 6.0).findings(
        noise_clip(COUNT), SPLIT, CANDIDATES[:1]
    )
    assert found.tubes == {3: -6.0}


@pytest.mark.parametrize("unseen", [0.0, -1.0, float("-inf")])
def test_a_tube_without_attention_is_not_what_the_others_are_compared_with(unseen: float) -> None:
    scores = {3: 2.0, 8: 1.0, 9: unseen}
    (found,) = AttentionEvidence(lambda c: scores[c.track_id], 6.0).findings(
        noise_clip(COUNT), SPLIT, (*CANDIDATES, candidate(9, 90))
    )
    assert found.tubes == pytest.approx({3: 6 * np.log(2), 8: -6 * np.log(2), 9: -6.0})


def finding(words: str, source: str = "body", **tubes: float) -> SourceFinding:
    return SourceFinding(source, words, {int(name[1:]): nats for name, nats in tubes.items()})


def test_words_count_nothing_for_a_tube_where_they_were_not_measured() -> None:
    fused = FusedEvidence((finding("red", t3=2.0, t8=-0.5), finding("waves", t3=-0.25)))
    assert [fused.tube(track) for track in (3, 8, 9)] == [1.75, -0.5, 0.0]
    assert [fused.weakest(track) for track in (3, 8, 9)] == [-0.25, -0.5, 0.0]
    assert FusedEvidence((finding("all", "attention", t3=-5.0),)).weakest(3) == 0.0


@pytest.mark.parametrize(
    ("red", "waves", "missing"),
    [
        ({"t3": -1.0, "t8": -9.0}, {"t3": 1.0}, ()),  # from 1 nat against it on
        ({"t3": -1.01, "t8": -9.0}, {"t3": 1.0}, ("red",)),
        ({"t3": -9.0}, {"t3": 1.0, "t8": 1.0}, ()),  # 8 could not be measured
        ({"t3": -9.0, "t8": 4.0}, {"t3": 4.0, "t8": -5.0}, ("waves",)),  # 8 is nearer to both
        ({"t3": -9.0, "t8": -9.0}, {"t3": -9.0, "t8": -9.0}, ("red", "waves")),
        ({"t3": 1.0, "t8": 1.0}, {}, ()),
    ],
)
def test_words_that_no_tube_or_not_the_best_one_has(
    red: dict[str, float], waves: dict[str, float], missing: tuple[str, ...]
) -> None:
    fused = FusedEvidence((finding("red", **red), finding("waves", **waves)))
    assert fused.missing((3, 8)) == missing
    assert fused.missing(()) == ()
    assert FusedEvidence((finding("all", "attention", t3=-9.0),)).missing((3,)) == ()


def test_the_newest_picture_says_what_kind_of_pictures_these_are() -> None:
    frames = noise_clip(COUNT).frames
    flat = replace(frames[-1], image=np.zeros((64, 64, 3), np.uint8))
    own = MllmSettings(rendered_only=True)
    for clip, rendered in (
        (Clip((*frames[:-1], flat)), True),
        (Clip((replace(frames[0], image=flat.image), *frames[1:])), False),
    ):
        found = gathered([Source()], clip, SPLIT, CANDIDATES, Config(), own)
        assert (found.measured == ()) == rendered


def test_a_frame_counts_by_how_long_it_is_shown() -> None:
    stamps_ns = np.array([0, 1, 5], np.int64) * 100_000_000
    assert evident_run(np.array([3.0, -1.0, 3.0]), stamps_ns) == (2, 2)
    even = np.array([0, 1, 2], np.int64) * 100_000_000
    assert evident_run(np.array([3.0, -1.0, 3.0]), even) == (0, 2)
    # A pause counts as 0.4 s, however long it is.
    pause = np.array([0, 1, 600, 601], np.int64) * 100_000_000
    assert evident_run(np.array([9.0, -1.0, 9.0, -9.0]), pause) == (0, 2)


def test_frames_with_little_evidence_are_outside() -> None:
    """0.3 nats a second stand against each frame."""
    stamps_ns = np.arange(4) * 100_000_000
    assert evident_run(np.array([0.2, 0.4, 4.0, 0.2]), stamps_ns) == (1, 2)
    assert evident_run(np.array([0.2, 0.2, 0.25, 0.1]), stamps_ns) == (0, 3)


@pytest.mark.parametrize(
    ("nats", "run"),
    [([0, 0, 0], (0, 2)), ([-1, -1, -1], (0, 2)), ([-1, 4, -1], (1, 1)), ([4, -1, 4], (0, 2)),
     ([4, -9, 5], (2, 2)), ([5], (0, 0)), ([-5], (0, 0))],
)  # fmt: skip
def test_the_run_with_the_most_evidence(nats: list[float], run: tuple[int, int]) -> None:
    stamps_ns = np.arange(len(nats)) * 100_000_000
    assert evident_run(np.array(nats, float), stamps_ns) == run


class Source:
    """A source with one finding, and keypoints of the first tube."""

    name = "body"

    def findings(
        self, clip: Clip, split: SplitQuery, candidates: Sequence[CandidateTube]
    ) -> tuple[SourceFinding, ...]:
        return (SourceFinding("body", "in red", {3: 1.0}),)

    def unmeasured(self, split: SplitQuery) -> tuple[str, ...]:
        return ("bored",)

    def keypoints(
        self, clip: Clip, candidates: Sequence[CandidateTube], frames: NDArray[np.int64]
    ) -> dict[int, NDArray[np.float32]]:
        return {candidates[0].track_id: np.zeros((len(frames), 17, 3), np.float32)}

    def renewed(self) -> Source:
        return self

    def reconfigure(self, config: Config) -> None:
        pass


@pytest.mark.parametrize(
    ("sources", "rendered_only", "measured", "attention"),
    [("auto", True, True, False), ("auto", False, True, True), ("body", False, True, False),
     ("both", True, True, True), ("attention", False, False, True)],
)  # fmt: skip
def test_which_sources_decide(
    sources: str, rendered_only: bool, measured: bool, attention: bool
) -> None:
    config = Config.from_flat({"evidence.sources": sources})
    own = MllmSettings(rendered_only=rendered_only)
    found = gathered([Source()], noise_clip(COUNT), SPLIT, CANDIDATES, config, own)
    assert bool(found.measured) is measured
    assert found.attention is attention
    assert found.unmeasured == (("bored",) if measured else ())


def test_where_no_tube_can_be_measured_attention_decides() -> None:
    class Blind(Source):
        def findings(self, *_: object) -> tuple[SourceFinding, ...]:
            return (SourceFinding("body", "waves", {}),)

    config = Config.from_flat({"evidence.sources": "body"})
    found = gathered([Blind()], noise_clip(COUNT), SPLIT, CANDIDATES, config, MllmSettings())
    assert (found.findings, found.attention) == ((), True)
    assert found.unmeasured == ("waves", "bored")


@pytest.mark.parametrize(("wanted", "measured"), [("attention", False), ("both", True)])
def test_a_model_of_rendered_scenes_says_what_decides_about_them(
    wanted: str, measured: bool
) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    flat = Clip(tuple(replace(one, image=image) for one in noise_clip(COUNT).frames))
    own = MllmSettings(rendered_only=True, rendered_sources=wanted)
    found = gathered([Source()], flat, SPLIT, CANDIDATES, Config(), own)
    assert (bool(found.measured), found.attention) == (measured, True)
    own = MllmSettings(rendered_only=False, rendered_sources="attention")
    assert gathered([Source()], flat, SPLIT, CANDIDATES, Config(), own).measured


def test_a_model_of_rendered_scenes_decides_about_them_alone() -> None:
    flat = Clip(tuple(replace(one, image=np.zeros((64, 64, 3), np.uint8))
                      for one in noise_clip(COUNT).frames))  # fmt: skip
    own = MllmSettings(rendered_only=True)
    found = gathered([Source()], flat, SPLIT, CANDIDATES, Config(), own)
    assert found.measured == ()
    own = MllmSettings(rendered_only=False)
    assert gathered([Source()], flat, SPLIT, CANDIDATES, Config(), own).attention


@pytest.mark.parametrize(
    ("unknown", "sources", "measured"),
    [((), "auto", False), (("bored",), "auto", False), (("red",), "auto", True),
     (("red",), "attention", False), (("red", "bored"), "auto", True)],
)  # fmt: skip
def test_bodies_decide_about_words_that_a_model_of_rendered_scenes_does_not_know(
    unknown: tuple[str, ...], sources: str, measured: bool
) -> None:
    flat = Clip(tuple(replace(one, image=np.zeros((64, 64, 3), np.uint8))
                      for one in noise_clip(COUNT).frames))  # fmt: skip
    config = Config.from_flat({"evidence.sources": sources})
    limits = ModelLimits(unknown_words=unknown)
    own = MllmSettings(rendered_only=True)
    found = gathered([Source()], flat, SPLIT, CANDIDATES, config, own, limits)
    assert (bool(found.measured), found.attention) == (measured, not measured)
    assert found.unmeasured == (("bored",) if measured else ())


def test_keypoints_are_evidence_only_on_request() -> None:
    frames = np.array([1, 3])
    for asked in (False, True):
        config = Config.from_flat({"evidence.keypoints": asked})
        found = asked_keypoints([Source()], noise_clip(COUNT), frames, CANDIDATES, config)
        assert {track: points.shape for track, points in found.items()} == (
            {3: (2, 17, 3)} if asked else {}
        )


def test_rendered_pictures_are_flat() -> None:
    from stvg_lab.rendered.render import render
    from stvg_lab.rendered.scene import Scene

    for seed in range(3):
        scene = Scene.from_seed(seed, difficulty=seed / 2)
        assert looks_rendered(render(scene, 5))
    rng = np.random.default_rng(1)
    texture = rng.normal(128, 40, (60, 80, 3)).repeat(8, axis=0).repeat(8, axis=1)
    assert not looks_rendered(np.clip(texture, 0, 255).astype(np.uint8))
    assert flat_share(np.zeros((8, 8, 3), np.uint8)) == 0


@pytest.mark.parametrize(("sources", "passes", "gradients"), [("body", 1, 0), ("both", 5, 3)])
def test_nothing_is_tuned_where_attention_does_not_decide(
    sources: str, passes: int, gradients: int
) -> None:
    config = Config.from_flat({"evidence.sources": sources})
    tubes = FixedProposer((0, 0, 20, 40), (30, 0, 60, 60), (5, 5, 9, 9), (40, 40, 60, 60))
    grounder = LocalGrounder(ToyMllm(), FixedSplitter(), tubes, config, sources=(Source(),))
    cost = grounder.ground(noise_clip(COUNT), Query(SPLIT.text), no_checkpoint).best.cost
    assert (cost["passes"], cost["gradients"]) == (passes, gradients)
