# SPDX-License-Identifier: Apache-2.0

"""The Protocol of command readers, the readers with rules and parser, and a cache by text."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Protocol

from stvg_ros.commands.command import Command
from stvg_ros.commands.parser import ParserTagger, installed_pipeline
from stvg_ros.commands.tagging import LexiconTagger, Tagger
from stvg_ros.commands.understanding import understood

READERS = ("auto", "model", "parser", "rules", "endpoint", "none")
_MOST_CACHED = 256


class CommandReader(Protocol):
    """Reads sentences."""

    @property
    def name(self) -> str:
        """What `Command.reader` says."""
        ...

    def read(self, text: str) -> Command:
        """The command of a sentence. Never raises: `problems` lists the errors."""
        ...


class GrammarReader:
    """Reads by grammar, with the word classes of a tagger."""

    def __init__(self, tagger: Tagger) -> None:
        self.name = tagger.name
        self._tagger = tagger

    def read(self, text: str) -> Command:
        """The command of a sentence; see `CommandReader`."""
        return understood(text, self._tagger)


class WholeReader:
    """Does not parse: the target is the sentence without the address."""

    name = "none"

    def __init__(self) -> None:
        self._rules = GrammarReader(LexiconTagger())

    def read(self, text: str) -> Command:
        """The command of a sentence; see `CommandReader`."""
        return Command("find", self._rules.read(text).target, reader=self.name)


class CachedReader:
    """Caches commands by text. Any thread may read; one sentence is read at a time."""

    def __init__(self, reader: CommandReader, most: int = _MOST_CACHED) -> None:
        self.name = reader.name
        self._reader = reader
        self._most = most
        self._lock = threading.Lock()
        self._read: OrderedDict[str, Command] = OrderedDict()

    def read(self, text: str) -> Command:
        """The command of a sentence, from the cache if it was read before."""
        with self._lock:
            known = self._read.get(text)
            if known is None:
                known = self._reader.read(text)
                if not transient(known):
                    self._read[text] = known
                if len(self._read) > self._most:
                    self._read.popitem(last=False)
            else:
                self._read.move_to_end(text)
            return known


def transient(command: Command) -> bool:
    """Whether reading failed temporarily, such as on an endpoint without an answer."""
    return any("did not answer" in problem for problem in command.problems)


def grammar_reader(name: str = "auto") -> CommandReader:
    """The parser's or the rules' reader; auto is the parser if it is installed.

    Raises:
        ConfigError: the parser is requested but not installed.
    """
    if name == "parser" or (name == "auto" and installed_pipeline()):
        return GrammarReader(ParserTagger())
    return GrammarReader(LexiconTagger())
