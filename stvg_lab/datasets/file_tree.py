# SPDX-License-Identifier: Apache-2.0

"""Finds files of a data set by name, in a folder and in zip files."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from stvg_ros.errors import AnnotationError, ConfigError, RecordingError
from stvg_ros.io.recording import Source, member_file

VIDEO_SUFFIXES = (".mp4", ".mkv", ".avi", ".webm", ".mov")


def shown(source: Source) -> str:
    """The name of a file in messages."""
    return f"{source.path}: {source.member}" if source.member else source.path


class FileTree:
    """An index of files below a folder and in its zip files; plain files take precedence."""

    def __init__(self, root: Path) -> None:
        """Lists the files.

        Raises:
            ConfigError: no such folder or zip file.
            RecordingError: a zip file is damaged.
        """
        if not (root.is_dir() or (root.suffix == ".zip" and root.is_file())):
            raise ConfigError(f"--root: expected a folder or a zip file, got {str(root)!r}")
        self.root = root = root.resolve()
        self._sources: dict[str, Source] = {}
        files = sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]
        archives = [path for path in files if path.suffix == ".zip"]
        for path in files:
            if path.suffix != ".zip":
                self._sources.setdefault(path.name, Source(str(path)))
        for path in archives:
            for member in _members(path):
                self._sources.setdefault(PurePosixPath(member).name, Source(str(path), member))

    def __iter__(self) -> Iterator[tuple[str, Source]]:
        """Names and files."""
        return iter(self._sources.items())

    def get(self, name: str) -> Source | None:
        """The file with a name."""
        return self._sources.get(name)

    def video(self, name: str) -> Source | None:
        """The video with a name; its container may differ from the annotation's."""
        found = self.get(name)
        stem = name.rpartition(".")[0] or name
        for suffix in VIDEO_SUFFIXES:
            found = found or self.get(stem + suffix)
        return found


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [
                name for name in archive.namelist()
                if not name.endswith("/") and not name.startswith("__MACOSX/")
            ]  # fmt: skip
    except (OSError, zipfile.BadZipFile) as error:
        raise RecordingError(
            f"{path}: cannot be read as a zip file ({error}); download it again"
        ) from error


def source_json(source: Source) -> Any:
    """The content of a JSON file. Raises: AnnotationError."""
    try:
        if source.member:
            return json.loads(member_file(source).read())
        return json.loads(Path(source.path).read_bytes())
    except (OSError, ValueError) as error:
        raise AnnotationError(
            f"{shown(source)}: cannot be read as JSON ({error}); download the file again"
        ) from error
