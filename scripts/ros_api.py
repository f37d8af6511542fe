# SPDX-License-Identifier: Apache-2.0

"""Whether a version of ROS 2's Python libraries has what this package uses of them.

    python scripts/ros_api.py                                   # the imported names
    python scripts/ros_api.py ~/rclpy@humble ~/rclpy@jazzy      # what these branches lack

An argument is a folder with sources, or a clone with `@BRANCH`. Compared are

- the imported names, and functions that are called on a module (`rclpy.spin_once`);
- the arguments of calls of those, and of methods (`node.create_timer`) in modules that import the
  library, with the parameters of the definition; not of methods whose names this package or a type
  of Python defines as well;
- whether the definition is deprecated, by a decorator or a warning at each call;
- versions of one library with one another: a method that only one of them defines.

All is read from syntax trees (scripts/ros_calls.py); nothing is imported. What a function does is
not compared.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from ros_calls import Call, Definitions, calls_of

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("rclpy", "message_filters", "launch_ros", "launch", "tf2_ros", "ament_index_python")
# What compiled modules define, which have no syntax tree; a method that each version has.
COMPILED = {"tf2_py": {"BufferCore", "TransformException"}}
COMPILED_METHODS = {"destroy_when_not_in_use"}
FOLDERS = ("stvg_ros", "stvg_lab", "launch", "examples")


def imported() -> dict[str, set[str]]:
    """The files that use each name, by its full name such as rclpy.qos.QoSProfile."""
    found: dict[str, set[str]] = {}
    for path, source in our_files(LIBRARIES):
        for name in names_of(source):
            found.setdefault(name, set()).add(path)
    return dict(sorted(found.items()))


def our_files(words: Sequence[str] = ("",)) -> Iterator[tuple[str, str]]:
    """The path and the text of each module of this package that has one of the words."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            if any(word in text for word in words):
                yield str(path.relative_to(ROOT)), text


def names_of(source: str) -> Iterator[str]:
    """The full names that a module imports from the libraries, or calls on them."""
    modules = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in LIBRARIES:
                    modules.add(alias.name)
                    if "." in alias.name:
                        yield alias.name
    for call in calls_of(source, LIBRARIES):
        if call.name.rpartition(".")[0] in modules:
            yield call.name


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

    def text(self, file: str) -> str:
        """The text of one of the files."""
        if self._branch:
            return self._git("show", f"{self._branch}:{file}")
        return (self._folder / file).read_text(encoding="utf-8")

    def module(self, name: str) -> str | None:
        """The text of a module by its full name, or None."""
        path = name.replace(".", "/")
        endings = (f"{path}.py", f"{path}/__init__.py")
        for ending in endings if "." in name else endings[1:]:  # a library is a folder
            for file in self.files:
                if file == ending or file.endswith(f"/{ending}"):
                    return self.text(file)
        return None

    def has(self, name: str) -> bool:
        """Whether a module or a name in a module is there."""
        module, _, last = name.rpartition(".")
        return self.module(name) is not None or last in self._names(module)

    def _names(self, module: str) -> set[str]:
        """Names of a module, with those of modules of which it imports everything."""
        text = self.module(module)
        names = set[str]() if text is None else defined(text)
        for node in ast.walk(ast.parse(text or "")):
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                # Relative to the module's folder, which is the module itself in an __init__.py.
                before = ("", f"{module}.", f"{module.rpartition('.')[0]}.")
                for start in before[1:] if node.level else before[:1]:
                    origin = f"{start}{node.module}"
                    names |= COMPILED.get(origin, set())
                    names |= self._names(origin) if self.module(origin) is not None else set()
        return names

    def definitions(self, libraries: Sequence[str]) -> Definitions:
        """Functions, classes and methods of the libraries, without their tests."""
        found = Definitions()
        for file in self.files:
            folders = file.split("/")[:-1]
            if set(folders) & set(libraries) and not {"test", "tests"} & set(folders):
                found.add(self.text(file))
        return found


def our_calls() -> list[tuple[str, Call]]:
    """Calls of the libraries' functions and classes, and of methods; with the file of each."""
    files = our_files(LIBRARIES)
    return [(path, call) for path, source in files for call in calls_of(source, LIBRARIES)]


def our_definitions() -> set[str]:
    """Names of functions that this package defines, and those of Python's own types."""
    ours = set[str]()
    for _, source in our_files():
        ours |= defined(source)
    types: tuple[type, ...] = (str, bytes, list, dict, set, tuple, int, float, Path, Exception)
    return ours.union(*(dir(kind) for kind in types))


class Check:
    """What one place has and lacks, printed as it is found.

    Attributes:
        libraries: those that the place has.
        compared: names of functions, classes and methods whose calls were compared.
        wrong: how much is missing or does not fit.
    """

    def __init__(self, place: str) -> None:
        tree, self.place = SourceTree(place), place
        self.libraries = tuple(name for name in LIBRARIES if tree.module(name) is not None)
        names = {n: f for n, f in imported().items() if n.split(".")[0] in self.libraries}
        lost = [name for name in names if not tree.has(name)]
        print(f"{place}: {len(names) - len(lost)} of {len(names)} names ({self._listed()})")
        for name in lost:
            print(f"  missing: {name}, used by {', '.join(sorted(names[name]))}")
        self.wrong = len(lost)
        self.compared = set[str]()
        self._compare(tree.definitions(self.libraries), set[str]().union(*names.values()))

    def _listed(self) -> str:
        return ", ".join(self.libraries)

    def _compare(self, definitions: Definitions, files: set[str]) -> None:
        ours, kinds = our_definitions(), set()
        for path, call in our_calls():
            if call.is_method and (call.last in ours or path not in files):
                continue  # whose method it is, is not known
            if not call.is_method and call.name.split(".")[0] not in self.libraries:
                continue
            reason = definitions.problem(call)
            if reason is None:
                continue  # not one of these libraries'
            self.compared.add(call.last)
            kinds.add((call.last, call.shape))
            if reason:
                self.wrong += 1
                print(f"  {path}:{call.line}: {reason}")
        print(f"  {len(kinds)} kinds of calls of {len(self.compared)} names compared")

    def lacks(self, others: Sequence[Check]) -> int:
        """Prints what is called and defined in another version of the same libraries only."""
        lost = 0
        for other in others:
            names = sorted(other.compared - self.compared - COMPILED_METHODS)
            if other.libraries == self.libraries and names:
                print(f"{self.place} does not define {', '.join(names)}, as {other.place} does")
                lost += len(names)
        return lost


def main(places: Sequence[str]) -> int:
    """Prints the names, or what is missing; 1 if something is."""
    if not places:
        for name, files in imported().items():
            print(f"{name:<70}{', '.join(sorted(files))}")
        return 0
    checks = [Check(place) for place in places]
    lost = sum(check.lacks(checks) for check in checks)
    return 1 if lost + sum(check.wrong for check in checks) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
