# SPDX-License-Identifier: Apache-2.0

"""From maps and candidates to the answer: thresholds of the model, flags of the boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fakes import noise_clip

from stvg_ros.commands.command import Command
from stvg_ros.config import Config
from stvg_ros.method.evidence import FusedEvidence
from stvg_ros.method.interfaces import ModelLimits
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.tube_selection import TubeScores, TubeSelection
from stvg_ros.method.tube_view import TubeView
from stvg_ros.setting import Value
from stvg_ros.types import (
    CandidateTube,
    Grounding,
    Query,
    SourceFinding,
    SplitQuery,
    Status,
    Tube,
)

SPLIT = SplitQuery("Q", "Q_s", "Q", "rules", ("action",))  # no action


def candidate(frames: int, interpolated: list[int]) -> CandidateTube:
    flags = np.zeros(frames, np.bool_)
    flags[interpolated] = True
    boxes = np.tile(np.array([10, 10, 60, 70], np.float32), (frames, 1))
    return CandidateTube(3, boxes, np.ones(frames, np.bool_), flags)


def answer(
    margin: float, own: MllmSettings, interpolated: list[int] | None = None, **settings: float
) -> Tube:
    clip = noise_clip(6)
    heat = torch.ones(6, 2, 3)
    selection = TubeSelection(
        TubeView(clip, np.arange(6), tuple((index,) for index in range(6))),
        (candidate(6, interpolated or []),),
        (margin,),
        own,
        Config.from_flat({f"presence.{name}": value for name, value in settings.items()}),
    )
    template = Tube(Query("Q"), Status.NOT_FOUND, split=SPLIT)
    return selection.grounding(heat, heat, "<end>", template).best


@pytest.mark.parametrize("own", [-4.0, -1.0, 0.0, 0.5, 3.0])
@pytest.mark.parametrize("asked", [-2.0, 0.0, 1.5])
def test_the_thresholds_of_the_model_and_of_the_settings_add(own: float, asked: float) -> None:
    settings = MllmSettings(presence_threshold=own)
    for above, status in ((0.1, Status.FOUND), (-0.1, Status.NOT_FOUND)):
        tube = answer(own + asked + above, settings, threshold=asked, track_weight=0.0)
        assert tube.status is status
        assert tube.confidence == pytest.approx(1 / (1 + np.exp(-above)))


def test_a_box_between_detections_is_flagged() -> None:
    boxes = answer(5.0, MllmSettings(), [1, 4]).boxes
    assert [box.interpolated for box in boxes] == [False, True, False, False, True, False]


def spans(
    present: list[int], split: SplitQuery, **settings: str | int
) -> tuple[int, int, list[int]]:
    """First and last frame of the answer, and those with a box, of 20 frames with a peak at 6."""
    clip, frames = noise_clip(20), 20
    there = np.isin(np.arange(frames), present)
    boxes = np.tile(np.array([0, 0, 64, 48], np.float32), (frames, 1))
    tube = CandidateTube(3, boxes, there, np.zeros(frames, np.bool_))
    heat = torch.ones(10, 2, 3)
    heat[3] = 9.0  # frames 6 and 7
    sampled = np.arange(0, frames, 2)
    selection = TubeSelection(
        TubeView(clip, sampled, tuple((index,) for index in range(10))),
        (tube,), (5.0,), MllmSettings(),
        Config.from_flat({f"span.{name}": value for name, value in settings.items()}),
    )  # fmt: skip
    found = selection.grounding(
        heat, heat, "<end>", Tube(Query("Q"), Status.NOT_FOUND, split=split)
    ).best
    at = clip.stamps_ns.tolist()
    boxed = [at.index(box.stamp_ns) for box in found.boxes]
    return at.index(found.start_ns), at.index(found.end_ns), boxed


WALKS = SplitQuery("Q", "Q_s", "Q_t", "rules")
COMES = [*range(3, 9), *range(11, 16)]  # between two sampled frames, with a gap


@pytest.mark.parametrize("method", ["adaptive", "change_points"])
def test_a_query_without_an_action_lasts_while_its_target_is_there(method: str) -> None:
    assert spans(COMES, SPLIT, method=method) == (3, 15, COMES)
    # Or, as before, as long as the window; the boxes are those that there are.
    whole = spans(COMES, SPLIT, method=method, without_action="window")
    assert whole == (0, 19, COMES)
    # An action has its own span, whatever this setting.
    for without_action in ("presence", "window"):
        timed = spans(COMES, WALKS, method=method, without_action=without_action)
        assert timed == (5, 7, [5, 6, 7])


@pytest.mark.parametrize("method", ["top_k", "contiguous", "window"])
def test_fixed_spans_do_not_depend_on_the_kind_of_query(method: str) -> None:
    there = list(range(3, 16))
    assert spans(there, SPLIT, method=method) == spans(there, WALKS, method=method)


def test_evidence_at_the_threshold_is_enough() -> None:
    tube = answer(0.0, MllmSettings(), threshold=0.0, track_weight=0.0)
    assert (tube.status, tube.confidence) == (Status.FOUND, 0.5)


CLIP = noise_clip(7)  # from 1.0 to 1.6 s
SEEN = TubeView(CLIP, np.array([1, 3, 5]), ((0,), (1,), (2,)))
TEMPLATE = Tube(Query("Q"), Status.NOT_FOUND)


def one_cell(*values: float) -> torch.Tensor:
    """Maps of 2 x 3 cells of 40 px, of which only the first is not zero."""
    heat = torch.zeros(len(values), 2, 3)
    heat[:, 0, 0] = torch.tensor(values)
    return heat


def in_first_cell(absent: tuple[int, ...] = (), track: int = 3) -> CandidateTube:
    present = np.ones(7, np.bool_)
    present[list(absent)] = False
    boxes = np.arange(7, dtype=np.float32)[:, None] + np.array([0, 0, 30, 30], np.float32)
    return CandidateTube(track, boxes, present, np.zeros(7, np.bool_))


def scores(
    spatial: torch.Tensor, *tubes: CandidateTube, method: str = "top_k", **factors: float
) -> TubeScores:
    config = Config.from_flat({"span.method": method, "span.top_k": 1})
    by_track = {int(name[1:]): value for name, value in factors.items()}
    return TubeScores(SEEN, spatial, one_cell(1, 9, 2), tubes, config, MllmSettings(), by_track)


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0, 100.0])
def test_boxes_have_the_share_of_the_nearest_frame_that_the_model_saw(scale: float) -> None:
    tube = scores(scale * one_cell(2, 8, 4), method="window").tube(in_first_cell(), TEMPLATE)
    assert [box.stamp_ns for box in tube.boxes] == CLIP.stamps_ns.tolist()
    # Half-way between two frames that the model saw, the earlier one counts.
    shares = [0.25, 0.25, 0.25, 1.0, 1.0, 0.5, 0.5]
    assert [box.score for box in tube.boxes] == pytest.approx(shares)
    assert tube.boxes[2].box_xyxy_px == (2.0, 2.0, 32.0, 32.0)
    assert (tube.score, tube.track_id) == (pytest.approx(8 * scale), 3)


def test_a_span_holds_the_boxes_of_its_frames_with_the_target() -> None:
    tube = scores(one_cell(2, 8, 4)).tube(in_first_cell(absent=(3,)), TEMPLATE)
    # Without the middle frame, the temporal map is highest in the third: 1.4 s to the end.
    assert [box.stamp_ns // 10**8 for box in tube.boxes] == [14, 15, 16]
    assert [box.score for box in tube.boxes] == [0.0, 1.0, 1.0]
    assert (tube.start_ns // 10**8, tube.end_ns // 10**8) == (14, 16)
    tube = scores(one_cell(2, 8, 4)).tube(in_first_cell(absent=(2,)), TEMPLATE)
    assert [box.stamp_ns // 10**8 for box in tube.boxes] == [13, 14]
    assert (tube.start_ns // 10**8, tube.end_ns // 10**8) == (12, 14)


def test_without_attention_all_shares_are_zero() -> None:
    with np.errstate(all="raise"):
        tube = scores(one_cell(0, 0, 0), method="window").tube(in_first_cell(), TEMPLATE)
    assert [box.score for box in tube.boxes] == [0.0] * 7
    negative = scores(one_cell(-2, -8, -4), method="window").tube(in_first_cell(), TEMPLATE)
    assert [box.score for box in negative.boxes] == [0.0] * 7
    unseen = scores(one_cell(2, 8, 4), method="window").tube(
        in_first_cell(absent=(1, 3, 5)), TEMPLATE
    )
    assert [box.score for box in unseen.boxes] == [0.0] * 4
    assert unseen.score == -np.inf


def test_scores_are_peaks_times_factors_and_the_evidence_holds_them() -> None:
    tubes = in_first_cell(), in_first_cell(track=4), in_first_cell(track=5)
    scored = scores(one_cell(2, 8, 4), *tubes, t4=1.5, t5=0.5)
    assert [one.track_id for one in scored.ranked()] == [4, 3, 5]
    assert scored.best_score() == 12
    evidence = scored.evidence("<end>", (1.0, 2.0), {})
    assert evidence.track_scores == {3: 8.0, 4: 12.0, 5: 4.0}
    late = in_first_cell(absent=(1,), track=4)
    partly = scores(one_cell(2, 8, 4), tubes[0], late, t4=1.5).evidence("<end>", (), {})
    np.testing.assert_array_equal(partly.frame_scores, np.array([np.nan, 9, 2], np.float32))
    assert evidence.frame_scores.tolist() == [1, 9, 2]
    assert evidence.stamps_ns.tolist() == CLIP.stamps_ns[[1, 3, 5]].tolist()
    nothing = scores(one_cell(2, 8, 4)).evidence("<end>", (), {})
    assert np.isnan(nothing.frame_scores).all() and len(nothing.frame_scores) == 3


def several(
    number: int | str, peaks: tuple[float, ...], margin: float, max_targets: int = 1, **flat: Value
) -> Grounding:
    """The answer to a command for so many, with a tube of each peak."""
    heat = torch.zeros(3, 1, len(peaks))
    heat[0, 0] = torch.tensor(peaks)
    width = 120 / len(peaks)
    tubes = tuple(
        CandidateTube(
            track,
            np.tile(np.array([track * width, 0, (track + 1) * width, 80], np.float32), (7, 1)),
            np.ones(7, np.bool_),
            np.zeros(7, np.bool_),
        )
        for track in range(len(peaks))
    )
    config = Config.from_flat({f"presence.{name}": value for name, value in flat.items()})
    command = Command("find", "the people", number=number)  # type: ignore[arg-type]
    template = replace(
        TEMPLATE,
        query=Query("Q", max_targets=max_targets),
        split=SplitQuery("Q", "Q_s", "Q", "rules", ("action",), command=command),
    )
    selection = TubeSelection(SEEN, tubes, (margin,), MllmSettings(), config)
    return selection.grounding(heat, heat, "<end>", template)


@pytest.mark.parametrize(
    ("number", "options", "peaks", "tracks"),
    [
        ("all", {"share": 0.5}, (1.0, 4.0, 2.0, 1.9), [1, 2]),  # exactly half of the best
        ("all", {"share": 0.0}, (4.0, 1.0, 0.9), [0, 1]),  # evidence of exactly 0
        ("all", {"share": 0.0, "enabled": False}, (4.0, 1.0, 0.1), [0, 1, 2]),
        ("all", {"share": 1.0}, (4.0, 3.9), [0]),
        ("one", {"share": 0.0}, (4.0, 5.0, 3.0), [1]),
        ("one", {"share": 0.0, "max_targets": 2}, (4.0, 5.0, 3.0), [1, 0]),
        (2, {"share": 0.0}, (4.0, 5.0, 3.0), [1, 0]),
        (2, {"share": 0.0, "max_targets": 3}, (4.0, 5.0, 3.0), [1, 0, 2]),
        (9, {"share": 0.0}, (4.0, 5.0, 3.0), [1, 0, 2]),
    ],
)
def test_several_targets_are_those_that_pass_by_themselves(
    number: int | str, options: dict[str, Value], peaks: tuple[float, ...], tracks: list[int]
) -> None:
    given = {"threshold": 0.0, "track_weight": 1.0, **options}
    tubes = several(number, peaks, 0.0, **given).tubes  # type: ignore[arg-type]
    assert [tube.track_id for tube in tubes] == tracks
    assert [tube.rank for tube in tubes] == list(range(len(tracks)))
    own = [peaks[track] / (1 + peaks[track]) for track in tracks]
    best = [max(peaks) / (1 + max(peaks))] * len(tracks)
    expected = best if number == "one" else own
    assert [tube.confidence for tube in tubes] == pytest.approx(expected)


# The middle square of images of 120 x 80 px, in 2 x 2 cells of 40 px.
MIDDLE = TubeView(CLIP, np.array([1, 3, 5]), ((0,), (1,), (2,)), (1 / 6, 0.0, 5 / 6, 1.0))
QUARTERS = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]] * 3)


def standing(x1: float, x2: float, *, masked: bool = False) -> CandidateTube:
    """In the upper half of all frames; the mask is of the lower half."""
    boxes = np.tile(np.array([x1, 5, x2, 35], np.float32), (7, 1))
    masks = np.zeros((7, 8, 12), np.bool_)
    masks[:, 4:, round(x1 / 10) : round(x2 / 10)] = True
    never = np.zeros(7, np.bool_)
    return CandidateTube(3, boxes, ~never, never, masks=masks if masked else None)


@pytest.mark.parametrize(
    ("tube", "value"),
    [
        (standing(20, 60), 1.0), (standing(65, 100), 2.0), (standing(95, 120), 2.0),
        (standing(0, 25), 1.0), (standing(20, 60, masked=True), 3.0),
        (standing(60, 100, masked=True), 4.0), (standing(0, 120), 2.0),
    ],
)  # fmt: skip
def test_boxes_and_masks_lie_in_the_part_that_the_model_saw(
    tube: CandidateTube, value: float
) -> None:
    assert MIDDLE.scores(QUARTERS, tube).tolist() == [value] * 3


def test_a_person_outside_the_part_that_the_model_saw_is_absent() -> None:
    outside = standing(0, 19)
    assert np.isnan(MIDDLE.scores(QUARTERS, outside)).all()
    assert not MIDDLE.seen(outside).any() and MIDDLE.seen(standing(0, 21)).all()
    config = Config.from_flat({"presence.enabled": False})
    selection = TubeSelection(MIDDLE, (outside,), (1.0,), MllmSettings(), config)
    found = selection.grounding(QUARTERS, QUARTERS, "<end>", replace(TEMPLATE, split=SPLIT))
    assert found.best.status is Status.NOT_FOUND
    assert "in one of the frames that the model saw" in found.best.error
    inside = replace(standing(60, 90), track_id=5)
    selection = replace(selection, candidates=(outside, inside))
    found = selection.grounding(QUARTERS, QUARTERS, "<end>", replace(TEMPLATE, split=SPLIT))
    assert found.best.track_id == 5
    assert found.evidence is not None
    assert found.evidence.spatial.shape == (3, 2, 12)
    assert found.evidence.spatial[0, 1].tolist() == [0, 0, 3, 3, 3, 3, 4, 4, 4, 4, 0, 0]


def test_an_answer_says_what_the_model_did_not_see() -> None:
    known = ModelLimits(("a",), trained_pictures=False)
    assert known.of_crop(None) is known
    limited = known.of_crop((0.21875, 0.0, 0.78125, 1.0))
    assert limited.sentences == (
        "a", "the model sees the middle of the images only (56 % x 100 %)",
    )  # fmt: skip
    assert not limited.trained_pictures


@pytest.mark.parametrize(("calibrated", "said"), [(True, ""), (False, ", which is not calibrated")])
def test_a_refusal_says_whether_its_confidence_is_calibrated(calibrated: bool, said: str) -> None:
    clip, heat = noise_clip(6), torch.ones(6, 2, 3)
    view = TubeView(clip, np.arange(6), tuple((index,) for index in range(6)))
    selection = TubeSelection(view, (candidate(6, []),), (-4.0,), MllmSettings(), Config())
    template = Tube(Query("Q"), Status.NOT_FOUND, split=SPLIT, calibrated=calibrated)
    tube = selection.grounding(heat, heat, "<end>", template).best
    assert tube.error.startswith(f"the model sees no such target (confidence 0.02{said}")
    assert ("calibrated" in tube.error) == bool(said)


@pytest.mark.parametrize(
    ("unmeasured", "measured", "said"),
    [
        (("bored",), True, "body 'in red' -5.0; not measured: bored"),
        (("bored", "tired"), True, "body 'in red' -5.0; not measured: bored, tired"),
        ((), True, "body 'in red' -5.0"),
        (("bored",), False, ""),
    ],
)
def test_a_refusal_says_what_was_measured_and_what_not(
    unmeasured: tuple[str, ...], measured: bool, said: str
) -> None:
    clip, heat = noise_clip(6), torch.ones(6, 2, 3)
    view = TubeView(clip, np.arange(6), tuple((index,) for index in range(6)))
    findings = (SourceFinding("body", "in red", {3: -5.0}),) if measured else ()
    selection = TubeSelection(
        view, (candidate(6, []),), (-4.0,), MllmSettings(), Config(),
        fused=FusedEvidence(findings, False, unmeasured),
    )  # fmt: skip
    template = Tube(Query("Q"), Status.NOT_FOUND, split=SPLIT)
    tube = selection.grounding(heat, heat, "<end>", template).best
    assert (tube.status, tube.decided) == (Status.NOT_FOUND, said)
