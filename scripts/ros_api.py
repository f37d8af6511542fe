# SPDX-License-Identifier: Apache-2.0

"""Which names that this package imports from ROS 2's Python libraries a version of them has.

    python scripts/ros_api.py                                   # the imported names
    python scripts/ros_api.py ~/rclpy@humble ~/launch_ros       # those that these clones lack

An argument is a folder with sources, or a clone with `@BRANCH`. Names are read from syntax trees;
nothing is imported. Arguments and behaviour of functions are not compared.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("rclpy", "message_filters", "launch_ros")
FOLDERS = ("stvg_ros", "stvg_lab", "launch", "examples")


def imported() -> dict[str, set[str]]:
    """The files that import each name, by its full name such as rclpy.qos.QoSProfile."""
    found: dict[str, set[str]] = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for name in names_of(path.read_text(encoding="utf-8")):
                found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return dict(sorted(found.items()))


def names_of(source: str) -> Iterator[str]:
    """The full names that a module imports from the libraries."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in LIBRARIES and "." in alias.name:
                    yield alias.name


def defined(source: str) -> set[str]:
    """Names that a module defines, assigns or imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


class SourceTree:
    """The Python files of a folder, or of a branch of a clone."""

    def __init__(self, place: str) -> None:
        path, _, self._branch = place.partition("@")
        self._folder = Path(path).expanduser()
        if self._branch:
            listing = self._git("ls-tree", "-r", "--name-only", self._branch)
            self.files = [name for name in listing.splitlines() if name.endswith(".py")]
        else:
            self.files = [str(p.relative_to(self._folder)) for p in self._folder.rglob("*.py")]

    def _git(self, *words: str) -> str:
        command = ["git", "-C", str(self._folder), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def module(self, name: str) -> str | None:
        """The text of a module by its full name, or None."""
        path = name.replace(".", "/")
        for ending in (f"{path}.py", f"{path}/__init__.py"):
            for file in self.files:
                if file == ending or file.endswith(f"/{ending}"):
                    if self._branch:
                        return self._git("show", f"{self._branch}:{file}")
                    return (self._folder / file).read_text(encoding="utf-8")
        return None

    def has(self, name: str) -> bool:
        """Whether a module or a name in a module is there."""
        module, _, last = name.rpartition(".")
        text = self.module(module)
        return self.module(name) is not None or (text is not None and last in defined(text))


def main(places: Sequence[str]) -> int:
    """Prints the names, or those that are missing; 1 if one is missing."""
    names = imported()
    if not places:
        for name, files in names.items():
            print(f"{name:<70}{', '.join(sorted(files))}")
        return 0
    missing = 0
    for place in places:
        tree = SourceTree(place)
        known = [name for name in LIBRARIES if tree.module(name) is not None]
        asked = [name for name in names if name.split(".")[0] in known]
        lost = [name for name in asked if not tree.has(name)]
        print(f"{place}: {len(asked) - len(lost)} of {len(asked)} names ({', '.join(known)})")
        for name in lost:
            print(f"  missing: {name}, used by {', '.join(sorted(names[name]))}")
        missing += len(lost)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
