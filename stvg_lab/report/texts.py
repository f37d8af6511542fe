# SPDX-License-Identifier: Apache-2.0

"""Formats numbers and nested values for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OUTCOMES = {"found": "found", "not_found": "not found", "failed": "failed"}


def percent(share: float) -> str:
    """Percent with one decimal, without the sign."""
    return f"{100 * share:.1f}"


def quantity(number: int, word: str) -> str:
    """A number with its noun."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested values as dotted names and texts."""
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += flat(value, f"{before}{key}.")
        else:
            found.append((before + key, str(value)))
    return found
