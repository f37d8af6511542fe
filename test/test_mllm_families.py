"""Each family on a tiny random model of the real class, against the library's own forward."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_models import FAMILIES, write

from stvg_ros.config import AttentionConfig, ModelConfig
from stvg_ros.core.interfaces import VisualTokens
from stvg_ros.mllm import load_mllm

QUESTIONS = ["Is there the person who waves in this video?", "Describe this video in details."]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory):
    return write(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def mllm(folder):
    return load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())


def images(count: int, height: int = 24, width: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(count)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(count)]


def whole(mllm, visual: VisualTokens, question: str, offset: torch.Tensor | None = None):
    """The slow version: one unshared sequence, eager attention, every map, every logit."""
    family, prompter, model = mllm._family, mllm._prompter, mllm._model
    text = family.video_text(visual.grid)
    suffix = prompter.suffix(question, text, family.visual_id)
    prefix = prompter.prefix(text, family.visual_id)
    ids = torch.tensor([[*prefix, *suffix.ids]])
    features = visual.features if offset is None else visual.features + offset
    embeds = family.scattered(ids, model.get_input_embeddings()(ids), features)
    positions = family.positions(ids, visual.grid)
    extra = {}
    if len(positions) == 1:
        positions = positions[0]
    else:
        extra["mm_token_type_ids"] = (ids == family.visual_id).int() * 2
    family.language_model.set_attn_implementation("eager")
    try:
        output = model(
            inputs_embeds=embeds, position_ids=positions, output_attentions=True, **extra
        )
    finally:
        family.language_model.set_attn_implementation("stvg_rows")
    columns = (ids[0] == family.visual_id).nonzero()[:, 0][: len(features)]
    rows = torch.tensor(suffix.rows) + len(prefix)
    maps = torch.stack(output.attentions).mean((0, 2))[0][rows][:, columns]
    log_p = output.logits[0, -1].log_softmax(-1)
    margin = log_p[mllm._yes].logsumexp(0) - log_p[mllm._no].logsumexp(0)
    return maps.reshape(-1, *visual.grid), margin, ids


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_rows_and_answers_equal_eager_attention_on_the_unshared_sequence(mllm, count):
    visual = mllm.encode(images(count))
    readings = mllm.ask(mllm.prefill(visual), QUESTIONS)
    for reading, question in zip(readings, QUESTIONS, strict=True):
        maps, margin, _ = whole(mllm, visual, question)
        torch.testing.assert_close(reading.rows, maps, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(reading.margin, margin, atol=1e-5, rtol=1e-5)


def test_gradient_equals_autograd_through_the_whole_model(mllm):
    visual = mllm.encode(images(4))
    offset = torch.zeros_like(visual.features).requires_grad_(True)
    first, second = mllm.ask(mllm.prefill(visual, offset), QUESTIONS)
    for reading, question in ((first, QUESTIONS[0]), (second, QUESTIONS[1])):
        (fast,) = torch.autograd.grad(reading.margin, offset, retain_graph=True)
        slow_offset = torch.zeros_like(visual.features).requires_grad_(True)
        (slow,) = torch.autograd.grad(whole(mllm, visual, question, slow_offset)[1], slow_offset)
        assert float(slow.abs().max()) > 1e-4
        torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)
    assert all(p.grad is None and not p.requires_grad for p in mllm._model.parameters())


def test_a_prefix_may_be_asked_twice_and_questions_do_not_see_one_another(mllm):
    prefix = mllm.prefill(mllm.encode(images(2)))
    together = mllm.ask(prefix, QUESTIONS)
    alone = [mllm.ask(prefix, [question])[0] for question in QUESTIONS]
    for first, second in zip(together, alone, strict=True):
        torch.testing.assert_close(first.rows, second.rows, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(first.margin, second.margin, atol=1e-5, rtol=1e-5)
        assert first.tokens == second.tokens


def test_prefix_and_suffix_are_the_whole_prompt(mllm):
    family, prompter = mllm._family, mllm._prompter
    text = family.video_text((2, 2, 3))
    content = [{"type": "video"}, {"type": "text", "text": QUESTIONS[0]}]
    prompt = mllm._tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    ).replace(family.placeholder, text)
    suffix = prompter.suffix(QUESTIONS[0], family.video_text((1, 1, 1)), family.visual_id)
    prefix = prompter.prefix(text, family.visual_id)
    assert [*prefix, *suffix.ids] == mllm._tokenizer(prompt)["input_ids"]
    assert suffix.labels == ("?", "<|im_end|>", "\n", "<|im_start|>", "assistant", "\n")


def test_reversed_order_moves_the_features_and_keeps_the_positions(mllm):
    visual = mllm.encode(images(6))
    backward = visual.reversed()
    by_slot = visual.features.reshape(visual.grid[0], -1, visual.features.shape[1])
    assert torch.equal(backward.features, torch.cat(list(reversed(list(by_slot)))))
    assert backward.slots == visual.slots[::-1]
    reading = mllm.ask(mllm.prefill(backward), QUESTIONS[:1])[0]
    maps, margin, _ = whole(mllm, backward, QUESTIONS[0])
    torch.testing.assert_close(reading.rows, maps, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(reading.margin, margin, atol=1e-5, rtol=1e-5)


def test_slots_cover_every_frame_once(mllm):
    visual = mllm.encode(images(5, height=40, width=24))
    assert sorted(frame for slot in visual.slots for frame in slot) == [0, 1, 2, 3, 4]
    assert len(visual.slots) == visual.grid[0]


def test_half_precision_gives_finite_float32_answers(folder):
    mllm = load_mllm(
        ModelConfig(path=str(folder), device="cpu", dtype="bfloat16"), AttentionConfig()
    )
    visual = mllm.encode(images(2))
    offset = torch.zeros(visual.features.shape, requires_grad=True)
    (reading,) = mllm.ask(mllm.prefill(visual, offset), QUESTIONS[:1])
    (grad,) = torch.autograd.grad(reading.margin, offset)
    assert reading.rows.dtype == reading.log_p_yes.dtype == grad.dtype == torch.float32
    assert torch.isfinite(grad).all() and torch.isfinite(reading.rows).all()


def test_layer_band_is_averaged_alone(folder, mllm):
    visual = mllm.encode(images(2))
    bands = [
        load_mllm(
            ModelConfig(path=str(folder), device="cpu"),
            AttentionConfig(first_layer=layer, last_layer=layer),
        )
        for layer in range(3)
    ]
    each = [band.ask(band.prefill(visual), QUESTIONS[:1])[0].rows for band in bands]
    mean = mllm.ask(mllm.prefill(visual), QUESTIONS[:1])[0].rows
    torch.testing.assert_close(torch.stack(each).mean(0), mean)
    assert not torch.allclose(each[0], each[2])


def test_completion_is_greedy_and_bounded(mllm):
    assert isinstance(mllm.complete("system", "the person", 3), str)
    assert mllm.complete("system", "the person", 0) == ""
