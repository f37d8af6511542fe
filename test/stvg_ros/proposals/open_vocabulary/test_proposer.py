# SPDX-License-Identifier: Apache-2.0

"""The paper's source of tubes: its logic with rectangles for masks, then the real classes."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from moving_masks import QUERY, SIDE, clip_of, mask_at
from safetensors.torch import save_file
from tiny_detectors import IMAGE, save_detector, save_tracker

from stvg_ros.errors import ConfigError, ModelError, ProposalError
from stvg_ros.proposals.open_vocabulary.mask_tracker import (
    MaskObservation,
    MaskTracker,
    box_of,
    mask_iou,
)
from stvg_ros.proposals.open_vocabulary.proposer import (
    MaskFollower,
    MaskTrack,
    OpenVocabularyProposer,
    merged_tracks,
)
from stvg_ros.proposals.open_vocabulary.text_detector import TextDetector, noun_phrase
from stvg_ros.proposals.settings import ProposalConfig


class World:
    """Rectangles that move a cell a frame; both detector and tracker of it.

    Args:
        starts: for each object its first place, its step a frame, and the frames where it is.
    """

    def __init__(self, *starts: tuple[int, int, range]) -> None:
        self.starts = starts
        self.frame = -1
        self.looks: list[int] = []
        self.detected: list[tuple[int, str]] = []

    def seen(self, who: int) -> MaskObservation:
        first, step, frames = self.starts[who]
        mask = np.zeros((SIDE, SIDE), np.bool_)
        if self.frame in frames:
            mask = mask_at(first + step * self.frame)
        return MaskObservation(mask, box_of(mask))

    def set_image(self, image: np.ndarray, frame: int) -> None:
        self.frame = frame
        self.looks.append(frame)

    def start(self, box: np.ndarray, *, reverse: bool = False) -> tuple[int, MaskObservation]:
        for who in range(len(self.starts)):
            place = self.seen(who).box_xyxy
            if place is not None and np.allclose(place, box, atol=0.08):
                return who, self.seen(who)
        raise AssertionError("a box of nobody")

    def step(self, who: int) -> MaskObservation:
        return self.seen(who)

    def __call__(self, image: np.ndarray, phrase: str) -> tuple[np.ndarray, np.ndarray]:
        self.detected.append((self.frame, phrase))
        size = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
        places = [self.seen(who).box_xyxy for who in range(len(self.starts))]
        boxes = np.array([box * size for box in places if box is not None], np.float32)
        return boxes.reshape(-1, 4), np.linspace(0.9, 0.5, len(boxes)).astype(np.float32)


def tubes_in(world: World, count: int, **settings: object):  # type: ignore[no-untyped-def]
    values = {"track_every": 1, "detect_every": 4, **settings}
    proposer = OpenVocabularyProposer(ProposalConfig(**values), world, world)  # type: ignore[arg-type]
    return proposer.propose(clip_of(count), QUERY)


def test_nothing_of_that_name_gives_no_tubes() -> None:
    world = World()
    assert tubes_in(world, 6) == ()
    assert world.detected == [(0, "red dog"), (4, "red dog")]
    assert world.looks == list(range(6))  # and no way back


def test_an_object_is_one_tube_with_masks_in_pixels_of_the_camera() -> None:
    (tube,) = tubes_in(World((2, 1, range(9))), 9)
    assert tube.present.all() and not tube.interpolated.any()
    assert tube.boxes_xyxy_px[3].tolist() == [5 * 4, 10 * 2.4, 15 * 4, 30 * 2.4]
    assert tube.masks is not None and tube.masks.shape == (9, 64, 64)
    assert box_of(tube.masks[3]) == pytest.approx(np.array([5, 10, 15, 30]) / SIDE, abs=0.02)


def test_frames_between_tracked_ones_are_interpolated_and_flagged() -> None:
    (tube,) = tubes_in(World((2, 3, range(9))), 9, track_every=3)  # 3 cells a tracked frame
    assert tube.present.all()
    assert np.flatnonzero(~tube.interpolated).tolist() == [0, 3, 6, 8]
    assert tube.boxes_xyxy_px[:, 0].tolist() == [8, 12, 16, 20, 24, 28, 32, 38, 44]
    assert tube.masks is not None and tube.masks.any((1, 2)).tolist() == (
        (~tube.interpolated).tolist()
    )


def test_objects_are_added_when_they_appear_and_found_in_the_past() -> None:
    early, late = tubes_in(World((2, 0, range(12)), (25, 0, range(3, 12))), 12)
    assert early.present.all()
    assert np.flatnonzero(late.present).tolist() == list(range(3, 12))  # detected at 4


def test_an_object_out_of_sight_has_no_boxes() -> None:
    world = World((2, 0, range(12)))
    seen = world.seen
    world.seen = lambda who: (  # type: ignore[method-assign]
        MaskObservation(np.zeros((SIDE, SIDE), np.bool_), None)
        if 5 <= world.frame <= 7
        else seen(who)
    )
    (tube,) = tubes_in(world, 12)
    assert np.flatnonzero(~tube.present).tolist() == [5, 6, 7]


def test_known_objects_are_not_added_again_and_short_ones_dropped() -> None:
    assert len(tubes_in(World((2, 0, range(12)), (3, 0, range(12))), 12)) == 1
    assert len(tubes_in(World((2, 0, range(12)), (25, 0, range(2))), 12)) == 1
    assert len(tubes_in(World((2, 0, range(12)), (25, 0, range(2))), 12, min_frames=2)) == 2


def test_no_more_objects_than_allowed() -> None:
    world = World((0, 0, range(9)), (14, 0, range(9)), (28, 0, range(9)))
    assert len(tubes_in(world, 9, max_objects=2)) == 2


def test_two_tracks_of_one_object_become_one() -> None:
    def track(*steps: int, x: int = 5) -> MaskTrack:
        seen = {step: MaskObservation(mask_at(x), box_of(mask_at(x))) for step in steps}
        return MaskTrack(steps[0], np.zeros(4, np.float32), 0.5, seen)

    first, second, other = track(0, 1, 2), track(2, 3, 4), track(0, 4, x=25)
    joined = merged_tracks([first, second, other], 0.5)
    assert joined == [first, other]
    assert sorted(first.seen) == [0, 1, 2, 3, 4]
    assert len(merged_tracks([track(0, 1), track(2, 3)], 0.5)) == 2  # never seen together


def test_a_failure_is_an_error_of_this_source() -> None:
    world = World((2, 0, range(3)))
    world.step = lambda who: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    with pytest.raises(ProposalError, match="'red dog' on 3 images .*ZeroDivisionError.*raise"):
        tubes_in(world, 3)


@pytest.mark.parametrize(
    ("attribute", "phrase"),
    [
        ("the tall man in purple clothes", "tall man"),
        ("A dog", "dog"),
        ("the person who waves", "person"),
        ("the girl with the long braid", "girl"),
        ("red box", "red box"),
        ("the", "the"),
        ("", "person"),
        ("the man to the right of the woman in white", "man"),
        ("the man between the two women", "man"),
        ("a boy standing by the pool", "boy"),
        ("someone is jumping", "someone"),
        ("the small brown dog runs", "small brown dog"),
        ("the person closest to the door", "person"),
        ("the man above the stairs", "man"),
        ("the old man walking his dog", "old man"),
        ("people dancing in a row", "people"),
        ("the ball being thrown", "ball"),
        ("the man opposite the woman", "man"),
        ("the guy around the corner", "guy"),
        ("the girl against the wall", "girl"),
        ("the running shoe", "running shoe"),
        ("the fire truck", "fire truck"),
        ("der Mann links", "der mann links"),
    ],
)
def test_the_prompt_is_the_noun_phrase(attribute: str, phrase: str) -> None:
    assert noun_phrase(attribute) == phrase


def test_masks_have_boxes_and_overlaps() -> None:
    assert box_of(np.zeros((4, 4), np.bool_)) is None
    assert box_of(mask_at(0, 40)).tolist() == [0, 0.25, 1, 0.75]  # type: ignore[union-attr]
    assert mask_iou(mask_at(0), mask_at(5)) == pytest.approx(1 / 3)
    assert mask_iou(np.zeros((4, 4), np.bool_), np.zeros((4, 4), np.bool_)) == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.mark.parametrize("kind", ["grounding-dino", "mm-grounding-dino"])
def test_detections_are_those_of_the_library(folder: Path, kind: str) -> None:
    path = save_detector(folder / kind, kind)
    image = clip_of(1).frames[0].image
    detector = TextDetector(str(path), "cpu", 0.02, 0.0)
    boxes, scores = detector(image, "tall man")
    assert (np.diff(scores) <= 0).all() and (scores > 0.02).all() and len(scores) > 1
    from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
        GroundingDinoImageProcessorPil,
    )
    from transformers.models.grounding_dino.processing_grounding_dino import GroundingDinoProcessor

    processor = GroundingDinoProcessor(
        GroundingDinoImageProcessorPil.from_pretrained(path),
        transformers.AutoTokenizer.from_pretrained(path),
    )
    inputs = processor(images=image, text="tall man.", return_tensors="pt")
    own = detector._loaded.pixels(image, *inputs["pixel_values"].shape[2:])
    assert (own - inputs["pixel_values"]).abs().max() < 1.5 / 255 / 0.22  # a grey level
    inputs["pixel_values"] = own  # random weights magnify that level
    with torch.no_grad():
        output = detector._loaded.model(**inputs)
    (expected,) = processor.post_process_grounded_object_detection(
        output, inputs["input_ids"], 0.02, 0.0, target_sizes=[image.shape[:2]]
    )
    order = expected["scores"].argsort(descending=True)
    assert np.allclose(scores, expected["scores"][order].numpy(), atol=1e-5)
    limit = np.array([80, 48, 80, 48])
    assert np.allclose(boxes, np.clip(expected["boxes"][order].numpy(), 0, limit), atol=1e-3)
    assert len(TextDetector(str(path), "cpu", 1.0, 0.0)(image, "man")[0]) == 0
    assert len(TextDetector(str(path), "cpu", 0.0, 1.0)(image, "man")[0]) == 0


@pytest.mark.parametrize("kind", ["sam2_video", "edgetam_video"])
def test_masks_are_those_of_the_library(folder: Path, kind: str) -> None:
    path = save_tracker(folder / kind, kind)
    clip = clip_of(20)
    tracker = MaskTracker.load(str(path), "cpu")
    box = np.array([0.1, 0.2, 0.5, 0.9], np.float32)
    first = {False: 0, True: 19}
    found: dict[bool, list[np.ndarray]] = {}
    for reverse in (False, True):
        order = range(20) if not reverse else range(19, -1, -1)
        for frame in order:
            tracker.set_image(clip.frames[frame].image, frame)
            if frame == first[reverse]:
                item, seen = tracker.start(box, reverse=reverse)
                found[reverse] = [seen.mask]
            else:
                found[reverse].append(tracker.step(item).mask)
        (outputs,) = item.session.output_dict_per_obj.values()
        assert len(outputs["non_cond_frame_outputs"]) <= 18  # of a video of any length

    model = tracker._loaded.model
    pixels = torch.cat([tracker._loaded.pixels(f.image, IMAGE, IMAGE) for f in clip.frames])
    session_class = type(item.session)
    for reverse in (False, True):
        session = session_class(pixels, 48, 80, dtype=torch.float32)
        index = session.obj_id_to_idx(1)
        corners = torch.tensor(box).reshape(1, 1, 2, 2) * IMAGE
        labels = torch.tensor([[[2, 3]]], dtype=torch.int32)
        prompt = {"point_coords": corners, "point_labels": labels}
        session.add_point_inputs(index, first[reverse], prompt)
        session.obj_with_new_inputs = [1]
        with torch.no_grad():
            for mask, output in zip(
                found[reverse],
                model.propagate_in_video_iterator(session, first[reverse], reverse=reverse),
                strict=True,
            ):
                assert np.array_equal(mask, (output.pred_masks[0, 0] > 0).numpy())


def test_real_classes_from_their_paths_to_tubes(folder: Path) -> None:
    from stvg_ros.build import build_proposer

    config = ProposalConfig(
        source="open_vocabulary",
        detector=str(save_detector(folder / "detector")),
        tracker=str(save_tracker(folder / "tracker")),
        box_threshold=0.0,
        text_threshold=0.0,
        detect_every=2,
        max_objects=3,
        merge_iou=0.9,
        device="cpu",
    )
    proposer = build_proposer(config)
    assert proposer.name == "open_vocabulary"
    tubes = proposer.propose(clip_of(7), QUERY)
    assert tubes
    for number, tube in enumerate(tubes):
        assert tube.track_id == number
        assert tube.boxes_xyxy_px.shape == (7, 4)
        assert tube.boxes_xyxy_px[tube.present].max() <= 160
        assert tube.masks is not None and tube.masks.shape == (7, 64, 64)
    again = proposer.propose(clip_of(7), QUERY)
    assert np.array_equal(tubes[0].boxes_xyxy_px, again[0].boxes_xyxy_px)


def test_an_object_is_followed_by_its_mask(folder: Path) -> None:
    path = save_tracker(folder / "followed")
    tracker = MaskTracker.load(str(path), "cpu")
    clip = clip_of(6)
    follower = MaskFollower(tracker.twin(), clip.frames[0], np.array([16, 20, 80, 90], np.float32))
    found = [follower.update(frame) for frame in clip.frames[1:]]
    tracker.set_image(clip.frames[0].image, 0)
    item, _ = tracker.start(np.array([0.1, 20 / 96, 0.5, 90 / 96], np.float32))
    for index, sighting in enumerate(found, 1):
        tracker.set_image(clip.frames[index].image, index)
        box = tracker.step(item).box_xyxy
        assert sighting.seen == (box is not None)
        if box is not None:
            assert sighting.box_xyxy_px == pytest.approx(box * np.array([160, 96, 160, 96]))


def test_bad_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"proposals.tracker '.*': no checkpoint"):
        MaskTracker.load(str(tmp_path), "cpu")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match=r"expected a checkpoint of edgetam_video or sam2_video"):
        MaskTracker.load(str(tmp_path), "cpu")
    (tmp_path / "config.json").write_text('{"model_type": "grounding-dino"}')
    with pytest.raises(ModelError, match=r"proposals.detector '.*': the weights cannot be loaded"):
        TextDetector(str(tmp_path), "cpu", 0.4, 0.4)
    with pytest.raises(ConfigError, match=r"proposals.device: 'teapot'"):
        TextDetector(str(tmp_path), "teapot", 0.4, 0.4)


def test_edgetam_without_its_backbone_library_says_so(tmp_path: Path) -> None:
    if transformers.utils.is_timm_available():
        pytest.skip("timm is installed here")
    (tmp_path / "config.json").write_text(
        '{"model_type": "edgetam_video", "vision_config": {"model_type": "edgetam_vision_model"}}'
    )
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"needs a library that is not installed .*timm"):
        MaskTracker.load(str(tmp_path), "cpu")


@pytest.mark.parametrize(
    "size_px",
    [(2000, 8), (16384, 1), (1, 16384), (8, 2000), (2, 1), (3, 900), (900, 3), (4096, 64),
     (64, 4096), (1, 2)],
)  # fmt: skip
def test_an_image_of_any_shape_is_searched_and_tracked(
    folder: Path, size_px: tuple[int, int]
) -> None:
    config = ProposalConfig(
        source="open_vocabulary",
        detector=str(save_detector(folder / "any shape")),
        tracker=str(save_tracker(folder / "any shape tracked")),
        device="cpu",
        box_threshold=0.0,
        text_threshold=0.0,
    )
    proposer = OpenVocabularyProposer.load(config)
    width, height = 2 * size_px[0], 2 * size_px[1]
    for tube in proposer.propose(clip_of(2, size_px), QUERY):
        assert (tube.boxes_xyxy_px <= np.array([width, height] * 2)).all()
