# SPDX-License-Identifier: Apache-2.0

"""Findings of a check, with remedies."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True)
class Finding:
    """One line of a doctor's report.

    Attributes:
        level: "ok", "note" (information), or "bad" (does not work).
        about: what was checked, in one word.
        text: what was found.
        remedy: what to do; empty if nothing.
    """

    level: str
    about: str
    text: str
    remedy: str = ""

    def __post_init__(self) -> None:
        if self.level not in ("ok", "note", "bad"):
            raise ValueError(f"Finding.level: expected ok, note or bad, got {self.level!r}")


def write_findings(findings: Iterable[Finding], to: TextIO | None = None) -> bool:
    """Writes a line for each finding, as soon as it is known; True if none is bad.

    Args:
        findings: what was found.
        to: None for the standard output.
    """
    to, fine = to or sys.stdout, True
    for item in findings:
        to.write(f"{item.level:<5}{item.about:<12}{item.text}\n")
        if item.remedy:
            to.write(f"{'':<17}-> {item.remedy}\n")
        to.flush()
        fine = fine and item.level != "bad"
    return fine
