# SPDX-License-Identifier: Apache-2.0

"""Mutation testing: changes one operator, number or condition of a module and runs its tests.

    make mutants ARGS=stvg_ros.method.span
    make mutants ARGS="stvg_ros.method stvg_ros.window --record"

The mutations are those of cosmic-ray. All runs are forks of one process that has imported the
libraries and collected the tests, so that a mutant takes the time of the tests that execute the
changed line, up to the first that fails. Files are not changed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import math
import os
import pickle
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import parso
import pytest
from cosmic_ray.plugins import get_operator, operator_names
from parso.tree import search_ancestor

ROOT = Path(__file__).parent.parent
EQUIVALENT = ROOT / "docs" / "equivalent_mutants.tsv"
PAGE = ROOT / "docs" / "mutants.md"
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
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
}
ACCEPTED = 0.1  # share of survivors that are not listed as equivalent


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
                if changed in found or changed.split() == source.split():
                    continue
                try:
                    compile(changed, "mutant", "exec")
                except SyntaxError:  # such as "/" for the "*" of a signature
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


@dataclass(frozen=True)
class Baseline:
    """The tests of a module without a change.

    Attributes:
        seconds: duration by the test's node id.
        tests: node ids by file and line number.
        libraries: names of imported modules.
    """

    seconds: dict[str, float]
    tests: dict[str, dict[int, list[str]]]
    libraries: list[str]

    def names(self, mutant: Mutant, file: Path) -> set[str]:
        """The tests that execute the changed lines; an empty name means importing."""
        lines = self.tests.get(str(file), {})
        return {test for line in mutant.lines for test in lines.get(line, ())}

    def chosen(self, mutant: Mutant, file: Path, files: Sequence[str]) -> list[str]:
        """The tests of some files for a mutant, shortest first."""
        tests = self.tests.get(str(file), {})
        names = set().union(*tests.values()) if mutant.imported else self.names(mutant, file)
        chosen = [name for name in names if name.partition("::")[0] in files]
        return sorted(chosen, key=self.seconds.__getitem__)


class BaselineRecorder:
    """Pytest plugin that notes durations, and which lines of a package each test executes."""

    def __init__(self, package: Path) -> None:
        self._seconds: dict[str, float] = {}
        self._coverage = coverage.Coverage(data_file=None, include=[f"{package}/*"])
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self._coverage.switch_context(item.nodeid)
        begun_s = time.monotonic()
        result = yield
        self._seconds[item.nodeid] = time.monotonic() - begun_s
        return result

    def baseline(self) -> Baseline:
        """What was noted."""
        self._coverage.stop()
        data = self._coverage.get_data()
        tests = {file: data.contexts_by_lineno(file) for file in data.measured_files()}
        return Baseline(self._seconds, tests, [name for name in sys.modules if name != "__main__"])


class FirstFailure:
    """Pytest plugin that ends the process when a test fails."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os._exit(1)


class MutantRunner:
    """Pytest plugin that runs mutants in place of the tests, in forks of the collected session.

    Attributes:
        survived: the numbers of the mutants that no test noticed.
    """

    def __init__(self, module: str, tasks: Sequence[tuple[Mutant, list[str], float]], jobs: int):
        self._module, self._tasks, self._jobs = module, tasks, jobs
        self.survived: list[int] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        namespace = vars(sys.modules[self._module])
        functions = [
            one
            for one in gc.get_objects()
            if isinstance(one, FunctionType) and one.__globals__ is namespace
        ]
        items = {item.nodeid: item for item in session.items}

        def run(mutant: Mutant, tests: list[str]) -> int:
            code = compile(mutant.source, namespace["__file__"], "exec")
            mutated = {(one.co_name, one.co_firstlineno): one for one in _functions(code)}
            for function in functions:
                own = function.__code__
                function.__code__ = mutated.get((own.co_name, own.co_firstlineno), own)
            for test in tests:
                items[test].config.hook.pytest_runtest_protocol(item=items[test], nextitem=None)
            return 0

        gc.freeze()
        ended = forked(
            [(limit_s, partial(run, mutant, tests)) for mutant, tests, limit_s in self._tasks],
            self._jobs,
        )
        self.survived = [index for index, status in enumerate(ended) if status == 0]
        return True


def _functions(code: CodeType) -> Iterator[CodeType]:
    for part in code.co_consts:
        if isinstance(part, CodeType) and not part.co_name.startswith("<"):
            yield part
            yield from _functions(part)


class MutatedModule(importlib.abc.MetaPathFinder):
    """Import hook that gives one module another source."""

    def __init__(self, module: str, file: Path, source: str) -> None:
        self._module, self._file, self._source = module, file, source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname != self._module:
            return None
        loader = importlib.machinery.SourceFileLoader(fullname, str(self._file))
        code = compile(self._source, self._file, "exec")
        loader.get_code = lambda fullname: code  # type: ignore[method-assign]
        return importlib.util.spec_from_file_location(fullname, self._file, loader=loader)


