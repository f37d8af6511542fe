# SPDX-License-Identifier: Apache-2.0

"""Names in sentences: "this is Morgan", "her name is Jane"; and "the same person"."""

from __future__ import annotations

import re

from stvg_ros.commands.tokens import cleaned

MOST_NAME_CHARACTERS = 60
_INTRODUCTION = re.compile(
    r"^(?:(?:hey|hi|ok|okay|please|robot|remember|note|learn)\b[\s,]*(?:that\s+)?)*"
    r"(?:(?:this|that|here|he|she|they|it|the (?:person|man|woman|child))(?:['’]s|\s+(?:is|are))|"
    r"(?:his|her|their|its)\s+name(?:['’]s|\s+is)|"
    r"(?:call|name)\s+(?:him|her|them|it)|"
    r"remember\s+(?:him|her|them|it)\s+as)(?:\s+|$)(?:called\s+|named\s+)?",
    re.IGNORECASE,
)

_PRESENT = re.compile(
    r"^is\s+(.+?)\s+(?:still\s+|already\s+)?"
    r"(?:back|here|there|home|around|in(?:\s+(?:view|sight|the\s+room))?)$",
    re.IGNORECASE,
)
_COMES = re.compile(
    r"\s+(?:(?:is|comes|gets|walks)\s+(?:back|here|there|home|in)|"
    r"appears|arrives|returns|enters|shows\s+up)(?:\s+again)?$",
    re.IGNORECASE,
)

SAME_PERSON = "the same person"
_SAME = re.compile(
    r"\b(?:the|this|that)\s+(?:very\s+)?same\s+"
    r"(?:person|human|man|woman|lady|guy|boy|girl|child|kid|one)\b(?!\s+as\b)",
    re.IGNORECASE,
)


def means_same_person(text: str) -> bool:
    """Whether a command is about whoever was found last: "find the same person again"."""
    return _SAME.search(text) is not None


def introduced_name(text: str) -> str:
    """The name in an introduction, or the whole text if it is a name alone; "" without words."""
    plain = cleaned(text)[0]
    return _INTRODUCTION.sub("", plain).strip(" .,;:!?\"'“”")[:MOST_NAME_CHARACTERS].strip()


def who_comes(text: str) -> str:
    """Who comes or is there: "Morgan" in "Morgan comes back" and "is Morgan there"; else ""."""
    if present := _PRESENT.search(text):
        return present[1]
    found = _COMES.search(text)
    return "" if found is None else text[: found.start()]


def name_key(name: str) -> str:
    """A name for comparisons: without case, marks, and a possessive before it."""
    words = "".join(c if c.isalnum() else " " for c in name.casefold()).split()
    return " ".join(words[1:] if words[:1] in (["my"], ["our"]) else words)
