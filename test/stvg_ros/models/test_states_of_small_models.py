# SPDX-License-Identifier: Apache-2.0

"""Convolutions and windows of LFM behind a shared prefix, and the positions of MiniCPM-V 4.7."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import transformers
from library_reference import QUESTIONS, images, reference
from saved_tensors import saved_bytes
from transformers import DynamicCache

from stvg_ros.errors import ConfigError, ModelError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.architectures import check_architecture
from stvg_ros.models.attention_band import attending_layers, mapped_layers
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.memory_estimate import graph_bytes
from stvg_ros.models.prefix_cache import empty_cache, put
from stvg_ros.models.settings import ModelConfig
from stvg_ros.models.token_model import CausalTokens

torch.set_num_threads(1)


def save(kind: str, folder: Path, window: int = 8) -> Path:
    """A tiny checkpoint; LFM3 with some window, between other layers."""
    patch = pytest.MonkeyPatch()
    plain = tiny_models.config_of

    def changed(kind: str, tokenizer: Any) -> Any:
        config = plain(kind, tokenizer)
        if kind == "lfm3_vl":
            text = config.text_config.to_dict()
            types = ["conv", "sliding_attention", "full_attention", "sliding_attention", "conv"]
            text |= {"sliding_window": window, "num_hidden_layers": 5, "layer_types": types}
            config.text_config = transformers.Lfm3Config(**text)
        return config

    patch.setattr(tiny_models, "config_of", changed)
    saved = tiny_models.save(kind, FAMILIES[kind].class_name, folder)
    patch.undo()
    return saved


def load(folder: Path, **named: Any) -> HfMllm:
    attention = AttentionConfig(**named.pop("attention", {}))
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu", **named), attention)
    assert isinstance(mllm, HfMllm)
    return mllm


@pytest.fixture(scope="module", params=["lfm2_vl", "lfm3_vl"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def mllm(folder: Path) -> HfMllm:
    return load(folder)


def assert_exact(mllm: HfMllm, count: int) -> None:
    """Rows, answers and gradients of questions are those of the whole prompt."""
    visual = mllm.encode(images(count)).reversed()
    offset = torch.zeros(visual.features.shape, requires_grad=True)
    readings = mllm.ask(mllm.prefill(visual, offset), QUESTIONS)
    for question, reading in zip(QUESTIONS, readings, strict=True):
        _, rows, yes, no = reference(mllm, visual, question, offset)
        torch.testing.assert_close(reading.rows.flatten(1), rows.detach(), atol=1e-5, rtol=0)
        torch.testing.assert_close(reading.log_p_yes, yes, atol=1e-5, rtol=0)
        ours, theirs = (
            torch.autograd.grad(margin, offset, retain_graph=True)[0]
            for margin in (reading.margin, yes - no)
        )
        assert theirs.abs().max() > 1e-3
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("window", [2, 5, 40, 400])
def test_windows_shorter_and_longer_than_question_and_video(window: int, tmp_path: Path) -> None:
    mllm = load(save("lfm3_vl", tmp_path, window))
    assert_exact(mllm, 6)
    prefix = mllm.prefill(mllm.encode(images(6)))
    kept = min(prefix.length, window - 1)
    assert [len(states) for states in prefix.pairs] == [1, 2, 2, 2, 1]
    assert [prefix.pairs[at][0].shape[2] for at in (1, 2, 3)] == [kept, prefix.length, kept]


def test_recomputed_layers_keep_their_states(folder: Path) -> None:
    assert_exact(load(folder, gradient_checkpointing=True), 4)


def test_rows_are_of_layers_that_attend_to_the_whole_prompt(folder: Path) -> None:
    mllm = load(folder)
    config = mllm._text.config
    if config.model_type == "lfm2":
        assert (attending_layers(config), mapped_layers(config)) == ([1], [1])
        return
    assert (attending_layers(config), mapped_layers(config)) == ([2], [1, 2, 3])
    visual = mllm.encode(images(4))
    whole = mllm.ask(mllm.prefill(visual), QUESTIONS)[0]
    narrow = load(folder, attention={"first_layer": 2, "last_layer": 2})
    alone = narrow.ask(narrow.prefill(visual), QUESTIONS)[0]
    torch.testing.assert_close(whole.rows, alone.rows, atol=0, rtol=0)
    with pytest.raises(ConfigError, match=r"window only; expected at least one of .* layers 2"):
        load(folder, attention={"first_layer": 3, "last_layer": 4})


def test_a_prefix_answers_twice_and_after_text(mllm: HfMllm) -> None:
    prefix = mllm.prefill(mllm.encode(images(4)))
    first = mllm.ask(prefix, QUESTIONS)[1]
    mllm.write(prefix, "What does the person wear?", 3)
    again = mllm.ask(prefix, QUESTIONS)[1]
    assert torch.equal(first.rows, again.rows)
    assert torch.equal(first.log_p_yes, again.log_p_yes)


def test_text_after_a_prefix_is_that_of_a_whole_pass(mllm: HfMllm) -> None:
    """The states of a prefix, put to a cache of the library, with the number of tokens before."""
    visual = mllm.encode(images(4))
    prefix = mllm.prefill(visual)
    suffix = mllm.prompt.suffix(prefix.layout, "What does the person wear?")
    given = mllm.inputs([(visual, None)])
    cache = empty_cache(mllm._text)
    mllm._text(**given.named, past_key_values=cache, use_cache=True)
    copied = empty_cache(mllm._text)
    for layer, states in enumerate(prefix.pairs):
        put(copied, layer, states, prefix.length)
    for ids in ([suffix.ids], [[12]], [[13]]):
        theirs, ours = (
            mllm.writer.next_scores(torch.tensor(ids), each) for each in (cache, copied)
        )
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


class Tokenizer:
    bos_token_id = None


def test_tokens_after_others_than_before(mllm: HfMllm) -> None:
    """The state of a convolution cannot be cropped: the reader of commands starts again."""
    made: list[DynamicCache] = []

    def cache() -> DynamicCache:
        made.append(empty_cache(mllm._text))
        return made[-1]

    def reader(make: Any) -> CausalTokens:
        return CausalTokens(mllm.writer.next_scores, Tokenizer(), torch.device("cpu"), make)

    tokens, allowed = reader(cache), list(range(10, 40))
    for before, caches in (([5, 6, 7], 1), ([5, 6, 7, 8], 1), ([5, 6, 9], 2)):
        alone = reader(partial(empty_cache, mllm._text))
        assert tokens.best(before, allowed) == alone.best(before, allowed)
        assert len(made) == caches


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_graph_is_foreseen_by_its_shape(dtype: torch.dtype) -> None:
    """Against what autograd keeps, on the meta device, for convolutions of a released size."""
    config = transformers.Lfm2Config(
        hidden_size=2048, intermediate_size=512, num_attention_heads=32, num_key_value_heads=8,
        num_hidden_layers=3, layer_types=["conv"] * 3, vocab_size=8,
        block_auto_adjust_ff_dim=False,
    )  # fmt: skip
    config._attn_implementation = "sdpa"
    with torch.device("meta"):
        model = transformers.Lfm2Model(config).to(dtype).requires_grad_(False)
    masks = {"full_attention": None, "conv": None}
    more = saved_bytes(model, 2048, masks) - saved_bytes(model, 1024, masks)
    assert more == pytest.approx(graph_bytes(config, 1024, dtype.itemsize), rel=0.15)


def test_other_layers_are_refused() -> None:
    config = transformers.Lfm2Config(num_hidden_layers=2, layer_types=["conv", "sliding_attention"])
    with pytest.raises(ModelError, match=r"lfm2.*layers of sliding_attention.*lfm2, lfm3 only"):
        check_architecture(config, "test")


@pytest.mark.parametrize("end", ["", "\n", "\n\n", " "])
def test_text_behind_a_canvas(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library gives one newline behind the last frame a position of that frame."""
    monkeypatch.setitem(tiny_models.VIDEO, "minicpmv4_7", "<|video_pad|>" + end)
    mllm = load(save("minicpmv4_7", tmp_path))
    assert_exact(mllm, 3)
    visual = mllm.encode(images(3))
    prefix = mllm.prefill(visual)
    positions, *_ = reference(mllm, visual, QUESTIONS[0], torch.zeros_like(visual.features))
    ours = mllm.inputs([(visual, None)]).named["position_ids"]
    length = prefix.length
    assert torch.equal(ours, positions[..., :length])
    assert positions[..., length].unique().tolist() == [prefix.next_position]


@pytest.mark.parametrize(("mode", "grid"), [("16x", (2, 2, 2)), ("4x", (2, 3, 5))])
def test_tokens_of_both_modes_of_minicpm(mode: str, grid: Any, tmp_path: Path) -> None:
    """The library's tower merges twice or once."""
    file = save("minicpmv4_6", tmp_path) / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "downsample_mode": mode}))
    visual = load(file.parent).encode(images(2))
    assert visual.grid == grid  # compared with the number of features by `VisualTokens`
