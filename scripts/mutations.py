# SPDX-License-Identifier: Apache-2.0

"""The mutants of a module: cosmic-ray's changes of its operators, numbers and conditions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import parso
from cosmic_ray.plugins import get_operator, operator_names
from parso.tree import search_ancestor

# For each operator the likely mistakes only: cosmic-ray has eleven replacements for each "+".
# "|" is left out, since it is used in annotations.
OPERATORS = re.compile(
    "core/(ReplaceBinaryOperator_"
    "(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_Mul|Pow_Mul|BitAnd_BitOr)"
    "|ReplaceComparisonOperator_"
    "(Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Lt_Gt|Gt_Lt|Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is)"
    "|ReplaceUnaryOperator_(USub_UAdd|Delete_Not)|AddNot|NumberReplacer|ZeroIterationForLoop"
    "|Replace(TrueWithFalse|FalseWithTrue|AndWithOr|OrWithAnd)"
    "|Replace(BreakWithContinue|ContinueWithBreak))"
)


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        where: the function or class that contains it; empty for the module.
        line: the changed lines without indentation.
        becomes: the lines after the change.
        lines: numbers of the changed lines.
        imported: runs when the module is imported, such as a constant or a default.
        source: the changed module.
    """

    where: str
    line: str
    becomes: str
    lines: range
    imported: bool
    source: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies the mutant when lines move."""
        return self.where, self.line, self.becomes


def mutants_of(source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its text; those without effect are left out."""
    operators = [get_operator(name)() for name in operator_names() if OPERATORS.fullmatch(name)]
    starts = [0, *accumulate(map(len, source.splitlines(keepends=True)))]
    original = ast.dump(ast.parse(source))
    found: dict[str, Mutant] = {}
    for node in _nodes(parso.parse(source)):
        if _left_out(node):
            continue
        for operator in operators:
            for index, (start, end) in enumerate(operator.mutation_positions(node)):
                first, last = (
                    starts[line - 1] + column for line, column in (node.start_pos, node.end_pos)
                )
                changed = source[:first] + _changed(operator, node, index) + source[last:]
                try:
                    same = ast.dump(ast.parse(changed)) == original
                except SyntaxError:  # such as "/" for the "*" of a signature
                    continue
                if changed in found or same:
                    continue
                function = search_ancestor(node, "funcdef")
                found[changed] = Mutant(
                    _name(node),
                    *_difference(source, changed),
                    range(start[0], end[0] + 1),
                    function is None or search_ancestor(node, "param") is not None,
                    changed,
                )
    return list(found.values())


def _left_out(node: Any) -> bool:
    """Whether no test should depend on a change of the node.

    These are decorators, "*" in signatures, imports for type checkers, the texts of exceptions, and
    settings, whose table in docs/parameters.md is compared with the code by another test.
    """
    call = node
    while call is not None and not call.get_code(include_prefix=False).startswith("setting("):
        call = search_ancestor(call, "atom_expr")
    starred = node.parent is not None and node.parent.type == "parameters"
    typing = node.type == "if_stmt" and node.children[1].get_code().strip() == "TYPE_CHECKING"
    return (
        starred
        or typing
        or call is not None
        or bool(search_ancestor(node, "decorator", "raise_stmt"))
    )


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in getattr(node, "children", ()):
        yield from _nodes(child)


def _changed(operator: Any, node: Any, index: int) -> str:
    """The node's code after a mutation; the tree is left as it was."""
    before = list(getattr(node, "children", ()))
    result = operator.mutate(node, index)
    code: str = result.get_code(include_prefix=False)
    if before:
        node.children = before
    return code.lstrip()


def _name(node: Any) -> str:
    names, parent = [], node
    while parent := search_ancestor(parent, "funcdef", "classdef"):
        names.append(parent.name.value)
    return ".".join(reversed(names))


def _difference(before: str, after: str) -> tuple[str, str]:
    old, new = before.splitlines(), after.splitlines()
    while old and old[:1] == new[:1]:
        del old[0], new[0]
    while old and old[-1:] == new[-1:]:
        del old[-1], new[-1]
    return tuple(" ".join(map(str.strip, lines)) for lines in (old, new))  # type: ignore
