# SPDX-License-Identifier: Apache-2.0

"""The training of the embedded people detector: labels, losses, one step."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from transformers.image_transforms import center_to_corners_format

from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.scene import Scene
from stvg_lab.rendered.shapes import Prop
from stvg_lab.training.detector_images import HEIGHT, WIDTH, Images, boxes_of
from stvg_lab.training.train_detector import (
    build_model,
    collated,
    dense_loss,
    main,
    normalised,
    paired_giou,
    query_loss,
)
from stvg_ros.proposals.people.transformer_detector import FOLDER, PeopleDetector

POSITIONS = sum((HEIGHT // s) * (WIDTH // s) for s in (8, 16, 32))


def labels(*boxes: tuple[float, float, float, float]) -> list[dict[str, torch.Tensor]]:
    return [
        {
            "class_labels": torch.zeros(len(boxes), dtype=torch.long),
            "boxes": torch.tensor(boxes).reshape(-1, 4),
        }
    ]


def test_giou_of_pairs() -> None:
    first = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 1.0, 1.0]])
    second = torch.tensor([[0.0, 0.0, 2.0, 2.0], [3.0, 0.0, 4.0, 1.0]])
    assert paired_giou(first, second).tolist() == pytest.approx([1.0, -0.5])


def test_positions_in_the_middle_of_a_person_answer_for_that_person() -> None:
    # The left half of the image is one person: its middle is a quarter of the positions there.
    half = (0.25, 0.5, 0.5, 1.0)
    right = torch.tensor(half).expand(1, POSITIONS, 4)
    sure = torch.full((1, POSITIONS), 20.0)
    assert dense_loss(sure, right, labels(half)) > dense_loss(-sure, right, labels(half))
    nothing = dense_loss(-sure, right, labels())
    assert float(nothing) == pytest.approx(0, abs=1e-6)
    wrong = torch.tensor((0.75, 0.5, 0.5, 1.0)).expand(1, POSITIONS, 4)
    apart = dense_loss(sure, wrong, labels(half)) - dense_loss(sure, right, labels(half))
    # L1 of 0.5 five times, and a GIoU of 0 where it was 1, twice.
    assert float(apart) == pytest.approx(5 * 0.5 + 2 * 1.0, abs=1e-4)


def test_the_smaller_of_two_who_overlap_is_meant() -> None:
    big, small = (0.5, 0.5, 0.8, 0.8), (0.5, 0.5, 0.2, 0.4)
    scores = torch.zeros(1, POSITIONS)
    boxes = torch.tensor(small).expand(1, POSITIONS, 4)
    both = dense_loss(scores, boxes, labels(big, small))
    assert both < dense_loss(scores, boxes, labels(big))


def test_people_outside_the_image_are_not_asked_for() -> None:
    scene = Scene.from_seed(3, people=6)
    counts = set()
    for frame in range(0, scene.frame_count, 4):
        boxes = boxes_of(scene, frame)
        counts.add(len(boxes))
        assert (boxes[:, :2] - boxes[:, 2:] / 2 >= -1e-6).all()
        assert (boxes[:, :2] + boxes[:, 2:] / 2 <= 1 + 1e-6).all()
    assert max(counts) <= 6


def test_people_of_hard_scenes_are_asked_for_where_something_of_them_is_seen() -> None:
    scene = HardScene.from_seed(7, conditions=("half hidden",))
    frame, limit = scene.frame_count // 2, np.tile([scene.width, scene.height], 2)
    true = scene.boxes_xyxy_px[: len(scene.people), frame] / limit
    asked = center_to_corners_format(torch.from_numpy(boxes_of(scene, frame))).numpy()
    assert 0 < len(asked) <= len(scene.people)
    assert (np.abs(asked[:, None] - true[None]).max(axis=-1).min(axis=1) < 1e-5).all()
    wall = Prop(np.array([(0, 0), (640, 0), (640, 480), (0, 480)], float), 0.0, (90, 90, 90))
    assert not len(boxes_of(replace(scene, foreground=(wall,)), frame))


def test_images_are_those_of_the_seed() -> None:
    first, again, other = (next(iter(Images(seed))) for seed in (1, 1, 2))
    assert first[0].shape == (3, HEIGHT, WIDTH)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_losses_reach_all_weights() -> None:
    model = build_model().train()
    source = iter(Images(0))
    images, truth = collated([next(source), next(source)])
    output = model(normalised(images))
    dense = dense_loss(
        output.enc_outputs_class[..., 0], output.enc_outputs_coord_logits.sigmoid(), truth
    )
    (query_loss(model, output, truth) + dense).backward()  # type: ignore[no-untyped-call]
    still = [name for name, weight in model.named_parameters() if weight.grad is None]
    assert all("denoising" in name for name in still)


@pytest.fixture
def own_threads() -> Iterator[None]:
    """Training has one thread (two that wait for one another crawl where cores are few)."""
    count = torch.get_num_threads()
    yield
    torch.set_num_threads(count)


@pytest.mark.usefixtures("own_threads")
def test_a_short_training_writes_a_folder_that_the_source_reads(tmp_path: Path) -> None:
    main(["--out", str(tmp_path), "--minutes", "0.01", "--test", "1"])
    assert torch.get_num_threads() == 1
    report = json.loads((tmp_path / "training_report.json").read_text())
    assert report["steps"] >= 1
    assert all(0 <= report["held_out"][split]["recall"] <= 1 for split in ("test", "test-hard"))
    assert "nothing about real video" in (tmp_path / "README.md").read_text()
    model = transformers.AutoModelForObjectDetection.from_pretrained(tmp_path)
    assert sum(weight.numel() for weight in model.parameters()) == report["parameters"]
    boxes, _ = PeopleDetector(str(tmp_path), "cpu", 0.0)(np.zeros((48, 64, 3), np.uint8))
    assert boxes.shape == (20, 4)
    assert report["earlier"] == []
    main(["--out", str(tmp_path), "--minutes", "0.01", "--test", "1", "--start", str(tmp_path)])
    again = json.loads((tmp_path / "training_report.json").read_text())
    assert again["earlier"] == [{name: report[name] for name in ("minutes", "steps")}]
    assert f"{report['steps']} + {again['steps']} steps" in (tmp_path / "README.md").read_text()
    # The one in the package begins tracks sooner than others.
    scores = [PeopleDetector(str(path), "cpu", 0.4).new_track_score for path in (tmp_path, FOLDER)]
    assert scores == [0.7, 0.45]
