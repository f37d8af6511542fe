# SPDX-License-Identifier: Apache-2.0

"""Trains the embedded people detector, an RT-DETRv2 for rendered scenes, plain and hard ones.

    python -m stvg_lab.training.train_detector --out stvg_ros/proposals/people/embedded --minutes 30

B images, N positions of the encoder's feature maps, Q queries, P people in an image. Boxes are
(centre x, centre y, width, height), as shares of the image's size.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection
from transformers.image_transforms import center_to_corners_format
from transformers.utils import ModelOutput

from stvg_lab.rendered.render import render
from stvg_lab.training.detector_images import (
    HEIGHT,
    WIDTH,
    Images,
    boxes_of,
    pixels,
    scene_of,
)
from stvg_lab.training.model_card import detector_card
from stvg_ros.boxes import iou_matrix

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 8
SPLITS = ("val", "val-hard")  # of the held-out figures while it trains
HELD_OUT = 40  # validation scenes
_CORE = 0.5  # central share of a box; positions there predict the person


def build_model() -> RTDetrV2ForObjectDetection:
    """An RT-DETRv2 of 0.7 M parameters with random weights and the single class "person"."""
    channels = [24, 48, 64, 96]
    width = 64
    backbone = RTDetrResNetConfig(
        embedding_size=24,
        hidden_sizes=channels,
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_indices=[2, 3, 4],
    )
    config = RTDetrV2Config(
        backbone_config=backbone,
        freeze_backbone_batch_norms=False,
        encoder_hidden_dim=width,
        encoder_in_channels=channels[1:],
        encoder_ffn_dim=2 * width,
        encoder_attention_heads=4,
        hidden_expansion=0.5,
        d_model=width,
        decoder_in_channels=[width] * 3,
        decoder_layers=2,
        decoder_ffn_dim=2 * width,
        decoder_attention_heads=4,
        num_queries=20,
        num_denoising=0,
        num_labels=1,
        id2label={0: "person"},
        label2id={"person": 0},
    )
    return RTDetrV2ForObjectDetection(config)


def collated(items: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """A batch of images, and the labels in the format of the library's model."""
    labels = [
        {"class_labels": torch.zeros(len(boxes), dtype=torch.long), "boxes": boxes}
        for _, boxes in items
    ]
    return torch.stack([image for image, _ in items]), labels


def normalised(images: Tensor) -> Tensor:
    """`(B, 3, HEIGHT, WIDTH)` float32 with the numbers of the folder's preprocessor."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    return (images.float() / 255 - mean) / std


def query_loss(
    model: RTDetrV2ForObjectDetection, output: ModelOutput, labels: list[dict[str, Tensor]]
) -> Tensor:
    """The loss of the library, one query per person, after each layer of the decoder."""
    loss: Tensor = model.loss_function(
        output.logits,
        labels,
        model.device,
        output.pred_boxes,
        model.config,
        output.intermediate_logits,
        output.intermediate_reference_points,
        enc_topk_logits=output.enc_topk_logits,
        enc_topk_bboxes=output.enc_topk_bboxes,
        denoising_meta_values=None,
    )[0]
    return loss


def dense_loss(scores: Tensor, boxes: Tensor, labels: list[dict[str, Tensor]]) -> Tensor:
    """Dense loss: every position in the middle of a person predicts that person.

    The library matches one position to each person. Training all of them gives good boxes after a
    tenth of the steps; the decoder still learns one query per person.

    Args:
        scores: `(B, N)` logits of the encoder's positions.
        boxes: `(B, N, 4)` their boxes.
        labels: of the images.
    """
    cells = torch.cat([_cells(HEIGHT // stride, WIDTH // stride) for stride in (8, 16, 32)])
    target = torch.zeros_like(scores)
    owners: list[Tensor] = []
    for index, label in enumerate(labels):
        truth = label["boxes"]
        if not len(truth):
            owners.append(torch.full((len(cells),), -1))
            continue
        away = (cells[:, None] - truth[None, :, :2]).abs() / (truth[None, :, 2:] / 2)
        inside = away.amax(-1) < _CORE  # (N, P)
        size = torch.where(inside, truth[:, 2:].prod(-1), torch.inf)
        owner = torch.where(inside.any(1), size.argmin(1), -1)  # the smaller one is in front
        owners.append(owner)
        target[index, owner >= 0] = 1
    owner = torch.stack(owners)
    chosen = owner >= 0
    focal = torch.nn.functional.binary_cross_entropy_with_logits(scores, target, reduction="none")
    chance = scores.detach().sigmoid()
    focal = focal * torch.where(target > 0, 0.5 * (1 - chance) ** 2, 0.5 * chance**2)
    count = max(int(chosen.sum()), 1)
    loss = focal.sum() / count
    if chosen.any():
        truth = torch.cat(
            [lab["boxes"][own[own >= 0]] for lab, own in zip(labels, owner, strict=True)]
        )
        found = boxes[chosen]
        giou = paired_giou(center_to_corners_format(found), center_to_corners_format(truth))
        loss = loss + 5 * (found - truth).abs().sum() / count + 2 * (1 - giou).mean()
    return loss


def paired_giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU of pairs of corner boxes `(K, 4)`, `(K,)`."""
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    shared = (low[:, 2:] - high[:, :2]).clamp(min=0).prod(-1)
    hull = (high[:, 2:] - low[:, :2]).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    union = areas[0] + areas[1] - shared
    return shared / union - (hull - union) / hull


def _cells(rows: int, columns: int) -> Tensor:
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack([(x + 0.5) / columns, (y + 0.5) / rows], dim=-1).reshape(-1, 2)


