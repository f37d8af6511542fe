# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import FixedProposer, FixedSplitter, ToyMllm, no_checkpoint, noise_clip

from stvg_ros.config import Config
from stvg_ros.errors import CanceledError, ConfigError, WindowError
from stvg_ros.io.tube_json import evidence_to_json, tube_to_json
from stvg_ros.method.encoding import Encoder
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.query import NEUTRAL, question
from stvg_ros.method.stage_clock import STAGES
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.setting import Value
from stvg_ros.types import (
    CandidateTube,
    Grounding,
    Query,
    SourceFinding,
    SplitQuery,
    Status,
)

LEFT, RIGHT = (0.0, 0.0, 40.0, 80.0), (80.0, 0.0, 120.0, 80.0)
TEXT = "the red one who waves"


def grounder(mllm: ToyMllm, proposer: FixedProposer | None = None, **flat: Value) -> LocalGrounder:
    values = {name.replace("__", "."): value for name, value in flat.items()}
    proposer = proposer or FixedProposer(LEFT, RIGHT)
    return LocalGrounder(mllm, FixedSplitter(), proposer, Config.from_flat(values))


def run(mllm: ToyMllm | None = None, **flat: Value) -> Grounding:
    return grounder(mllm or ToyMllm(), **flat).ground(noise_clip(), Query(TEXT), no_checkpoint)


