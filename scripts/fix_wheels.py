# SPDX-License-Identifier: Apache-2.0

"""Repairs the exported CMake files of the ROS 2 wheels in one virtual environment.

Some of the wheels' `.cmake` files under `share/` name the include folders of Python and NumPy of
the machine that built the wheels. They are replaced by those of the running interpreter, which
must be the environment's own: `.venv-jazzy/bin/python scripts/fix_wheels.py`.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path

import numpy

BUILD_PYTHON = r"/opt/python/cp\d+-cp\d+"
NUMPY_INCLUDE = re.compile(BUILD_PYTHON + r"[\w./-]*/site-packages/numpy/_?core/include")
PYTHON_INCLUDE = re.compile(BUILD_PYTHON + r"/include/python[\d.]+")


def repaired(text: str, python_include: str, numpy_include: str) -> str:
    """`text` of a CMake file with this environment's include folders."""
    text = NUMPY_INCLUDE.sub(lambda _: numpy_include, text)
    return PYTHON_INCLUDE.sub(lambda _: python_include, text)


def repair(prefix: Path) -> int:
    """Repairs every exported CMake file under `prefix`; returns how many changed."""
    python_include = sysconfig.get_path("include")
    changed = 0
    for path in sorted((prefix / "share").rglob("*.cmake")):
        text = path.read_text(encoding="utf-8")
        new = repaired(text, python_include, numpy.get_include())
        if new != text:
            path.write_text(new, encoding="utf-8")
            changed += 1
    return changed


def main() -> None:
    """Repairs the environment of the running interpreter."""
    if sys.prefix == sys.base_prefix:
        raise SystemExit(f"expected the Python of a virtual environment, got {sys.executable}")
    print(f"      {repair(Path(sys.prefix))} CMake files of the ROS wheels adapted to this machine")


if __name__ == "__main__":
    main()
