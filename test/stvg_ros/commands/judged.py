# SPDX-License-Identifier: Apache-2.0

"""Readings written by hand, in tables, and what a reader gets wrong of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stvg_ros.commands.command import Command, Feature
from stvg_ros.commands.reader import CommandReader

_FIELDS = ("place", "then", "relation", "not", "time", "asked", "number")


@dataclass(frozen=True)
class Judged:
    """A sentence and its right reading; see the head of the table."""

    kind: str
    sentence: str
    intent: str
    target: str
    attribute: str
    action: str
    others: str
    features: str


def read_judged(path: Path) -> list[Judged]:
    rows, kind = [], ""
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            kind = line.lstrip("#: ")
        elif line:
            cells = line.split("\t")
            rows.append(Judged(kind, *cells, *[""] * (7 - len(cells))))
    return rows


def item(feature: Feature) -> str:
    """A feature as "kind name [colours] (side) +details", with "not" before a negated one."""
    return " ".join(
        [
            *(["not"] if feature.negated else []),
            feature.kind,
            feature.name,
            *([f"[{', '.join(feature.colours)}]"] if feature.colours else []),
            *([f"({feature.side})"] if feature.side else []),
            *(f"+{detail}" for detail in feature.details),
        ]
    )


def wrong_parts(reader: CommandReader, row: Judged) -> list[str]:
    """The fields and features that differ, each as "name: read, not right"."""
    command = reader.read(row.sentence)
    fields = command.json()
    attribute = "~".join(
        row.target.split("~")[0] if a == "=" else a for a in row.attribute.split("~")
    )
    wanted = {"intent": row.intent, "target": row.target, "attribute": attribute}
    if row.attribute == "=":
        wanted["attribute"] = row.target
    wanted["action"] = row.action
    wrong = [
        f"{name}: {fields[name]!r}, not {right!r}"
        for name, right in wanted.items()
        if not _fits(str(fields[name]), right)
    ]
    wrong += _wrong_others(command, row) if row.others != "*" else []
    found = "; ".join(item(feature) for feature in command.features)
    if not _fits(found, row.features):
        wrong.append(f"features: {found!r}, not {row.features!r}")
    return wrong


def right_counts(reader: CommandReader, rows: Sequence[Judged]) -> tuple[int, int]:
    """The numbers of rows with all fields right, and with all fields and features right."""
    wrong = [wrong_parts(reader, row) for row in rows]
    fields = sum(all(part.startswith("features: ") for part in parts) for parts in wrong)
    return fields, sum(not parts for parts in wrong)


def _wrong_others(command: Command, row: Judged) -> list[str]:
    said = dict(part.split("=", 1) for part in row.others.split("; ") if part)
    language, refused = said.pop("lang", ""), said.pop("refused", "")
    if language:
        named = language == "*" or language in command.refusal
        return [] if command.refusal and named else [f"refusal: {command.refusal!r}"]
    fields = command.json()
    wrong = [
        f"{name}: {fields[name]!r}, not {right!r}"
        for name in _FIELDS
        for right in [said.get(name, "one" if name == "number" else "")]
        if not (name == "number" and row.intent == "other") and not _fits(str(fields[name]), right)
    ]
    expected = row.intent == "other"
    known = "*" in row.intent or (expected != ("other" in row.intent))
    if not known and bool(command.refusal) != expected:
        wrong.append(f"refusal: {command.refusal!r}")
    if refused and not command.name:
        wrong.append("no name")
    return wrong


def _fits(got: str, right: str) -> bool:
    """Whether a text is one of those that are right, without regard to case."""
    got = got.lower().strip()
    for option in (part.strip().lower() for part in right.split("~")):
        if got == option or (option.endswith("*") and got.startswith(option[:-1].strip(" ;"))):
            return True
    return False
