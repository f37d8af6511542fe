# SPDX-License-Identifier: Apache-2.0

"""Shared passes give what passes of one's own give, with less work."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from fakes import FixedProposer, FixedSplitter, ToyMllm, no_checkpoint, noise_clip

from stvg_lab.ablation.ablation_rows import CONTROLS, HEAD_ROWS, METHODS, ROWS, SOURCES
from stvg_lab.ablation.control_directions import negated, random_direction
from stvg_lab.ablation.memoised_mllm import MemoisedMllm, MemoisedProposer
from stvg_ros.config import Config
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.reattention import descent
from stvg_ros.setting import Value
from stvg_ros.types import Grounding, Query, SplitQuery


def states_first(asked: str, options: Sequence[str]) -> list[float]:
    """The first number is the likeliest, and the last one of the last image."""
    log_p = [-1.0 - 0.3 * number for number in range(len(options))]
    return log_p[::-1] if " last " in asked else log_p


BOXES = ((0.0, 0.0, 40.0, 80.0), (80.0, 0.0, 120.0, 80.0))


def grounded(mllm: ToyMllm | MemoisedMllm, values: dict[str, Value], model: str) -> Grounding:
    direction = {"negated gradient": negated, "random direction": random_direction(3)}
    grounder = LocalGrounder(
        mllm,
        FixedSplitter(),
        FixedProposer(*BOXES),
        Config.from_flat(values),
        direction.get(model, descent),
    )
    return grounder.ground(CLIP, Query("the red one who waves"), no_checkpoint)


CLIP = noise_clip()


def test_every_row_is_the_same_as_with_passes_of_its_own() -> None:
    shared, maps = MemoisedMllm(ToyMllm(states=states_first, selected=True)), []
    for row in (*ROWS, *SOURCES, *HEAD_ROWS, *METHODS, *CONTROLS):
        for values in (row.values, {**row.values, "reattention.epochs": 2}):
            one = grounded(ToyMllm(states=states_first, selected=True), values, row.model)
            other = grounded(shared, values, row.model)
            assert one.evidence is not None
            assert other.evidence is not None
            for name in ("spatial", "temporal"):
                mine, theirs = getattr(one.evidence, name), getattr(other.evidence, name)
                np.testing.assert_allclose(theirs, mine, atol=1e-6, err_msg=f"{row.name} {name}")
            assert other.best.confidence == pytest.approx(one.best.confidence, abs=1e-6)
            assert (other.best.start_ns, other.best.end_ns, other.best.track_id) == (
                one.best.start_ns,
                one.best.end_ns,
                one.best.track_id,
            )
        maps.append(one.evidence.spatial.tobytes() + one.evidence.temporal.tobytes())
    assert len(set(maps)) > 6


def test_the_model_works_once() -> None:
    toy = ToyMllm()
    shared = MemoisedMllm(toy)
    values = ROWS[5].values
    grounded(shared, values, "own")
    work = (toy.prefills, len(toy.questions), toy.encoded)
    grounded(shared, values, "own")
    assert (toy.prefills, len(toy.questions), toy.encoded) == work
    # The span is not the model's work, and the other direction has two or three new passes.
    grounded(shared, ROWS[6].values, "own")
    assert toy.prefills == work[0]
    grounded(shared, ROWS[4].values, "negated gradient")
    assert toy.prefills == work[0] + 2


def test_another_clip_is_another_video() -> None:
    toy = ToyMllm()
    shared = MemoisedMllm(toy)
    images = [frame.image for frame in CLIP.frames[:5]]
    first = shared.encode(images)
    assert shared.encode(list(images)) is first
    (before,) = shared.ask(shared.prefill(first), ["what"])
    second = shared.encode([frame.image for frame in noise_clip(seed=1).frames[:5]])
    (after,) = shared.ask(shared.prefill(second), ["what"])
    assert not torch.equal(before.rows, after.rows)
    with pytest.raises(TypeError, match="expected a prefix of this model"):
        shared.ask(toy.prefill(first), ["what"])


def test_several_videos_are_remembered() -> None:
    """A clip and its marked images alternate, in either order of their slots."""
    toy = ToyMllm(states=lambda asked, options: [-1.0] * len(options))
    shared, clips = MemoisedMllm(toy), [noise_clip(5, seed) for seed in (1, 2)]
    found = []
    for _ in range(2):
        for clip in clips:
            visual = shared.encode([frame.image.copy() for frame in clip.frames])
            for turned in (visual, visual.reversed()):
                prefix = shared.prefill(turned)
                found.append(shared.ask(prefix, ["what"])[0].rows)
                assert shared.option_log_p(prefix, "which", ["1", "2"]) is not None
    assert (toy.encoded, toy.prefills, len(toy.questions)) == (10, 4, 8)
    for first, again in zip(found[:4], found[4:], strict=True):
        assert torch.equal(first, again)
    assert not torch.equal(found[0], found[2])


def test_old_videos_are_dropped() -> None:
    toy = ToyMllm()
    shared = MemoisedMllm(toy)
    for seed in [*range(40), 39, 0]:
        visual = shared.encode([frame.image for frame in noise_clip(2, seed).frames])
        shared.ask(shared.prefill(visual), ["what"])
        shared.attention_rows([(visual, torch.ones_like(visual.features))], "what")
    assert toy.encoded == 2 * 41
    assert max(map(len, (shared._videos, shared._passes, shared._looks))) == 24


def test_completions_are_remembered() -> None:
    toy = ToyMllm()
    toy.reply = "one"
    shared = MemoisedMllm(toy)
    assert shared.complete("s", "p", 3) == "one"
    toy.reply = "two"
    assert shared.complete("s", "p", 3) == "one"
    assert shared.complete("s", "other", 3) == "two"
    assert (shared.name, shared.settings) == (toy.name, toy.settings)


def test_a_proposer_is_asked_once_for_a_clip() -> None:
    class Counting(FixedProposer):
        asked = 0

        def propose(self, clip, query):  # type: ignore[no-untyped-def]
            self.asked += 1
            return super().propose(clip, query)

    counting = Counting(*BOXES)
    once, split = MemoisedProposer(counting), SplitQuery("x", "x", "x", "rules")
    first = once.propose(CLIP, split)
    assert once.propose(CLIP, split) is first
    assert once.propose(noise_clip(seed=2), split) is not first
    assert (counting.asked, once.name) == (2, "fixed")


def test_control_directions_keep_the_length_of_each_tokens_step() -> None:
    gradient = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(negated(gradient), -gradient)
    drawn = random_direction(4)(gradient)
    torch.testing.assert_close(drawn.norm(dim=1), gradient.norm(dim=1))
    assert torch.cosine_similarity(drawn, gradient).abs().max() < 0.99
    torch.testing.assert_close(random_direction(4)(gradient), drawn)
    assert not torch.equal(random_direction(5)(gradient), drawn)
    assert torch.equal(random_direction(4)(torch.zeros(2, 3)), torch.zeros(2, 3))
