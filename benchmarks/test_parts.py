# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""What the parts of a grounding cost, one by one: `make parts`. They print and assert nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from stvg_ros.config import AttentionConfig, ModelConfig, ProposalConfig, SpanConfig
from stvg_ros.core.assembling import assembled
from stvg_ros.core.attention import grounding_map
from stvg_ros.core.interfaces import Rows, VisualTokens
from stvg_ros.core.query import NEUTRAL, RuleSplitter, question
from stvg_ros.core.scoring import box_scores
from stvg_ros.core.span import find_span
from stvg_ros.evaluation.clips import scene_frames
from stvg_ros.evaluation.synthetic.scene import Scene
from stvg_ros.mllm import load_mllm
from stvg_ros.mllm.hf_common import HfMllm
from stvg_ros.mllm.preprocess import patches
from stvg_ros.proposals.classical import ClassicalProposer
from stvg_ros.types import Clip

ASKED = [
    question("the person in red who waves"),
    question("the person in red"),
    question("the person who waves"),
    NEUTRAL,
]


@pytest.fixture(scope="module")
def mllm() -> HfMllm:
    loaded = load_mllm(ModelConfig(device="cpu"), AttentionConfig())
    assert isinstance(loaded, HfMllm)
    return loaded


@pytest.fixture(scope="module")
def clip() -> Clip:
    return Clip(tuple(scene_frames(Scene.from_seed(0))))


@pytest.fixture(scope="module")
def images(clip: Clip) -> list[Any]:
    return [clip.frames[at].image for at in np.linspace(0, len(clip) - 1, 16).astype(int)]


@pytest.fixture(scope="module")
def visual(mllm: HfMllm, images: list[Any]) -> VisualTokens:
    return mllm.encode(images)


def test_split(benchmark: Any) -> None:
    splitter = RuleSplitter()
    benchmark(splitter.split, "The person in the red shirt who waves.")


def test_propose(benchmark: Any, clip: Clip) -> None:
    split = RuleSplitter().split("The person in the red shirt who waves.")
    proposer = ClassicalProposer(ProposalConfig(source="classical"))
    benchmark(proposer.propose, clip, split)


def test_resize_and_cut_patches(benchmark: Any, mllm: HfMllm, images: list[Any]) -> None:
    benchmark(patches, images, 96, 128, mllm.checkpoint.numbers)


def test_encode(benchmark: Any, mllm: HfMllm, images: list[Any]) -> None:
    benchmark(mllm.encode, images)


@torch.no_grad()
def test_prefill(benchmark: Any, mllm: HfMllm, visual: VisualTokens) -> None:
    benchmark(mllm.prefill, visual)


@torch.no_grad()
def test_ask_four_questions(benchmark: Any, mllm: HfMllm, visual: VisualTokens) -> None:
    prefix = mllm.prefill(visual)
    benchmark(mllm.ask, prefix, ASKED)


def test_gradient(benchmark: Any, mllm: HfMllm, visual: VisualTokens) -> None:
    offset = torch.zeros_like(visual.features, requires_grad=True)
    margin = mllm.ask(mllm.prefill(visual, offset), ASKED)[1].margin
    benchmark(torch.autograd.grad, margin, offset, retain_graph=True)


def test_look_of_three_passes(benchmark: Any, mllm: HfMllm, visual: VisualTokens) -> None:
    passes = [(visual, None), (visual, None), (visual.reversed(), None)]
    benchmark(mllm.look, passes, ASKED[0])


def test_map_and_assemble(benchmark: Any, visual: VisualTokens) -> None:
    rows = Rows(torch.rand(5, *visual.grid), tuple("abcde"))

    def both() -> None:
        heat, _ = grounding_map(rows, rows, AttentionConfig())
        assembled(heat, heat)

    benchmark(both)


def test_score_and_span(benchmark: Any, clip: Clip, visual: VisualTokens) -> None:
    heat, boxes = np.random.default_rng(0).random(visual.grid, np.float32), np.zeros((16, 4))
    boxes[:] = (100, 100, 200, 300)
    slots, present = np.arange(16) // 2, np.ones(16, bool)

    def both() -> None:
        scores = box_scores(heat, boxes.astype(np.float32), present, slots, clip.size_px)
        find_span(scores, SpanConfig(), lasts=False)

    benchmark(both)