def forked(tasks: Sequence[tuple[float, Callable[[], int]]], jobs: int) -> list[int]:
    """Runs functions in forks without output, `jobs` at a time.

    Args:
        tasks: time limits in seconds, and functions that return an exit status.
        jobs: number of processes.

    Returns:
        The exit statuses; 1 for an exception, negative for a process that was killed.
    """
    ended = [0] * len(tasks)
    waiting, running = list(range(len(tasks)))[::-1], dict[int, tuple[int, float]]()
    while waiting or running:
        while waiting and len(running) < jobs:
            limit_s, task = tasks[waiting[-1]]
            running[_fork(task)] = (waiting.pop(), time.monotonic() + limit_s)
        for process, (index, until_s) in list(running.items()):
            if time.monotonic() > until_s:
                os.killpg(process, signal.SIGKILL)
            over, status = os.waitpid(process, 0 if time.monotonic() > until_s else os.WNOHANG)
            if over:
                del running[process]
                ended[index] = os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return ended


def _fork(task: Callable[[], int]) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.setsid()
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(silence, descriptor)
        status = task()
    finally:
        os._exit(status)


def result_in_fork(function: Callable[[], Any]) -> Any:
    """What a function returns in a fork, so that its imports do not stay; None if it fails."""
    with tempfile.NamedTemporaryFile() as file:

        def task() -> int:
            Path(file.name).write_bytes(pickle.dumps(function()))
            return 0

        return pickle.load(file) if forked([(math.inf, task)], 1) == [0] else None


def run_tests(tests: Sequence[str], *plugins: object) -> int:
    """Pytest's exit status."""
    options = ["-s", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "pytest_timeout"]
    return int(pytest.main([*options, "--rootdir", str(ROOT), *tests], plugins=list(plugins)))


def baseline_of(tests: Sequence[str], package: Path) -> Baseline:
    """Runs the tests without a change; imports their libraries into this process.

    Raises:
        RuntimeError: a test fails.
    """

    def first_run() -> Baseline:
        recorder = BaselineRecorder(package)
        if run_tests(tests, recorder):
            raise RuntimeError
        return recorder.baseline()

    result: Baseline | None = result_in_fork(first_run)
    if result is None:
        raise RuntimeError(f"tests fail without a change; run: pytest {' '.join(tests)}")
    for library in result.libraries:
        if not library.startswith(("stvg_", "test")):
            with contextlib.suppress(Exception):
                importlib.import_module(library)
    gc.freeze()
    return result


def survivors(
    module: str,
    file: Path,
    mutants: Sequence[Mutant],
    files: Sequence[str],
    baseline: Baseline,
    jobs: int,
) -> list[Mutant]:
    """The mutants of a module that the tests of some files do not notice."""

    def limit_s(tests: Sequence[str]) -> float:
        return 20 + 5 * sum(baseline.seconds[test] for test in tests)

    def in_place(tasks: Sequence[tuple[Mutant, list[str], float]]) -> list[int]:
        runner = MutantRunner(module, tasks, jobs)
        run_tests(files, runner, FirstFailure())
        return runner.survived

    def imported(mutant: Mutant, tests: list[str]) -> int:
        sys.meta_path.insert(0, MutatedModule(module, file, mutant.source))
        return run_tests(tests, FirstFailure())

    chosen = {one: baseline.chosen(one, file, files) for one in mutants}
    quick = [one for one in mutants if chosen[one] and not one.imported]
    tasks = [(one, chosen[one], limit_s(chosen[one])) for one in quick]
    survived = result_in_fork(partial(in_place, tasks))
    if survived is None:
        raise RuntimeError(f"{module}: the tests cannot be collected")
    left = [quick[index] for index in survived] + [one for one in mutants if not chosen[one]]
    anew = [one for one in mutants if one.imported and chosen[one]]
    # Functions that also run at import, whose results the tests use.
    anew += [one for one in left if "" in baseline.names(one, file)]
    ended = forked(
        [(limit_s(chosen[one]), partial(imported, one, chosen[one])) for one in anew], jobs
    )
    noticed = {one for one, status in zip(anew, ended, strict=True) if status != 0}
    return [one for one in mutants if one in {*left, *anew} and one not in noticed]


