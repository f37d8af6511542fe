# SPDX-License-Identifier: Apache-2.0

"""Verifies a checkpoint: weights, prompt, tokens, and a grounding, against the library itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from stvg_ros.config import Config
from stvg_ros.doctor.findings import Finding
from stvg_ros.errors import ModelError, StvgError
from stvg_ros.method.base import BaseProposer
from stvg_ros.types import CandidateTube, Clip, Frame, Query, SplitQuery

_SHOWN = 5  # names of unused weights


class _OneSquare(BaseProposer):
    """The square of the sample video as the only candidate."""

    name = "sample"

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        from stvg_ros.models.library_comparison import square_boxes

        count = len(clip.frames)
        always = np.ones(count, np.bool_)
        boxes = np.array(square_boxes()[:count], np.float32)
        return (CandidateTube(1, boxes, always, ~always),)


def verified(path: str, device: str) -> Iterator[Finding]:
    """Findings about a multimodal language model; one that cannot be loaded has one finding."""
    from stvg_ros.models import load_mllm
    from stvg_ros.models.library_comparison import QUESTION, comparisons

    config = Config.from_flat({"model.path": path, "model.device": device, "split.method": "rules"})
    try:
        mllm: Any = load_mllm(config.model, config.attention)
    except StvgError as error:
        yield Finding("bad", "weights", str(error))
        return
    checkpoint = mllm.checkpoint
    count = len(checkpoint.model.state_dict())
    yield Finding("ok", "weights", f"{mllm.name}: {count} tensors, none missing or left random")
    if checkpoint.unused:
        names = ", ".join(checkpoint.unused[:_SHOWN])
        yield Finding(
            "note", "unused", f"{len(checkpoint.unused)} tensors of the files are unused: {names}",
            "expected for heads that this package does not need, such as mtp; else a wrong class",
        )  # fmt: skip
    decode = checkpoint.tokenizer.decode
    words = [[decode([token]) for token in ids.tolist()] for ids in mllm.answer_ids]
    yield Finding("ok", "answers", f"yes is one of {words[0]}, no is one of {words[1]}")
    visual = mllm.encode([np.zeros((64, 64, 3), np.uint8)])
    suffix = mllm.prompt.suffix(mllm.prefill(visual).layout, QUESTION)
    yield Finding("ok", "candidates", f"grounding tokens: {list(suffix.labels)}")
    try:
        for found in comparisons(mllm):
            yield Finding("ok" if found.equal else "bad", found.about, found.text)
    except ModelError as error:
        yield Finding("note", "library", f"not compared: {error}")
    yield _grounded(mllm, config)


def _grounded(mllm: Any, config: Config) -> Finding:
    """A grounding on two frames with all stages."""
    from stvg_ros.method.grounder import LocalGrounder
    from stvg_ros.method.query import RuleSplitter
    from stvg_ros.models.library_comparison import TIMES_S, sample_video

    frames = []
    for image, time_s in zip(sample_video()[:2], TIMES_S, strict=False):
        height, width = image.shape[:2]
        frames.append(Frame(round(time_s * 1e9), image, width, height))
    grounder = LocalGrounder(mllm, RuleSplitter(), _OneSquare(), config)
    try:
        answer = grounder.ground(
            Clip(tuple(frames)), Query("the person in red who walks"), lambda *_: None
        )
    except StvgError as error:
        return Finding("bad", "grounding", str(error))
    tube = answer.tubes[0]
    return Finding("ok", "grounding", f"two frames, all stages: {tube.status.name.lower()}")
