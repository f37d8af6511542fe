# SPDX-License-Identifier: Apache-2.0

"""Language models of recurrent and attending layers, in the pattern of released Qwen3.5."""

from __future__ import annotations

import json
from collections.abc import Callable
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
from transformers.models.qwen3_5.modeling_qwen3_5 import Qwen3_5TextModel

from stvg_ros.errors import ConfigError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.attention_band import attending_layers
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.memory_estimate import graph_bytes
from stvg_ros.models.packed_prompts import packed
from stvg_ros.models.prefix_cache import empty_cache
from stvg_ros.models.settings import ModelConfig
from stvg_ros.models.token_model import CausalTokens

torch.set_num_threads(1)
PATTERN = [*["linear_attention"] * 3, "full_attention"] * 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    patch = pytest.MonkeyPatch()
    plain = tiny_models.qwen3_5_config

    def released(*given: Any) -> Any:
        config = plain(*given)
        text = {**config.text_config.to_dict(), "layer_types": PATTERN, "num_hidden_layers": 8}
        config.text_config = transformers.Qwen3_5TextConfig(**text)
        return config

    patch.setattr(tiny_models, "qwen3_5_config", released)
    name = "Qwen3_5ForConditionalGeneration"
    saved = tiny_models.save("qwen3_5", name, tmp_path_factory.mktemp("qwen3_5"))
    patch.undo()
    numbers = json.loads((saved / "preprocessor_config.json").read_text())
    numbers["size"]["longest_edge"] = 10**6
    (saved / "preprocessor_config.json").write_text(json.dumps(numbers))
    return saved


def load(folder: Path, **attention: Any) -> HfMllm:
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig(**attention))
    assert isinstance(mllm, HfMllm)
    return mllm


@pytest.fixture(scope="module")
def mllm(folder: Path) -> HfMllm:
    return load(folder)


def test_rows_and_gradient_are_those_of_the_whole_prompt(mllm: HfMllm) -> None:
    visual = mllm.encode(images(8, 48, 64)).reversed()
    assert len(visual.features) > 128  # more than two chunks of the library's recurrence
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
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_questions_of_one_row_would_read_one_another(mllm: HfMllm) -> None:
    """Why questions are batched: the mask of packed questions does not reach a recurrent state."""
    prefix = mllm.prefill(mllm.encode(images(4)))
    readings = mllm.ask(prefix, QUESTIONS)
    suffixes = [mllm.prompt.suffix(prefix.layout, question) for question in QUESTIONS]
    asked = packed(suffixes, prefix.length, prefix.next_position, torch.device("cpu"))
    rows = asked.split(mllm._run(prefix, asked, mllm._text)[0].mean())
    on_picture = [prefix.visual.on_picture(each[0]) for each in rows]
    torch.testing.assert_close(on_picture[0], readings[0].rows, atol=1e-5, rtol=0)
    assert (on_picture[1] - readings[1].rows).abs().max() > 1e-4


def test_questions_on_a_batch_of_passes(mllm: HfMllm) -> None:
    visual = mllm.encode(images(4))
    noise = 0.1 * torch.randn(visual.features.shape, generator=torch.manual_seed(1))
    prefix = mllm._prefill([(visual, None), (visual, noise)], mllm._text)
    _, asked = mllm._asked(prefix, QUESTIONS)
    rows = asked.split(mllm._run(prefix, asked, mllm._text)[0].mean())
    for at, offset in enumerate((None, noise)):
        alone = mllm.ask(mllm.prefill(visual, offset), QUESTIONS)
        for together, reading in zip(rows, alone, strict=True):
            found = visual.on_picture(together[at])
            torch.testing.assert_close(found, reading.rows, atol=1e-6, rtol=0)


def test_a_prefix_answers_twice_and_after_text(mllm: HfMllm) -> None:
    prefix = mllm.prefill(mllm.encode(images(4)))
    first = mllm.ask(prefix, QUESTIONS)[1]
    mllm.write(prefix, "What does the person wear?", 3)
    again = mllm.ask(prefix, QUESTIONS)[1]
    assert torch.equal(first.rows, again.rows)
    assert torch.equal(first.log_p_yes, again.log_p_yes)


def test_a_band_needs_a_layer_that_attends(folder: Path) -> None:
    narrow = load(folder, first_layer=2, last_layer=3)
    assert narrow.band == (2, 3) and attending_layers(narrow._text.config) == [3, 7]
    with pytest.raises(ConfigError, match=r"recurrent.*expected at least one of .* layers 3, 7"):
        load(folder, first_layer=4, last_layer=6)


class Tokenizer:
    bos_token_id = None


def test_tokens_after_others_than_before(mllm: HfMllm) -> None:
    """A recurrent state cannot be cropped: the reader of commands starts again."""
    made: list[DynamicCache] = []

    def cache() -> DynamicCache:
        made.append(empty_cache(mllm._text))
        return made[-1]

    def reader(make: Callable[[], DynamicCache]) -> CausalTokens:
        return CausalTokens(mllm.writer.next_scores, Tokenizer(), torch.device("cpu"), make)

    tokens = reader(cache)
    allowed = list(range(40, 120))
    for before, caches in (([5, 6, 7], 1), ([5, 6, 7, 8], 1), ([5, 6, 9], 2), ([5, 6, 9, 4], 2)):
        alone = reader(partial(empty_cache, mllm._text))
        assert tokens.best(before, allowed) == alone.best(before, allowed)
        assert len(made) == caches
    assert mllm.token_model._cache.is_linear == [kind.startswith("linear") for kind in PATTERN]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_graph_is_foreseen_by_its_shape(dtype: torch.dtype) -> None:
    """Against what autograd keeps, on the meta device, for layers of a released size."""
    config = transformers.Qwen3_5TextConfig(
        hidden_size=2048, intermediate_size=6144, num_attention_heads=16, num_key_value_heads=2,
        num_hidden_layers=3, layer_types=["linear_attention"] * 3, vocab_size=8,
    )  # fmt: skip
    config._attn_implementation = "sdpa"
    with torch.device("meta"):
        model = Qwen3_5TextModel(config).to(dtype).requires_grad_(False)
    masks = {"full_attention": None, "linear_attention": None}
    more = saved_bytes(model, 2048, masks) - saved_bytes(model, 1024, masks)
    assert more == pytest.approx(graph_bytes(config, 1024, dtype.itemsize), rel=0.15)
