# SPDX-License-Identifier: Apache-2.0

"""Pieces of HTML that the report is put together from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

OUTCOMES = {"found": "found", "not_found": "not found", "failed": "failed"}


def section(title: str, content: Sequence[str]) -> list[str]:
    """A titled section; nothing when it would be empty."""
    return [f"<section>\n<h2>{title}</h2>", *content, "</section>"] if content else []


def percent(share: float) -> str:
    """With one decimal, without the sign."""
    return f"{100 * share:.1f}"


def quantity(number: int, word: str) -> str:
    """A number with its noun."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", kind: str = "plain"
) -> str:
    """A table whose first column names the rows; cells are HTML."""
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    lines = [
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f"<td>{c}</td>" for c in row[1:]) + "</tr>"
        for row in rows
    ]
    titled = f"<caption>{caption}</caption>\n" if caption else ""
    return (
        f'<div class="wide"><table class="{kind}">\n{titled}'
        f"<thead><tr>{titles}</tr></thead>\n<tbody>\n"
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )


def figures(pairs: Sequence[tuple[str, str]]) -> str:
    """Large values, each below its name; texts."""
    items = (f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>" for n, v in pairs)
    return '<dl class="figures">' + "".join(items) + "</dl>"


def flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested values as dotted names and texts."""
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += flat(value, f"{before}{key}.")
        else:
            found.append((before + key, str(value)))
    return found
