# SPDX-License-Identifier: Apache-2.0

"""Probabilities of given answers, by hand, for a tokenizer of single digits."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stvg_ros.models.option_tokens import option_tree

BEFORE = "Which?>"


class Digits:
    """A token a character; what it does not know is 0. A space joins what follows it."""

    unk_token_id = 0
    known = ("", *" 0123456789W?hic>")

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        known = (self.known.index(c) if c in self.known[1:] else 0 for c in text)
        return {"input_ids": list(known)}


def token(character: str) -> int:
    return Digits.known.index(character)


def test_the_tokens_after_which_is_read() -> None:
    tree = option_tree(Digits(), BEFORE, [str(n) for n in range(1, 13)])
    assert tree is not None
    one, space = token("1"), token(" ")
    assert tree.beginnings == ((), (space,), (one,), (space, one))
    assert tree.forms[11] == ((space, one, token("2")), (one, token("2")))


def test_a_probability_by_hand() -> None:
    """1 is answered unless 12 is, with or without a space."""
    tree = option_tree(Digits(), BEFORE, ["1", "2", "12"])
    assert tree is not None
    after = torch.full((4, len(Digits.known)), 1e-9)
    one, two, space = token("1"), token("2"), token(" ")
    after[0, one], after[0, two], after[0, space] = 0.4, 0.3, 0.2
    after[1, one], after[1, two] = 0.5, 0.1
    after[2, two], after[3, two] = 0.25, 0.5
    found = tree.log_p(after.log()).exp()
    expected = [0.4 * 0.75 + 0.2 * 0.5 * 0.5, 0.3 + 0.2 * 0.1, 0.4 * 0.25 + 0.2 * 0.5 * 0.5]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_a_certain_continuation_is_not_minus_infinity() -> None:
    tree = option_tree(Digits(), BEFORE, ["1", "12"])
    assert tree is not None
    after = torch.full((len(tree.beginnings), len(Digits.known)), -40.0)
    after[:, token("1")] = after[:, token("2")] = 0.0
    assert tree.log_p(after).isfinite().all()


@pytest.mark.parametrize("options", [["1", "x"], ["y"]])
def test_unknown_words_are_no_options(options: list[str]) -> None:
    assert option_tree(Digits(), BEFORE, options) is None


def test_options_that_are_spelled_alike_are_none() -> None:
    class Lower(Digits):
        def __call__(self, text: str, add_special_tokens: bool) -> Any:
            return super().__call__(text.replace("7", "1"), add_special_tokens)

    assert option_tree(Lower(), BEFORE, ["1", "7"]) is None
