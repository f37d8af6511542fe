# SPDX-License-Identifier: Apache-2.0

"""Probabilities of given answers, read after the prompt and after the beginnings that they share.

Of "1", "2" and "12", "1" and "12" begin alike: their probabilities need the first token of the
answer, and the second after "1". "1" is the answer if what follows it does not continue another
option.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class OptionTree:
    """K options as tokens.

    Attributes:
        forms: for each option, the token sequences that spell it (with and without a space).
        beginnings: the sequences after which a token is read; the empty one first.
    """

    forms: tuple[tuple[Tokens, ...], ...]
    beginnings: tuple[Tokens, ...]

    def log_p(self, after: Tensor) -> Tensor:
        """Log-probabilities of the options `(K,)`.

        Args:
            after: `(len(beginnings), vocabulary)` log-probabilities of the token after each.
        """
        place = {beginning: row for row, beginning in enumerate(self.beginnings)}
        every = {form for forms in self.forms for form in forms}
        found = []
        for forms in self.forms:
            parts = []
            for form in forms:
                total = sum(after[place[form[:at]], token] for at, token in enumerate(form))
                longer = sorted({other[len(form)] for other in every if _continues(other, form)})
                if longer:
                    continued = after[place[form], longer].logsumexp(0)
                    total = total + torch.log1p(-continued.exp().clamp(max=1 - 1e-6))
                parts.append(total)
            found.append(torch.stack([torch.as_tensor(part) for part in parts]).logsumexp(0))
        return torch.stack(found)


def option_tree(tokenizer: Any, before: str, options: Sequence[str]) -> OptionTree | None:
    """The options after a text; None if the tokenizer does not know one of them, or two are alike.

    Args:
        tokenizer: the checkpoint's.
        before: the end of the prompt, which the answer follows.
        options: at least one; no two are equal.
    """
    start = list(tokenizer(before, add_special_tokens=False)["input_ids"])
    forms: list[tuple[Tokens, ...]] = []
    for option in options:
        spelled: set[Tokens] = set()
        for variant in (option, " " + option):
            ids = list(tokenizer(before + variant, add_special_tokens=False)["input_ids"])
            own = tuple(int(token) for token in ids[len(start) :])
            if own and ids[: len(start)] == start and tokenizer.unk_token_id not in own:
                spelled.add(own)
        if not spelled:
            return None
        forms.append(tuple(sorted(spelled)))
    every = [form for spelled in forms for form in spelled]
    if len(set(every)) < len(every):
        return None
    beginnings = {form[:at] for form in every for at in range(len(form))}
    beginnings |= {form for form in every if any(_continues(other, form) for other in every)}
    return OptionTree(tuple(forms), tuple(sorted(beginnings, key=lambda one: (len(one), one))))


def _continues(other: Tokens, form: Tokens) -> bool:
    return len(other) > len(form) and other[: len(form)] == form
