# SPDX-License-Identifier: Apache-2.0

"""Mutation testing: changes one operator, number or condition of a module and runs its tests.

    make mutants ARGS=stvg_ros.method.span
    make mutants ARGS="stvg_ros.method stvg_ros.window --record"

docs/mutants.md describes the arguments and the results.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import os
import random
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mutant_runs import ENVIRONMENT, ROOT, baseline_of, survivors
from mutations import Mutant, mutants_of

EQUIVALENT = ROOT / "docs" / "equivalent_mutants.tsv"
PAGE = ROOT / "docs" / "mutants.md"
ACCEPTED = 0.1  # share of survivors that are not listed as equivalent


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
    head = next(index for index, line in enumerate(lines) if line.startswith("|---|--:"))
    rows = {line.split("`")[1]: line for line in lines[head:] if line.startswith("| `stvg_ros.")}
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
        baseline = baseline_of(files, packages / "stvg_ros", names)
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
