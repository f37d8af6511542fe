# SPDX-License-Identifier: Apache-2.0

"""Recognises the kind of a file by its first bytes."""

from __future__ import annotations

from pathlib import Path

BAG_SUFFIXES = (".mcap", ".db3", ".zstd", ".zst")
METADATA = "metadata.yaml"
MCAP = b"\x89MCAP0\r\n"
SQLITE = b"SQLite format 3\x00"
ZSTD = b"\x28\xb5\x2f\xfd"
GIT_LFS = b"version https://git-lfs"
ROS1 = b"#ROSBAG V"


def magic(path: Path) -> bytes:
    """The first bytes of a file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(32)
    except OSError:
        return b""


def is_bag(path: Path | str) -> bool:
    """Whether a path is read as a bag: a folder, its metadata, or a file that begins as one."""
    path = Path(path)
    if path.is_dir() or path.suffix in BAG_SUFFIXES or path.name == METADATA:
        return True
    return magic(path).startswith((MCAP, SQLITE, ZSTD, ROS1, GIT_LFS))
