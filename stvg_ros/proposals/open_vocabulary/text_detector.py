# SPDX-License-Identifier: Apache-2.0

"""Detects the objects of a noun phrase in one image: Grounding DINO and MM Grounding DINO.

Dimensions: Q object queries, L text tokens.
"""

from __future__ import annotations

import re

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.commands import noun_phrase as commands
from stvg_ros.commands.tagging import LexiconTagger
from stvg_ros.commands.tokens import tokens
from stvg_ros.proposals.detector_checkpoint import DetectorCheckpoint, load, tokenizer_of

CLASSES = {
    "grounding-dino": "GroundingDinoForObjectDetection",
    "mm-grounding-dino": "MMGroundingDinoForObjectDetection",
}
_LONGEST_RATIO = 20  # of an image's sides; longer ones are resized, so that some rows remain
_ARTICLE = re.compile(r"^(?:the|a|an|that|this|another|some|any)\s+", re.IGNORECASE)
_QUALIFIER = re.compile(
    r"[\s,]+(?:in|with|without|of|on|at|to|near|beside|behind|between|among|by|from|under|over|"
    r"inside|outside|above|below|next|left|right|wearing|dressed|holding|carrying|having|who|that|"
    r"which|whose)\b.*$",
    re.IGNORECASE | re.DOTALL,
)


def noun_phrase(attribute: str) -> str:
    """The kind of object: "the tall man in purple clothes" gives "tall man".

    All objects of that kind become candidates; the attention of the language model selects the
    one in purple clothes.
    """
    text = _ARTICLE.sub("", " ".join(attribute.split()).strip(" .,!?"))
    words = LexiconTagger().tag(tokens(text))
    last = commands.noun_phrase(words).end
    if 0 < last < len(words):  # where the grammar sees a verb or preposition after the noun
        text = " ".join(word.text for word in words[:last])
    return _QUALIFIER.sub("", text).strip(" ,").lower() or "person"


class TextDetector:
    """Detects boxes of a phrase. Not thread-safe."""

    def __init__(self, path: str, device: str, box_threshold: float, text_threshold: float) -> None:
        """Loads a checkpoint.

        Raises:
            ModelError, ConfigError: see `load`.
        """
        setting = "proposals.detector"
        self._loaded = load(path, setting, CLASSES, device)
        self._tokenizer = tokenizer_of(self._loaded, setting)
        self._box_threshold = box_threshold
        self._text_threshold = text_threshold

    @property
    def checkpoint(self) -> DetectorCheckpoint:
        """The weights with preprocessing."""
        return self._loaded

    def prompt_ids(self, phrase: str) -> list[int]:
        """The tokens of a phrase as the model gets them."""
        return list(self._tokenizer(f"{phrase}.")["input_ids"])

    @torch.no_grad()
    def __call__(self, image: NDArray[np.uint8], phrase: str) -> tuple[Boxes, NDArray[np.float32]]:
        """Boxes `(N, 4)` in the image's pixels and scores `(N,)`, best first.

        A query is used if its best token exceeds the box threshold, and a token of the phrase
        itself (not a full stop or a special token) exceeds the text threshold.
        """
        height, width = image.shape[:2]
        pixels = self._loaded.pixels(image, *self.fitted(height, width))
        text = self._tokenizer(f"{phrase}.", return_tensors="pt")
        device = self._loaded.device
        output = self._loaded.model(
            pixel_values=pixels.to(device),
            pixel_mask=torch.ones(pixels[:, 0].shape, dtype=torch.long, device=device),
            input_ids=text["input_ids"].to(device),
            attention_mask=text["attention_mask"].to(device),
            token_type_ids=torch.zeros_like(text["input_ids"]).to(device),
        )
        chances = output.logits[0].float().sigmoid()  # (Q, at least L)
        meant = torch.tensor(self._meant(text["input_ids"][0].tolist()), device=device)
        scores = chances.max(dim=1).values
        keep = scores > self._box_threshold
        keep &= chances[:, : len(meant)][:, meant].max(dim=1).values > self._text_threshold
        order = scores[keep].argsort(descending=True, stable=True)
        centre, size = output.pred_boxes[0].float()[keep][order].split(2, dim=1)
        boxes = torch.cat([centre - size / 2, centre + size / 2], dim=1).cpu().numpy()
        limit = np.array([width, height, width, height], np.float32)
        found = np.clip(boxes * limit, 0, limit).astype(np.float32)
        return found, scores[keep][order].cpu().numpy().astype(np.float32)

    def _meant(self, ids: list[int]) -> list[bool]:
        """Mask of the tokens of the phrase; all tokens if none remains."""
        tokens = self._tokenizer.convert_ids_to_tokens(ids)
        special = set(self._tokenizer.all_special_ids)
        meant = [i not in special and t.strip() != "." for i, t in zip(ids, tokens, strict=True)]
        return meant if any(meant) else [True] * len(meant)

    def fitted(self, height: int, width: int) -> tuple[int, int]:
        """The checkpoint's shortest and longest edge at the image's aspect ratio."""
        size = self._loaded.preprocessing.size
        if "height" in size and "width" in size:
            return size["height"], size["width"]
        short, long = sorted((height, width))
        short = max(short, -(-long // _LONGEST_RATIO))
        edge = size.get("shortest_edge", 800)
        if long / short * edge > size.get("longest_edge", 1333):
            edge = round(size.get("longest_edge", 1333) * short / long)
        other = int(edge * long / short)  # truncated, as in the image processor of transformers
        return (edge, other) if height <= width else (other, edge)
