"""Writes the README's tables from the code: `python docs/tables.py [--check]`.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from stvg_ros.config import settings
from stvg_ros.mllm.families import families_table

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def markdown(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    names = list(header)
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parameters() -> str:
    """Every setting: name, default, unit and range, whether it may change while running."""
    rows = []
    for item in settings():
        allowed = ", ".join(item.choices)
        if not allowed and (item.minimum is not None or item.maximum is not None):
            allowed = f"{item.minimum:g} to {item.maximum:g} {item.unit}".strip()
        default = f"`{item.default}`" if item.default != "" else ""
        rows.append(
            [
                f"`{item.name}`",
                default,
                allowed,
                "yes" if item.dynamic else "no",
                item.description,
            ]
        )
    return markdown(["parameter", "default", "allowed", "dynamic", "what it does"], rows)


def families() -> str:
    """The model families."""
    header = ["family", "`model_type`", "transformers class", "visual tokens", "frames a slot"]
    rows = [(name, f"`{kind}`", f"`{cls}`", *rest) for name, kind, cls, *rest in families_table()]
    return markdown(header, rows)


def launch() -> str:
    """The arguments of the launch file, read without ROS launch."""
    tree = ast.parse((ROOT / "launch" / "grounding.launch.py").read_text(encoding="utf-8"))
    rows = []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for name, second, *choices, description in ast.literal_eval(node.value):
                # Rows with choices name the setting that they override, the others a default.
                sets = f"`{second}`" if choices else ""
                default = f"`{second}`" if second and not choices else ""
                rows.append([f"`{name}`", default, sets, description])
    return markdown(["launch argument", "default", "overrides", "what it is"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "parameters": parameters,
    "families": families,
    "launch": launch,
}


def filled(text: str) -> str:
    """The README's text with its tables written anew."""

    def table(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n{TABLES[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->.*?<!-- end -->", table, text, flags=re.S)


def main() -> int:
    """Writes the README, or with `--check` says whether it is up to date."""
    text = README.read_text(encoding="utf-8")
    wanted = filled(text)
    if "--check" in sys.argv[1:]:
        if text != wanted:
            sys.stderr.write("README.md: the tables are out of date; run docs/tables.py\n")
            return 1
        return 0
    README.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
