# SPDX-License-Identifier: Apache-2.0

"""Answers questions about tubes: their number, presence and appearance.

Appearance is described on the images cropped to the tube: in the model's own words if it writes
text, otherwise by the most probable of given words, for which only "yes" and "no" are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.commands.command import Command
from stvg_ros.method.evidence import EvidenceSource
from stvg_ros.method.interfaces import Mllm, Prefix
from stvg_ros.method.query import question
from stvg_ros.method.tube_view import TubeView
from stvg_ros.types import CandidateTube, Grounding, Status

QUESTIONS = ("count", "exists", "describe")
POSES = {
    "standing": "a person who is standing",
    "sitting": "a person who is sitting",
    "lying": "a person who is lying down",
    "crouching": "a person who is crouching",
    "walking": "a person who is walking",
}
GESTURES = {
    "waving": "a person who is waving",
    "raising the left arm": "a person who is raising the left arm",
    "raising the right arm": "a person who is raising the right arm",
    "pointing to the left": "a person who is pointing to the left",
    "pointing to the right": "a person who is pointing to the right",
}
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "orange", "gray", "purple", "brown")
CLOTHES = {f"{colour} clothes": f"a person in {colour}" for colour in COLOURS}
ACTIONS = {
    **{name: text for name, text in POSES.items() if name != "crouching"},
    **{name: f"a person who is {name}" for name in ("waving", "running", "jumping", "crouching")},
}
CHOICES = {"pose": (POSES,), "gesture": (GESTURES,), "clothes": (CLOTHES,), "action": (ACTIONS,),
           "description": (POSES, CLOTHES)}  # fmt: skip
REQUESTS = {
    "pose": "In which pose is the person? Answer with a few words.",
    "gesture": "Which gesture does the person make? Answer with a few words.",
    "clothes": "What does the person wear? Name the garments and their colours in one sentence.",
    "action": "What does the person do? Answer with one sentence.",
    "description": "What does the person look like and do? Answer with one sentence.",
}
_MOST_TOKENS = 48
_MOST_CHARACTERS = 300
_MARGIN = 1.25  # of the crops around a tube's box
_NAMELESS = "a name cannot be seen in a picture; ask the person"


@runtime_checkable
class TextWriter(Protocol):
    """A model that can write about images; whether it was trained to is in its settings."""

    def write(self, prefix: Prefix, request: str, max_new_tokens: int) -> str:
        """Greedy text after a request about the images of a prefix."""
        ...


def answer_of(
    command: Command,
    grounding: Grounding,
    view: TubeView,
    mllm: Mllm,
    sources: Sequence[EvidenceSource] = (),
) -> tuple[str, int]:
    """The answer to a question in words, and the number of matching tubes.

    What one of the sources measures is described by it, the rest by the model.
    """
    found = [tube for tube in grounding.tubes if tube.status is Status.FOUND]
    number = len(found)
    if command.intent == "count":
        return str(number), number
    if command.intent == "exists":
        return ("yes" if number else "no"), number
    if not found:
        return "no matching target is visible", 0
    if command.asked == "name":
        return _NAMELESS, number
    tracks = {candidate.track_id: candidate for candidate in grounding.candidates}
    candidate = tracks.get(found[0].track_id)
    if candidate is None:
        return "", number
    for source in sources:
        said = source.described(view.clip, candidate, command.asked)
        if said:
            return said, number
    return described(candidate, command.asked, view, mllm), number


def described(candidate: CandidateTube, asked: str, view: TubeView, mllm: Mllm) -> str:
    """The model's description of a tube: its text, or the most probable choice of each list."""
    pictures = cut_to_tube(candidate, view)
    if not pictures:
        return ""
    choices = CHOICES.get(asked, CHOICES["description"])
    with torch.no_grad():
        prefix = mllm.prefill(mllm.encode(pictures))
        # A model that splits queries itself was trained to write text.
        if isinstance(mllm, TextWriter) and mllm.settings.split == "mllm":
            request = REQUESTS.get(asked, REQUESTS["description"])
            text = " ".join(mllm.write(prefix, request, _MOST_TOKENS).split())
            if text:
                return text[:_MOST_CHARACTERS]
        said = []
        for options in choices:
            readings = mllm.ask(prefix, [question(text) for text in options.values()])
            margins = [float(reading.margin) for reading in readings]
            said.append(list(options)[int(np.nanargmax(np.nan_to_num(margins, nan=-np.inf)))])
    return ", ".join(said)


def cut_to_tube(candidate: CandidateTube, view: TubeView) -> list[NDArray[np.uint8]]:
    """The sampled images of a tube, cropped to squares of one size around its boxes."""
    frames = [int(i) for i in view.sampled if candidate.present[i]]
    if not frames:
        return []
    images = [view.clip.frames[frame].image for frame in frames]
    scale = images[0].shape[1] / view.clip.size_px[0]
    return squares(images, candidate.boxes_xyxy_px[frames] * scale)


def squares(
    images: Sequence[NDArray[np.uint8]], boxes_xyxy_px: NDArray[np.floating]
) -> list[NDArray[np.uint8]]:
    """Images cropped to squares of one size around boxes `(T, 4)`; black outside of an image."""
    sides = np.maximum(*(boxes_xyxy_px[:, axis + 2] - boxes_xyxy_px[:, axis] for axis in (0, 1)))
    side = max(8, int(np.ceil(float(sides.max()) * _MARGIN)))
    pictures = []
    for image, box in zip(images, boxes_xyxy_px, strict=True):
        x, y = (np.array([box[0] + box[2], box[1] + box[3]]) / 2).round().astype(int)
        picture = np.zeros((side, side, 3), np.uint8)
        left, top = int(x) - side // 2, int(y) - side // 2
        rows = slice(max(0, top), max(0, top + side))
        columns = slice(max(0, left), max(0, left + side))
        cut = image[rows, columns]
        down, right = rows.start - top, columns.start - left
        picture[down : down + cut.shape[0], right : right + cut.shape[1]] = cut
        pictures.append(picture)
    return pictures
