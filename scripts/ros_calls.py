# SPDX-License-Identifier: Apache-2.0

"""Calls and definitions in syntax trees, and whether the arguments of a call fit a definition."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Call:
    """A call in a module.

    Attributes:
        name: full name of what is called, or of a method only its own name.
        is_method: whether it is called on an object.
        positional: number of arguments without a name.
        keywords: their names.
        open: whether `*` or `**` hides further arguments.
        line: of the module.
    """

    name: str
    is_method: bool
    positional: int
    keywords: frozenset[str]
    open: bool
    line: int

    @property
    def last(self) -> str:
        """The name without its module."""
        return self.name.rpartition(".")[2]

    @property
    def shape(self) -> tuple[int, frozenset[str]]:
        """What is compared with a definition."""
        return self.positional, self.keywords


@dataclass(frozen=True)
class Definition:
    """The parameters of a function or of a class, without self.

    Attributes:
        positional: names of those that a call may give by position.
        required: how many of them have no default.
        keywords: names that only a keyword gives.
        needed: those of `keywords` without a default.
        more: whether it takes any number by position, and any keyword.
        deprecated: whether it says so.
    """

    positional: tuple[str, ...]
    required: int
    keywords: frozenset[str]
    needed: frozenset[str]
    more: tuple[bool, bool]
    deprecated: bool

    def problem(self, call: Call) -> str:
        """Why the arguments of a call do not fit; empty if they do."""
        names = {*self.positional[call.positional :], *self.keywords}
        unknown = call.keywords - names
        if unknown and not self.more[1]:
            return f"{call.last}: no parameter {', '.join(sorted(unknown))}"
        if call.positional > len(self.positional) and not self.more[0]:
            return f"{call.last}: expected at most {len(self.positional)} by position"
        lacking = {*self.positional[call.positional : self.required], *self.needed}
        lacking -= call.keywords
        if lacking and not call.open:
            return f"{call.last}: needs {', '.join(sorted(lacking))}"
        return ""


def calls_of(source: str, libraries: Sequence[str]) -> Iterator[Call]:
    """Calls of names that a module imports from the libraries or their modules, and of methods."""
    tree = ast.parse(source)
    names = dict[str, str]()  # as the module knows them: full names
    others = set[str]()  # modules of other libraries
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in libraries:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                if first in libraries:
                    names[alias.asname or first] = first
                else:
                    others.add(alias.asname or first)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        dotted = _dotted(node.func)
        first = dotted.partition(".")[0]
        if first in names:
            yield _call(node, names[first] + dotted[len(first) :], is_method=False)
        elif isinstance(node.func, ast.Attribute) and first not in others:
            yield _call(node, node.func.attr, is_method=True)


def _dotted(node: ast.expr) -> str:
    """A chain of names such as `rclpy.spin_once`, or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def _call(node: ast.Call, name: str, *, is_method: bool) -> Call:
    stars = any(isinstance(item, ast.Starred) for item in node.args)
    keywords = {item.arg for item in node.keywords}
    return Call(
        name, is_method, sum(not isinstance(item, ast.Starred) for item in node.args),
        frozenset(word for word in keywords if word), stars or None in keywords, node.lineno,
    )  # fmt: skip


class Definitions:
    """Functions, classes and methods of libraries, by their own names."""

    def __init__(self) -> None:
        self._functions: dict[str, list[Definition]] = {}
        self._methods: dict[str, list[Definition]] = {}
        self._bases: dict[str, list[str]] = {}

    def add(self, source: str) -> None:
        """Adds those of a module."""
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ClassDef):
                self._add_class(node)
        for node in ast.parse(source).body:
            if isinstance(node, _Function):
                self._functions.setdefault(node.name, []).append(_definition(node, skipped=0))

    def _add_class(self, node: ast.ClassDef) -> None:
        self._bases.setdefault(node.name, []).extend(
            _dotted(base.value if isinstance(base, ast.Subscript) else base).rpartition(".")[2]
            for base in node.bases
        )
        gone = any(_says_deprecated(item) for item in node.decorator_list)
        for item in node.body:
            if isinstance(item, _Function) and not _is_property(item):
                kinds = {_dotted(mark) for mark in item.decorator_list}
                made = _definition(item, skipped=0 if "staticmethod" in kinds else 1)
                made = _with_deprecation(made) if gone else made
                constructs = item.name in ("__init__", "__new__")
                place = self._functions if constructs else self._methods
                name = node.name if constructs else item.name
                place.setdefault(name, []).append(made)

    def problem(self, call: Call) -> str | None:
        """What is wrong with a call, or nothing; None if the libraries define no such name."""
        known = self._methods.get(call.last) if call.is_method else self._callable(call.last)
        if not known:
            return None
        problems = [definition.problem(call) for definition in known]
        if all(problems):
            return problems[0]
        fitting = [d for d, problem in zip(known, problems, strict=True) if not problem]
        return f"{call.last}: deprecated" if all(d.deprecated for d in fitting) else ""

    def _callable(self, name: str) -> list[Definition]:
        """A function's or class's definitions; those of base classes if it has no own."""
        if name in self._functions:
            return self._functions[name]
        return [item for base in self._bases.get(name, ()) for item in self._callable(base)]


def _is_property(node: _Function) -> bool:
    marks = {_dotted(mark) for mark in node.decorator_list}
    return any(mark == "property" or mark.endswith(".setter") for mark in marks)


def _definition(node: _Function, *, skipped: int) -> Definition:
    arguments = node.args
    names = [item.arg for item in (*arguments.posonlyargs, *arguments.args)][skipped:]
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return Definition(
        tuple(names), max(0, len(names) - len(arguments.defaults)),
        frozenset(item.arg for item in arguments.kwonlyargs),
        frozenset(item.arg for item, default in pairs if default is None),
        (arguments.vararg is not None, arguments.kwarg is not None),
        any(_says_deprecated(mark) for mark in node.decorator_list)
        or any(isinstance(step, ast.Expr) and _warns(step.value) for step in node.body),
    )  # fmt: skip


def _with_deprecation(made: Definition) -> Definition:
    return Definition(made.positional, made.required, made.keywords, made.needed, made.more, True)


def _says_deprecated(mark: ast.expr) -> bool:
    return _dotted(mark.func if isinstance(mark, ast.Call) else mark).endswith("deprecated")


def _warns(node: ast.expr) -> bool:
    """A call of warnings.warn with a DeprecationWarning."""
    return (
        isinstance(node, ast.Call)
        and _dotted(node.func) in ("warnings.warn", "warn")
        and "Deprecat" in ast.dump(node)
    )
