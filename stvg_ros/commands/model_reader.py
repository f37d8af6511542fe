# SPDX-License-Identifier: Apache-2.0

"""Readers that use a language model: constrained to the sentence's words, or with free text."""

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
    """A language model, token by token; it may cache a prefix."""

    def encode(self, text: str) -> list[int]:
        """The tokens of a text, without special ones."""
        ...

    def best(self, before: Sequence[int], allowed: Sequence[int]) -> int:
        """The most probable of the allowed tokens after the given ones; the first one of a tie."""
        ...


def examples(separator: str = "\n") -> str:
    """Sentences with their replies, for the prompt."""
    return separator.join(
        f"Sentence: {sentence}\n{json.dumps(reply.ordered(values), ensure_ascii=False)}"
        for sentence, values in reply.EXAMPLES
    )


class TextModelReader:
    """Reads with a model that generates text; its JSON is checked against the sentence."""

    name = "model"

    def __init__(self, model: TextModel) -> None:
        self._model = model

    def read(self, text: str) -> Command:
        """The command of a sentence; see `CommandReader`."""
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
    """Reads with constrained decoding: only tokens that keep the reply valid are allowed.

    The model does not generate the JSON around the values; each text is a run of words of the
    sentence, or empty.
    """

    name = "model"

    def __init__(self, model: TokenModel) -> None:
        self._model = model
        self._head: list[int] | None = None  # of the prompt that all sentences share

    def read(self, text: str) -> Command:
        """The command of a sentence; see `CommandReader`."""
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
        """The allowed runs of words for a text; attribute and action are inside the target."""
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
    """A reply during generation."""

    def __init__(self, model: TokenModel, before: list[int]) -> None:
        self._model = model
        self._tokens = before

    def add(self, text: str) -> None:
        """Appends a given text."""
        self._tokens += self._model.encode(text)

    def chosen(self, options: Sequence[str]) -> str:
        """Appends the model's choice of the options, and a closing quote.

        The quote is part of each option: if one option is a prefix of another, the model chooses
        between ending and continuing.
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
