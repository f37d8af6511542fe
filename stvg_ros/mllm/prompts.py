"""Prompts from a checkpoint's own chat template, cut where the video ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stvg_ros.errors import ModelError

_MARK = "THEQUESTION?"
_YES = ("Yes", "yes", "YES", " Yes", " yes")
_NO = ("No", "no", "NO", " No", " no")


@dataclass(frozen=True)
class Suffix:
    """Everything after the video for one question.

    Attributes:
        ids: token ids.
        rows: positions in `ids` of the candidates: the token that ends the question (its final
            punctuation) and every token after it, the role tokens.
        labels: the candidates as text.
    """

    ids: tuple[int, ...]
    rows: tuple[int, ...]
    labels: tuple[str, ...]


class Prompter:
    """Splits a checkpoint's prompt into the shared prefix and a suffix for each question."""

    def __init__(self, tokenizer: Any, placeholder: str, where: str) -> None:
        """Reads the chat template.

        Args:
            tokenizer: a fast tokenizer with a chat template.
            placeholder: what the template writes where the video goes.
            where: the checkpoint, for messages.

        Raises:
            ModelError: no chat template, or one that shows no video and question.
        """
        if not tokenizer.chat_template:
            raise ModelError(
                f"{where}: expected a chat template with the tokenizer; take an "
                "instruction-tuned checkpoint, whose folder has chat_template.jinja"
            )
        content = [{"type": "video"}, {"type": "text", "text": _MARK}]
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        if text.count(_MARK) != 1 or text.count(placeholder) != 1:
            raise ModelError(
                f"{where}: expected the chat template to show one {placeholder!r} and one "
                f"question, got {text!r}; take a checkpoint with a video chat template"
            )
        self._tokenizer = tokenizer
        self._placeholder = placeholder
        self._text = text
        self._head, self._tail = text.split(_MARK)
        if self._head.find(placeholder) < 0:
            raise ModelError(
                f"{where}: expected the video before the question, got {text!r}; this method "
                "shares the video between questions and needs that order"
            )

    def prefix(self, video_text: str, last_visual_id: int) -> list[int]:
        """Token ids up to the last visual token; `video_text` replaces the placeholder."""
        ids = self._ids(self._head.replace(self._placeholder, video_text) + _MARK)
        return ids[: _last(ids, last_visual_id) + 1]

    def suffix(self, question: str, video_text: str, last_visual_id: int) -> Suffix:
        """The tokens after the last visual token for one question.

        `video_text` may be a shorter video: only what follows its last visual token is kept.
        """
        head = self._head.replace(self._placeholder, video_text)
        encoded = self._tokenizer(
            head + question + self._tail, add_special_tokens=False, return_offsets_mapping=True
        )
        ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
        begin = _last(ids, last_visual_id) + 1
        end = len(head) + len(question)
        rows = [i for i in range(begin, len(ids)) if offsets[i][1] >= end]
        labels = self._tokenizer.convert_ids_to_tokens([ids[i] for i in rows])
        return Suffix(tuple(ids[begin:]), tuple(i - begin for i in rows), tuple(labels))

    def chat(self, system: str, prompt: str) -> list[int]:
        """Token ids of a text-only conversation up to where the answer starts."""
        content = [{"type": "text", "text": f"{system}\n\n{prompt}"}]
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        return self._ids(text)

    def answer_ids(self, where: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Ids of the forms of "yes" and of "no" as the first token of the answer.

        Raises:
            ModelError: the vocabulary has no single token for one of them.
        """
        found = tuple(self._starts(variants) for variants in (_YES, _NO))
        for name, ids in zip(("yes", "no"), found, strict=True):
            if not ids:
                raise ModelError(
                    f"{where}: the tokenizer has no single token for {name!r} at the start of an "
                    "answer; take a checkpoint whose vocabulary has one"
                )
        return found[0], found[1]

    def _starts(self, variants: tuple[str, ...]) -> tuple[int, ...]:
        base = self._ids(self._text)
        found = set()
        for variant in variants:
            for ids in (
                self._ids(self._text + variant)[len(base) :],
                self._ids(variant),
            ):
                if len(ids) == 1 and ids[0] != self._tokenizer.unk_token_id:
                    found.add(int(ids[0]))
        return tuple(sorted(found))

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _last(ids: list[int], wanted: int) -> int:
    return len(ids) - 1 - ids[::-1].index(wanted)
