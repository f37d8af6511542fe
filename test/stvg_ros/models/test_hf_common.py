# SPDX-License-Identifier: Apache-2.0

"""What the model of all families does itself, on two tiny ones: batches, refusals, texts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from library_reference import QUESTIONS, images

from stvg_ros.errors import ModelError
from stvg_ros.method.interfaces import ModelLimits
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.embedded_limits import OTHER_PICTURES
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.settings import ModelConfig
from stvg_ros.models.text_generation import TextGenerator

torch.set_num_threads(1)


@pytest.fixture(scope="module", params=["llava_onevision", "qwen2_5_vl"])
def mllm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HfMllm:
    kind = request.param
    folder = tiny_models.save(kind, FAMILIES[kind].class_name, tmp_path_factory.mktemp(kind))
    return load(folder)


def load(path: Path | str) -> HfMllm:
    mllm = load_mllm(ModelConfig(path=str(path), device="cpu"), AttentionConfig())
    assert isinstance(mllm, HfMllm)
    return mllm


def sizes_of_batches(mllm: HfMllm, count: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    visual = mllm.encode(images(2))
    sizes: list[int] = []
    run = mllm._prefill
    monkeypatch.setattr(
        mllm, "_prefill", lambda some, text: sizes.append(len(some)) or run(some, text)
    )
    rows = mllm.attention_rows([(visual, None)] * count, QUESTIONS[0])
    monkeypatch.setattr(mllm, "_prefill", run)
    assert len(rows) == count
    return sizes


@pytest.mark.parametrize(
    ("size", "batches"),
    [(None, [1] * 5), (1, [1] * 5), (2, [2, 2, 1]), (3, [3, 2]), (5, [5]), (9, [5])],
)  # fmt: skip
def test_batches_have_the_size_that_was_set(
    mllm: HfMllm, size: int | None, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mllm, "_batch_passes", size)
    assert sizes_of_batches(mllm, 5, monkeypatch) == batches


def test_passes_of_other_prompts_begin_a_batch(
    mllm: HfMllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mllm, "_batch_passes", 3)
    one = mllm.encode(images(2))
    layout = mllm.checkpoint.layout(one)
    given = [layout, layout, replace(layout, text="other"), layout, layout, layout, layout]
    left = list(given)
    monkeypatch.setattr(mllm, "_checkpoint", SimpleNamespace(layout=lambda visual: left.pop(0)))
    found = list(mllm._batches([(one, None)] * len(given)))
    assert [len(some) for some in found] == [2, 1, 3, 1]


def test_saving_memory_ends_with_its_context(mllm: HfMllm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mllm, "_batch_passes", 4)
    monkeypatch.setattr(mllm, "_room", lambda tokens: 4)
    visual = mllm.encode(images(2))
    ran: list[int] = []
    hook = mllm._text.layers[1].mlp.register_forward_pre_hook(lambda *_: ran.append(1))

    def runs() -> int:
        ran.clear()
        offset = torch.zeros_like(visual.features, requires_grad=True)
        mllm.ask(mllm.prefill(visual, offset), QUESTIONS[:1])[0].margin.backward()
        return len(ran)

    assert (runs(), sizes_of_batches(mllm, 4, monkeypatch)) == (2, [4])
    within = []

    def fail() -> None:
        with mllm.saving_memory():
            within.append((runs(), sizes_of_batches(mllm, 4, monkeypatch)))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert within == [(4, [1, 1, 1, 1])]
    assert (runs(), sizes_of_batches(mllm, 4, monkeypatch)) == (2, [4])
    hook.remove()


def test_activations_are_kept_in_nine_tenths_of_the_free_memory(
    mllm: HfMllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    visual = mllm.encode(images(2))
    monkeypatch.setattr(mllm, "_free_bytes", lambda: 100)
    for needed, recomputed in ((90, False), (91, True)):
        monkeypatch.setattr(mllm, "graph_bytes", lambda tokens, needed=needed: needed)
        mllm.prefill(visual)
        assert mllm._recomputing == recomputed


def test_images_and_passes_of_one_size(mllm: HfMllm) -> None:
    for wrong in ([], [*images(1), *images(1, 32, 24)]):
        with pytest.raises(ModelError, match="T >= 1 images of one shape"):
            mllm.encode(wrong)
    one, other = mllm.encode(images(1)), mllm.encode(images(4))
    with pytest.raises(ValueError, match="passes of one grid"):
        mllm.inputs([(one, None), (other, None)])
    assert len(mllm.inputs([(one, None), (one, None)]).named["inputs_embeds"]) == 2
    with pytest.raises(TypeError, match="a prefix of this model, got NoneType"):
        mllm.ask(None, QUESTIONS)  # type: ignore[arg-type]
    assert mllm.ask(mllm.prefill(one), []) == ()


def test_a_visual_token_that_is_not_one_token(
    mllm: HfMllm, monkeypatch: pytest.MonkeyPatch
) -> None:
    visual = mllm.encode(images(2))
    found = mllm.prompt.prefix_ids(mllm.checkpoint.layout(visual))
    expected = int((found == mllm.checkpoint.layout(visual).token_id).sum())
    monkeypatch.setattr(mllm, "_place", None)
    monkeypatch.setattr(mllm.prompt, "prefix_ids", lambda layout: found[:, :-2])
    with pytest.raises(ModelError, match=rf"visual tokens in the prompt, expected {expected}; the"):
        mllm._placed(visual)


def test_a_prompt_is_placed_once(mllm: HfMllm, monkeypatch: pytest.MonkeyPatch) -> None:
    visual = mllm.encode(images(2))
    place = mllm._placed(visual)
    made: list[Any] = []
    ids = mllm.prompt.prefix_ids
    monkeypatch.setattr(
        mllm.prompt, "prefix_ids", lambda layout: made.append(layout) or ids(layout)
    )
    assert mllm._placed(visual.reversed()) is place
    mllm._placed(mllm.encode(images(4)))
    mllm._placed(visual)
    assert len(made) == 2


def test_only_models_of_rendered_scenes_have_limits(mllm: HfMllm) -> None:
    draw = np.random.default_rng(0).integers(0, 256, (60, 80, 1), np.uint8)
    texture = np.kron(draw, np.ones((4, 4, 3), np.uint8))
    assert mllm.limits(["the bald man"], texture) == ModelLimits()
    embedded = load("embedded").limits(["the bald man"], texture)
    assert embedded.sentences == ("the embedded model does not know: bald", OTHER_PICTURES)
    assert not embedded.trained_pictures


@pytest.mark.parametrize(("own", "stops"), [(5, {5}), ([5, 6], {5, 6})])
def test_tokens_that_end_a_text(
    mllm: HfMllm, own: Any, stops: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        mllm._model, "generation_config", SimpleNamespace(eos_token_id=own), raising=False
    )
    assert mllm.writer.stops == {*stops, mllm.checkpoint.tokenizer.eos_token_id}


def test_texts_have_no_special_tokens(mllm: HfMllm) -> None:
    tokenizer = mllm.checkpoint.tokenizer
    ids = tokenizer.convert_tokens_to_ids(["\n", "<|im_start|>", "man", "<|im_end|>"])
    assert mllm.writer.decoded(ids) == "man"


def test_generated_tokens_are_counted(mllm: HfMllm, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = TextGenerator(mllm.checkpoint, mllm.prompt)
    written = []
    monkeypatch.setattr(writer, "decoded", lambda ids: written.append(len(ids)) or "")
    assert writer.generated == 0
    writer.complete("You are helpful.", "Is there a man in red?", 3)
    writer.about(mllm.prefill(mllm.encode(images(2))), QUESTIONS[0], 2)
    assert len(written) == 2 and writer.generated == sum(written) > 0


def test_a_completion_is_the_library_s(mllm: HfMllm) -> None:
    """Greedy, by passes over the whole text without a cache."""
    system, prompt = "You are helpful.", "Is there a man in red?"
    ids, model = mllm.prompt.chat(system, prompt), mllm._model
    length, written = ids.shape[1], []
    for _ in range(6):
        token = int(model(input_ids=ids, use_cache=False).logits[0, -1].argmax())
        if token in mllm.writer.stops:
            break
        written.append(token)
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    assert length > 5 and mllm.complete(system, prompt, 6) == mllm.writer.decoded(written)