def flipped(tokens: torch.Tensor) -> torch.Tensor:
    """Slot by slot, with loops; 6 tokens a slot."""
    slots = [tokens[6 * slot : 6 * slot + 6] for slot in range(len(tokens) // 6)]
    return torch.cat(slots[::-1])


def slow_maps(rate: float, epochs: int) -> tuple[torch.Tensor, torch.Tensor, float]:
    """A_S, A_T, S_cons as the paper writes them, with nothing shared and every pass its own."""
    mllm, frames = ToyMllm(), noise_clip().frames
    plain = mllm.encode([frames[i].image for i in (1, 3, 5, 7, 9)])
    backward = VisualTokens(flipped(plain.features), plain.grid, plain.slots[::-1])

    def rows(visual: VisualTokens, text: str) -> torch.Tensor:
        with torch.no_grad():
            return mllm.ask(mllm.prefill(visual), [text])[0].rows

    def prompt(visual: VisualTokens, text: str) -> VisualTokens:
        moved = visual.features.clone()
        for _ in range(epochs):
            leaf = moved.clone().requires_grad_(True)
            answer = mllm.ask(mllm.prefill(replace(visual, features=leaf)), [question(text)])[0]
            (-torch.exp(answer.log_p_yes - answer.log_p_no)).backward()
            assert leaf.grad is not None
            moved = moved - rate * leaf.grad
        return replace(visual, features=moved)

    def relative(visual: VisualTokens, text: str) -> torch.Tensor:
        heat = rows(prompt(visual, text), question(TEXT)) / (rows(visual, NEUTRAL) + 1e-4)
        return max(heat, key=lambda row: float(row.max()))

    forward = relative(plain, "the red one")
    restored = torch.stack(list(relative(backward, "the red one"))[::-1])
    consistency = np.corrcoef(forward.flatten(), restored.flatten())[0, 1]
    return (forward + restored) / 2, relative(plain, "the one who waves"), float(consistency)


@pytest.mark.parametrize(("rate", "epochs"), [(0.1, 1), (0.05, 3), (8.0, 1)])
def test_maps_equal_an_unshared_version_with_explicit_reversal(rate: float, epochs: int) -> None:
    found = run(reattention__learning_rate=rate, reattention__epochs=epochs)
    spatial, temporal, consistency = slow_maps(rate, epochs)
    assert found.evidence is not None
    np.testing.assert_allclose(found.evidence.spatial, spatial, rtol=2e-4, atol=1e-6)
    np.testing.assert_allclose(found.evidence.temporal, temporal, rtol=2e-4, atol=1e-6)
    assert found.best.consistency == pytest.approx(consistency, abs=1e-4)


@pytest.mark.parametrize(
    ("flat", "prefills", "gradients"),
    [
        ({}, 5, 3),
        ({"assembling__enabled": False}, 3, 2),
        ({"reattention__temporal": False}, 4, 2),
        ({"reattention__spatial": False}, 3, 1),
        ({"reattention__spatial": False, "reattention__temporal": False}, 2, 0),
        ({"reattention__epochs": 2}, 8, 6),
        ({"reattention__temporal_epochs": 3}, 7, 5),
    ],
)
def test_passes_are_run(
    flat: dict[str, Value], prefills: int, gradients: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    true_grad = torch.autograd.grad

    def counted(*args: object, **options: object) -> object:
        calls.append(1)
        return true_grad(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.autograd, "grad", counted)
    mllm = ToyMllm()
    run(mllm, **flat)
    assert (mllm.prefills, len(calls)) == (prefills, gradients)


@pytest.mark.parametrize(("lift", "prefills", "gradients"), [(5.0, 2, 0), (1.0, 5, 3)])
def test_sure_branches_are_not_tuned(
    lift: float, prefills: int, gradients: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Margins are about 1.4 and -2.6; the gate is at 0."""
    calls: list[int] = []
    true_grad = torch.autograd.grad

    def counted(*args: object, **options: object) -> object:
        calls.append(1)
        return true_grad(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.autograd, "grad", counted)
    mllm = ToyMllm(lift=lift)
    found = run(mllm, reattention__gate=0.0)
    assert (mllm.prefills, len(calls)) == (prefills, gradients)
    assert found.evidence is not None
    branches = {"reattention__spatial": gradients > 0, "reattention__temporal": gradients > 0}
    assert changed(found, run(ToyMllm(lift=lift), **branches)) == set()


def test_a_gate_decides_for_each_branch() -> None:
    """The action alone is unsure."""
    mllm = ToyMllm(absent="waves")
    found = run(mllm, reattention__gate=0.0)
    assert mllm.prefills == 3  # forwards, backwards, and T_v + V_t
    only = run(ToyMllm(absent="waves"), reattention__spatial=False)
    assert changed(found, only) == set()


def test_selected_heads_give_the_maps() -> None:
    flat: dict[str, Value] = {
        "attention__selection": "fixed", "attention__relative": False,
        "assembling__enabled": False, "reattention__spatial": False, "reattention__temporal": False,
    }  # fmt: skip
    mean = run(ToyMllm(selected=True), **flat).evidence
    heads = run(ToyMllm(selected=True), attention__heads="selected", **flat).evidence
    assert mean is not None
    assert heads is not None
    np.testing.assert_array_equal(mean.spatial, mean.temporal)
    np.testing.assert_array_equal(heads.spatial, mean.spatial[:, ::-1])
    np.testing.assert_array_equal(heads.temporal, mean.temporal[::-1])


@pytest.mark.parametrize("tuned", [True, False])
def test_selected_heads_of_tuned_passes(tuned: bool) -> None:
    flat: dict[str, Value] = {"assembling__enabled": False, "reattention__spatial": tuned}
    mean = run(ToyMllm(selected=True), attention__selection="mean", **flat).evidence
    heads = run(
        ToyMllm(selected=True), attention__selection="mean", attention__heads="selected", **flat
    ).evidence
    assert mean is not None
    assert heads is not None
    np.testing.assert_array_equal(heads.spatial, mean.spatial[:, ::-1])
    np.testing.assert_array_equal(heads.temporal, mean.temporal[::-1])


def test_selected_heads_that_the_model_lacks_are_refused() -> None:
    with pytest.raises(ConfigError, match="attention.heads 'selected': expected a table .*--heads"):
        run(attention__heads="selected")


def changed(one: Grounding, other: Grounding) -> set[str]:
    assert one.evidence is not None
    assert other.evidence is not None
    result = {
        name
        for name in ("spatial", "temporal")
        if not np.array_equal(getattr(one.evidence, name), getattr(other.evidence, name))
    }
    if (one.best.start_ns, one.best.end_ns) != (other.best.start_ns, other.best.end_ns):
        result.add("span")
    if one.best.confidence != other.best.confidence:
        result.add("confidence")
    return result


@pytest.mark.parametrize(
    ("flat", "expected"),
    [
        ({}, set()),
        ({"reattention__spatial": False}, {"spatial"}),
        ({"reattention__temporal": False}, {"temporal"}),
        ({"assembling__enabled": False}, {"spatial"}),
        ({"attention__selection": "mean"}, {"spatial", "temporal"}),
        ({"attention__selection": "fixed"}, {"spatial", "temporal"}),
        ({"attention__relative": False}, {"spatial", "temporal"}),
        ({"reattention__step": "rms"}, {"spatial", "temporal"}),
        ({"reattention__loss": "code"}, {"spatial", "temporal"}),
        ({"reattention__temporal_learning_rate": 1.0}, {"temporal"}),
        ({"reattention__temporal_epochs": 2}, {"temporal"}),
        ({"presence__threshold": 0.5}, {"confidence"}),
        ({"presence__track_weight": 0.5}, {"confidence"}),
        ({"presence__enabled": False}, set()),
    ],
)
def test_a_switch_changes_only_its_stage(flat: dict[str, Value], expected: set[str]) -> None:
    difference = changed(run(span__method="window"), run(span__method="window", **flat))
    assert difference == expected


def test_span_method_changes_only_the_span() -> None:
    whole, short = run(span__method="window"), run(span__method="contiguous", span__length=4)
    assert changed(whole, short) == {"span"}
    assert whole.best.start_ns == 1_000_000_000
    assert whole.best.end_ns == 1_900_000_000


def test_tube_has_a_box_for_every_buffered_frame_of_the_span() -> None:
    tube = run(span__method="window").best
    assert tube.status is Status.FOUND
    assert [box.stamp_ns for box in tube.boxes] == list(range(10**9, 2 * 10**9, 10**8))
    assert {box.box_xyxy_px for box in tube.boxes} <= {LEFT, RIGHT}
    assert max(box.score for box in tube.boxes) == pytest.approx(1)
    assert (tube.width_px, tube.height_px, tube.stamp_ns) == (120, 80, 1_900_000_000)
    assert (tube.frame_id, tube.model) == ("camera", "toy")


def test_boxes_only_where_the_candidate_is_present() -> None:
    proposer = FixedProposer(LEFT, present=slice(2, 6))
    tube = (
        grounder(ToyMllm(), proposer, span__method="window")
        .ground(noise_clip(), Query(TEXT), no_checkpoint)
        .best
    )
    assert [box.stamp_ns // 10**8 for box in tube.boxes] == [12, 13, 14, 15]


def test_the_track_is_the_one_with_the_highest_spatial_attention() -> None:
    found = run()
    assert found.evidence is not None
    heat = found.evidence.spatial
    scores = {0: float(heat[:, :, 0].max()), 1: float(heat[:, :, 2].max())}
    assert dict(found.evidence.track_scores) == pytest.approx(scores)
    assert found.best.track_id == max(scores, key=lambda track: scores[track])


def test_max_targets_gives_ranked_tubes_with_their_scores() -> None:
    found = grounder(ToyMllm()).ground(noise_clip(), Query(TEXT, max_targets=5), no_checkpoint)
    assert [tube.rank for tube in found.tubes] == [0, 1]
    assert {tube.track_id for tube in found.tubes} == {0, 1}
    assert found.evidence is not None
    assert {tube.track_id: tube.score for tube in found.tubes} == found.evidence.track_scores
    assert found.tubes[0].score > found.tubes[1].score
    one = grounder(ToyMllm()).ground(noise_clip(), Query(TEXT), no_checkpoint)
    assert [tube.boxes for tube in one.tubes] == [found.tubes[0].boxes]


def test_one_candidate() -> None:
    found = grounder(ToyMllm(), FixedProposer(LEFT)).ground(
        noise_clip(), Query(TEXT), no_checkpoint
    )
    assert found.best.status is Status.FOUND
    assert found.best.track_id == 0


def test_no_candidates_is_an_answer() -> None:
    found = grounder(ToyMllm(), FixedProposer()).ground(noise_clip(), Query(TEXT), no_checkpoint)
    assert found.best.status is Status.NOT_FOUND
    assert found.best.error.startswith("no candidate tubes")
    assert found.best.boxes == ()
    assert found.evidence is not None
    assert np.isnan(found.evidence.frame_scores).all()


def test_absent_target_is_not_found_unless_presence_is_off() -> None:
    assert run(ToyMllm(lift=-20)).best.status is Status.NOT_FOUND
    assert run(ToyMllm(lift=-20)).best.confidence < 0.01
    assert run(ToyMllm(lift=-20), presence__enabled=False).best.status is Status.FOUND


def test_the_query_of_another_video_is_not_found() -> None:
    """Each of two videos shows one of two targets: the query of the other one finds nobody."""

    def status(absent: str, asked: str, **flat: Value) -> tuple[Status, float]:
        splitter = FixedSplitter(f"the {asked} one", "the one who waves")
        local = LocalGrounder(
            ToyMllm(absent=absent), splitter, FixedProposer(LEFT), Config.from_flat(flat)
        )
        best = local.ground(noise_clip(), Query(f"the {asked} one waves"), no_checkpoint).best
        return best.status, best.confidence

    for present, absent in (("red", "blue"), ("blue", "red")):
        assert status(absent, present)[0] is Status.FOUND
        assert status(absent, absent)[0] is Status.NOT_FOUND
        assert status(absent, absent)[1] < 0.5 < status(absent, present)[1]
        assert status(absent, absent, **{"presence.threshold": -50.0})[0] is Status.FOUND


def test_an_answer_names_the_source_of_its_candidates() -> None:
    parts = ToyMllm(), FixedSplitter("the red one", "who waves"), FixedProposer(LEFT), Config()
    for given, named in (("", "fixed"), ("fixed: for tests", "fixed: for tests")):
        grounder = LocalGrounder(*parts, candidates=given).for_recording()
        found = grounder.ground(noise_clip(), Query("the red one"), no_checkpoint)
        assert found.best.candidates == named


def test_a_track_that_stands_out_raises_the_confidence() -> None:
    plain, counted = run(presence__track_weight=0.0), run(presence__track_weight=2.0)
    assert counted.evidence is not None
    score = max(counted.evidence.track_scores.values())
    assert score == counted.best.score
    logit = [
        np.log(found.best.confidence / (1 - found.best.confidence)) for found in (plain, counted)
    ]
    assert logit[1] - logit[0] == pytest.approx(2 * np.log(score), rel=1e-3)
    own = MllmSettings(split="rules", frame_count=5, presence_track_weight=2.0)
    assert run(ToyMllm(own)).best.confidence == counted.best.confidence


def test_preliminary_answer_is_the_one_without_tuning() -> None:
    early: list[Grounding] = []
    seen: list[str] = []
    mllm = ToyMllm()

    def keep(grounding: Grounding) -> None:
        early.append(grounding)
        seen.append(f"preliminary after {mllm.prefills} pass")

    final = grounder(mllm).ground(
        noise_clip(), Query(TEXT), lambda stage, share: seen.append(stage), keep
    )
    untuned = {"reattention__spatial": False, "reattention__temporal": False}
    plain = run(assembling__enabled=False, **untuned)
    (first,) = early
    assert changed(first, plain) == set()
    assert first.best.boxes == plain.best.boxes
    assert (first.best.preliminary, final.best.preliminary) == (True, False)
    assert list(first.best.timings_s) == ["split", "propose", "encode", "measure", "forward pass"]
    assert seen[3:7] == ["measure", "forward pass", "preliminary after 1 pass", "reversed pass"]
    assert changed(final, run()) == set()


@pytest.mark.parametrize(("sources", "passes"), [("body", 1), ("both", 2), ("attention", 2)])
def test_maps_that_decide_nothing_are_not_tuned(sources: str, passes: int) -> None:
    class Walking:
        """Sees that the right one walks."""

        name = "body"

        def findings(self, *_: object) -> tuple[SourceFinding, ...]:
            return (SourceFinding("body", "walks", {0: -2.0, 1: 3.0}),)

        def unmeasured(self, split: SplitQuery) -> tuple[str, ...]:
            return ()

    mllm, early = ToyMllm(), []
    untuned: dict[str, Value] = {"reattention.spatial": False, "reattention.temporal": False}
    config = Config.from_flat({"evidence.sources": sources, **untuned})
    proposer = FixedProposer(LEFT, RIGHT)
    local = LocalGrounder(
        mllm,
        FixedSplitter(),
        proposer,
        config,
        sources=(Walking(),),  # type: ignore[arg-type]
    )
    found = local.ground(noise_clip(), Query(TEXT), no_checkpoint, early.append)
    assert mllm.prefills == passes
    assert ("reversed pass" in found.best.timings_s) is (passes == 2)
    assert len(early) == passes - 1
    if sources == "body":
        assert found.best.track_id == 1
        assert np.isfinite(found.evidence.spatial).all()  # type: ignore[union-attr]


def test_encoding_ahead_changes_nothing_but_when() -> None:
    flat: dict[str, Value] = {"sampling__prefetch": True, "window__duration_s": 1.0}
    mllm, clip = ToyMllm(), noise_clip(11)
    local = grounder(mllm, **flat)
    assert [local.prefetch(clip) for _ in range(6)] == [True] * 5 + [False]
    assert mllm.encoded == 5
    found = local.ground(clip, Query(TEXT), no_checkpoint)
    assert mllm.encoded == 5
    late = grounder(ToyMllm(), **flat).ground(clip, Query(TEXT), no_checkpoint)
    assert changed(found, late) == set()
    assert found.evidence is not None
    assert (found.evidence.stamps_ns // 10**8).tolist() == [12, 14, 16, 18, 20]
    # Part of the window is sampled as ever, and nothing is done ahead when it is not asked for.
    part = Query(TEXT, start_ns=1_200_000_000, end_ns=1_500_000_000)
    assert local.ground(clip, part, no_checkpoint).evidence.stamps_ns.size == 4  # type: ignore[union-attr]
    assert not grounder(ToyMllm()).prefetch(clip)


def test_what_is_encoded_ahead_goes_with_its_frames() -> None:
    mllm = ToyMllm()
    encoder = Encoder(mllm)
    frames = list(noise_clip(6).frames)
    for begin in range(3):
        while encoder.prefetch(frames[begin : begin + 4], 4):
            pass
    assert (encoder.kept, mllm.encoded) == (6, 6)
    del frames[:4]
    assert not encoder.prefetch(frames, 4)
    assert (encoder.kept, mllm.encoded) == (2, 6)
    assert encoder.prefetch(frames, 8)  # another length of the sample is another size of images


def test_another_direction_of_the_step_is_used() -> None:
    config = Config.from_flat({"span.method": "window"})
    parts = (ToyMllm(), FixedSplitter(), FixedProposer(LEFT, RIGHT), config)
    plain = LocalGrounder(*parts).ground(noise_clip(), Query(TEXT), no_checkpoint)
    turned = LocalGrounder(*parts, direction=torch.zeros_like).ground(
        noise_clip(), Query(TEXT), no_checkpoint
    )
    untuned = run(span__method="window", reattention__spatial=False, reattention__temporal=False)
    assert changed(plain, turned) == {"spatial", "temporal"}
    assert changed(turned, untuned) == set()


def test_non_finite_gradients_are_dropped_and_counted() -> None:
    found = run(ToyMllm(poison="Is there the red one in"))
    assert found.best.dropped_steps == 2  # V_s, forward and reversed
    assert found.evidence is not None
    assert np.isfinite(found.evidence.spatial).all()
    plain = run(reattention__spatial=False)
    assert plain.evidence is not None
    np.testing.assert_array_equal(found.evidence.spatial, plain.evidence.spatial)
    assert changed(found, plain) <= {"span"}


@pytest.mark.parametrize(
    ("poison", "flat", "dropped"),
    [
        ("", {}, 0),
        ("", {"reattention__spatial": False, "reattention__temporal": False}, 0),
        ("", {"assembling__enabled": False}, 0),
        ("Is there the red one in", {}, 2),  # V_s, forward and reversed
        ("Is there the red one in", {"assembling__enabled": False}, 1),
        ("Is there the one who waves in", {}, 1),  # V_t
        ("Is there the one who waves in", {"reattention__temporal": False}, 0),
        ("Is there the", {}, 3),
    ],
)
def test_dropped_steps_of_all_branches_add(
    poison: str, flat: dict[str, Value], dropped: int
) -> None:
    assert run(ToyMllm(poison=poison), **flat).best.dropped_steps == dropped


def test_one_frame_is_encoded_ahead() -> None:
    mllm = ToyMllm()
    local = grounder(mllm, sampling__prefetch=True, sampling__frames=1, window__duration_s=1.0)
    assert local.prefetch(noise_clip(11))
    assert (mllm.encoded, local.prepared_bytes > 0) == (1, True)


@pytest.mark.parametrize("stage", STAGES)
def test_cancel_at_each_checkpoint(stage: str) -> None:
    seen: list[tuple[str, float]] = []

    def checkpoint(name: str, progress: float) -> None:
        seen.append((name, progress))
        if name == stage:
            raise CanceledError(f"at {name}")

    local = grounder(ToyMllm())
    with pytest.raises(CanceledError, match=f"at {stage}"):
        local.ground(noise_clip(), Query(TEXT), checkpoint)
    assert [name for name, _ in seen] == list(STAGES[: STAGES.index(stage) + 1])
    shares = [share for _, share in seen]
    assert shares == sorted(shares)
    again = local.ground(noise_clip(), Query(TEXT), no_checkpoint)
    assert changed(again, run()) == set()


def test_timings_name_every_stage_in_order() -> None:
    assert list(run().best.timings_s) == list(STAGES)
    assert "assemble" not in run(assembling__enabled=False).best.timings_s
    assert np.isnan(run(assembling__enabled=False).best.consistency)


def test_reconfigure_takes_effect_with_the_next_call() -> None:
    local = grounder(ToyMllm())
    local.reconfigure(Config.from_flat({"span.method": "window", "sampling.frames": 2}))
    found = local.ground(noise_clip(), Query(TEXT), no_checkpoint)
    assert found.evidence is not None
    assert found.evidence.stamps_ns.tolist() == [1_200_000_000, 1_700_000_000]


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_fewer_frames_than_the_model_likes(frames: int) -> None:
    found = grounder(ToyMllm()).ground(noise_clip(frames), Query(TEXT), no_checkpoint)
    assert found.evidence is not None
    assert found.evidence.spatial.shape == (frames, 2, 3)
    assert found.best.boxes


def test_window_is_cut_before_anything_else() -> None:
    query = Query(TEXT, start_ns=1_200_000_000, end_ns=1_500_000_000)
    tube = (
        grounder(ToyMllm(), span__method="window").ground(noise_clip(), query, no_checkpoint).best
    )
    assert (tube.start_ns, tube.end_ns, len(tube.boxes)) == (1_200_000_000, 1_500_000_000, 4)
    with pytest.raises(WindowError, match=r"9\.000 s .* buffered are 1\.000 s to 1\.900 s"):
        grounder(ToyMllm()).ground(noise_clip(), Query(TEXT, start_ns=9 * 10**9), no_checkpoint)


def test_the_models_own_step_is_used_for_auto() -> None:
    own = ToyMllm(MllmSettings(step="rms", learning_rate=0.5, split="rules", frame_count=5))
    explicit = run(reattention__step="rms", reattention__learning_rate=0.5)
    assert changed(run(own), explicit) == set()


def test_same_input_same_answer() -> None:
    first, second = run(), run()
    assert changed(first, second) == set()
    assert first.best.boxes == second.best.boxes


def test_grounder_module_has_no_stage_without_a_name() -> None:
    assert len(set(STAGES)) == len(STAGES)


SEEN = (1, 3, 5, 7, 9)  # of ten frames, those that are sampled
# The frames of two tubes; the third one is everywhere.
SHOWN = {
    "at the ends": ((0,), (8,)),
    "one frame before": ((0, 2, 4, 6, 8), (0,)),
    "in the middle": ((4,), (4, 6)),
    "the first frame alone": ((0,), (0,)),
    "one is seen once": ((0, 1), (2,)),
    "both are seen once": ((9,), (1,)),
    "all but the sampled ones": ((0, 2, 4, 6, 8), (0, 2, 4, 6, 8)),
    "all sampled ones": (SEEN, SEEN),
    "half of them": ((0, 1, 2, 3), (6, 7, 8, 9)),
    "everywhere": (range(10), range(10)),
}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("presence", [False, True])
@pytest.mark.parametrize("third", [False, True])
def test_any_presence_of_tubes_gives_numbers_that_json_holds(
    name: str, presence: bool, third: bool
) -> None:
    everywhere = np.ones(10, bool)
    boxes = np.tile(np.array(LEFT, np.float32), (10, 1))
    shown = [np.isin(np.arange(10), list(frames)) for frames in SHOWN[name]]
    tubes = [CandidateTube(n, boxes, there, ~everywhere) for n, there in enumerate(shown)]
    tubes += [CandidateTube(9, boxes, everywhere, ~everywhere)] * third

    class Source:
        name = "fixed"

        def propose(self, clip, query):
            return tuple(tubes)

    found = grounder(ToyMllm(), Source(), sampling__frames=5, presence__enabled=presence).ground(
        noise_clip(), Query(TEXT, max_targets=5), no_checkpoint
    )
    assert found.evidence is not None
    json.dumps(
        [evidence_to_json(found.evidence), *(tube_to_json(tube) for tube in found.tubes)],
        allow_nan=False,
    )
    seen = {tube.track_id for tube in tubes if tube.present[list(SEEN)].any()}
    assert set(found.evidence.track_scores) == seen
    assert np.isfinite(list(found.evidence.track_scores.values())).all()
    if not seen:
        assert found.best.status is Status.NOT_FOUND


@pytest.mark.parametrize("absent", ["one", "all"])
def test_tubes_that_no_sampled_frame_shows_are_no_answer_and_leave_no_infinity(absent: str) -> None:
    """Frames 0, 2, 4, 6, 8 of ten are not sampled; a tube may be there alone."""
    unseen = np.array([frame in (0, 2, 4, 6, 8) for frame in range(10)])
    everywhere = np.ones(10, bool)
    boxes = np.tile(np.array(LEFT, np.float32), (10, 1))
    shown = unseen if absent == "all" else everywhere
    tubes = (
        CandidateTube(3, boxes, shown, ~everywhere),
        CandidateTube(7, boxes, unseen, ~everywhere),
    )

    class Source:
        name = "fixed"

        def propose(self, clip, query):
            return tubes

    found = grounder(ToyMllm(), Source(), sampling__frames=5, presence__enabled=False).ground(
        noise_clip(), Query(TEXT, max_targets=5), no_checkpoint
    )
    values = json.dumps(
        [evidence_to_json(found.evidence), *(tube_to_json(tube) for tube in found.tubes)],
        allow_nan=False,
    )
    assert "Infinity" not in values
    assert len(found.candidates) == 2
    if absent == "all":
        assert found.best.status is Status.NOT_FOUND
        assert "in one of the frames that the model saw" in found.best.error
        assert not found.evidence.track_scores
    else:
        assert [tube.track_id for tube in found.tubes] == [3]
        assert list(found.evidence.track_scores) == [3]
