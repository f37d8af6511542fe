# SPDX-License-Identifier: Apache-2.0

"""The prompt from the checkpoint's chat template: the shared prefix and the question's part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from stvg_ros.errors import ModelError
from stvg_ros.models.chat_template import (
    QUESTION,
    THOUGHT,
    rendered,
    switch_text,
    turn,
    written,
)
from stvg_ros.models.family import Layout

PUNCTUATION = ".?!:;"


@dataclass(frozen=True)
class Suffix:
    """The tokens of one question after the visual tokens.

    Attributes:
        ids: the question with the template's text around it, up to the start of the answer.
        candidates: positions in `ids` of the final punctuation and the role tokens; neither an
            empty thought of the template nor its word that switches thoughts off is among them.
        labels: the candidates as text.
    """

    ids: tuple[int, ...]
    candidates: tuple[int, ...]
    labels: tuple[str, ...]

    def said(self, tokens: tuple[int, ...]) -> Suffix:
        """The same followed by the first tokens of an answer, for what comes next."""
        return Suffix((*self.ids, *tokens), (), ())


class Prompt:
    """Splits the rendered chat template at the video and at the question."""

    def __init__(self, tokenizer: Any, path: str, start: str = "", medium: str = "video") -> None:
        """Renders the template, see `chat_template.choose_template`.

        Args:
            tokenizer: the checkpoint's.
            path: the checkpoint, for error messages.
            start: begins each prompt, where the template lacks it.
            medium: see `Family.medium`.

        Raises:
            ModelError: a tokenizer without offsets.
        """
        if not tokenizer.is_fast:
            raise ModelError(
                f"{path}: the tokenizer gives no offsets; expected a tokenizer.json; "
                "save the tokenizer with a current transformers"
            )
        self._tokenizer = tokenizer
        self._path = path
        self._start = start
        asked = turn("user", {"type": medium}, written(QUESTION))
        self._text = self._rendered(asked)
        self._switch = switch_text(tokenizer, [asked])
        # The passes of a command have the same questions and the same grid of tokens.
        self._suffix = lru_cache(maxsize=64)(self._suffix_after)
        self._tail = lru_cache(maxsize=8)(self._last_id)

    def parts(self, placeholder: str) -> tuple[str, str, str]:
        """Text before the video, between video and question, and after the question.

        Raises:
            ModelError: the template has another order.
        """
        before, found, rest = self._text.partition(placeholder)
        between, asked, after = rest.partition(QUESTION)
        if not found or not asked or placeholder in rest:
            raise ModelError(
                f"{self._path}: the chat template gives {self._text!r}; expected {placeholder!r} "
                "once and the question after it; use the template of the released checkpoint"
            )
        return before, between, after

    def prefix_ids(self, layout: Layout) -> Tensor:
        """`(1, N)` ids of everything up to the end of the visual tokens."""
        text = self.parts(layout.placeholder)[0] + layout.text
        bos = self._tokenizer.bos_token
        special = not (bos and text.startswith(bos))
        return torch.tensor([self._tokenizer(text, add_special_tokens=special)["input_ids"]])

    @property
    def answer_start(self) -> str:
        """The end of the prompt, from the question on; the answer follows it."""
        return QUESTION + self._text.rpartition(QUESTION)[2]

    def suffix(self, layout: Layout, question: str) -> Suffix:
        """The tokens of `question` after the visual tokens.

        It is tokenised together with the visual block's last token, so that the ids equal those
        of the whole prompt.
        """
        return self._suffix(
            self.prefix_tail(layout), layout.placeholder, layout.after, question.strip()
        )

    def _suffix_after(self, tail: int, placeholder: str, begin: str, question: str) -> Suffix:
        _, between, after = self.parts(placeholder)
        between = begin + between
        last = self._tokenizer.convert_ids_to_tokens(tail)
        known = self._tokenizer(last, add_special_tokens=False)["input_ids"]
        text = last + between + question + after
        coded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, offsets = coded["input_ids"][len(known) :], coded["offset_mapping"][len(known) :]
        end = len(last) + len(between) + len(question.rstrip(PUNCTUATION))
        if question.rstrip(PUNCTUATION) != question:
            end = len(last) + len(between) + len(question) - 1
        thought = text.find(THOUGHT, end)
        last_role = len(text) if thought < 0 else thought
        asked = len(last) + len(between) + len(question)
        roles = asked + len(self._switch)
        candidates = tuple(
            i
            for i, (start, stop) in enumerate(offsets)
            if end < stop and start < last_role and not asked <= start < stop <= roles
        )
        labels = tuple(self._tokenizer.decode([ids[i]]) for i in candidates)
        return Suffix(tuple(ids), candidates, labels)

    def prefix_tail(self, layout: Layout) -> int:
        """Id of the last token of the visual block, a special token."""
        return self._tail(layout.text)

    def _last_id(self, text: str) -> int:
        return int(self._tokenizer(text, add_special_tokens=False)["input_ids"][-1])

    def chat(self, system: str, prompt: str) -> Tensor:
        """`(1, n)` ids of a text-only prompt.

        Both texts are joined where the template has no system role, or writes it twice.
        """
        try:
            text = self._rendered(turn("system", written(system)), turn("user", written(prompt)))
        except Exception:  # templates without a system role raise errors of many kinds
            text = ""
        if text.count(system) != 1:
            text = self._rendered(turn("user", written(f"{system}\n{prompt}")))
        bos = self._tokenizer.bos_token
        special = not (bos and text.startswith(bos))
        return torch.tensor([self._tokenizer(text, add_special_tokens=special)["input_ids"]])

    def _rendered(self, *messages: dict[str, Any]) -> str:
        text = rendered(self._tokenizer, list(messages))
        return text if text.startswith(self._start) else self._start + text
