# SPDX-License-Identifier: Apache-2.0

"""Decomposition of the query into attribute and action (paper, section 4.2), and the questions.

The reader of the command decomposes it too: Q is the target, Q_s its attribute, Q_t its action.
"""

from __future__ import annotations

from dataclasses import replace

from stvg_ros.commands.command import Command
from stvg_ros.commands.endpoint import EndpointReader
from stvg_ros.commands.model_reader import TextModelReader, TokenModelReader
from stvg_ros.commands.reader import CachedReader, CommandReader, WholeReader, grammar_reader
from stvg_ros.errors import CommandError
from stvg_ros.method.interfaces import Mllm
from stvg_ros.types import SplitQuery

NEUTRAL = "Describe this video in details."

_ARTICLES = frozenset(("the", "a", "an", "someone", "somebody", "this", "that", "one", "any"))
_ASKING = {"who": "someone who", "whoever": "someone who", "what": "something that"}


def without_address(text: str) -> str:
    """The description alone: "Robot, please find the man in red." gives "the man in red"."""
    return grammar_reader("rules").read(text).target


def question(text: str) -> str:
    """The prompt of the paper for a (sub-)query: "Is there {text} in this video?"."""
    return f"Is there {described(text)} in this video?"


def described(text: str) -> str:
    """A (sub-)query as a part of a question: "Who waves?" gives "someone who waves"."""
    body = text.strip().rstrip(" .!?")
    first, _, rest = body.partition(" ")
    if first.lower() in _ARTICLES:
        body = first.lower() + body[len(first) :]
    elif first.lower() in _ASKING and rest:
        body = f"{_ASKING[first.lower()]} {rest}"
    return body


class CommandSplitter:
    """Splits by a reader of commands; each text is read once."""

    def __init__(self, reader: CommandReader, method: str = "") -> None:
        self._reader = CachedReader(reader)
        self._method = method or reader.name

    def split(self, text: str) -> SplitQuery:
        """Q, Q_s and Q_t of a command; see `Splitter`.

        A part that the command does not have is Q itself, and the result marks it.
        """
        return split_of(self._reader.read(text), self._method)


def split_of(command: Command, method: str) -> SplitQuery:
    """The sub-queries of a parsed command."""
    whole = command.target
    attribute, action = command.attribute_query, command.action_query
    if not attribute and not action and not command.problems:
        attribute = whole  # only the kind is named, which does not change over time
    fallbacks = tuple(
        name for name, part in (("attribute", attribute), ("action", action)) if not part
    )
    return SplitQuery(whole, attribute or whole, action or whole, method, fallbacks, command)


def refuse_unseen(command: Command | None) -> None:
    """Raises if images cannot answer a command.

    Raises:
        CommandError: it names a person, describes no target, or is in a language that its
            reader does not support.
    """
    if command is not None and command.refusal:
        raise CommandError(command.refusal)


class WholeSplitter(CommandSplitter):
    """No decomposition: both parts are Q itself."""

    def __init__(self) -> None:
        super().__init__(WholeReader())

    def split(self, text: str) -> SplitQuery:
        """Q three times; see `Splitter`."""
        query = super().split(text).text
        return SplitQuery(query, query, query, "none")


class RuleSplitter(CommandSplitter):
    """Splits by grammar, with word lists and optionally a parser."""

    def __init__(self, reader: CommandReader | None = None) -> None:
        super().__init__(reader or grammar_reader("rules"))


class MllmSplitter(CommandSplitter):
    """The MLLM reads, constrained to the sentence's words if the model gives token access."""

    def __init__(self, mllm: Mllm) -> None:
        tokens = getattr(mllm, "token_model", None)  # models of transformers have it
        reader = TextModelReader(mllm) if tokens is None else TokenModelReader(tokens)
        super().__init__(reader, "mllm")
        self._tokens = tokens

    def split(self, text: str) -> SplitQuery:
        """Q, Q_s and Q_t, with the number of tokens that the model read; see `Splitter`."""
        before = getattr(self._tokens, "read", 0)
        found = super().split(text)
        return replace(found, tokens=getattr(self._tokens, "read", 0) - before)


class EndpointSplitter(CommandSplitter):
    """An OpenAI-compatible endpoint reads; any failure falls back to Q."""

    def __init__(self, url: str, model: str, timeout_s: float, token: str = "") -> None:
        super().__init__(EndpointReader(url, model, timeout_s, token))
