# SPDX-License-Identifier: Apache-2.0

"""Weights in installed packages: found, pinned by their hash, refused with the remedy."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from stvg_ros.checkpoints.packaged_weights import checked_file, packaged_file
from stvg_ros.errors import ModelError


@pytest.mark.parametrize(
    ("package", "file"),
    [("no-such-package", "a.pt"), ("numpy", "no/such/file.pt"), ("numpy", "numpy")],  # a folder
)
def test_what_is_not_there(package: str, file: str) -> None:
    assert packaged_file(package, file) is None


def test_a_file_of_an_installed_package() -> None:
    path = packaged_file("numpy", "numpy/version.py")
    assert path is not None
    assert "version" in path.read_text()


def test_the_pinned_contents_alone_are_used(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    for missing in (None, path):
        with pytest.raises(ModelError, match=r"^the network is missing; install it$"):
            checked_file(missing, "00", "the network is missing", "install it")
    path.write_bytes(b"weights")
    pinned = hashlib.sha256(b"weights").hexdigest()
    assert checked_file(path, pinned, "", "install it") == path
    path.write_bytes(b"other")
    with pytest.raises(ModelError, match=rf"expected sha256 {pinned}, got [0-9a-f]+; install it"):
        checked_file(path, pinned, "", "install it")