def tests_of(module: str) -> list[str]:
    """The test files of a module's folder that import it, or else a module that imports it."""
    package, _, name = module.rpartition(".")
    modules = {file.stem for file in ROOT.joinpath(*package.split(".")).glob("*.py")} - {name}
    imports = re.compile(
        rf"^\s*(?:from {re.escape(module)} import|import {re.escape(module)}\b"
        # A function of the package, which uses any of its modules.
        rf"|from {re.escape(package)} import (?!(?:{'|'.join(sorted(modules))})\b))",
        re.MULTILINE,
    )

    def importers(folder: str, pattern: str) -> list[Path]:
        files = sorted(ROOT.joinpath(folder, *package.split(".")).glob(pattern))
        return [file for file in files if imports.search(file.read_text("utf-8"))]

    files = {str(file.relative_to(ROOT)) for file in importers("test", "test_*.py")}
    for file in () if files else importers("", "*.py"):
        files.update(tests_of(f"{package}.{file.stem}"))
    return sorted(files)


def equivalent(module: str) -> dict[tuple[str, str, str], str]:
    """The listed equivalent mutants of a module, with the reason of each."""
    with EQUIVALENT.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {
            (row["where"], row["line"], row["becomes"]): row["reason"]
            for row in rows
            if row["module"] == module
        }


def record(row: str) -> None:
    """Puts a row into the table of the documentation, in place of the module's earlier one."""
    lines = PAGE.read_text("utf-8").splitlines()
    rows = {line.split("`")[1]: line for line in lines if line.startswith("| `stvg_ros.")}
    head = next(index for index, line in enumerate(lines) if line.startswith("|---|--:"))
    rows[row.split("`")[1]] = row
    rest = lines[head + 1 :]
    while rest and rest[0].startswith("|"):
        del rest[0]
    table = [rows[name] for name in sorted(rows)]
    PAGE.write_text("\n".join([*lines[: head + 1], *table, *rest]) + "\n", "utf-8")


def modules_of(name: str, packages: Path) -> list[str]:
    """The modules that a name of a module or package means."""
    folder = packages.joinpath(*name.split("."))
    if folder.is_dir():
        files = sorted(folder.glob("*.py"))
        return [f"{name}.{file.stem}" for file in files if file.stem != "__init__"]
    if folder.with_suffix(".py").is_file():
        return [name]
    raise SystemExit(f"{name}: expected a module or package, such as stvg_ros.method.span")


def main() -> int:
    """Prints the survivors and a row for each module; 1 if too many survive."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "names", nargs="+", metavar="NAME", help="modules or packages, such as stvg_ros.window"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    parser.add_argument("--tests", nargs="+", help="test files, instead of those that import it")
    parser.add_argument("--sample", type=int, help="at most this many of a module, drawn randomly")
    parser.add_argument("--record", action="store_true", help=f"write to {PAGE.name}")
    given = parser.parse_args()
    os.chdir(ROOT)
    # In this order: a path entry of "stvg_ros" would be found in the repository otherwise.
    spec = importlib.util.find_spec("stvg_ros")
    packages = Path(str(spec and spec.origin)).parent.parent
    names = [module for name in given.names for module in modules_of(name, packages)]
    sources = {name: packages.joinpath(*name.split(".")).with_suffix(".py") for name in names}
    mutants = {name: mutants_of(file.read_text("utf-8")) for name, file in sources.items()}
    names = [name for name in names if mutants[name]]
    for name in names if given.sample else ():
        size = min(given.sample, len(mutants[name]))
        mutants[name] = random.Random(0).sample(mutants[name], size)
    tests = {name: given.tests or tests_of(name) for name in names}
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {**ENVIRONMENT, "PYTEST_DEBUG_TEMPROOT": folder}
        files = sorted({file for each in tests.values() for file in each})
        baseline = baseline_of(files, packages / "stvg_ros")
        failed = False
        for name in names:
            left = survivors(name, sources[name], mutants[name], tests[name], baseline, given.jobs)
            row, passed = _reported(name, mutants[name], left)
            print(row, flush=True)
            failed |= not passed
            if given.record:
                record(row)
    return int(failed)


def _reported(module: str, mutants: Sequence[Mutant], left: Sequence[Mutant]) -> tuple[str, bool]:
    """Prints the survivors that are not listed; returns the module's row, and if it passes."""
    known = equivalent(module)
    new = [one for one in left if one.key not in known]
    for mutant in new:
        print("\t".join([module, *mutant.key]))
    stale = set(known) & ({one.key for one in mutants} - {one.key for one in left})
    for key in sorted(stale):
        print(f"remove from {EQUIVALENT.name}, it does not survive:", "\t".join([module, *key]))
    counted = len(mutants) - (len(left) - len(new))
    share = len(new) / max(counted, 1)
    numbers = [len(mutants), len(left), len(left) - len(new)]
    row = f"| `{module}` | {' | '.join(map(str, numbers))} | {1 - share:.0%} |"
    return row, share < ACCEPTED and not stale


if __name__ == "__main__":
    sys.exit(main())
