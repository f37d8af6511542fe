# SPDX-License-Identifier: Apache-2.0

"""SAM 3: its tracks as tubes with a model that knows the truth, then the real class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from moving_masks import QUERY, clip_of, mask_at
from tiny_detectors import save_concept_tracker
from transformers.models.sam3_video import modeling_sam3_video

from stvg_ros.build import build_proposer
from stvg_ros.cli.detector_verification import verified_part
from stvg_ros.errors import ModelError, ProposalError
from stvg_ros.proposals.open_vocabulary.concept_proposer import ConceptProposer
from stvg_ros.proposals.open_vocabulary.concept_tracker import (
    ConceptObservations,
    ConceptTracker,
)
from stvg_ros.proposals.open_vocabulary.mask_operations import MaskOperations
from stvg_ros.proposals.open_vocabulary.mask_tracker import MaskObservation, box_of
from stvg_ros.proposals.settings import ProposalConfig

torch.set_num_threads(1)


class World:
    """Rectangles by number: first place, step a frame, frames where each is seen."""

    def __init__(self, *objects: tuple[int, int, range], removed: int | None = None) -> None:
        self.objects, self.removed = objects, removed
        self.begun: list[tuple[str, int]] = []
        self.frames: list[int] = []

    def begin(self, phrase: str, max_objects: int) -> None:
        self.begun.append((phrase, max_objects))

    def step(self, image: np.ndarray, frame: int) -> ConceptObservations:
        self.frames.append(frame)
        masks = {
            number: mask_at(first + step * frame)
            for number, (first, step, where) in enumerate(self.objects)
            if frame in where
        }
        gone = {self.removed} if self.removed is not None and frame > 3 else set()
        return ConceptObservations(
            {number: MaskObservation(mask, box_of(mask)) for number, mask in masks.items()},
            {number: 0.9 - 0.1 * number for number in masks},
            frozenset(gone),
        )


def tubes_in(world: Any, count: int, **settings: Any) -> Any:
    config = ProposalConfig(**{"track_every": 1, "max_objects": 7, **settings})
    return ConceptProposer(config, world).propose(clip_of(count), QUERY)


def test_nothing_of_that_name_gives_no_tubes() -> None:
    world = World()
    assert tubes_in(world, 6) == ()
    assert world.begun == [("red dog", 7)] and world.frames == list(range(6))


def test_each_object_is_a_tube_with_masks_best_first() -> None:
    first, second = tubes_in(World((2, 1, range(9)), (25, 0, range(3, 9))), 9)
    assert first.present.all() and first.boxes_xyxy_px[3].tolist() == [20, 24, 60, 72]
    assert np.flatnonzero(second.present).tolist() == list(range(3, 9))
    assert first.masks.shape == (9, 64, 64) and first.score > second.score


def test_objects_that_the_model_takes_back_are_none() -> None:
    (tube,) = tubes_in(World((2, 0, range(9)), (25, 0, range(9)), removed=1), 9)
    assert tube.boxes_xyxy_px[0, 0] == 8


def test_frames_between_tracked_ones_are_interpolated() -> None:
    (tube,) = tubes_in(World((2, 3, range(9))), 9, track_every=3)
    assert np.flatnonzero(~tube.interpolated).tolist() == [0, 3, 6, 8]


def test_a_failure_is_an_error_of_this_source() -> None:
    world = World((2, 0, range(3)))
    world.step = lambda *_: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(ProposalError, match="'red dog' on 3 images .*ZeroDivisionError"):
        tubes_in(world, 3)


def test_overlapping_detections_are_one_and_parts_have_areas() -> None:
    operations = MaskOperations()
    ious = torch.tensor([[1, 0.5, 0], [0.5, 1, 0.5], [0, 0.5, 1]])
    scores = torch.tensor([0.5, 0.9, 0.6])
    assert operations.generic_nms(ious, scores, 0.4).tolist() == [1]
    assert operations.generic_nms(ious, scores, 0.5).tolist() == [1, 2, 0]
    mask = torch.tensor([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0]])[None, None]
    numbers, areas = operations.cc_2d(mask)
    assert areas[0, 0].tolist() == [[2, 0, 0, 2], [0, 2, 0, 2], [0, 0, 0, 0]]
    assert numbers[0, 0, 0, 0] == numbers[0, 0, 1, 1] != numbers[0, 0, 0, 3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_concept_tracker(tmp_path_factory.mktemp("sam3"))


def test_masks_are_those_of_the_library(folder: Path) -> None:
    """Earlier images and outputs are dropped here, and kept in the library's session."""
    tracker = ConceptTracker.load(str(folder), "cpu")
    model = tracker.checkpoint.model
    outputs: list[Any] = []
    hook = model.register_forward_hook(lambda *given: outputs.append(given[2]))
    clip = clip_of(22)
    tracker.begin("man", 3)
    ours = [tracker.step(frame.image, at) for at, frame in enumerate(clip.frames)]
    assert all(image is None for image in tracker._session.processed_frames.values())
    kept = tracker._session.output_dict_per_obj[0]["non_cond_frame_outputs"]
    assert 0 < len(kept) <= 18  # of a video of any length
    session = tracker.session_of("man")
    for at, frame in enumerate(clip.frames):
        model(session, frame=tracker.checkpoint.pixels(frame.image, *tracker.edges), frame_idx=at)
    hook.remove()
    for found, mine, theirs in zip(ours, outputs[:22], outputs[22:], strict=True):
        assert mine.obj_id_to_mask.keys() == theirs.obj_id_to_mask.keys() == found.seen.keys()
        for number, logits in theirs.obj_id_to_mask.items():
            assert torch.equal(mine.obj_id_to_mask[number], logits)
            assert np.array_equal(found.seen[number].mask, logits[0].numpy() > 0)


