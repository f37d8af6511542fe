# SPDX-License-Identifier: Apache-2.0

"""RoboCup@Home sentences put together from the generator's lists, with the fields they carry."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

ROOT = next(p for p in Path(__file__).resolve().parents if (p / "package.xml").exists())
LISTS = ROOT.parent / "shared" / "commands" / "robocup.tsv"
NUMBERED = {"waving", "raising", "pointing", "sitting", "standing", "lying"}


@dataclass(frozen=True)
class Sentence:
    """A sentence and the right fields; `then` has to hold each of its texts."""

    text: str
    intent: str
    target: str
    attribute: str = ""
    action: str = ""
    place: str = ""
    then: tuple[str, ...] = ()
    number: object = "one"
    asked: str = ""
    refused: bool = False


@dataclass
class Lists:
    """The generator's vocabulary, by list."""

    values: dict[str, list[str]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> list[str]:
        return self.values[name]


def read_lists(path: Path = LISTS) -> Lists:
    lists = Lists()
    for line in path.read_text().splitlines():
        cells = line.split("\t")
        if len(cells) == 2 and not line.startswith("#"):
            lists.values[cells[0]] = cells[1].split("|")
    return lists


def action_of(person: str) -> str:
    """What a described person does: "raising their left arm", "waving"."""
    first, *rest = person.split()
    return first if first in NUMBERED else " ".join(rest)


class Generator:
    """Draws sentences of every shape, by seed."""

    def __init__(self, lists: Lists, seed: int) -> None:
        self._lists = lists
        self._random = random.Random(seed)

    def sentence(self) -> Sentence:
        shapes = [
            self._go,
            self._find,
            self._meet,
            self._count,
            self._count_clothes,
            self._describe_room,
            self._describe_place,
            self._talk,
            self._answer,
            self._follow_name,
            self._follow,
            self._guide,
            self._guide_clothes,
            self._greet,
            self._meet_then,
            self._bring,
        ]
        return self._random.choice(shapes)()

    def spoken(self, sentence: Sentence) -> str:
        """The same sentence as a speech recogniser or a polite person would give it."""
        text = sentence.text
        draw = self._random
        if draw.random() < 0.4:
            text = draw.choice(
                [
                    "please {}",
                    "could you please {}",
                    "robot {}",
                    "hey robot, {}",
                    "{} please",
                    "um {}",
                    "okay robot please {}",
                    "can you {}",
                    "I want you to {}",
                    "{}, thank you",
                ]
            ).format(text)
        if draw.random() < 0.3:
            words = text.split()
            at = draw.randrange(1, len(words))
            words.insert(at, draw.choice(["uh", "um", words[at - 1], "er"]))
            if words[at - 1] != "to":
                text = " ".join(words)
        if draw.random() < 0.3:
            text = text.replace("t shirt", "t-shirt")
        if draw.random() < 0.2:
            text = text.upper()
        elif draw.random() < 0.3:
            text = text[0].upper() + text[1:] + "."
        return text

    # --- parts ----------------------------------------------------------------------------------

    def _one(self, *names: str) -> str:
        return self._random.choice([v for name in names for v in self._lists[name]])

    def _person(self) -> str:
        return self._one("gesture_person", "pose_person")

    def _clothes(self) -> str:
        colour = self._one("colour")
        article = "an" if colour[0] in "aeio" else "a"
        return f"wearing {article} {colour} {self._one('garment')}"

    def _found(self) -> str:
        draw = self._random.randrange(6)
        if draw == 0:
            return f"{self._random.choice(['tell', 'say'])} {self._one('talk')}"
        return [
            "answer a question",
            "answer a quiz",
            "follow them",
            f"follow them to the {self._one('place', 'room')}",
            f"{self._one('guide')} them to the {self._one('place', 'room')}",
        ][draw - 1]

    # --- shapes ---------------------------------------------------------------------------------

    def _go(self) -> Sentence:
        person, room, found = self._person(), self._one("room"), self._found()
        text = f"{self._one('go')} to the {room} then {self._one('find')} the {person} and {found}"
        return Sentence(
            text, "find", f"the {person}", "", action_of(person), f"the {room}", (found,)
        )

    def _find(self) -> Sentence:
        person, room, found = self._person(), self._one("room"), self._found()
        text = f"{self._one('find')} a {person} in the {room} and {found}"
        return Sentence(text, "find", f"a {person}", "", action_of(person), f"the {room}", (found,))

    def _meet(self) -> Sentence:
        name, room, found = self._one("name"), self._one("room"), self._found()
        text = f"meet {name} in the {room} and {found}"
        return Sentence(text, "other", name, "", "", f"the {room}", (found,), refused=True)

    def _count(self) -> Sentence:
        persons, room = self._one("gesture_persons", "pose_persons"), self._one("room")
        text = f"tell me how many {persons} are in the {room}"
        return Sentence(text, "count", persons, "", action_of(persons), f"the {room}", number="all")

    def _count_clothes(self) -> Sentence:
        room, colour, garments = self._one("room"), self._one("colour"), self._one("garments")
        text = f"tell me how many people in the {room} are wearing {colour} {garments}"
        target = f"people wearing {colour} {garments}"
        return Sentence(text, "count", target, target, "", f"the {room}", number="all")

    def _describe_room(self) -> Sentence:
        info, room = self._one("info"), self._one("room")
        text = f"tell me the {info} of the person in the {room}"
        return Sentence(text, "describe", "the person", place=f"the {room}", asked=info)

    def _describe_place(self) -> Sentence:
        info, place = self._one("info"), self._one("place")
        text = f"tell me the {info} of the person at the {place}"
        return Sentence(text, "describe", "the person", place=f"the {place}", asked=info)

    def _talk(self) -> Sentence:
        verb, talk = self._random.choice(["tell", "say"]), self._one("talk")
        person, room = self._one("gesture_person"), self._one("room")
        text = f"{verb} {talk} to the {person} in the {room}"
        return Sentence(
            text, "find", f"the {person}", "", action_of(person), f"the {room}", (f"{verb} {talk}",)
        )

    def _answer(self) -> Sentence:
        what = self._random.choice(["question", "quiz"])
        person, room = self._one("gesture_person"), self._one("room")
        text = f"answer the {what} of the {person} in the {room}"
        then = (f"answer the {what}",)
        return Sentence(text, "find", f"the {person}", "", action_of(person), f"the {room}", then)

    def _follow_name(self) -> Sentence:
        name, place, room = self._one("name"), self._one("place"), self._one("room")
        text = f"follow {name} from the {place} to the {room}"
        then = (f"to the {room}",)
        return Sentence(text, "other", name, "", "", f"the {place}", then, refused=True)

    def _follow(self) -> Sentence:
        person = self._person()
        where = self._random.choice(["in", "at"])
        place = self._one("room" if where == "in" else "place")
        text = f"follow the {person} {where} the {place}"
        return Sentence(text, "follow", f"the {person}", "", action_of(person), f"the {place}")

    def _guide(self) -> Sentence:
        person, verb = self._person(), self._one("guide")
        origin, goal = self._one("place"), self._one("place", "room")
        text = f"{verb} the {person} from the {origin} to the {goal}"
        then = (f"{verb} to the {goal}",)
        return Sentence(text, "find", f"the {person}", "", action_of(person), f"the {origin}", then)

    def _guide_clothes(self) -> Sentence:
        person, verb = f"the person {self._clothes()}", self._one("guide")
        origin, goal = self._one("place"), self._one("place", "room")
        text = f"{verb} {person} from the {origin} to the {goal}"
        return Sentence(
            text, "find", person, person, "", f"the {origin}", (f"{verb} to the {goal}",)
        )

    def _greet(self) -> Sentence:
        person, verb = f"the person {self._clothes()}", self._one("greet")
        room, found = self._one("room"), self._found()
        text = f"{verb} {person} in the {room} and {found}"
        greeting = verb.removesuffix(" to")
        return Sentence(text, "find", person, person, "", f"the {room}", (greeting, found))

    def _meet_then(self) -> Sentence:
        name, place, room = self._one("name"), self._one("place"), self._one("room")
        find = self._one("find")
        text = f"meet {name} at the {place} then {find} them in the {room}"
        then = (f"{find} them in the {room}",)
        return Sentence(text, "other", name, "", "", f"the {place}", then, refused=True)

    def _bring(self) -> Sentence:
        verb, person = self._random.choice(["bring", "give", "deliver"]), self._person()
        room = self._one("room")
        text = f"{verb} it to the {person} in the {room}"
        then = (f"{verb} it",)
        return Sentence(text, "find", f"the {person}", "", action_of(person), f"the {room}", then)


def wrong_fields(sentence: Sentence, fields: dict[str, object]) -> list[str]:
    """The names of the fields that differ; texts are compared without case."""
    wrong = [
        name
        for name in ("target", "attribute", "action", "place")
        if str(fields[name]).lower() != str(getattr(sentence, name)).lower()
    ]
    then = str(fields["then"]).lower()
    if any(text.lower() not in then for text in sentence.then) or (then and not sentence.then):
        wrong.append("then")
    wrong += [n for n in ("intent", "number", "asked") if fields[n] != getattr(sentence, n)]
    if any(fields[name] for name in ("relation", "not", "time")):
        wrong.append("relation, not or time")
    if bool(fields["problems"]) != sentence.refused:
        wrong.append("problems")
    return wrong
