"""Questions on a clip with their answers and the visual tokens that the prompt should attend to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from stvg_ros.evaluation.synthetic.queries import LOOKS, NOUNS, VERBS, phrased
from stvg_ros.evaluation.synthetic.scene import ACTIONS, SHIRTS, STAND
from training.clips import NOBODY, STANDS
from training.vocabulary import NEUTRAL, TEMPLATE

COLOURS = tuple(SHIRTS)
ACTS = (*ACTIONS, STAND)
ROLE = "<|im_end|>\n<|im_start|>assistant\n"
ROLE_TOKENS = 5
IGNORED = -100


@dataclass(frozen=True, eq=False)
class Question:
    """One question.

    Attributes:
        prompt: the text after the video, without the role tokens.
        answer: the text that the model should give.
        kind: "attribute", "action", "combined", "neutral", "what" or "colour".
        people: indices of the people meant; empty where there is no target.
        act: index into `ACTS` that bounds the slots, or None for all slots.
    """

    prompt: str
    answer: str
    kind: str
    people: tuple[int, ...]
    act: tuple[int, ...] | None


@dataclass(frozen=True, eq=False)
class Cast:
    """Who is in the frames that the model sees: labels of one clip for some of its frames."""

    shirts: NDArray[np.int64]  # (P,)
    acts: NDArray[np.int64]  # (P, T)

    def people(self) -> list[int]:
        """Indices of the people that are there."""
        return [i for i, shirt in enumerate(self.shirts) if shirt != NOBODY]

    def acts_of(self, person: int) -> set[int]:
        """What the person does for two frames or more; `STANDS` if nothing else."""
        values, counts = np.unique(self.acts[person], return_counts=True)
        found = {int(v) for v, n in zip(values, counts, strict=True) if v != STANDS and n >= 2}
        return found if found or (self.acts[person] != STANDS).any() else {STANDS}

    def seen(self, person: int) -> set[int]:
        """What the person does in any frame."""
        return {int(v) for v in np.unique(self.acts[person])} - {STANDS} | self.acts_of(person)


def _text(rng: np.random.Generator, kind: str, shirt: int | None, act: int | None) -> str:
    colour = None if shirt is None else COLOURS[shirt]
    name = None if act is None else ACTS[act]
    wording = kind
    if kind == "combined":
        wording = str(rng.choice(("combined", "sentence", "command"), p=(0.7, 0.25, 0.05)))
    if kind == "action" and rng.random() < 0.25:
        return phrased(rng, "sentence", "red", name)[2]
    text = phrased(rng, wording, colour, name)[0]
    return text[:-1] if text.endswith(".") and rng.random() < 0.8 else text


def make_questions(rng: np.random.Generator, cast: Cast) -> list[Question]:
    """Eight questions: a neutral one, five yes/no ones, and what and colour ones where unique."""
    people = cast.people()
    shirts = {i: int(cast.shirts[i]) for i in people}
    firm = {i: cast.acts_of(i) for i in people}
    loose = {i: cast.seen(i) for i in people}
    worn = set(shirts.values())
    done = set().union(*firm.values())
    any_done = set().union(*loose.values())
    order = sorted(worn)
    caption = " and ".join(COLOURS[shirt] for shirt in order)
    questions = [Question(NEUTRAL, f"people in {caption}.", "neutral", tuple(people), None)]

    def ask(kind: str, shirt: int | None, act: int | None, targets: list[int]) -> None:
        prompt = TEMPLATE.format(text=_text(rng, kind, shirt, act))
        bound = None if act is None or act == STANDS else (act,)
        answer = "yes" if targets else "no"
        questions.append(Question(prompt, answer, kind, tuple(targets), bound))

    def pick(options: set[int] | list[int]) -> int:
        return int(rng.choice(sorted(options)))

    yes = rng.random(5) < 0.5
    absent_shirts = set(range(len(COLOURS))) - worn
    absent_acts = set(range(len(ACTS))) - any_done
    shirt = pick(worn if yes[0] else absent_shirts)
    ask("attribute", shirt, None, [i for i in people if shirts[i] == shirt])
    for k in (1, 2):
        act = pick(done if (yes[k] or not absent_acts) and done else absent_acts)
        ask("action", None, act, [i for i in people if act in firm[i]])
    pairs = [(shirts[i], act) for i in people for act in sorted(firm[i])]
    taken = {(shirts[i], act) for i in people for act in loose[i]}
    swaps = [(s, a) for s in sorted(worn) for a in sorted(any_done) if (s, a) not in taken]
    for k in (3, 4):
        if yes[k] and pairs:
            shirt, act = pairs[rng.integers(len(pairs))]
        elif swaps and rng.random() < 0.7:
            shirt, act = swaps[rng.integers(len(swaps))]
        else:
            shirt, act = pick(worn), pick(set(range(len(ACTS))))
            if rng.random() < 0.5:
                shirt, act = pick(absent_shirts), pick(any_done)
            if (shirt, act) in taken - set(pairs):
                shirt = pick(absent_shirts)
        found = [i for i in people if shirts[i] == shirt and act in firm[i]]
        ask("combined", shirt, act, found)
    who = pick(people)
    if len(firm[who]) == 1 and list(shirts.values()).count(shirts[who]) == 1:
        (act,) = firm[who]
        noun = NOUNS[rng.integers(3)]
        look = LOOKS[rng.integers(len(LOOKS))].format(noun=noun, shirt=COLOURS[shirts[who]])
        bound = None if act == STANDS else (act,)
        verb = VERBS[ACTS[act]][0][0]
        questions.append(Question(f"What does {look} do?", f"{verb}.", "what", (who,), bound))
    unique = [a for a in sorted(done) if sum(a in loose[i] for i in people) == 1]
    if unique:
        act = pick(unique)
        who = next(i for i in people if act in firm[i])
        text = phrased(rng, "action", None, ACTS[act])[0]
        bound = None if act == STANDS else (act,)
        prompt = f"What colour does {text} wear?"
        questions.append(Question(prompt, COLOURS[shirts[who]] + ".", "colour", (who,), bound))
    while len(questions) < 8:
        act = pick(done) if done else STANDS
        ask("action", None, act, [i for i in people if act in firm[i]])
    return questions


def target_map(question: Question, cover: Tensor, acts: Tensor) -> Tensor:
    """Where the prompt should look, `(S, h * w)` summing to 1; all zero without a target.

    Args:
        question: who is meant and which action bounds the slots.
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
        # A broad look, so that dividing by it does not favour a place that it leaves out.
        slots = slots / slots.sum().clamp_min(1e-6) + 1 / slots.numel()
    whole: Tensor = slots / slots.sum().clamp_min(1e-6)
    return whole


