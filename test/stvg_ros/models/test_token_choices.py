# SPDX-License-Identifier: Apache-2.0

"""Which tokens a model writes, and what of a common prefix it computes again."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

from stvg_ros.errors import ModelError
from stvg_ros.models.token_model import CausalTokens, causal_tokens, greedy
from stvg_ros.models.yes_no_tokens import yes_no_ids


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


class Counting:
    """A model's scores, with the ids of each call."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self.model, self.calls = model, list[list[int]]()
        self.scores = torch.empty(0)

    def __call__(self, ids: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        self.calls.append(ids[0].tolist())
        output = self.model(input_ids=ids, past_key_values=cache, use_cache=True)
        self.scores = output.logits[0, -1]
        return self.scores

    def anew(self, tokens: Sequence[int]) -> torch.Tensor:
        return self.model(input_ids=torch.tensor([list(tokens)])).logits[0, -1]


def tokenizer(begin: int | None = None) -> Any:
    return SimpleNamespace(bos_token_id=begin)


@pytest.mark.parametrize("begin", [None, 1])
def test_the_most_probable_allowed_token_is_that_of_a_whole_pass(
    model: LlamaForCausalLM, begin: int | None
) -> None:
    forward = Counting(model)
    tokens = CausalTokens(forward, tokenizer(begin), torch.device("cpu"))
    first = [] if begin is None else [begin]
    known: list[int] = []
    # Longer, the same again, shorter, another ending, another beginning, and much longer.
    for before in (
        [4, 5],
        [4, 5, 6],
        [4, 5, 6, 7],
        [4, 5, 6],
        [4],
        [4, 9, 8],
        [7, 9, 8],
        [7, 9, 8, 2, 3, 4, 5],
    ):
        whole = [*first, *before]
        for allowed in ([8, 3, 20], [31], list(range(32))):
            forward.calls.clear()
            scores = forward.anew(whole)
            wanted = max(allowed, key=scores.detach().tolist().__getitem__)
            assert tokens.best(before, allowed) == wanted
            torch.testing.assert_close(forward.scores, scores.detach(), rtol=1e-4, atol=1e-5)
            same = 0
            while same < min(len(known), len(whole) - 1) and known[same] == whole[same]:
                same += 1
            assert forward.calls == [whole[same:]]
            known = whole


def test_texts_are_encoded_without_special_tokens() -> None:
    class Words:
        bos_token_id = None

        def __call__(self, text: str, add_special_tokens: bool) -> Any:
            assert add_special_tokens is False
            return SimpleNamespace(input_ids=[len(word) for word in text.split()])

    tokens = CausalTokens(lambda ids, cache: ids, Words(), torch.device("cpu"))
    assert tokens.encode("the red person") == [3, 3, 6]


def test_the_tokens_of_a_model_are_its_own(model: LlamaForCausalLM) -> None:
    tokens = causal_tokens(model, tokenizer())
    scores = Counting(model).anew([4, 5, 6])
    assert tokens.best([4, 5, 6], list(range(32))) == int(scores.argmax())


def written(model: LlamaForCausalLM, ids: list[int], count: int) -> list[int]:
    """The most probable tokens, computed anew for each."""
    found: list[int] = []
    for _ in range(count):
        found.append(int(Counting(model).anew([*ids, *found]).argmax()))
    return found


@pytest.mark.parametrize("most", [0, 1, 2, 5])
def test_text_ends_at_the_maximum_or_at_a_stop(model: LlamaForCausalLM, most: int) -> None:
    ids = [4, 5, 6]
    wanted = written(model, ids, 5)
    forward = Counting(model)
    assert greedy(forward, torch.tensor([ids]), set(), most) == wanted[:most]
    assert forward.calls == [ids, *([token] for token in wanted[: max(most - 1, 0)])][:most]
    stop = wanted[2]
    ended = wanted[: wanted.index(stop)]
    assert greedy(forward, torch.tensor([ids]), {stop, 99}, 5) == ended


def test_text_goes_on_from_a_cache(model: LlamaForCausalLM) -> None:
    forward, cache = Counting(model), DynamicCache()
    forward(torch.tensor([[4, 5]]), cache)
    assert greedy(forward, torch.tensor([[6]]), set(), 3, cache) == written(model, [4, 5, 6], 3)
    assert cache.get_seq_length() == 5  # the last token is not fed


class Answers:
    """Writes each known word as one token, and others letter by letter."""

    def __init__(self, *words: str, unknown: int | None = None) -> None:
        self.words, self.unk_token_id = list(words), unknown

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert add_special_tokens is False
        ids: list[int] = []
        while text:
            word = next((w for w in sorted(self.words, key=len)[::-1] if text.startswith(w)), "")
            ids.append(self.words.index(word) if word else 1000 + ord(text[0]))
            text = text[len(word) or 1 :]
        return {"input_ids": ids}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["yes", "no"], (0,)),
        (["Yes", " yes", "no", "YES", " YES", " Yes", "yes"], (0, 1, 3, 4, 5, 6)),
        ([" yes", "no"], (0,)),
        (["no", ":y", "es", "Yes"], (3,)),
        (["no", ":yes", "Yes"], (2,)),  # joined with what is before it, so not the answer's first
    ],
)
def test_forms_of_an_answer_that_are_one_token(words: list[str], found: tuple[int, ...]) -> None:
    assert yes_no_ids(Answers(*words), "bot:", "yes", "folder") == found


def test_an_answer_without_a_token_of_its_own_is_refused() -> None:
    with pytest.raises(ModelError, match="folder: the tokenizer has no single token for 'yes'"):
        yes_no_ids(Answers("no"), "bot:", "yes", "folder")
    with pytest.raises(ModelError, match="no single token"):
        yes_no_ids(Answers("yes", unknown=0), "bot:", "yes", "folder")
    assert yes_no_ids(Answers("yes", "Yes", unknown=0), "", "yes", "folder") == (1,)
