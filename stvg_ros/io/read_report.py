# SPDX-License-Identifier: Apache-2.0

"""A reader's report on a recording: how many images were read or lost, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_REASONS = 3  # maximum number of reasons that are named


@dataclass
class ReadReport:
    """Counts of one pass over a recording. Used by the thread that reads.

    Attributes:
        read: images that were returned and are usable.
        lost: how many images cannot be used, by reason.
        never_given: how many of the lost ones the reader could not return at all.
        notes: sentences about the recording as a whole, such as a file that ends early.
    """

    read: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    never_given: int = 0
    notes: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Resets the counts for a new pass; keeps the notes."""
        self.read = self.never_given = 0
        self.lost.clear()

    def follow(self, other: ReadReport) -> ReadReport:
        """Takes over the content of another report and continues it; returns itself."""
        self.read, self.lost, self.notes = other.read, other.lost, other.notes
        self.never_given = other.never_given
        return self

    def note(self, sentence: str) -> None:
        """Adds a sentence once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def miss(self, reason: str, count: int) -> None:
        """Counts images that should be present but are missing."""
        self.lost[reason] += count
        self.never_given += count

    def refuse(self, reason: str) -> None:
        """Counts a returned image as lost."""
        self.read -= 1
        self.lost[reason] += 1

    @property
    def sentences(self) -> tuple[str, ...]:
        """Sentences for the user; empty if everything was read."""
        shown = self.lost.most_common(_REASONS)
        said = [f"{_images(count)} lost: {reason}" for reason, count in shown]
        others = sum(self.lost.values()) - sum(count for _, count in shown)
        if others:
            said.append(f"{_images(others)} lost for other reasons")
        if said or self.notes:
            said.append(f"{_images(self.read)} read")
        return (*self.notes, *said)


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"