def test_objects_that_the_model_suppresses_or_takes_back_are_not_seen(folder: Path) -> None:
    tracker = ConceptTracker.load(str(folder), "cpu")

    class Model:
        config = tracker.checkpoint.model.config

        def __call__(self, session: Any, **_: Any) -> Any:
            session.processed_frames = {}
            return SimpleNamespace(
                obj_id_to_mask={number: torch.ones(1, 4, 4) for number in range(3)},
                obj_id_to_score={number: 0.5 for number in range(3)},
                removed_obj_ids={1},
                suppressed_obj_ids={2},
            )

    tracker._loaded = replace(tracker.checkpoint, model=Model())
    tracker.begin("man", 3)
    found = tracker.step(clip_of(1).frames[0].image, 0)
    assert set(found.seen) == {0} and found.removed == {1}
    assert found.seen[0].mask.all()


def test_no_code_is_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modeling_sam3_video, "cv_utils_kernel", None)
    monkeypatch.setattr(modeling_sam3_video, "is_kernels_available", lambda: pytest.fail("asked"))
    tracker = ConceptTracker.load(str(folder), "cpu")
    tracker.begin("man", 20)
    assert tracker.step(clip_of(1).frames[0].image, 0).seen


def test_the_checkpoint_from_its_path_to_tubes(folder: Path) -> None:
    config = ProposalConfig(
        source="open_vocabulary", detector=str(folder), track_every=1, device="cpu"
    )
    proposer = build_proposer(config)
    assert isinstance(proposer, ConceptProposer) and not proposer.can_follow
    for tube in proposer.propose(clip_of(5), QUERY):
        assert tube.boxes_xyxy_px.shape == (5, 4) and tube.masks.shape == (5, 64, 64)


def test_verification(folder: Path, tmp_path: Path) -> None:
    found = {item.about: item for item in verified_part(str(folder), "cpu") or ()}
    assert {about: item.level for about, item in found.items()} == dict.fromkeys(
        ["weights", "masks"], "ok"
    )
    assert found["masks"].text.startswith("0 of ")


def test_a_checkpoint_without_tokens_is_named(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        if "token" not in file.name:
            (tmp_path / file.name).symlink_to(file)
    with pytest.raises(ModelError, match=r"proposals\.detector .*no tokenizer"):
        ConceptTracker.load(str(tmp_path), "cpu")
