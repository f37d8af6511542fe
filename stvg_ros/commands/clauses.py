# SPDX-License-Identifier: Apache-2.0

"""Separates the clauses of a description into attribute and action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from stvg_ros.commands import lexicon
from stvg_ros.commands.noun_phrase import NounPhrase, static_participle
from stvg_ros.commands.tokens import Token
from stvg_ros.commands.verbs import BASES, HOLDING, POSES, STATIVE
from stvg_ros.commands.wordlist import word_set

_VERBAL = word_set("VERB BASE ING PART BE HAVE DO MODAL")
_FINITE = word_set("VERB BASE BE HAVE DO MODAL")
_GROUP = word_set("BE HAVE DO MODAL NEG ADV TO")
_PATH = word_set(
    "up down across into to along through towards toward out onto over past around from"
)
_TIMED = word_set("before after until while when as whilst once")
_EXCEPT = word_set("but except excluding besides apart")
_HERE = word_set("here there gone")

Kind = Literal["attribute", "action"]


@dataclass(frozen=True)
class Clause:
    """A clause of a description.

    Attributes:
        kind: Attribute or action.
        start: Index of its first word.
        end: Index after its last word.
        verb: Index of its main verb, or -1.
        negated: Its verb is negated.
        own: It describes the target itself, not another noun inside its description.
    """

    kind: Kind
    start: int
    end: int
    verb: int = -1
    negated: bool = False
    own: bool = True


@dataclass(frozen=True)
class _Group:
    """A verb group: its end, its main verb, and its properties."""

    end: int
    verb: int
    kind: Kind
    negated: bool
    pose: bool = False


def clauses(words: Sequence[Token], phrase: NounPhrase) -> list[Clause]:
    """The clauses after the noun phrase, in order; together they cover every word."""
    scan = _Scan(words, phrase)
    index = phrase.end
    while index < len(words):
        index = scan.step(index)
    return scan.finished()


class _Scan:
    """One pass over the words; a clause begins at each verb, relative pronoun or "not"."""

    def __init__(self, words: Sequence[Token], phrase: NounPhrase) -> None:
        self._words = words
        self._phrase = phrase
        self._done: list[Clause] = []
        self._start = phrase.end
        self._kind: Kind = "attribute"
        self._verb = -1
        self._negated = False
        self._own = True
        self._poses: list[int] = []  # indices in `_done` of pose participles

    def step(self, index: int) -> int:
        """Processes the word at an index, and returns the index of the next one."""
        words, token = self._words, self._words[index]
        if index == self._phrase.end and self._contact(index):
            self._begin(index, "action")
            return self._past_verb(index)
        if token.tag == "REL" and token.word != "what":
            return self._relative(index)
        if token.tag == "PREP" and index + 1 < len(words) and words[index + 1].word == "whom":
            self._begin(index, "action")
            return self._past_verb(index + 2)
        if token.tag in ("CONJ", "MARK") or token.word == "then":
            return self._coordinated(index)
        if token.word in _TIMED and self._clause_follows(index + 1):
            if self._kind != "action" or self._verb < 0:
                self._begin(index, "action", verb=index)
            return self._past_verb(index + 1)
        if token.word == "about" and index + 1 < len(words) and words[index + 1].tag == "TO":
            if self._verb == index - 1 and words[index - 1].tag == "BE":
                self._kind, self._verb = "action", index + 1  # "who is about to fall"
                return index + 3
            self._begin(index, "action", verb=index + 1)
            return index + 3
        if token.tag == "PRON" and token.word in ("he", "she", "they", "it"):
            return self._verbal(index, index + 1) if self._verb_at(index + 1) else index + 1
        if token.tag == "NEG" and not self._verb_at(index + 1):
            self._begin(index, "attribute", negated=True)
            return self._past_noun(index + 1)
        if token.tag == "TO" and self._verb_at(index + 1):
            if self._verb < 0 and self._kind == "attribute":
                self._begin(index, "action", verb=index + 1)
            return index + 2
        if token.tag == "NEG" or (token.tag == "ADV" and self._adverb_of_verb(index)):
            return self._verbal(index, index)
        if token.tag in _VERBAL:
            return self._verbal(index, index)
        return index + 1

    def finished(self) -> list[Clause]:
        """All clauses; a pose with another action is part of the attribute."""
        self._close(len(self._words))
        result = list(self._done)
        acting = [i for i, c in enumerate(result) if c.kind == "action" and i not in self._poses]
        for index in self._poses:
            pose = result[index]
            if any(i > index and result[i].own for i in acting) and pose.own:
                result[index] = replace(pose, kind="attribute")
        for index, clause in enumerate(result[1:], 1):
            if not clause.own:  # it describes the noun before it
                result[index] = replace(clause, kind=result[index - 1].kind)
        return result

    # --- starts of clauses ------------------------------------------------------------------

    def _relative(self, index: int, parallel: bool = False) -> int:
        noun = (
            self._phrase.head
            if parallel
            else self._described(index, persons=self._words[index].word in ("who", "whom"))
        )
        group = self._group(index + 1)
        if self._words[index].word == "whose":
            self._begin(index, "attribute", own=noun == self._phrase.head)
            owned = index + 1 < len(self._words) and lexicon.moves(self._words[index + 1].word)
            acts = self._group(index + 2) if owned else None
            return acts.end if acts else index + 2  # "whose mother is carrying a bag"
        if group is None:
            subject = self._clause_follows(index + 1)  # "the cup that the man lifts"
            self._begin(index, "action" if subject else self._kind)
            return self._past_verb(index + 1) if subject else index + 1
        if noun != self._phrase.head:
            self._nested(index)
        else:
            self._begin(index, group.kind, group.verb, group.negated)
        return group.end

    def _coordinated(self, index: int) -> int:
        """Handles "and", "," or "then": a new clause if a verb follows."""
        words = self._words
        after = index + 1
        while after < len(words) and (
            words[after].tag in ("CONJ", "MARK") or words[after].word in ("then", "also", "who")
        ):
            if words[after].tag == "REL":
                return self._relative(after, self._own_relative(after - 1))
            after += 1
        if after < len(words) and words[after].tag == "NEG" and not self._verb_at(after + 1):
            self._begin(index, "attribute", negated=True)
            return self._past_noun(after + 1)
        group = self._group(after)
        if group is None or words[after].tag == "NOUN":
            return max(after, index + 1)
        if not self._own:
            return group.end
        if group.kind == "action" and self._kind == "action" and not group.negated:
            return group.end  # one action of several verbs
        self._begin(index, group.kind, group.verb, group.negated, pose=group.pose)
        return group.end

    def _own_relative(self, index: int) -> bool:
        """Whether a relative clause of the target precedes: "who is left of her and who waves"."""
        joined_by_and = self._words[index].tag == "CONJ"
        first = self._words[self._phrase.end : self._phrase.end + 1]
        return joined_by_and and bool(first) and first[0].tag == "REL"

    def _verbal(self, start: int, index: int) -> int:
        """A verb without a relative pronoun: a participle of a noun, or the main clause."""
        group = self._group(index)
        if group is None:
            return max(start, index) + 1
        finite = self._words[index].tag in _FINITE or start < index
        if not finite:
            noun = self._described(index, persons=False)
            if noun != self._phrase.head:
                self._nested(index)
                return group.end
            if self._kind == "action" and self._verb >= 0 and self._static_only(group):
                self._begin(start, "attribute", group.verb, group.negated)
                return group.end
        if self._kind == "action" and self._verb >= 0 and not (finite and self._reduced()):
            return group.end  # "starts dancing", "watches the man leave"
        self._begin(start, group.kind, group.verb, group.negated, pose=group.pose and not finite)
        return group.end

    def _contact(self, index: int) -> bool:
        """Whether a clause without a relative pronoun starts here: "the cup he is holding"."""
        subject = self._words[index]
        named = subject.tag in ("DET", "POSS") or subject.word in lexicon.SUBJECT_PRONOUNS
        head = self._phrase.head
        noun = head >= 0 and self._words[head].tag in ("NOUN", "PRON") and head == index - 1
        if not (named and noun) or self._words[head].word in lexicon.SUBJECT_PRONOUNS:
            return False
        return self._finite_follows(index + 1)

    def _finite_follows(self, index: int) -> bool:
        words = self._words
        while index < len(words) and words[index].tag in ("ADJ", "NOUN", "NUM", "ADV"):
            index += 1
        return index < len(words) and words[index].tag in _FINITE

    def _static_only(self, group: _Group) -> bool:
        if group.verb and BASES.get(self._words[group.verb - 1].word) == "get":
            return False  # "is getting dressed"
        base = BASES.get(self._words[group.verb].word, "")
        return base == "wear" or static_participle(self._words[group.verb].word)

    # --- helpers --------------------------------------------------------------------------------

    def _begin(
        self,
        start: int,
        kind: Kind,
        verb: int = -1,
        negated: bool = False,
        own: bool = True,
        pose: bool = False,
    ) -> None:
        self._close(start)
        self._start, self._kind, self._verb = start, kind, verb
        self._negated, self._own = negated, own
        if pose:
            self._poses.append(len(self._done))

    def _nested(self, index: int) -> None:
        """A clause about another noun belongs to the clause that contains the noun."""
        self._close(index)
        self._start, self._own, self._negated = index, False, False

    def _close(self, end: int) -> None:
        if end > self._start:
            clause = Clause(self._kind, self._start, end, self._verb, self._negated, self._own)
            self._done.append(clause)
        self._start = end

    def _described(self, index: int, persons: bool) -> int:
        """The index of the noun that a relative clause or a participle describes."""
        known = self._words[index].noun
        if known >= 0:
            return self._phrase.head if known < self._phrase.end else known
        excepted = False
        for at in range(index - 1, self._phrase.end - 1, -1):
            token = self._words[at]
            excepted = any(t.word in _EXCEPT for t in self._words[self._phrase.end : at])
            if token.tag == "NOUN" or token.word in lexicon.INDEFINITE:
                capable = lexicon.is_person if persons else lexicon.moves
                compound = at + 1 < index and self._words[at + 1].tag == "NOUN"
                if capable(token.word) and not compound and not excepted:
                    return at
        return self._phrase.head

    def _group(self, index: int) -> _Group | None:
        """The verb group that starts at an index, or None."""
        words = self._words
        at, negated = index, False
        auxiliaries: list[str] = []
        while at < len(words) and words[at].tag in _GROUP:
            negated = negated or words[at].tag == "NEG"
            if words[at].tag != "ADV":
                auxiliaries.append(words[at].tag)
            at += 1
        if at < len(words) and words[at].tag in ("VERB", "BASE", "ING", "PART"):
            kind, pose = self._sense(at, auxiliaries)
            return _Group(at + 1, at, kind, negated, pose)
        verbs = [tag for tag in auxiliaries if tag in _FINITE]
        if not verbs:
            return None
        last = next(i for i in range(at - 1, index - 1, -1) if words[i].tag in _FINITE)
        here = any(words[i].word in _HERE for i in range(last, at))
        acts = words[last].tag in ("DO", "MODAL") or (here and words[last].tag == "BE")
        return _Group(at, last, "action" if acts else "attribute", negated)

    def _sense(self, at: int, auxiliaries: list[str]) -> tuple[Kind, bool]:
        """Attribute or action, and whether the verb is a pose."""
        token = self._words[at]
        base = BASES.get(token.word, token.word)
        participle = not any(tag in _FINITE for tag in auxiliaries)
        following = self._words[at + 1].tag if at + 1 < len(self._words) else ""
        owns = token.word == "got" and not participle and following in ("DET", "ADJ", "NOUN")
        if base in STATIVE or owns:
            return "attribute", False
        if token.tag == "PART" and static_participle(token.word):
            return "attribute", False
        if token.tag != "ING" or not participle:
            return "action", base in POSES
        after = [t.word for t in self._words[at + 1 :]]
        if base in HOLDING:
            object_end = next(
                (
                    i
                    for i, t in enumerate(self._words[at + 1 :])
                    if t.tag in _FINITE | {"REL", "CONJ", "MARK", "ING"}
                ),
                len(after),
            )
            path = base == "carry" and any(word in _PATH for word in after[:object_end])
            return ("action" if path or self._acted() else "attribute"), False
        beside = after[:1] and (self._words[at + 1].tag == "PREP" or after[1:2] == ["of"])
        if base == "stand" and beside:
            still = after[0] in ("without", "up")
            return ("action" if still else "attribute"), True
        return "action", base in POSES

    def _reduced(self) -> bool:
        """Whether the clause is a participle of the target, whose main verb follows later."""
        return self._words[self._verb].tag in ("ING", "PART") and self._start == self._verb

    def _acted(self) -> bool:
        return self._kind == "action" and self._verb >= 0

    def _verb_at(self, index: int) -> bool:
        while index < len(self._words) and self._words[index].tag in ("ADV", "NEG"):
            index += 1
        return index < len(self._words) and self._words[index].tag in _VERBAL

    def _adverb_of_verb(self, index: int) -> bool:
        """Whether an adverb belongs to the verb after it, as in "just left"."""
        return self._verb < 0 and self._verb_at(index + 1) and index > 0

    def _clause_follows(self, index: int) -> bool:
        """Whether a subject and a verb, or a participle, start here."""
        words = self._words
        if index < len(words) and words[index].tag == "ING":
            return True
        at = index
        while at < len(words) and words[at].tag in ("DET", "POSS", "ADJ", "NOUN", "NUM"):
            at += 1
        subject = at > index or (at < len(words) and words[at].tag == "PRON")
        at += at == index
        return subject and self._verb_at(at)

    def _past_verb(self, index: int) -> int:
        while index < len(self._words) and self._words[index].tag not in _VERBAL:
            index += 1
        return index + 1

    def _past_noun(self, index: int) -> int:
        """The index after "the one sitting" behind a "not": the noun phrase and its participle."""
        words = self._words
        while index < len(words) and words[index].tag in ("DET", "POSS", "ADJ", "NOUN", "PRON"):
            index += 1
        while index < len(words) and words[index].tag in ("ING", "REL", "BE"):
            index += 1
        return index
