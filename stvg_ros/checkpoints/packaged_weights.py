# SPDX-License-Identifier: Apache-2.0

"""Weights that lie in an installed Python package, pinned by their hash and read in place."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from stvg_ros.errors import ModelError


def packaged_file(package: str, file: str) -> Path | None:
    """A file of an installed package, or None without the package or the file."""
    try:
        path = Path(str(distribution(package).locate_file(file)))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


def checked_file(path: Path | None, sha256: str, missing: str, remedy: str) -> Path:
    """The file, of the pinned contents.

    Args:
        path: where it is; None if it is not installed.
        sha256: of the pinned contents, in hexadecimal.
        missing: what to say if it is not there.
        remedy: how to install it.

    Raises:
        ModelError: it is not installed, or other than the pinned one.
    """
    if path is None or not path.is_file():
        raise ModelError(f"{missing}; {remedy}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise ModelError(f"{path}: expected sha256 {sha256}, got {found}; {remedy}")
    return path
