# SPDX-License-Identifier: Apache-2.0

"""Mutation testing of one module: changes one operator or number at a time and runs its tests.

    make mutants ARGS=stvg_ros.method.span

All changes are made in a copy of the installed packages; the tests are those of the module's folder
that import it. Surviving mutants are printed as differences; docs/mutants.md lists the equivalent
ones.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# For each operator the likely mistakes only: cosmic-ray has eleven replacements for each "+".
# "|" is excluded, since it is used in annotations.
_ARITHMETIC = "Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Mul|Mod_Mul|Pow_Mul|BitAnd_BitOr"
_COMPARISONS = "Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Lt_Gt|Gt_Lt|Eq_NotEq|NotEq_Eq|Is_IsNot|IsNot_Is"
_LEFT_OUT = [
    f"core/ReplaceBinaryOperator_(?!({_ARITHMETIC})$).*",
    f"core/ReplaceComparisonOperator_(?!({_COMPARISONS})$).*",
    "core/ReplaceUnaryOperator_.*_Invert",
    "core/ExceptionReplacer",
    "core/RemoveDecorator",
]


def tests_of(module: str) -> list[str]:
    """The test files of a module's folder that import it; those of all folders if none does."""
    package, _, name = module.rpartition(".")
    imported = re.compile(
        rf"^\s*(?:from {re.escape(module)} import|import {re.escape(module)}\b"
        rf"|from {re.escape(package)} import .*\b{name}\b)",
        re.MULTILINE,
    )
    files = [
        file
        for file in sorted((ROOT / "test").rglob("test_*.py"))
        if imported.search(file.read_text("utf-8"))
    ]
    near = [file for file in files if file.parent == ROOT.joinpath("test", *package.split("."))]
    return [str(file.relative_to(ROOT)) for file in near or files]


def prepared(module: str, tests: list[str], python: Path, folder: Path, timeout_s: float) -> Path:
    """Copies the installed packages and writes the tool's configuration; returns that file."""
    shutil.rmtree(folder, ignore_errors=True)
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    installed = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    for package in ("stvg_ros", "stvg_lab"):
        shutil.copytree(Path(installed.stdout.strip()) / package, folder / package)
    command = [
        "env", f"PYTHONPATH={folder}", "PYTHONDONTWRITEBYTECODE=1", "HF_HUB_OFFLINE=1",
        str(python.parent / "pytest"), "-x", "-q", "-p", "no:cacheprovider",
        "--rootdir", str(ROOT), "-c", str(ROOT / "pyproject.toml"),
        *(str(ROOT / test) for test in tests),
    ]  # fmt: skip
    file = folder / "cosmic_ray.toml"
    file.write_text(
        "[cosmic-ray]\n"
        f"module-path = {json.dumps(module.replace('.', '/') + '.py')}\n"
        f"timeout = {timeout_s}\n"
        "excluded-modules = []\n"
        f"test-command = {json.dumps(shlex.join(command))}\n"
        '[cosmic-ray.distributor]\nname = "local"\n'
        "[cosmic-ray.filters.operators-filter]\n"
        f"exclude-operators = {json.dumps(_LEFT_OUT)}\n",
        encoding="utf-8",
    )
    return file


def survivors(session: Path, tool: Path) -> tuple[list[str], int]:
    """Differences of the surviving mutants, and the number of all mutants."""
    dump = subprocess.run([tool, "dump", session], capture_output=True, text=True, check=True)
    found, count = [], 0
    for line in dump.stdout.splitlines():
        _, result = json.loads(line)
        if result is None or result["worker_outcome"] != "normal":
            continue  # left out
        count += 1
        if result["test_outcome"] == "survived":
            found.append(result["diff"])
    return found, count


def main() -> int:
    """Prints the survivors; 1 if there are more than a tenth."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("module", help="such as stvg_ros.method.span")
    parser.add_argument("--python", required=True, type=Path, help="of the package's environment")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for a mutant's tests")
    given = parser.parse_args()
    tests = tests_of(given.module)
    if not tests or not (ROOT / f"{given.module.replace('.', '/')}.py").is_file():
        print(f"{given.module}: expected a module that a test imports, such as stvg_ros.window")
        return 2
    folder = ROOT / "out" / "mutants" / given.module
    config = prepared(given.module, tests, given.python.absolute(), folder, given.timeout)
    tool, session = Path(sys.executable).with_name("cosmic-ray"), folder / "session.sqlite"
    steps: tuple[list[str | Path], ...] = (
        [tool, "init", config, session],
        [tool.with_name("cr-filter-operators"), session, config],
        [tool, "baseline", config],
        [tool, "exec", config, session],
    )
    for step in steps:
        subprocess.run(step, cwd=folder, check=True)
    found, count = survivors(session, tool)
    for difference in found:
        print(difference)
    print(f"{given.module}: {len(found)} of {count} mutants survive {' '.join(tests)}")
    return 1 if len(found) > count / 10 else 0


if __name__ == "__main__":
    sys.exit(main())
