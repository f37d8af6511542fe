# SPDX-License-Identifier: Apache-2.0

"""The model cards, written from the reports of training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stvg_lab.rendered.hard.actor import DOINGS, POSES
from stvg_lab.rendered.hard.hard_queries import HARD_KINDS
from stvg_lab.rendered.scene_generator import COLOURS as NAMED
from stvg_lab.training.clip_pool import FRAMES, PEOPLE
from stvg_lab.training.examiner import ACTS, COLOURS
from stvg_lab.training.packed_questions import COLUMNS, HEIGHT, PAIR, ROWS, WIDTH

KINDS = ("attribute", "action", "combined", "sentence", "relation")


def _figures_table(figures: Mapping[str, float], kinds: tuple[str, ...]) -> str:
    def row(title: str, key: str) -> str:
        cells = [figures.get(key.format(kind=kind)) for kind in kinds]
        shown = ["-" if cell is None else f"{cell:.2f}" for cell in cells]
        return f"| {title} | " + " | ".join(shown) + " |"

    return "\n".join(
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


def _steps(report: Mapping[str, Any]) -> str:
    return f"{report['steps']} steps of {report.get('clips', 8)} clips"


def _scenes_of(report: Mapping[str, Any]) -> tuple[str, str, str]:
    """What was trained on, what the absent targets and dense labels are, and what is known."""
    if report.get("scenes") == "hard":
        return (
            """The split train-hard: 3 to 10 people, their garments, gestures,
poses and things, in bad light, hidden, far away and before a moving camera; and plain scenes of the
split train. Nearly half of the clips are close-ups of one person or thing.""",
            """which are nearly there; and a caption that lists the colours;
- colours, garments, poses, doings and things of every visual token,""",
            f"{len(NAMED)} colours, {len(DOINGS)} doings and {len(POSES)} poses",
        )
    return (
        f"""2 to {PEOPLE} people with {len(COLOURS)} shirt colours, bags, and
{len(ACTS)} actions (standing included).""",
        """most of which combine colours and actions of different people in the scene; to "what" and
  "colour" questions; and a caption that lists the colours;
- colour, bag, action and carton of every visual token,""",
        f"{len(COLOURS)} colours, {len(ACTS)} actions",
    )


def model_card(report: Mapping[str, Any]) -> str:
    """`README.md` of the checkpoint's folder."""
    figures: Mapping[str, float] = report["figures"]
    notes = "".join(f" {note}" for note in report.get("notes", ()))
    kinds = HARD_KINDS if report.get("scenes") == "hard" else KINDS
    table = _figures_table(figures, kinds)
    world, asked, limits = _scenes_of(report)
    band = report["attention_layers"]
    noun, numbers = "layers" if len(band) > 1 else "layer", " and ".join(map(str, band))
    made = report.get("class", "Qwen2VLForConditionalGeneration")
    rest = " The neutral prompt is trained"
    if made == "Qwen2VLForConditionalGeneration":  # a recurrent layer has no attention to train
        rest = f""" One layer below, the
  same rows are trained to attend to the naming words of the question.{rest}"""
    return f"""# Embedded model

A `{made}` of {report["parameters"] / 1e6:.2f} M parameters, trained from
scratch by `stvg_lab/training/train_embedded.py` on rendered scenes (`stvg_lab.rendered`). With it,
tests and the demonstration run the whole path, including weights, gradients and attention, on a CPU
in seconds.

## Training
Seed {report["seed"]}, {report["minutes"]} minutes, {_steps(report)} on one CPU
core (a second one renders). {world} {FRAMES} frames of {WIDTH} x {HEIGHT} pixels give
{FRAMES // PAIR} slots of {ROWS} x {COLUMNS} visual tokens.{notes}

The losses:

- the answers to yes/no questions ("Is there ... in this video?"), half of them about absent
  targets, {asked} from linear heads that are not part of the
  model;
- **the attention itself.** The attention rows of the question's last token and of the role tokens
  after it, averaged over the heads of {noun} {numbers} (counted from 0), are trained to attend to
  the visual tokens of the named person: in all slots for appearance, in the slots of the action for
  an action. The same holds for the last word that names a colour or an action.{rest}
  to attend to all people, above a uniform floor; a question about an absent target, to no visual
  token. Large models behave like this without such training, and the method relies on that; this
  small one was trained for it. Its grounding is therefore no evidence for the method, only a means
  of running it.

## Held-out figures
Measured by the training script on {report["held_out_scenes"]} scenes of the
{report["held_out_split"]} split (seeds never trained on), rendered at 640 x 480 and resized.

| | {" | ".join(kinds)} |
|---|{"---|" * len(kinds)}
{table}

"Right person": the relative attention (role rows divided by those of the neutral prompt), {noun}
{numbers} unless the row says otherwise; the person with the highest value inside the true boxes.
"tIoU": the run of slots around the peak, inside the true target's box, that is above half of it.
Each slot is an eighth of the window, which limits the resolution of a span.

## Limits
Rendered scenes only: flat figures, {limits}, one grid. An
unknown word is `[UNK]`. The model says nothing about larger models or real video, writes no free
text, and cannot split a query. Qwen2-VL's image processor resizes 640 x 480 to {WIDTH} x {HEIGHT};
other shapes give grids that the model was not trained on.
"""


def detector_card(report: Mapping[str, Any]) -> str:
    """`README.md` of the people detector's folder."""
    minutes, steps = (
        " + ".join(str(one[name]) for one in (*report["earlier"], report))
        for name in ("minutes", "steps")
    )
    rows = "\n".join(
        f"| {split} | {100 * held['recall']:.1f} % | {held['iou']:.3f} "
        f"| {held['false_alarms']:.2f} |"
        for split, held in report["held_out"].items()
    )
    return f"""# Embedded people detector

An `RTDetrV2ForObjectDetection` of {report["parameters"] / 1e6:.2f} M parameters, trained from
scratch by `stvg_lab/training/train_detector.py` on rendered scenes (`stvg_lab.rendered`), plain and
hard ones, with the true boxes of the people. It provides candidate tubes for the embedded model in
the demonstration and the tests. It works on rendered scenes only and says nothing about real video;
there, set `proposals.people_detector` to a released checkpoint, or `proposals.source` to another
source.

## Training
{minutes} minutes, {steps} steps of 8 images on one CPU
core (a second one renders). Images are resized to 320 x 256, and randomly mirrored, tinted and
compressed. The losses are those of the library (one query per person, after each layer of the
decoder), and a dense one: every position of the encoder's feature maps in the middle of a person
predicts that person. Who is hidden to more than 85 % is not asked for.

## Held-out figures
Measured by the training script on two images of each of {report["scenes"]} scenes of each split
(seeds never trained on), rendered at 640 x 480; scores above 0.5 count.

| split | people found (IoU 0.5) | mean IoU of those | false boxes per image |
|---|---|---|---|
{rows}
"""
