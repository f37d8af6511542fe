# SPDX-License-Identifier: Apache-2.0

"""Finds the tokens that begin the answers "yes" and "no"."""

from __future__ import annotations

from typing import Any

from stvg_ros.errors import ModelError


def yes_no_ids(tokenizer: Any, before: str, word: str, path: str) -> tuple[int, ...]:
    """Ids of the single-token forms of `word` at the start of the answer, sorted.

    Args:
        tokenizer: the checkpoint's.
        before: text before the answer, the end of the prompt.
        word: "yes" or "no".
        path: the checkpoint, for error messages.

    Raises:
        ModelError: no form is a single token.
    """
    start = tokenizer(before, add_special_tokens=False)["input_ids"]
    found: set[int] = set()
    for form in (word, word.capitalize(), word.upper()):
        for variant in (form, " " + form):
            ids = tokenizer(before + variant, add_special_tokens=False)["input_ids"]
            if len(ids) == len(start) + 1 and ids[:-1] == start:
                found.add(int(ids[-1]))
    found.discard(tokenizer.unk_token_id)
    if not found:
        raise ModelError(
            f"{path}: the tokenizer has no single token for {word!r}; expected one of "
            f"'{word}', '{word.capitalize()}' or '{word.upper()}'; use another checkpoint"
        )
    return tuple(sorted(found))
