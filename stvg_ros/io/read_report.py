# SPDX-License-Identifier: Apache-2.0

"""What a reader says about a recording: how many images it read, how many are lost, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_REASONS = 3  # so many are named


@dataclass
class ReadReport:
    """Counts of one pass over a recording. Used by the thread that reads.

    Attributes:
        read: images that were handed out and can be used.
        lost: how many images cannot be used, by reason.
        never_given: how many of the lost ones the reader could not even hand out.
        notes: sentences about the recording as a whole, such as a file that ends early.
    """

    read: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    never_given: int = 0
    notes: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Starts the counts of a new pass; the notes stay."""
        self.read = self.never_given = 0
        self.lost.clear()

    def follow(self, other: ReadReport) -> ReadReport:
        """Takes over what another one says, to go on in its place; returns itself."""
        self.read, self.lost, self.notes = other.read, other.lost, other.notes
        self.never_given = other.never_given
        return self

    def note(self, sentence: str) -> None:
        """Adds a sentence once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def miss(self, reason: str, count: int) -> None:
        """Images that should be there are not."""
        self.lost[reason] += count
        self.never_given += count

    def refuse(self, reason: str) -> None:
        """An image that was handed out cannot be used after all."""
        self.read -= 1
        self.lost[reason] += 1

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a user should know; empty when everything was read."""
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