@dataclass(frozen=True, eq=False)
class Packed:
    """Token arrays of B x Q questions.

    Attributes:
        ids: `(B, Q, L)`.
        labels: `(B, Q, L)` the next token where it belongs to an answer, else `IGNORED`.
        rows: `(B, Q, R)` positions of the question's last token and of the role tokens.
        named: `(B, Q, L)` 1 where a token names a colour or an action.
    """

    ids: Tensor
    labels: Tensor
    rows: Tensor
    named: Tensor


class Packer:
    """Turns questions into padded token arrays; drops words at random when given a generator."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._unknown = int(tokenizer.convert_tokens_to_ids("[UNK]"))
        self._pad = int(tokenizer.convert_tokens_to_ids("<|endoftext|>"))
        plain = "the a person man woman guy someone wearing dressed clothes jacket with who that is"
        naming = {
            *COLOURS,
            *(word for forms in VERBS.values() for f in forms for word in f[0].split()),
        }
        naming |= {word for forms in VERBS.values() for f in forms for word in f[1].split()}
        naming -= {"a", "the", "his", "is", "and", "to", "into", "from"}
        self._naming = torch.tensor(tokenizer.convert_tokens_to_ids(sorted(naming)))
        self._droppable = set(tokenizer.convert_tokens_to_ids(plain.split()))

    def __call__(
        self, batch: list[list[Question]], rng: np.random.Generator | None = None
    ) -> Packed:
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
        length = max(len(sequence) for sequence in sequences)
        ids = torch.full((len(flat), length), self._pad)
        labels = torch.full((len(flat), length), IGNORED)
        named = torch.zeros(len(flat), length)
        for i, sequence in enumerate(sequences):
            ids[i, : len(sequence)] = torch.tensor(sequence)
            named[i, : rows[i][0]] = torch.isin(ids[i, : rows[i][0]], self._naming).float()
            # The token before an answer's token predicts it.
            labels[i, starts[i] - 1 : len(sequence) - 1] = ids[i, starts[i] : len(sequence)]
        shape = (len(batch), -1, length)
        return Packed(
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
