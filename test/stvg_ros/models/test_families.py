# SPDX-License-Identifier: Apache-2.0

"""Every family against its own library class, on the whole sequence with nothing shared."""

from __future__ import annotations

import copy
import json
import re
import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
import torch
from library_reference import QUESTIONS, images, library_pass, reference
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode

from stvg_ros.errors import ModelError
from stvg_ros.method.encoding import Encoder
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.method.visual_tokens import joined_slots
from stvg_ros.models import load_mllm
from stvg_ros.models.architectures import is_recurrent
from stvg_ros.models.attention_capture import AttentionRecorder, HeadSet, recording
from stvg_ros.models.families import FAMILIES, families_table
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.packed_prompts import packed
from stvg_ros.models.settings import ModelConfig
from stvg_ros.types import Clip, Frame

torch.set_num_threads(1)


@pytest.fixture(scope="module", params=list(FAMILIES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    kind = request.param
    return tiny_models.save(kind, FAMILIES[kind].class_name, tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="module")
def mllm(folder: Any) -> HfMllm:
    loaded = load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())
    assert isinstance(loaded, HfMllm)
    return loaded


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_sharing_and_packing_change_nothing(mllm: HfMllm, count: int) -> None:
    visual = mllm.encode(images(count))
    offset = 0.01 * torch.randn(visual.features.shape, generator=torch.manual_seed(1))
    offset.requires_grad_(True)
    prefix = mllm.prefill(visual, offset)
    readings = mllm.ask(prefix, QUESTIONS)
    again = mllm.ask(prefix, QUESTIONS[:1])[0]
    torch.testing.assert_close(again.rows, readings[0].rows, atol=1e-6, rtol=0)
    for question, reading in zip(QUESTIONS, readings, strict=True):
        positions, rows, yes, no = reference(mllm, visual, question, offset)
        following = positions.flatten(0, -2)[:, len_of(prefix)]
        assert following.unique().tolist() == [prefix.next_position]
        assert reading.rows.shape == (len(reading.tokens), *visual.grid)
        torch.testing.assert_close(reading.rows.flatten(1), rows.detach(), atol=1e-5, rtol=0)
        torch.testing.assert_close(reading.log_p_yes, yes, atol=1e-5, rtol=0)
        torch.testing.assert_close(reading.log_p_no, no, atol=1e-5, rtol=0)
        ours, theirs = (
            torch.autograd.grad(margin, offset, retain_graph=True)[0]
            for margin in (reading.margin, yes - no)
        )
        assert theirs.abs().max() > 0
        # Rounding grows with the largest entry; BLAS libraries differ.
        rounding = 1e-5 * max(1.0, theirs.abs().max().item())
        torch.testing.assert_close(ours, theirs, atol=rounding, rtol=0)


def test_rows_of_each_head_and_of_selected_heads(mllm: HfMllm, folder: Any, tmp_path: Any) -> None:
    """Against the library's eager attention over the whole unshared prompt, head by head."""
    visual = mllm.encode(images(5))
    truth = library_pass(mllm, visual, QUESTIONS[0]).heads
    each = mllm.rows_by_head(mllm.prefill(visual), QUESTIONS[0])
    assert list(each) == list(truth)
    for layer, rows in each.items():
        torch.testing.assert_close(rows.flatten(2), truth[layer], atol=1e-5, rtol=0)
    first, last = min(each), max(each)
    table = {"grounding_heads": [[first, 0], [last, 3], [last, 1]], "temporal_heads": [[first, 2]]}
    copied = shutil.copytree(folder, tmp_path / "selected")
    (copied / "stvg.json").write_text(json.dumps(table))
    selected = load_mllm(
        ModelConfig(path=str(copied), device="cpu"), AttentionConfig(heads="selected")
    )
    (reading,) = selected.ask(selected.prefill(visual), QUESTIONS[:1])
    (seen,) = selected.attention_rows([(visual, None)], QUESTIONS[0])
    for rows in (reading, seen):
        wanted = (truth[first][0] + truth[last][3] + truth[last][1]) / 3
        found = rows.of_heads("grounding").rows.flatten(1)
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
        found = rows.of_heads("temporal").rows.flatten(1)
        torch.testing.assert_close(found, truth[first][2], atol=1e-5, rtol=0)
        mean = torch.stack(list(truth.values())).mean((0, 1))
        torch.testing.assert_close(rows.rows.flatten(1), mean, atol=1e-5, rtol=0)


OPTIONS = ("red", "man", "man in", "man in red", "this")


def test_given_answers_have_the_librarys_probabilities(mllm: HfMllm) -> None:
    """Read on the shared prefix, against eager passes over the whole prompt and the answer."""
    visual = mllm.encode(images(5))
    question, prompt, coded = QUESTIONS[0], mllm.prompt, mllm._checkpoint.tokenizer

    def after(said: tuple[int, ...]) -> torch.Tensor:
        return library_pass(mllm, visual, question, said=said).log_p

    start = len(coded(prompt.answer_start, add_special_tokens=False)["input_ids"])
    forms = []
    for option in OPTIONS:
        variants = (
            coded(prompt.answer_start + text, add_special_tokens=False)["input_ids"][start:]
            for text in (option, " " + option)
        )
        forms.append({tuple(ids) for ids in variants})
    every = {form for spelled in forms for form in spelled}
    expected = []
    for spelled in forms:
        total = torch.zeros(())
        for form in spelled:
            p = torch.ones(())
            for at, token in enumerate(form):
                p = p * after(form[:at])[token].exp()
            longer = {o[len(form)] for o in every if len(o) > len(form) and o[: len(form)] == form}
            if longer:
                p = p * (1 - sum(after(form)[token].exp() for token in longer))
            total = total + p
        expected.append(total.log())
    found = mllm.option_log_p(mllm.prefill(visual), question, OPTIONS)
    assert found is not None
    torch.testing.assert_close(found, torch.stack(expected), atol=1e-4, rtol=1e-5)
    assert float(found.exp().sum()) <= 1


def test_answers_that_the_model_does_not_know_have_no_probability(mllm: HfMllm) -> None:
    prefix = mllm.prefill(mllm.encode(images(2)))
    coded = mllm._checkpoint.tokenizer
    unknown = coded("1", add_special_tokens=False)["input_ids"] == [coded.unk_token_id]
    found = mllm.option_log_p(prefix, QUESTIONS[0], ("1", "2"))
    assert (found is None) is unknown


def len_of(prefix: Any) -> int:
    return int(prefix.length)


def test_reversed_order_is_the_same_prompt_with_permuted_features(mllm: HfMllm) -> None:
    visual = mllm.encode(images(5, 24, 16)).reversed()
    offset = torch.zeros_like(visual.features)
    reading = mllm.ask(mllm.prefill(visual), QUESTIONS[:1])[0]
    _, rows, _, _ = reference(mllm, visual, QUESTIONS[0], offset)
    torch.testing.assert_close(reading.rows.flatten(1), rows, atol=1e-5, rtol=0)


def test_chunks_of_the_vision_tower_change_nothing(mllm: HfMllm) -> None:
    frames = images(20)
    whole, part = mllm.encode(frames), mllm.encode(frames[:2], 20)
    assert whole.grid[1:] == part.grid[1:]
    torch.testing.assert_close(
        whole.features[: len(part.features)], part.features, atol=1e-5, rtol=0
    )
    assert sorted(sum(whole.slots, ())) == list(range(20))


def test_gradient_checkpointing_keeps_the_gradient(mllm: HfMllm, folder: Any) -> None:
    recomputing = load_mllm(
        ModelConfig(path=str(folder), device="cpu", gradient_checkpointing=True), AttentionConfig()
    )
    visual = mllm.encode(images(2))
    found = []
    for model in (mllm, recomputing):
        offset = torch.zeros_like(visual.features, requires_grad=True)
        model.ask(model.prefill(visual, offset), QUESTIONS)[0].margin.backward()
        found.append(offset.grad)
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)


