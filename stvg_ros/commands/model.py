# SPDX-License-Identifier: Apache-2.0

"""Readers that ask a language model: token by token within the sentence's words, or as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from stvg_ros.commands import reply
from stvg_ros.commands.command import INTENTS, Command
from stvg_ros.commands.tokens import cleaned, joined, tokens
from stvg_ros.commands.understanding import unread

_MOST_WORDS = 60  # of a sentence that is read within its own words
_MOST_TOKENS = 320
_NUMBERS = ("one", "all", "2", "3", "4", "5", "6", "7", "8", "9", "10")


class TextModel(Protocol):
    """A language model that writes text."""

    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        """Greedy completion."""
        ...


class TokenModel(Protocol):
    """A language model, token by token; it may keep what it has computed for a prefix."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without special ones."""
        ...

    def best(self, before: Sequence[int], allowed: Sequence[int]) -> int:
        """The most probable of the allowed tokens after those before; ties go to the first."""
        ...


def examples(separator: str = "\n") -> str:
    """Sentences with their replies, for the prompt."""
    return separator.join(
        f"Sentence: {sentence}\n{json.dumps(reply.ordered(values), ensure_ascii=False)}"
        for sentence, values in reply.EXAMPLES
    )


class TextModelReader:
    """Reads with a model that only writes text; its JSON is checked against the sentence."""

    name = "model"

    def __init__(self, model: TextModel) -> None:
        self._model = model

    def read(self, text: str) -> Command:
        """What a sentence asks for; see `CommandReader`."""
        plain, problems = cleaned(text)
        if not tokens(plain):
            return unread(text, self.name, "No words to read.", *problems)
        prompt = f"{examples()}\nSentence: {plain}\n"
        written = self._model.complete(reply.SYSTEM, prompt, _MOST_TOKENS)
        values = reply.parsed(written)
        if values is None:
            problem = "The model wrote no JSON object; the whole sentence is asked."
            return unread(plain, self.name, problem, *problems)
        return reply.command_of(values, plain, self.name, problems)


class TokenModelReader:
    """Reads with a model whose every token is chosen among those that keep the reply valid.

    The JSON around the values is not asked of the model at all; each text is a run of words of
    the sentence, or empty.
    """

    name = "model"

    def __init__(self, model: TokenModel) -> None:
        self._model = model
        self._head: list[int] | None = None  # of the prompt that all sentences share

    def read(self, text: str) -> Command:
        """What a sentence asks for; see `CommandReader`."""
        plain, problems = cleaned(text)
        words = tokens(plain)[:_MOST_WORDS]
        if not words:
            return unread(text, self.name, "No words to read.", *problems)
        sentence = joined(words)
        if self._head is None:
            self._head = self._model.encode(f"{reply.SYSTEM}\n\n{examples()}\nSentence: ")
        written = _Written(self._model, [*self._head, *self._model.encode(f"{sentence}\n{{")])
        values: dict[str, object] = {}
        for number, name in enumerate(reply.FIELDS):
            written.add(f'{", " if number else ""}"{name}": "')
            if name == "intent":
                options: Sequence[str] = INTENTS
            elif name == "number":
                options = _NUMBERS
            else:
                options = self._runs(name, sentence, values)
            values[name] = written.chosen(options)
        return reply.command_of(values, sentence, self.name, problems)

    @staticmethod
    def _runs(name: str, sentence: str, values: dict[str, object]) -> list[str]:
        """The runs of words that a text may be; attribute and action lie inside the target."""
        inside = str(values["target"]) if name in ("attribute", "action", "relation", "not") else ""
        words = (inside or sentence).split()
        attribute = str(values.get("attribute", "")) if name == "action" else ""
        runs = [] if name == "target" else [""]
        for start in range(len(words)):
            for end in range(start + 1, len(words) + 1):
                run = " ".join(words[start:end])
                if not (attribute and run in attribute):
                    runs.append(run)
        return runs


@dataclass
class _Node:
    """A node of the tree of allowed continuations."""

    children: dict[int, _Node] = field(default_factory=dict)
    text: str | None = None  # the option that ends here


class _Written:
    """A reply while it is written."""

    def __init__(self, model: TokenModel, before: list[int]) -> None:
        self._model = model
        self._tokens = before

    def add(self, text: str) -> None:
        """Writes a text that is given."""
        self._tokens += self._model.encode(text)

    def chosen(self, options: Sequence[str]) -> str:
        """Writes the option that the model would, and a closing quote.

        The quote is part of each option: where one option begins another, the model chooses
        between ending and going on.
        """
        root = _Node()
        for option in options:
            node = root
            for token in self._model.encode(f'{option}"'):
                node = node.children.setdefault(token, _Node())
            if node.text is None:
                node.text = option
        node = root
        while node.children:
            allowed = list(node.children)
            token = allowed[0] if len(allowed) == 1 else self._model.best(self._tokens, allowed)
            node = node.children[token]
            self._tokens.append(token)
        return node.text or ""
