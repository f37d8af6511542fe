# SPDX-License-Identifier: Apache-2.0

"""Runs the tests of mutants in forks of one process, which has imported the libraries.

A mutant takes the time of the tests that execute the changed line, up to the first that fails.
Files are not changed.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import math
import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import coverage
import pytest
from mutations import Mutant

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
}


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
        """The tests of some files for a mutant, shortest first.

        What is imported may be used by tests that execute no line of the module.
        """
        names = self.seconds if mutant.imported else self.names(mutant, file)
        chosen = [name for name in names if name.partition("::")[0] in files]
        return sorted(chosen, key=self.seconds.__getitem__)


class BaselineRecorder:
    """Pytest plugin that notes durations, and which lines of a package each test executes.

    The caches of the functions of `modules` are cleared before each test, so that it executes them.
    """

    def __init__(self, package: Path, modules: Sequence[str]) -> None:
        self._modules = modules
        self._seconds: dict[str, float] = {}
        self._coverage = coverage.Coverage(data_file=None, include=[f"{package}/*"])
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        for name in self._modules:
            for function in vars(sys.modules.get(name, object)).values():
                if hasattr(function, "cache_clear"):
                    function.cache_clear()
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


def baseline_of(tests: Sequence[str], package: Path, modules: Sequence[str]) -> Baseline:
    """Runs the tests without a change; imports their libraries into this process.

    Raises:
        RuntimeError: a test fails.
    """

    def first_run() -> Baseline:
        recorder = BaselineRecorder(package, modules)
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
