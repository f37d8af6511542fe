# SPDX-License-Identifier: Apache-2.0

"""What the parts of a grounding cost, one by one: `make parts`. They print and assert nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.scene import Scene
from stvg_lab.rendered.scene_questions import asked_scene
from stvg_ros.body.blazepose import BlazePose
from stvg_ros.body.body_evidence import BodyEvidence
from stvg_ros.body.settings import BodyConfig
from stvg_ros.body.tracks import BodyMeter
from stvg_ros.commands.reader import grammar_reader
from stvg_ros.method.assembling import assembled
from stvg_ros.method.attention import grounding_map
from stvg_ros.method.interfaces import AttentionRows
from stvg_ros.method.query import NEUTRAL, RuleSplitter, question
from stvg_ros.method.scoring import box_scores
from stvg_ros.method.settings import AttentionConfig, SpanConfig
from stvg_ros.method.span import find_span
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models import load_mllm
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.preprocess import patches
from stvg_ros.models.settings import ModelConfig
from stvg_ros.proposals.people.classical import ClassicalProposer
from stvg_ros.proposals.people.ssdlite import SsdliteDetector
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import CandidateTube, Clip, Frame

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


@pytest.mark.parametrize("split", ["test", "test-hard"])
def test_render_a_clip_with_its_sentences(benchmark: Any, split: str) -> None:
    """Twelve scenes, 40 frames of 320 x 240 each; the number of people is in the extra info."""
    numbers = iter(range(12))
    people: list[int] = []

    def one() -> None:
        scene, _ = asked_scene(split, next(numbers))
        people.append(len(scene.people))

    benchmark.pedantic(one, rounds=12)
    benchmark.extra_info["people"] = sum(people) / len(people)


def test_split(benchmark: Any) -> None:
    splitter = RuleSplitter()
    benchmark(splitter.split, "The person in the red shirt who waves.")


def test_propose(benchmark: Any, clip: Clip) -> None:
    split = RuleSplitter().split("The person in the red shirt who waves.")
    proposer = ClassicalProposer(ProposalConfig(source="classical"))
    benchmark(proposer.propose, clip, split)


def test_resize_and_cut_patches(benchmark: Any, mllm: HfMllm, images: list[Any]) -> None:
    benchmark(patches, images, 96, 128, mllm.checkpoint.preprocessing)


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
    rows = AttentionRows(torch.rand(5, *visual.grid), tuple("abcde"))

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


@pytest.fixture(scope="module")
def street() -> Clip:
    """Ten seconds of noise at 10 Hz, 640 x 480: what it shows does not change the cost."""
    rng = np.random.default_rng(0)
    frames = (
        Frame(i * 10**8, rng.integers(0, 256, (480, 640, 3), dtype=np.uint8), 640, 480)
        for i in range(100)
    )
    return Clip(tuple(frames))


PEOPLE = np.array([[80, 60, 200, 420], [260, 90, 370, 430], [430, 80, 560, 440]], np.float32)


def test_detect_people(benchmark: Any, street: Clip) -> None:
    detect = SsdliteDetector(torch.device("cpu"))
    benchmark(detect, street.frames[0].image)


def test_keypoints_of_three_people(benchmark: Any, street: Clip) -> None:
    benchmark(BlazePose(), street.frames[0].image, PEOPLE)


def test_measure_three_people_of_an_arriving_frame(benchmark: Any, street: Clip) -> None:
    """Keypoints and colours, of another frame in each round."""
    meter, frames = BodyMeter(BlazePose(), 8.0), iter(street.frames * 100)
    benchmark(lambda: meter.renewed().observe(next(frames), PEOPLE))


def test_a_command_about_measured_people(benchmark: Any, street: Clip) -> None:
    """Three people over ten seconds, who were measured as the frames arrived."""
    config = BodyConfig()
    body = BodyEvidence(BodyMeter(BlazePose(), config.megabytes), grammar_reader("rules"), config)
    for frame in street.frames:
        body.arrived(frame, PEOPLE)
    there, nothing = np.ones(100, np.bool_), np.zeros(100, np.bool_)
    tubes = [CandidateTube(i, np.tile(box, (100, 1)), there, nothing)
             for i, box in enumerate(PEOPLE)]  # fmt: skip
    split = RuleSplitter(grammar_reader("rules")).split("the person in red who waves")
    benchmark(body.findings, street, split, tubes)
