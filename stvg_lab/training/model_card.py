# SPDX-License-Identifier: Apache-2.0

"""The model cards, written from the reports that training measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stvg_lab.training.clip_pool import FRAMES, PEOPLE
from stvg_lab.training.examiner import ACTS, COLOURS
from stvg_lab.training.packed_questions import COLUMNS, HEIGHT, PAIR, ROWS, WIDTH

KINDS = ("attribute", "action", "combined", "sentence", "relation")


def model_card(report: Mapping[str, Any]) -> str:
    """`README.md` of the checkpoint's folder."""
    figures: Mapping[str, float] = report["figures"]

    def row(title: str, key: str) -> str:
        cells = [figures.get(key.format(kind=kind)) for kind in KINDS]
        shown = ["-" if cell is None else f"{cell:.2f}" for cell in cells]
        return f"| {title} | " + " | ".join(shown) + " |"

    notes = "".join(f" {note}" for note in report.get("notes", ()))
    table = "\n".join(
        (
            row("yes/no, target present", "yes_no/{kind}/present"),
            row("yes/no, target absent", "yes_no/{kind}/absent"),
            row("right person, mean of the role rows", "person/mean row/{kind}"),
            row("right person, strongest role row", "person/strongest row/{kind}"),
            row("right person, mean row, all layers", "person/all layers mean row/{kind}"),
            row("right person, chance", "chance/{kind}"),
            row("tIoU of the half-peak span, mean row", "tiou/mean row/{kind}"),
            row("tIoU of the half-peak span, strongest row", "tiou/strongest row/{kind}"),
            row("tIoU of the whole window (floor)", "tiou/whole window/{kind}"),
        )
    )
    layers = " and ".join(str(layer) for layer in report["attention_layers"])
    return f"""# Embedded model

A `Qwen2VLForConditionalGeneration` of {report["parameters"] / 1e6:.2f} M parameters, trained from
nothing by `stvg_lab/training/train_embedded.py` on rendered scenes (`stvg_lab.rendered`). It is
there so that tests and the demonstration run the whole path, weights, gradients and attention
included, on a CPU in seconds.

## Training
Seed {report["seed"]}, {report["minutes"]} minutes, {report["steps"]} steps of 8 clips on one CPU
core (the other renders). 2 to {PEOPLE} people with {len(COLOURS)} shirt colours, bags, and
{len(ACTS)} actions (standing included). {FRAMES} frames of {WIDTH} x {HEIGHT} pixels make
{FRAMES // PAIR} slots of {ROWS} x {COLUMNS} visual tokens.{notes}

The losses:

- the answers to yes/no questions ("Is there ... in this video?"), of which half are absent targets
  and most of those are swapped colours and actions of the same scene; to "what" and "colour"
  questions; and a caption that lists the colours;
- colour, bag, action and carton of every visual token, from linear heads that are thrown away
  afterwards;
- **the attention itself.** The rows of the question's last token and of the role tokens after it
  are taught, in the mean over the heads of layers {layers} (counted from 0), to look at the visual
  tokens that the named person covers: in all slots for looks, in the slots of the action for an
  action. So is the last word that names a colour or an action. One layer below, the same rows are
  taught to look at the question's naming words. The neutral prompt is taught to look at everybody,
  over an even floor; a question about somebody who is not there, to look at no visual token.
  Large models do this unasked, which is what the method builds on; this small one was made to. Its
  grounding is therefore no evidence for the method, only a means of running it.

## Held-out figures
Measured by the training script on {report["held_out_scenes"]} scenes of the
{report["held_out_split"]} split (seeds never trained on), rendered at 640 x 480 and resized.

| | {" | ".join(KINDS)} |
|---|{"---|" * len(KINDS)}
{table}

"Right person": the relative attention (role rows divided by those of the neutral prompt), layers
{layers} unless the row says otherwise; the person with the highest value inside the true boxes.
"tIoU": the run of slots around the peak, inside the true target's box, that stays above half of it.
Each slot is an eighth of the window, so a span is never finer than that.

## Limits
The rendered world only: flat figures, {len(COLOURS)} colours, {len(ACTS)} actions, one grid. An
unknown word is `[UNK]`. It says nothing about larger models or real video, writes no free text, and
cannot split a query. The image rule of Qwen2-VL sends 640 x 480 to {WIDTH} x {HEIGHT}; other shapes
give grids that it was not trained on.
"""


def detector_card(report: Mapping[str, Any]) -> str:
    """`README.md` of the people detector's folder."""
    return f"""# Embedded people detector

An `RTDetrV2ForObjectDetection` of {report["parameters"] / 1e6:.2f} M parameters, trained from
nothing by `stvg_lab/training/train_detector.py` on rendered scenes (`stvg_lab.rendered`) with
the people's true boxes. It is there so that the demonstration and the tests have candidate tubes
for the embedded model. It knows the rendered world only and says nothing about real video: there,
set `proposals.people_detector` to a released checkpoint, or `proposals.source` to another source.

## Training
Seed {report["seed"]}, {report["minutes"]} minutes, {report["steps"]} steps of 8 images on one CPU
core (the other renders). Images are stretched to 320 x 256, mirrored, tinted and compressed at
random. The losses are the library's (one query for a person, after each layer of the decoder), and
a dense one: every position of the encoder's feature maps in the middle of a person answers for that
person.

## Held-out figures
Measured by the training script on two images of each of {report["scenes"]} scenes of the
{report["split"]} split (seeds never trained on), rendered at 640 x 480; scores above 0.5 count.

| people found (IoU 0.5) | mean IoU of those | boxes of nobody, an image |
|---|---|---|
| {100 * report["recall"]:.1f} % | {report["iou"]:.3f} | {report["false_alarms"]:.2f} |
"""