@torch.no_grad()
def evaluated(model: RTDetrV2ForObjectDetection, split: str, scenes: int) -> dict[str, float]:
    """Detection figures on two frames of each scene; full size, no augmentation.

    Returns:
        `recall` of people at an IoU of 0.5, `iou`, the mean of the people found, and
        `false_alarms`, false boxes per image.
    """
    model.eval()
    people, ious, wrong, images = 0, [], 0, 0
    for number in range(scenes):
        scene = scene_of(split, number)
        for frame in (scene.frame_count // 3, 2 * scene.frame_count // 3):
            truth = center_to_corners_format(torch.from_numpy(boxes_of(scene, frame))).numpy()
            output = model(normalised(pixels(render(scene, frame))[None]))
            kept = output.logits[0, :, 0].sigmoid() > 0.5
            found = center_to_corners_format(output.pred_boxes[0][kept]).numpy()
            overlap = iou_matrix(truth, found)
            best = overlap.max(axis=1, initial=0)
            ious += best[best >= 0.5].tolist()
            people += len(truth)
            wrong += int(kept.sum()) - int((best >= 0.5).sum())
            images += 1
    model.train()
    return {
        "recall": round(len(ious) / people, 4),
        "iou": round(float(np.mean(ious)) if ious else 0.0, 4),
        "false_alarms": round(wrong / images, 4),
    }


def train(options: argparse.Namespace) -> tuple[RTDetrV2ForObjectDetection, int]:
    """Trains for the given time; the model, and the number of steps."""
    torch.manual_seed(options.seed)
    model = build_model()
    if options.start is not None:
        model.load_state_dict(
            RTDetrV2ForObjectDetection.from_pretrained(options.start).state_dict()
        )
    model = model.train().to(memory_format=torch.channels_last)  # twice as fast
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=1e-4)
    # A process of its own that is not forked: a fork of a process with threads can wait for ever.
    loader = DataLoader(
        Images(options.seed), BATCH, num_workers=1, collate_fn=collated, prefetch_factor=8,
        multiprocessing_context="spawn",
    )  # fmt: skip
    seconds, spent_s, step = 60 * options.minutes, 0.0, 0
    mean: dict[str, float] = {}
    next_look_s = 60 * options.every_minutes
    with tqdm(total=seconds, unit="s", bar_format="{percentage:3.0f}% {bar} {postfix}") as bar:
        for images, labels in loader:
            begin = time.monotonic()
            share = spent_s / seconds
            warm = min(1.0, (step + 1) / 200)
            for group in optimizer.param_groups:
                group["lr"] = options.rate * warm * (0.5 + 0.5 * np.cos(np.pi * share)) + 1e-6
            output = model(normalised(images).to(memory_format=torch.channels_last))
            losses = {
                "queries": query_loss(model, output, labels),
                "dense": dense_loss(
                    output.enc_outputs_class[..., 0],
                    output.enc_outputs_coord_logits.sigmoid(),
                    labels,
                ),
            }
            optimizer.zero_grad()
            sum(losses.values(), torch.zeros(())).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            step += 1
            took_s = time.monotonic() - begin
            spent_s += took_s
            bar.update(min(took_s, bar.total - bar.n))
            for name, loss in losses.items():
                mean[name] = 0.98 * mean.get(name, loss.item()) + 0.02 * loss.item()
            state = f"{spent_s / 60:.1f} min, step {step}: " + " ".join(
                f"{name} {value:.2f}" for name, value in mean.items()
            )
            bar.set_postfix_str(state, refresh=False)
            if spent_s >= next_look_s and spent_s < seconds:
                next_look_s += 60 * options.every_minutes
                figures = {split: evaluated(model, split, HELD_OUT) for split in SPLITS}
                bar.write(f"{state}, held out: {figures}")
                save(model, options.out, report_of(model, options, step, HELD_OUT, figures))
            if spent_s >= seconds:
                return model.eval(), step
    raise RuntimeError("the images ended")


def report_of(
    model: RTDetrV2ForObjectDetection,
    options: argparse.Namespace,
    steps: int,
    scenes: int,
    figures: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """The figures of the model card; those of detection by split."""
    return {
        "seed": options.seed,
        "minutes": options.minutes,
        "steps": steps,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "earlier": _earlier(options.start),
        "scenes": scenes,
        "held_out": figures,
    }


def _earlier(start: Path | None) -> list[dict[str, float]]:
    """Minutes and steps of the trainings that led to a checkpoint, the first one first."""
    file = None if start is None else start / "training_report.json"
    if file is None or not file.is_file():
        return []
    report = json.loads(file.read_text())
    own = {name: report[name] for name in ("minutes", "steps")}
    return [*report.get("earlier", []), own]


def save(model: RTDetrV2ForObjectDetection, folder: Path, report: dict[str, Any]) -> None:
    """Writes the Hugging Face folder and the figures."""
    model.save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "RTDetrImageProcessor",
        "do_resize": True,
        "size": {"height": HEIGHT, "width": WIDTH},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": STD,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
    (folder / "README.md").write_text(detector_card(report))
    (folder / "training_report.json").write_text(json.dumps(report, indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, measures on the test split, and writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--start", type=Path, help="begin with the weights of this checkpoint")
    parser.add_argument("--minutes", type=float, default=30, help="time to train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1e-3, help="maximum learning rate")
    parser.add_argument(
        "--every-minutes", type=float, default=3, help="minutes between held-out figures"
    )
    parser.add_argument("--test", type=int, default=200, help="test scenes at the end")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # the renderer has the other core; two threads that wait cost more
    model, steps = train(options)
    figures = {split: evaluated(model, split, options.test) for split in ("test", "test-hard")}
    report = report_of(model, options, steps, options.test, figures)
    save(model, options.out, report)
    sys.stdout.write(f"{json.dumps(report)}\n")


if __name__ == "__main__":
    main()
