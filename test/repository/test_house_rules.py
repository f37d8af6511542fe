# SPDX-License-Identifier: Apache-2.0

"""The rules of the house, read from the syntax trees of both packages."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT

MOST_MODULE_LINES, MOST_FUNCTION_LINES = 400, 60
MODULES = sorted(
    path for package in ("stvg_ros", "stvg_lab") for path in (ROOT / package).rglob("*.py")
)
# Names that each package has by convention; all other modules have a name of their own.
SHARED_NAMES = {"__init__", "main", "settings"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def long_functions(source: str) -> list[str]:
    return [
        f"line {node.lineno}: {node.name}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, FUNCTIONS)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_FUNCTION_LINES
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_stay_short(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MOST_MODULE_LINES
    assert long_functions(source) == []


def classes() -> Iterator[tuple[str, Path]]:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield node.name, path.relative_to(ROOT)


def test_one_class_has_one_name() -> None:
    places = defaultdict(list)
    for name, path in classes():
        places[name].append(str(path))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_one_module_has_one_name() -> None:
    places = defaultdict(list)
    for path in MODULES:
        if path.stem not in SHARED_NAMES:
            places[path.stem].append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_class_names_are_nouns() -> None:
    verbs = [name for name, _ in classes() if name.endswith("ed") and not name.endswith("Feed")]
    assert verbs == []


def test_the_rules_themselves() -> None:
    body = "\n".join(["    x = 1"] * MOST_FUNCTION_LINES)
    assert long_functions(f"def f():\n{body}") == ["line 1: f"]
    assert long_functions(f"def f():\n{body[:-10]}") == []
