# SPDX-License-Identifier: Apache-2.0

"""Questions about a clip with their answers and target attention."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from stvg_lab.rendered.person import LIFTS
from stvg_lab.rendered.queries import BAGS, SIDES, VERBS, phrased
from stvg_lab.rendered.scene import ACTIONS, SHIRTS, STAND
from stvg_lab.training.clip_pool import BAG_KINDS, NOBODY, STANDS
from stvg_ros.method.query import NEUTRAL, question

COLOURS = tuple(SHIRTS)
ACTS = (*ACTIONS, STAND)
ROLE = "<|im_end|>\n<|im_start|>assistant\n"
ROLE_TOKENS = 5
IGNORED = -100
COUNT = 9  # questions per clip
LENGTH = 36  # tokens of a question with role tokens and answer, padded
WALK = (ACTIONS.index("walk_left"), ACTIONS.index("walk_right"))
ALIKE = {ACTIONS.index(a): ACTIONS.index(b) for a, b in (LIFTS, LIFTS[::-1])}
CLOSE = 0.02  # people closer than this share of the image width have no left and right
Look = tuple[str, str]  # ("shirt", colour) or ("bag", kind)
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Question:
    """One question.

    Attributes:
        prompt: the text after the video, without the role tokens.
        answer: the target text.
        kind: "attribute", "action", "combined", "relation", "neutral", "what" or "colour".
        people: indices of the people described; empty without a target.
        act: indices into `ACTS`, any of which bounds the slots, or None for all slots.
    """

    prompt: str
    answer: str
    kind: str
    people: tuple[int, ...]
    act: tuple[int, ...] | None


@dataclass(frozen=True, eq=False)
class Cast:
    """The people in the sampled frames: labels of one clip for some of its frames."""

    shirts: NDArray[np.int64]  # (P,)
    bags: NDArray[np.int64]  # (P,)
    acts: NDArray[np.int64]  # (P, T)
    places: NDArray[np.float32]  # (P, T)

    def people(self) -> list[int]:
        """Indices of the people that are present."""
        return [i for i, shirt in enumerate(self.shirts) if shirt != NOBODY]

    def acts_of(self, person: int) -> set[int]:
        """Actions of the person in at least two frames; `STANDS` if there are none."""
        values, counts = np.unique(self.acts[person], return_counts=True)
        found = {int(v) for v, n in zip(values, counts, strict=True) if v != STANDS and n >= 2}
        return found if found or (self.acts[person] != STANDS).any() else {STANDS}

    def seen(self, person: int) -> set[int]:
        """Actions of the person in any frame."""
        return {int(v) for v in np.unique(self.acts[person])} - {STANDS} | self.acts_of(person)

    def wears(self, person: int, look: Look) -> bool:
        """Whether the person has this shirt colour or kind of bag."""
        kind, name = look
        if kind == "shirt":
            return COLOURS[self.shirts[person]] == name
        return self.bags[person] > 0 and name in ("bag", BAG_KINDS[self.bags[person]])

    def beside(self, side: str, anchor: int) -> list[int] | None:
        """People who stay on that side of the anchor; None if somebody crosses."""
        away = (self.places - self.places[anchor]) * (1 if side == "right" else -1)
        others = [i for i in self.people() if i != anchor]
        if any(away[i].max() > -CLOSE and away[i].min() < CLOSE for i in others):
            return None
        return [i for i in others if away[i].min() > 0]


class Examiner:
    """Makes questions about one cast."""

    def __init__(self, rng: np.random.Generator, cast: Cast) -> None:
        self._rng = rng
        self._cast = cast
        self._people = cast.people()
        self._firm = {i: cast.acts_of(i) for i in self._people}
        self._loose = {i: cast.seen(i) for i in self._people}
        self._any_done = set().union(*self._loose.values())

    def questions(self) -> list[Question]:
        """`COUNT` questions: a neutral one, yes/no ones, and "what" and "colour" ones."""
        order = sorted({int(self._cast.shirts[i]) for i in self._people})
        caption = " and ".join(COLOURS[shirt] for shirt in order)
        first = Question(NEUTRAL, f"people in {caption}.", "neutral", tuple(self._people), None)
        asked = [first, self._attribute()]
        asked += [self._action(), self._action()]
        asked += [self._combined(), self._combined()]
        chance = self._rng.random()
        other = self._relation() if chance < 0.6 else self._attribute()
        asked += [other or self._combined()]
        asked += [self._what() or self._combined(), self._colour() or self._action()]
        return asked

    def _pick(self, options: Iterable[T]) -> T:
        found = sorted(options)  # type: ignore[type-var]
        return found[int(self._rng.integers(len(found)))]

    def _yes_no(
        self,
        kind: str,
        look: Look | None,
        acts: tuple[int, ...] | None,
        side: str | None = None,
        people: list[int] | None = None,
    ) -> Question:
        if people is None:
            people = [
                i for i in self._people
                if (look is None or self._cast.wears(i, look))
                and (acts is None or set(acts) & self._firm[i])
            ]  # fmt: skip
        prompt = question(_text(self._rng, kind, look, acts, side))
        bound = None if acts is None or acts == (STANDS,) else acts
        return Question(prompt, "yes" if people else "no", kind, tuple(people), bound)

    def _look(self, worn: bool) -> Look | None:
        """An appearance of somebody in the clip, or of nobody."""
        kind = "bag" if self._rng.random() < 0.4 else "shirt"
        names = COLOURS if kind == "shirt" else tuple(BAGS)
        fitting = [
            name for name in names
            if any(self._cast.wears(i, (kind, name)) for i in self._people) == worn
        ]  # fmt: skip
        return (kind, self._pick(fitting)) if fitting else None

    def _attribute(self) -> Question:
        wanted = self._rng.random() < 0.5
        look = self._look(wanted) or self._look(wanted) or ("shirt", self._pick(COLOURS))
        return self._yes_no("attribute", look, None)

    def _action(self) -> Question:
        done = {act for acts in self._firm.values() for act in acts}
        absent = set(range(len(ACTS))) - self._any_done
        fitting = done if done and (self._rng.random() < 0.5 or not absent) else absent
        if fitting is absent and self._rng.random() < 0.35:
            fitting = self._alike(absent) or absent
        act = self._pick(fitting)
        walks = set(WALK) & (self._any_done if act in absent else set())
        if act in WALK and self._rng.random() < 0.25 and not walks:
            return self._yes_no("action", None, WALK)
        return self._yes_no("action", None, (act,))

    def _alike(self, acts: set[int]) -> set[int]:
        """The actions that differ from a performed one only in direction."""
        return {act for act in acts if ALIKE.get(act) in self._any_done}

    def _combined(self) -> Question:
        """Half of them present; most others combine appearance and action of two people."""
        rng = self._rng
        looks: list[Look] = [("shirt", COLOURS[self._cast.shirts[i]]) for i in self._people]
        for i in self._people:
            if self._cast.bags[i] and rng.random() < 0.7:
                looks.append(("bag", self._pick(("bag", str(BAG_KINDS[self._cast.bags[i]])))))
        acts = sorted(self._any_done)
        options = [(look, act) for look in sorted(set(looks)) for act in acts]
        who = {
            option: [self._cast.wears(i, option[0]) and option[1] in self._firm[i]
                     for i in self._people]
            for option in options
        }  # fmt: skip
        unsure = {
            option for option in options
            if any(self._cast.wears(i, option[0]) and option[1] in self._loose[i] - self._firm[i]
                   for i in self._people)
        }  # fmt: skip
        present = [option for option in options if any(who[option])]
        swaps = [option for option in options if not any(who[option]) and option not in unsure]
        if present and rng.random() < 0.5:
            look, act = present[rng.integers(len(present))]
        elif swaps and rng.random() < 0.75:
            look, act = swaps[rng.integers(len(swaps))]
        else:
            strange, absent = self._look(False), set(range(len(ACTS))) - self._any_done
            if strange is not None and (rng.random() < 0.5 or not absent):
                look, act = strange, self._pick(acts)
            else:
                look, act = self._pick(looks), self._pick(self._alike(absent) or absent or acts)
        return self._yes_no("combined", look, (act,))

    def _relation(self) -> Question | None:
        """People left or right of one with a unique shirt; half of the questions have no target."""
        shirts = self._cast.shirts
        asked: dict[bool, list[tuple[int, str, list[int]]]] = {True: [], False: []}
        for anchor in self._people:
            for side in SIDES:
                people = self._cast.beside(side, anchor)
                if people is not None and (shirts == shirts[anchor]).sum() == 1:
                    asked[bool(people)].append((anchor, side, people))
        options = asked[bool(self._rng.random() < 0.5)]
        if not options:
            return None
        anchor, side, people = options[self._rng.integers(len(options))]
        return self._yes_no("relation", ("shirt", COLOURS[shirts[anchor]]), None, side, people)

    def _what(self) -> Question | None:
        """The action of a person with a unique shirt."""
        shirts = self._cast.shirts
        who = self._pick(self._people)
        if len(self._firm[who]) != 1 or (shirts == shirts[who]).sum() != 1:
            return None
        (act,) = self._firm[who]
        look = phrased(self._rng, "attribute", COLOURS[shirts[who]], None)[0]
        bound = None if act == STANDS else (act,)
        return Question(
            f"What does {look} do?", f"{VERBS[ACTS[act]][0][0]}.", "what", (who,), bound
        )

    def _colour(self) -> Question | None:
        """The shirt colour of the only person with some action."""
        done = {act for acts in self._firm.values() for act in acts}
        unique = [a for a in sorted(done) if sum(a in self._loose[i] for i in self._people) == 1]
        if not unique:
            return None
        act = self._pick(unique)
        who = next(i for i in self._people if act in self._firm[i])
        text = phrased(self._rng, "action", None, ACTS[act])[0]
        bound = None if act == STANDS else (act,)
        answer = COLOURS[self._cast.shirts[who]] + "."
        return Question(f"What colour does {text} wear?", answer, "colour", (who,), bound)


def _text(
    rng: np.random.Generator,
    kind: str,
    look: Look | None,
    acts: tuple[int, ...] | None,
    side: str | None,
) -> str:
    act = None if acts is None else "walk" if acts == WALK else ACTS[acts[0]]
    shirt = look[1] if look and look[0] == "shirt" else None
    bag = look[1] if look and look[0] == "bag" else None
    wording = kind
    if kind == "combined":
        wording = str(rng.choice(("combined", "sentence", "command"), p=(0.65, 0.3, 0.05)))
    if kind == "action" and rng.random() < 0.3:
        return phrased(rng, "sentence", "red", act)[2]
    text = phrased(rng, wording, shirt, act, bag=bag, side=side)[0]
    return text[:-1] if text.endswith(".") and rng.random() < 0.8 else text


def target_map(question: Question, cover: Tensor, acts: Tensor) -> Tensor:
    """Target attention, `(S, h * w)` summing to 1; all zero without a target.

    Args:
        question: the people described and the action that bounds the slots.
        cover: `(P, T, h * w)` shares of the tokens' areas.
        acts: `(P, T)` indices of actions.
    """
    people = list(question.people)
    weights = cover[people].float()
    if question.act is not None:
        inside = torch.stack([acts[people] == act for act in question.act]).any(0)
        weights = weights * inside[..., None]
    total = weights.sum(0)
    slots = total.view(-1, 2, total.shape[-1]).sum(1)
    if question.kind == "neutral":
        # Broad, so that dividing by it does not favour places that it omits.
        slots = slots / slots.sum().clamp_min(1e-6) + 1 / slots.numel()
    whole: Tensor = slots / slots.sum().clamp_min(1e-6)
    return whole


@dataclass(frozen=True, eq=False)
class PackedQuestions:
    """Token arrays of B x Q questions.

    Attributes:
        ids: `(B, Q, L)`.
        labels: `(B, Q, L)` the next token where it belongs to an answer, else `IGNORED`.
        rows: `(B, Q, R)` positions of the question's last token and of the role tokens.
        named: `(B, Q, L)` 1 for tokens that name a colour or an action.
    """

    ids: Tensor
    labels: Tensor
    rows: Tensor
    named: Tensor


_PHRASES = [phrase for forms in VERBS.values() for form in forms for phrase in form]
_UNNAMED = {"a", "the", "his", "is", "and", "to", "into", "from", "on", "in", "does"}
_UNNAMED |= {"another", "person", "someone"}
NAMING = (
    frozenset({*COLOURS, *BAGS, *SIDES, *(word for phrase in _PHRASES for word in phrase.split())})
    - _UNNAMED
)  # colours, bags, sides, and what people do


class Packer:
    """Turns questions into padded token arrays; drops random words if it has a generator."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        spelled: Callable[[str], str] = str,
        naming: Collection[str] = NAMING,
    ) -> None:
        """Prepares a tokenizer.

        Args:
            tokenizer: knows all words.
            spelled: maps a word inside a sentence to its token.
            naming: words that name what is asked for.
        """
        self._tokenizer = tokenizer
        self._unknown = int(tokenizer.convert_tokens_to_ids("[UNK]"))
        self._pad = int(tokenizer.convert_tokens_to_ids("<|endoftext|>"))
        plain = "the a person man woman guy someone wearing dressed clothes jacket with who that is"
        self._naming = torch.tensor(
            tokenizer.convert_tokens_to_ids([spelled(word) for word in sorted(naming)])
        )
        self._droppable = set(
            tokenizer.convert_tokens_to_ids([spelled(word) for word in plain.split()])
        )

    def __call__(
        self, batch: Sequence[Sequence[Question]], rng: np.random.Generator | None = None
    ) -> PackedQuestions:
        """B lists of Q questions each, as arrays."""
        flat = [question for questions in batch for question in questions]
        prompts = self._encoded([question.prompt for question in flat])
        answers = self._encoded([question.answer + "<|im_end|>" for question in flat])
        role = self._encoded([ROLE])[0]
        rows, sequences, starts = [], [], []
        for prompt, answer in zip(prompts, answers, strict=True):
            if rng is not None and rng.random() < 0.25:
                prompt = self._disturbed(prompt, rng)
            rows.append([len(prompt) - 1 + i for i in range(ROLE_TOKENS + 1)])
            starts.append(len(prompt) + len(role))
            sequences.append([*prompt, *role, *answer])
        length = max(LENGTH, *(len(sequence) for sequence in sequences))
        ids = torch.full((len(flat), length), self._pad)
        labels = torch.full((len(flat), length), IGNORED)
        named = torch.zeros(len(flat), length)
        for i, sequence in enumerate(sequences):
            ids[i, : len(sequence)] = torch.tensor(sequence)
            named[i, : rows[i][0]] = torch.isin(ids[i, : rows[i][0]], self._naming).float()
            # Each token of the answer is predicted by the token before it.
            labels[i, starts[i] - 1 : len(sequence) - 1] = ids[i, starts[i] : len(sequence)]
        shape = (len(batch), -1, length)
        return PackedQuestions(
            ids.view(shape),
            labels.view(shape),
            torch.tensor(rows).view(len(batch), -1, ROLE_TOKENS + 1),
            named.view(shape),
        )

    def _encoded(self, texts: list[str]) -> list[list[int]]:
        encoded: list[list[int]] = self._tokenizer(texts, add_special_tokens=False)["input_ids"]
        return encoded

    def _disturbed(self, prompt: list[int], rng: np.random.Generator) -> list[int]:
        out = [
            self._unknown if token in self._droppable and rng.random() < 0.2 else token
            for token in prompt
        ]
        if rng.random() < 0.5:
            out.insert(int(rng.integers(1, len(out) - 1)), self._unknown)
        return out
