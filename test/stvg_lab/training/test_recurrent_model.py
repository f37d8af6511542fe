# SPDX-License-Identifier: Apache-2.0

"""Training in the family Qwen3.5: its pass is that of the loaded model, and a folder loads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from stvg_lab.training.architecture import ARCHITECTURES
from stvg_lab.training.embedded_model import save_folder
from stvg_lab.training.examiner import COUNT, Cast, Examiner, Packer, Question
from stvg_lab.training.known_weights import copy_tower
from stvg_lab.training.packed_questions import HEIGHT, PAIR, WIDTH, patches_of
from stvg_lab.training.recurrent_model import LAYER_TYPES
from stvg_lab.training.train_embedded import SLOTS
from stvg_lab.training.vocabulary import words
from stvg_ros.method.query import NEUTRAL, question
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.settings import ModelConfig

torch.set_num_threads(1)
ARCHITECTURE = ARCHITECTURES["qwen3_5"]
ASKED = [question("the person in red who waves"), NEUTRAL]


@pytest.fixture(scope="module")
def model() -> tuple[Any, Any]:
    torch.manual_seed(0)
    tokenizer = ARCHITECTURE.build_tokenizer()
    made = ARCHITECTURE.build_model(tokenizer).eval()
    with torch.no_grad():  # the default weights are too small for attention to differ
        for name, parameter in made.get_decoder().named_parameters():
            if parameter.ndim > 1 and "embed" not in name:
                parameter.mul_(4)
    return tokenizer, made


@pytest.fixture(scope="module")
def folder(model: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer, made = model
    weights = made.state_dict()
    names = set(weights)
    files = {
        "preprocessor_config.json": ARCHITECTURE.preprocessor, "stvg.json": ARCHITECTURE.settings,
    }  # fmt: skip
    out = tmp_path_factory.mktemp("qwen3_5")
    save_folder(out, made, weights, tokenizer, files, "card")
    assert set(weights) == names  # the trainer goes on with them
    return out


def test_a_word_is_a_token(model: tuple[Any, Any], folder: Path) -> None:
    tokenizer, _ = model
    loaded = AutoTokenizer.from_pretrained(folder)
    for word in words():
        if word.isalpha():
            assert tokenizer.tokenize(f"the {word}")[-1] == ARCHITECTURE.spelled(word)
    for text in [*ASKED, "<1.2 seconds>"]:
        assert loaded(text).input_ids == tokenizer(text).input_ids
    assert tokenizer.tokenize(ASKED[0])[-3:] == ["Ġthis", "Ġvideo", "?"]


@torch.no_grad()
def test_the_training_pass_is_that_of_the_loaded_model(
    model: tuple[Any, Any], folder: Path
) -> None:
    tokenizer, made = model
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())
    assert isinstance(mllm, HfMllm)
    assert mllm.band == ARCHITECTURE.attention_layers * 2
    assert mllm.checkpoint.model.config.text_config.layer_types == list(LAYER_TYPES)
    frames = torch.randint(0, 255, (1, SLOTS * PAIR, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    visual = ARCHITECTURE.encode(made, patches_of(frames))
    seen = mllm.encode(list(frames[0].numpy()))
    assert seen.grid == (SLOTS, 6, 8)
    torch.testing.assert_close(visual.flatten(0, 1), seen.features, atol=1e-5, rtol=0)

    packed = Packer(tokenizer, ARCHITECTURE.spelled)(
        [[Question(text, "yes", "action", (), None) for text in ASKED]]
    )
    prompt = ARCHITECTURE.prompt(tokenizer, made, SLOTS, None)
    output = ARCHITECTURE.run(
        made, visual[None], *prompt, packed.ids, ARCHITECTURE.attention_layers
    )
    times = tuple(float(frame * 0.6) for frame in range(SLOTS * PAIR))
    prefix = mllm.prefill(replace(seen, times_s=times))
    assert torch.equal(prompt[0], mllm.prompt.prefix_ids(prefix.layout)[0])
    for index, reading in enumerate(mllm.ask(prefix, ASKED)):
        rows = packed.rows[0, index]
        found = output.attention[0, 0, index][rows]
        torch.testing.assert_close(found, reading.rows.flatten(1), atol=1e-5, rtol=0)
        log_p = output.logits[0, index, rows[-1]].log_softmax(-1)
        yes = log_p[mllm.answer_ids[0]].logsumexp(0)
        torch.testing.assert_close(yes, reading.log_p_yes, atol=1e-4, rtol=0)
    assert output.words is None and output.middle.shape == (1, SLOTS * 48, 128)


def test_both_families_find_the_words_that_name() -> None:
    acts = np.full((2, 16), 3)
    cast = Cast(np.array([0, 1]), np.array([0, 1]), acts, np.tile([[0.2], [0.7]], 16))
    asked = Examiner(np.random.default_rng(0), cast).questions()
    found = []
    for architecture in ARCHITECTURES.values():
        packer = Packer(architecture.build_tokenizer(), architecture.spelled)
        packed = packer([asked])
        found.append(packed.named.sum(-1).tolist())
    assert found[0] == found[1] and len(found[0][0]) == COUNT and sum(found[0][0]) > 0


@torch.no_grad()
def test_both_families_see_with_the_tower_of_the_package(tmp_path: Path) -> None:
    frames = torch.randint(0, 255, (1, SLOTS * PAIR, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    packaged = load_mllm(ModelConfig(path="embedded", device="cpu"), AttentionConfig())
    seen = packaged.encode(list(frames[0].numpy())).features
    for name, architecture in ARCHITECTURES.items():
        tokenizer = architecture.build_tokenizer()
        made = architecture.build_model(tokenizer).eval()
        copy_tower(made)
        visual = architecture.encode(made, patches_of(frames)).flatten(0, 1)
        torch.testing.assert_close(visual, seen, atol=1e-5, rtol=1e-5)
        trained = [each for each, weight in made.named_parameters() if weight.requires_grad]
        assert trained and not [each for each in trained if "visual" in each]
        files = {
            "preprocessor_config.json": architecture.preprocessor,
            "stvg.json": architecture.settings,
        }
        save_folder(tmp_path / name, made, made.state_dict(), tokenizer, files, "card")
        again = load_mllm(
            ModelConfig(path=str(tmp_path / name), device="cpu"), AttentionConfig()
        ).encode(list(frames[0].numpy()))
        torch.testing.assert_close(again.features, seen, atol=1e-5, rtol=1e-5)