def test_activations_are_recomputed_where_memory_lacks(
    mllm: HfMllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    visual = mllm.encode(images(2))
    ran: list[int] = []
    second = mllm._text.layers[1]
    inner = getattr(second, "mlp", None) or second.feed_forward
    hook = inner.register_forward_pre_hook(lambda *_: ran.append(1))
    found = []
    needed = mllm.graph_bytes(len(visual.features))
    for free, runs in ((needed * 1.2, 2), (needed, 4)):  # prefix and question, and both again
        monkeypatch.setattr(mllm, "_free_bytes", lambda free=free: free)
        ran.clear()
        offset = torch.zeros_like(visual.features, requires_grad=True)
        mllm.ask(mllm.prefill(visual, offset), QUESTIONS)[0].margin.backward()
        assert len(ran) == runs
        found.append(offset.grad)
    hook.remove()
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("size", [0, 1, 2, 5])
def test_passes_of_one_batch_equal_passes_one_by_one(
    mllm: HfMllm, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = mllm.encode(images(5, 24, 16))
    noise = torch.randn((3, *plain.features.shape), generator=torch.manual_seed(2))
    passes = [(plain, noise[0]), (plain, None), (plain.reversed(), noise[1]), (plain, noise[2])]
    monkeypatch.setattr(mllm, "_batch_passes", size)
    found = mllm.attention_rows(passes, QUESTIONS[0])
    assert len(found) == 4
    for (visual, offset), rows in zip(passes, found, strict=True):
        alone = mllm.ask(mllm.prefill(visual, offset), QUESTIONS[:1])[0]
        assert rows.tokens == alone.tokens
        torch.testing.assert_close(rows.rows, alone.rows, atol=1e-6, rtol=0)


def test_layers_above_the_band_do_not_run_for_rows(mllm: HfMllm, folder: Any) -> None:
    band = AttentionConfig(first_layer=0, last_layer=1)
    low = load_mllm(ModelConfig(path=str(folder), device="cpu"), band)
    assert isinstance(low, HfMllm)
    ran: list[int] = []
    for index, layer in enumerate(low._text.layers):
        layer.register_forward_hook(lambda *_, index=index: ran.append(index))
    visual = low.encode(images(2))
    (rows,) = low.attention_rows([(visual, None)], QUESTIONS[0])
    assert ran == [0, 1, 0, 1]  # the prefix, then the question
    (reading,) = low.ask(low.prefill(visual), QUESTIONS[:1])
    assert ran[4:] == [0, 1, 2] * 2
    torch.testing.assert_close(rows.rows, reading.rows, atol=1e-7, rtol=0)
    whole = mllm.ask(mllm.prefill(visual), QUESTIONS[:1])[0]
    torch.testing.assert_close(reading.log_p_yes, whole.log_p_yes, atol=1e-6, rtol=0)


def test_logits_of_one_position_a_question(mllm: HfMllm) -> None:
    sizes: list[tuple[int, ...]] = []
    hook = mllm._model.lm_head.register_forward_hook(
        lambda module, given, out: sizes.append(tuple(out.shape))
    )
    prefix = mllm.prefill(mllm.encode(images(2)))
    mllm.ask(prefix, QUESTIONS)
    mllm.attention_rows([(prefix.visual, None)], QUESTIONS[0])
    hook.remove()
    assert [size[0] for size in sizes] == [len(QUESTIONS)]


def test_backward_costs_no_weight_gradients(mllm: HfMllm) -> None:
    """One product a weight for the states' gradient; weights' gradients would double that."""
    visual = mllm.encode(images(5))
    offset = torch.zeros_like(visual.features, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        margin = mllm.ask(mllm.prefill(visual, offset), QUESTIONS)[0].margin
    with FlopCounterMode(display=False) as backward:
        (found,) = torch.autograd.grad(margin, offset)
    # Neither those of attention nor, in batches, those of recurrent states have weights.
    without = ("attention", "bmm") if is_recurrent(mllm._text.config) else ("attention",)
    products = [
        sum(
            count
            for operation, count in counter.get_flop_counts()["Global"].items()
            if not any(name in str(operation) for name in without)
        )
        for counter in (forward, backward)
    ]
    assert found.abs().max() > 0
    assert 0.5 * products[0] < products[1] <= products[0]


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_slots_encoded_one_by_one_are_those_of_the_whole(mllm: HfMllm, count: int) -> None:
    frames = images(count)
    whole = mllm.encode(frames)
    size = mllm.frames_per_slot
    parts = [mllm.encode(frames[at : at + size], count) for at in range(0, count, size)]
    joined = joined_slots(parts)
    assert (joined.grid, joined.slots) == (whole.grid, whole.slots)
    torch.testing.assert_close(joined.features, whole.features, atol=1e-5, rtol=0)
    for ours, theirs in zip(joined.deep, whole.deep, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_slots_encoded_ahead_equal_those_encoded_at_the_command(mllm: HfMllm) -> None:
    clip = Clip(tuple(Frame(at, image, 24, 16) for at, image in enumerate(images(5))))
    early, late = Encoder(mllm), Encoder(mllm)
    while early.prefetch(clip.frames, 6):
        pass
    assert early.kept == 5 // mllm.frames_per_slot  # a slot that lacks a frame has to wait
    ahead, now = early.encode(clip.frames, 6), late.encode(clip.frames, 6)
    assert torch.equal(ahead.features, now.features)
    assert (ahead.grid, ahead.slots) == (now.grid, now.slots)
    assert all(map(torch.equal, ahead.deep, now.deep))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_keeps_loss_rows_and_gradient_in_float32(
    mllm: HfMllm, folder: Any, dtype: str
) -> None:
    half = load_mllm(ModelConfig(path=str(folder), device="cpu", dtype=dtype), AttentionConfig())
    visual = half.encode(images(5))
    assert visual.features.dtype == getattr(torch, dtype)
    offset = torch.zeros(visual.features.shape, requires_grad=True)
    reading = half.ask(half.prefill(visual, offset), QUESTIONS[:1])[0]
    (grad,) = torch.autograd.grad(reading.margin, offset)
    exact = mllm.encode(images(5))
    true_offset = torch.zeros(visual.features.shape, requires_grad=True)
    truth = mllm.ask(mllm.prefill(exact, true_offset), QUESTIONS[:1])[0]
    (true_grad,) = torch.autograd.grad(truth.margin, true_offset)
    assert {reading.rows.dtype, reading.margin.dtype, grad.dtype} == {torch.float32}
    assert grad.isfinite().all() and reading.rows.isfinite().all()
    assert float(abs(reading.margin - truth.margin).detach()) < 0.1
    torch.testing.assert_close(reading.rows, truth.rows, atol=0.02, rtol=0)
    agreement = torch.cosine_similarity(grad.flatten(), true_grad.flatten(), dim=0)
    assert float(agreement) > 0.9


def test_held_attention_is_rows_by_keys(mllm: HfMllm) -> None:
    prefix = mllm.prefill(mllm.encode(images(5)))
    keys = mllm._text.config.num_attention_heads * len_of(prefix)
    recorder = AttentionRecorder(torch.tensor([0, 1]), prefix.columns, (HeadSet.band(0, 2),))
    ids = mllm.prompt.prefix_ids(prefix.layout)
    with recording(recorder):
        mllm._text(inputs_embeds=mllm._text.get_input_embeddings()(ids), use_cache=False)
    kinds = getattr(mllm._text.config, "layer_types", None) or ["full_attention"] * 3
    assert recorder.largest == 2 * keys and recorder.layers == kinds.count("full_attention")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("weight", "weights are missing or of another shape.*download"),
        ("family", "(weights (cannot be loaded|are missing)|no chat template).*download"),
        ("template", "no chat template"),
        ("answers", "no single token for 'yes'"),
        ("config", r"no config\.json"),
    ],
)
def test_damaged_checkpoints_of_each_family(
    mllm: HfMllm, folder: Any, tmp_path: Any, damage: str, said: str
) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    if damage == "weight":
        weights = load_file(broken / "model.safetensors")
        weights.pop(next(name for name in weights if re.search(r"(layers|blocks)\.1\.", name)))
        save_file(weights, broken / "model.safetensors", {"format": "pt"})
    elif damage == "family":
        kind = json.loads((broken / "config.json").read_text())["model_type"]
        other = "internvl" if kind != "internvl" else "llava_onevision"
        config = tiny_models.config_of(other, tiny_models.build_tokenizer(other))
        config.save_pretrained(broken)
    elif damage == "template":
        (broken / "chat_template.jinja").unlink()
    elif damage == "answers":
        tiny_models.forget_answers(broken)
    else:
        (broken / "config.json").unlink()
    if damage == "template" and mllm.checkpoint.family.template:  # the library's replaces it
        load_mllm(ModelConfig(path=str(broken), device="cpu"), AttentionConfig())
        return
    with pytest.raises(ModelError, match=said):
        load_mllm(ModelConfig(path=str(broken), device="cpu"), AttentionConfig())


def test_completion_is_text(mllm: HfMllm) -> None:
    assert isinstance(mllm.complete("You are helpful.", "a man in red", 3), str)


def test_text_about_images_is_that_of_a_whole_pass(mllm: HfMllm) -> None:
    """Each token is the most probable one after all earlier ones, without any cache."""
    prefix = mllm.prefill(mllm.encode(images(4)))
    suffix = mllm.prompt.suffix(prefix.layout, "What does the person wear?")
    wanted: list[int] = []
    for _ in range(4):
        longer = replace(suffix, ids=(*suffix.ids, *wanted))
        asked = packed([longer], prefix.length, prefix.next_position, torch.device("cpu"))
        _, hidden = mllm._run(prefix, asked, mllm._text)
        wanted.append(int(mllm._model.lm_head(hidden[0, -1]).argmax()))
    tokens = [t for t in wanted if t not in mllm.writer.stops]
    if tokens == wanted:
        assert mllm.write(prefix, "What does the person wear?", 4) == mllm.writer.decoded(wanted)
    first = mllm.write(prefix, "What does the person wear?", 1)
    assert first == mllm.writer.decoded([t for t in wanted[:1] if t not in mllm.writer.stops])
    with pytest.raises(TypeError, match="prefix of this model"):
        mllm.write(None, "x", 1)  # type: ignore[arg-type]


def test_table_has_a_row_for_each_family() -> None:
    assert [row[1] for row in families_table()] == list(FAMILIES)


def test_the_prompt_of_a_video_is_never_that_of_another_of_its_grid(mllm: HfMllm) -> None:
    visual = mllm.encode(images(6))
    if len(visual.slots) == 6:
        longer = replace(visual, slots=tuple((2 * index,) for index in range(6)))
    else:
        longer = replace(visual, slots=tuple((3 * index, 3 * index + 1) for index in range(3)))
    for asked in (visual, longer, visual, visual.reversed(), longer.reversed()):
        layout = mllm._checkpoint.family.layout(mllm._checkpoint.tokenizer, mllm._model, asked)
        assert mllm._placed(asked).layout.text == layout.text
    # Time stamps keep their order where the frames are reversed.
    assert mllm._placed(visual.reversed()).layout.text == mllm._placed(visual).layout.text


@pytest.mark.parametrize("free_bytes", [0, 10**5, 10**6, 10**7, 10**9])
@pytest.mark.parametrize("tokens", [12, 500, 20000])
def test_passes_of_a_batch_fit_in_free_memory(mllm: HfMllm, free_bytes: int, tokens: int) -> None:
    gpu = copy.copy(mllm)
    gpu._model = SimpleNamespace(device=torch.device("cuda"), dtype=torch.bfloat16)
    gpu._free_bytes = lambda: free_bytes  # type: ignore[method-assign]
    config = mllm._text.config
    heads = config.num_key_value_heads, config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads[1]
    cache = 2 * len(mllm._text.layers) * heads[0] * head * tokens * 2
    width = getattr(config, "intermediate_size", None) or 3 * config.moe_intermediate_size
    states = (config.hidden_size + 2 * width) * tokens * 2
    if "linear_attention" in (
        getattr(config, "layer_types", None) or ()
    ):  # maps of 64 x 64 tokens, and the states' inputs in float32
        states += 4 * tokens * config.linear_num_value_heads * (64 + 4 * 8)
    passes = gpu._room(tokens)
    assert passes >= 1
    assert passes == 1 or passes * (cache + states) <= free_bytes
    assert passes * 20 * (cache + states) >= free_bytes  # and the memory is used
