# SPDX-License-Identifier: Apache-2.0

"""Tubes of a people detector: linking with a detector of known boxes, then the real classes."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from drawn_people import BLUE, QUERY, RED, scene, viou, walk
from tiny_detectors import save_detector, save_people_detector

from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.queries import split_seed
from stvg_lab.rendered.scene import Scene
from stvg_ros.boxes import iou_matrix
from stvg_ros.build import build_proposer
from stvg_ros.errors import ModelError, ProposalError
from stvg_ros.proposals.people.transformer_detector import FOLDER, PeopleDetector, PeopleProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Clip

KINDS = ("rt_detr", "rt_detr_v2", "d_fine", "deimv2", "lw_detr", "rf_detr")


class Known:
    """A detector that knows the boxes of each image, `(P, F, 4)`, but for some it misses."""

    name, new_track_score, smoothing_s, every = "known", 0.7, 0.0, 1

    def __init__(self, clip: Clip, boxes: np.ndarray, missed: tuple[int, ...] = ()) -> None:
        self.at = {id(frame.image): index for index, frame in enumerate(clip.frames)}
        self.boxes, self.missed = boxes, missed
        self.scores = np.full(boxes.shape[:2], 0.9, np.float32)
        self.looks = 0

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.looks += 1
        frame = self.at[id(image)]
        seen = slice(0 if frame in self.missed else None)
        return self.boxes[seen, frame], self.scores[seen, frame]


def known(clip: Clip, boxes: np.ndarray, *missed: int) -> PeopleProposer:
    return PeopleProposer(ProposalConfig(), Known(clip, boxes, missed))


def test_nobody_gives_no_tubes() -> None:
    clip, boxes = scene()
    assert known(clip, boxes).propose(clip, QUERY) == ()


def test_tubes_are_the_detected_boxes_and_gaps_are_filled() -> None:
    clip, boxes = scene((walk(20, 270), RED))
    (tube,) = known(clip, boxes, 7, 8).propose(clip, QUERY)
    assert np.allclose(tube.boxes_xyxy_px, boxes[0], atol=1.0)
    assert tube.present.all()
    assert np.flatnonzero(tube.interpolated).tolist() == [7, 8]


def test_two_who_cross_keep_their_identities() -> None:
    clip, boxes = scene((walk(20, 270), RED), (walk(270, 20), BLUE))
    tubes = known(clip, boxes).propose(clip, QUERY)
    assert len(tubes) == 2
    for person in boxes:
        assert max(viou(tube, person) for tube in tubes) > 0.95


def test_one_who_is_seen_in_few_frames_is_no_tube() -> None:
    clip, boxes = scene((walk(20, 270), RED))
    seen_in = (4, 20, 36)
    missed = [frame for frame in range(len(clip)) if frame not in seen_in]
    assert known(clip, boxes, *missed).propose(clip, QUERY) == ()


def test_a_tube_ends_where_its_person_is_no_longer_detected() -> None:
    clip, boxes = scene(([40.0] * 40, RED))
    (tube,) = known(clip, boxes, *range(15, 40)).propose(clip, QUERY)
    assert np.flatnonzero(tube.present).tolist() == list(range(15))


def test_every_third_image_is_enough() -> None:
    clip, boxes = scene((walk(20, 270), RED), (walk(270, 20), BLUE))
    proposer = PeopleProposer(ProposalConfig(people_every=3), Known(clip, boxes))
    tubes = proposer.propose(clip, QUERY)
    assert len(tubes) == 2
    assert proposer._detect.looks == -(-len(clip) // 3)  # type: ignore[attr-defined]
    assert np.flatnonzero(~tubes[0].interpolated).tolist() == list(range(0, len(clip), 3))
    for person in boxes:
        assert max(viou(tube, person) for tube in tubes) > 0.9


def test_a_checkpoint_searches_each_third_image_on_a_cpu(tmp_path: Path) -> None:
    assert PeopleDetector(str(save_people_detector(tmp_path)), "cpu", 0.4).every == 3
    assert PeopleDetector(str(FOLDER), "cpu", 0.4).every == 1


def test_a_weak_box_goes_on_with_a_track_and_begins_none() -> None:
    clip, boxes = scene((walk(20, 270), RED), (walk(270, 20), BLUE))
    proposer = known(clip, boxes)
    proposer._detect.scores[0, 5:] = 0.5  # type: ignore[attr-defined]
    proposer._detect.scores[1] = 0.5  # type: ignore[attr-defined]
    (tube,) = proposer.propose(clip, QUERY)
    assert viou(tube, boxes[0]) > 0.95
    assert not tube.interpolated.any()
    proposer.reconfigure(ProposalConfig(new_track_threshold=0.4))
    assert len(proposer.propose(clip, QUERY)) == 2


def test_each_image_is_searched_once_if_none_within_a_quarter_of_a_second_was() -> None:
    clip, boxes = scene((walk(20, 270), RED))
    proposer = known(clip, boxes)
    for frame in clip.frames[:15]:
        proposer.observe(frame)
    proposer.propose(clip, QUERY)
    proposer.propose(clip, QUERY)
    near = 2  # at 10 Hz behind the last frame that was searched on arrival
    assert proposer._detect.looks == len(clip) - near  # type: ignore[attr-defined]
    assert proposer.fill[0] == len(clip)


def test_a_person_is_followed_past_another() -> None:
    clip, boxes = scene((walk(20, 270), RED), (walk(270, 20), BLUE))
    proposer = known(clip, boxes, 30)
    follower = proposer.follower(clip.frames[5], boxes[0, 5])
    sightings = [follower.update(frame) for frame in clip.frames[6:]]
    found = np.array([s.box_xyxy_px for s in sightings], np.float32)
    assert np.diag(iou_matrix(found, boxes[0, 6:])).min() > 0.6
    assert [s.seen for s in sightings].count(False) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_and_scores_are_those_of_the_library(tmp_path: Path, kind: str) -> None:
    folder = save_people_detector(tmp_path, kind)
    image = np.random.default_rng(0).integers(0, 255, (48, 80, 3), dtype=np.uint8)
    boxes, scores = PeopleDetector(str(folder), "cpu", 0.0)(image)
    model = transformers.AutoModelForObjectDetection.from_pretrained(folder).eval()
    # As the library's processor does: stretched to 64 x 128, scaled to 0..1, not normalised.
    pixels = torch.nn.functional.interpolate(
        torch.from_numpy(image).permute(2, 0, 1)[None].float(), (64, 128),
        mode="bilinear", antialias=True,
    )  # fmt: skip
    if kind != "rf_detr":
        pixels = pixels.round().clamp(0, 255)
    with torch.no_grad():
        output = model(pixel_values=pixels / 255)
    expected = output.logits[0, :, 1].sigmoid().sort(descending=True)
    centre, size = output.pred_boxes[0][expected.indices].split(2, dim=1)
    corners = torch.cat([centre - size / 2, centre + size / 2], 1) * torch.tensor([80, 48, 80, 48])
    kept: list[int] = []
    for index, overlap in enumerate(iou_matrix(corners.numpy(), corners.numpy())):
        if not kept or overlap[kept].max() <= 0.6:
            kept.append(index)
    assert np.allclose(scores, expected.values[kept], atol=1e-5)
    assert len(kept) > 1 and scores[0] > scores[-1] + 1e-3
    limit = np.array([80, 48, 80, 48])
    assert np.allclose(boxes, np.clip(corners[kept].numpy(), 0, limit), atol=1e-3)


def test_rf_detr_resizes_without_smoothing(tmp_path: Path) -> None:
    detector = PeopleDetector(str(save_people_detector(tmp_path, "rf_detr")), "cpu", 0.0)
    image = np.random.default_rng(0).integers(0, 255, (128, 256, 3), dtype=np.uint8)
    values = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    quarter = (
        (  # the mean of four, since the size is halved
            values[:, ::2, ::2]
            + values[:, 1::2, ::2]
            + values[:, ::2, 1::2]
            + values[:, 1::2, 1::2]
        )
        / 4
    )
    pixels = detector.checkpoint.pixels(image, *detector.size)
    torch.testing.assert_close(pixels[0], quarter, atol=1e-5, rtol=0)


def test_a_threshold_keeps_the_better_boxes(tmp_path: Path) -> None:
    folder = str(save_people_detector(tmp_path))
    image = np.random.default_rng(0).integers(0, 255, (48, 80, 3), dtype=np.uint8)
    scores = PeopleDetector(folder, "cpu", 0.0)(image)[1]
    middle = float(scores[0] + scores[1]) / 2
    assert PeopleDetector(folder, "cpu", middle)(image)[1].tolist() == scores[:1].tolist()


def test_a_detector_that_knows_no_people_is_refused(tmp_path: Path) -> None:
    folder = save_people_detector(tmp_path, names=("cat", "dog"))
    with pytest.raises(ModelError, match=r"expected a class 'person'.*got \['cat', 'dog'\]"):
        PeopleDetector(str(folder), "cpu", 0.4)


def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = save_detector(tmp_path)
    with pytest.raises(ModelError, match="people_detector.*rt_detr.*got 'grounding-dino'"):
        PeopleDetector(str(folder), "cpu", 0.4)


def test_an_image_on_which_the_detector_fails_is_named() -> None:
    clip, _ = scene()

    class Broken(Known):
        def __call__(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            raise RuntimeError("CUDA out of memory")

    proposer = PeopleProposer(ProposalConfig(), Broken(clip, np.zeros((0, len(clip), 4))))
    with pytest.raises(ProposalError, match=r"people_detector.*\(240, 320, 3\).*out of memory"):
        proposer.observe(clip.frames[0])


def test_the_embedded_detector_finds_rendered_people() -> None:
    # Scenes that it was not trained on, with four people each.
    proposer = build_proposer(ProposalConfig(source="people_detector", people_detector="embedded"))
    best = []
    for seed in (41, 42):
        drawn = Scene.from_seed(split_seed("val", seed), people=4)
        frames = tuple(scene_frames(drawn))[::4]
        tubes = proposer.propose(Clip(frames), QUERY)
        assert len(tubes) <= 6
        for person in drawn.boxes_xyxy_px[:, ::4]:
            best.append(max(viou(tube, person) for tube in tubes))
    assert np.mean(best) > 0.8


def test_the_embedded_detector_says_what_it_was_trained_on() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "rendered" in card and "nothing about real" in card
