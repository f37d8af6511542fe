# SPDX-License-Identifier: Apache-2.0

"""Sentences that images cannot answer: names, relatives, small talk, questions about the world."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.commands import lexicon, phrases
from stvg_ros.commands.description import Description
from stvg_ros.commands.request import is_name
from stvg_ros.commands.tokens import Token, joined
from stvg_ros.commands.verbs import FORMS, MOSTLY_NOUN
from stvg_ros.commands.word_classes import CLOSED_WORDS
from stvg_ros.commands.wordlist import word_set

_RANKS = word_set("little big older younger elder old dear best favourite favorite baby twin ex")
_CALLED = word_set("mum mummy mom mommy dad daddy grandma granny grandpa")
_TITLES = word_set("mr mrs ms miss dr doctor professor prof sir lady aunt uncle")
_PRONOUNS = word_set("him her them it me us he she they")
_INTERJECTIONS = word_set("""
    yes no ok okay hello hi hey robot thanks thank you please bye goodbye stop sorry well good
    morning evening afternoon night very much great nice awesome cool fine right job work done
    never mind forget it that leave not now yet all perfect excellent wow oh see later soon be
    quiet welcome problem worries sure alright cheers cancel enough louder
    """)
_TOPICS = word_set("""
    capital meaning weather temperature population answer definition news date time day
    difference score price height distance plan problem matter menu password wifi purpose point
    result best biggest largest highest longest square sum root language currency speed name
    love life
    """)
_OFFICES = word_set("""
    president king queen minister chancellor mayor author inventor founder pope ceo prime
    director composer boss owner
    """)


def describes_nobody(words: Sequence[Token]) -> bool:
    """Whether words without an order to find name nothing visible: "stop", "I am hungry"."""
    if any(lexicon.is_animate(t.word) for t in words):
        return _asks_about_the_world(words)
    said = [t.word for t in words if t.text not in ".,;:!?"]
    if not said:
        return True
    if all(word in _INTERJECTIONS for word in said):
        return True
    event = said[:2] == ["is", "it"] or said[:3] in (["what", "is", "going"], ["what", "is", "up"])
    about_robot = any(word in ("you", "your", "yourself") for word in said)
    clock = said[0] in ("what", "how") and any(word in phrases.TALK_NOUNS for word in said)
    said_of_self = said[0] in ("i", "we") and len(said) > 1
    comment = said[0] in ("that", "this", "it") and said[1:2] and said[1] in lexicon.BE
    asked = said[0] in ("why", "how", "when") or _asks_about_the_world(words)
    return (
        _orders_else(said)
        or about_robot
        or clock
        or event
        or said_of_self
        or bool(comment)
        or asked
    )


def _orders_else(said: Sequence[str]) -> bool:
    """Whether the words order something that needs no target: "play some music", "stop"."""
    if "BASE" not in FORMS.get(said[0], ()):
        return False
    after = said[1] if len(said) > 1 else ""
    if said[0] in phrases.ROBOT_VERBS:
        return True
    if len(said) == 1:
        return said[0] not in MOSTLY_NOUN
    tag = CLOSED_WORDS.get(after, "")
    return tag in ("DET", "POSS", "OBJ", "PRON") or (tag == "PREP" and len(said) > 2)


def _asks_about_the_world(words: Sequence[Token]) -> bool:
    """Whether a question asks for knowledge: "what is the capital of France"."""
    said = [t.word for t in words if t.text not in ".,;:!?"]
    if len(said) < 3 or said[0] not in ("what", "who", "when", "where", "which"):
        return False
    topic = said[3:] if said[2] in lexicon.DETERMINERS else said[2:]
    if said[1] in lexicon.BE:
        return bool(topic) and topic[0] in (_TOPICS if said[0] == "what" else _OFFICES)
    return said[0] == "who" and said[1] in ("invented", "discovered", "founded", "composed", "won")


def unseen(words: Sequence[Token], parts: Description) -> tuple[str, str]:
    """A name or a relative, which cannot be recognised in an image, and the problem's text."""
    if parts.action or not words:
        return "", ""
    first = words[0]
    nouns = [t for t in words if t.text not in ".,;:!?"]
    if len(nouns) == 1 and first.word in _PRONOUNS:
        return "", f'"{first.text}" does not say whom to look for; describe the person.'
    if first.tag == "POSS" and len(nouns) == 2 and nouns[1].word in lexicon.KIN:
        who = joined(nouns)
        return who, refusal(who)
    ranked = first.tag == "POSS" and len(nouns) == 3 and nouns[1].word in _RANKS
    if ranked and nouns[2].word in lexicon.KIN:
        return joined(nouns), refusal(joined(nouns))
    titled = first.word in lexicon.KIN | _TITLES and len(nouns) in (2, 3)
    if titled and all(is_name(token) for token in nouns[1:]):
        return joined(nouns), refusal(joined(nouns))
    if len(nouns) == 1 and first.word in _CALLED:
        return first.text, refusal(first.text)
    if _named(words):
        return joined(nouns), refusal(joined(nouns))
    return "", ""


def _named(words: Sequence[Token]) -> bool:
    first = words[0]
    if first.word in lexicon.NAMES and (len(words) == 1 or words[1].tag not in ("NOUN",)):
        return len(words) == 1 or words[1].text[:1].isupper()
    capital = all(t.text[:1].isupper() for t in words)
    unknown = (
        first.tag == "NOUN"
        and not lexicon.is_animate(first.word)
        and first.word not in lexicon.GARMENTS | lexicon.FURNITURE | lexicon.COLOURS
        and first.word not in FORMS
        and not lexicon.is_plural(first.word)
    )
    return capital and unknown and len(words) <= 2


def refusal(who: str) -> str:
    """Why a name is refused."""
    return (
        f'"{who}" is a name, and a name cannot be seen in a picture; describe the person, or teach '
        "the robot the name first."
    )
