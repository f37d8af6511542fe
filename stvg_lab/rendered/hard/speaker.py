# SPDX-License-Identifier: Apache-2.0

"""Says a claim in the words of a set of templates."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from stvg_lab.rendered.hard.claims import Claim, ThingClaim
from stvg_lab.rendered.hard.templates import NOUNS, Wordings

_ARTICLE = "@a"  # of the word that follows
_CLAUSE = re.compile(r"\b(who|that)\b")
Said = tuple[str, str, str]  # text, attribute part, action part


class Speaker:
    """Draws words for claims; one thread."""

    def __init__(self, wordings: Wordings, rng: np.random.Generator) -> None:
        self._words, self._rng = wordings, rng

    def person(self, claim: Claim, *, sentence: bool = False) -> Said:
        """Words for one person; as a whole sentence about what is done if `sentence`."""
        if claim.relation:
            text = self._related(claim)
            return text, text, ""
        if claim.rank:
            look = self._look(claim, "", plain=True)
            verb = self._verb(claim)[0]
            text = self._pick(self._words.ranks[claim.rank]).format(look=look, verb=verb)
            return _finished(text), f"the person {_finished(look)}", _finished(f"someone {verb}")
        noun = self._pick(NOUNS)
        worn = claim.colour or claim.garment or claim.bag
        look = self._look(claim, noun) if worn else ""
        if not claim.doing and not claim.holds:
            return _finished(look), _finished(look), ""
        verb, ing = self._verb(claim)
        forms = self._words.sentences if sentence else self._words.clauses
        text = self._with_verb(self._pick(forms), look or noun, verb, ing)
        action = self._with_verb(self._words.clauses[0], noun, verb, ing)
        if sentence:
            text = text[0].upper() + text[1:] + "."
        return _finished(text), _finished(look), _finished(action)

    def thing(self, claim: ThingClaim) -> Said:
        """Words for one thing."""
        holder = self._look(claim.holder, NOUNS[0]) if claim.holder else ""
        form = self._pick(self._words.things[claim.event])
        text = form.format(colour=claim.colour, kind=claim.kind, who=holder)
        text = _finished(" ".join(text.split()))
        return text, text, text if claim.event else ""

    def count(self, claim: Claim) -> str:
        """The question of how many people it is true."""
        rest = self._pick(self._words.plurals[claim.doing or "worn"])
        rest = rest.format(a=_ARTICLE, colour=claim.colour, garment=claim.garment)
        return _finished(self._pick(self._words.counts).format(rest=rest))

    def _look(self, claim: Claim, noun: str, *, plain: bool = False) -> str:
        """Clothes or bag of somebody; without a clause of its own if `plain`."""
        words = self._words
        forms = (
            words.bags if claim.bag else words.plain_garments if claim.garment else words.colours
        )
        if claim.colour and claim.garment:
            forms = words.garments
        if plain:
            forms = tuple(form for form in forms if not _CLAUSE.search(form))
        parts = {"colour": claim.colour, "garment": claim.garment, "bag": claim.bag}
        return self._pick(forms).format(noun=noun, a=_ARTICLE, **parts).strip()

    def _verb(self, claim: Claim) -> tuple[str, str]:
        name = claim.doing or "holds"
        pairs = self._words.verbs[name]
        verb, ing = pairs[int(self._rng.integers(len(pairs)))]
        article = self._pick((_ARTICLE, "the"))
        kind = claim.holds or "box"
        thing = " ".join(part for part in (article, claim.thing_colour, kind) if part)
        return verb.format(thing=thing), ing.format(thing=thing)

    def _with_verb(self, form: str, who: str, verb: str, ing: str) -> str:
        if _CLAUSE.search(who) and form in self._words.clauses:
            return f"{who} and {verb}"
        is_ing = verb if verb.startswith("is ") else f"is {ing}"
        if ing.startswith("with "):
            is_ing = verb
        return form.format(who=who, verb=verb, ing=ing, is_ing=is_ing)

    def _related(self, claim: Claim) -> str:
        others = [self._look(anchor, NOUNS[0]) for anchor in claim.anchors]
        form = self._pick(self._words.relations[claim.relation])
        text = form.format(noun=self._pick(NOUNS), who=others[0], other=others[-1])
        return _finished(text)

    def _pick(self, options: Sequence[str]) -> str:
        return options[int(self._rng.integers(len(options)))]


def _finished(text: str) -> str:
    """With "a" or "an" where the word that follows decides."""
    text = re.sub(rf"{_ARTICLE} (?=[aeiou])", "an ", text)
    return text.replace(_ARTICLE, "a")
