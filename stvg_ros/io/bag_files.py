# SPDX-License-Identifier: Apache-2.0

"""Finds and opens the files of a bag, also in an incomplete or damaged folder."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from stvg_ros.errors import RecordingError
from stvg_ros.io import file_kinds
from stvg_ros.io.bag_storage import StorageFile
from stvg_ros.io.mcap_file import McapFile
from stvg_ros.io.read_report import ReadReport
from stvg_ros.io.sqlite_file import SqliteFile


@dataclass
class BagFiles:
    """The opened files of a bag, in the order of recording.

    Attributes:
        files: those that could be opened.
        counts: messages by topic, from metadata.yaml; empty without it.
        folder: temporary folder of unpacked files; None if there are none.
    """

    files: list[StorageFile] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    folder: tempfile.TemporaryDirectory[str] | None = None

    def close(self) -> None:
        """Closes all files and removes the unpacked ones."""
        for file in self.files:
            file.close()
        if self.folder is not None:
            self.folder.cleanup()

    def open(self, path: Path) -> None:
        """Opens one more file; a file that is compressed as a whole is unpacked first.

        Raises:
            RecordingError: it is not a file of a ROS 2 bag; the message says what it is.
        """
        magic = file_kinds.magic(path)
        if magic.startswith(file_kinds.ZSTD):
            path = self._unpacked(path)
            magic = file_kinds.magic(path)
        if magic.startswith(file_kinds.MCAP):
            self.files.append(McapFile(path))
        elif magic.startswith(file_kinds.SQLITE):
            self.files.append(SqliteFile(path))
        else:
            raise _refused(path, magic)

    def _unpacked(self, path: Path) -> Path:
        """The file unpacked in a temporary folder, as far as its data is intact."""
        self.folder = self.folder or tempfile.TemporaryDirectory(prefix="stvg_bag_")
        target = Path(self.folder.name) / (
            path.stem if path.suffix in file_kinds.BAG_SUFFIXES else path.name
        )
        try:
            with path.open("rb") as packed, target.open("wb") as out:
                try:
                    with zstd.open(packed, "rb") as data:
                        shutil.copyfileobj(data, out)
                except (EOFError, zstd.ZstdError):
                    pass  # truncated or damaged: its storage reports the missing part
        except OSError as error:
            raise RecordingError(
                f"{path}: cannot be unpacked into {self.folder.name} ({error}); free some space, "
                "or set TMPDIR to a folder on a larger disk"
            ) from error
        return target


def _refused(path: Path, magic: bytes) -> RecordingError:
    """The error for a file that does not belong to a ROS 2 bag: what it is, and the remedy."""
    if magic.startswith(file_kinds.ROS1):
        what = "it is a ROS 1 bag"
        remedy = (
            "convert it with 'rosbags-convert --src FILE --dst FOLDER' of the Python package "
            "rosbags"
        )
    elif magic.startswith(file_kinds.GIT_LFS):
        what = "it is a pointer of Git LFS, not the recording"
        remedy = "run 'git lfs pull' in its repository"
    elif not magic:
        what, remedy = "it is empty", "the recorder wrote nothing; record it again"
    else:
        what = f"it begins with {magic[:8]!r}, which is neither MCAP nor SQLite"
        remedy = "check the path"
    return RecordingError(f"{path}: cannot be read as a rosbag2 recording ({what}); {remedy}")


def open_files(path: Path, report: ReadReport) -> BagFiles:
    """Opens a bag: its folder, or one of its files (metadata.yaml stands for the folder).

    Files of a folder that cannot be read are noted in the report, if others can.

    Raises:
        RecordingError: nothing in it can be read.
    """
    opened = BagFiles()
    if path.name == file_kinds.METADATA:
        path = path.parent
    names = [path]
    if path.is_dir():
        names, opened.counts = _listed(path, report)
    errors: list[RecordingError] = []
    try:
        for name in names:
            try:
                opened.open(name)
            except RecordingError as error:
                errors.append(error)
        if not opened.files:
            raise errors[0]
    except BaseException:
        opened.close()
        raise
    for cause in errors:
        report.note(f"not read: {cause}")
    return opened


def _listed(folder: Path, report: ReadReport) -> tuple[list[Path], dict[str, int]]:
    """The files of a bag's folder, and the messages of each topic by metadata.yaml."""
    present = [
        item for item in folder.iterdir()
        if item.suffix in file_kinds.BAG_SUFFIXES and item.name[0] != "." and item.is_file()
    ]  # fmt: skip
    present.sort(key=_natural)
    information = _metadata(folder, report)
    listed = _in_order(_named(folder, information.get("relative_file_paths")))
    missing = [item.name for item in listed if not item.is_file()]
    there = [item for item in listed if item.is_file()]
    if missing:
        report.note(f"{folder}: metadata.yaml names {', '.join(missing)}, which is not there")
    files = there or present
    if not files:
        others = ", ".join(sorted(item.name for item in folder.iterdir())[:5]) or "nothing"
        bags = sorted(item.parent.name for item in folder.glob(f"*/{file_kinds.METADATA}"))
        remedy = f"name one of its bags, such as {folder / bags[0]}" if bags else "check the path"
        raise RecordingError(
            f"{folder}: cannot be read as a rosbag2 recording (expected .mcap or .db3 files in "
            f"the folder, found {others}); {remedy}"
        )
    return files, _counts(information)


def _named(folder: Path, listed: Any) -> list[Path]:
    """The files that metadata.yaml lists, each once; next to it, if they are there."""
    paths = [listed] if isinstance(listed, str) else listed if isinstance(listed, list) else []
    parts = [re.split(r"[/\\]", str(path)) for path in paths]  # also of a Windows machine
    files = [
        folder.joinpath(*names) if not (folder / names[-1]).is_file() else folder / names[-1]
        for names in parts
    ]
    # Of another machine: only the name says something.
    return list(dict.fromkeys(file if file.is_file() else folder / file.name for file in files))


def _in_order(listed: list[Path]) -> list[Path]:
    """The listed files; those of one recording by their numbers, as a list by hand may be sorted
    by name, with run_10 before run_2.
    """
    splits = [re.fullmatch(r"(.*)_\d+(\..*)?", path.name) for path in listed]
    if len({split and split[1] for split in splits}) == 1 and all(splits):
        return sorted(listed, key=_natural)
    return listed


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts run_2 before run_10."""
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", path.name)]


def _metadata(folder: Path, report: ReadReport) -> dict[str, Any]:
    """The content of metadata.yaml; empty if it is missing or broken, which the report notes."""
    path = folder / file_kinds.METADATA
    if not path.exists():
        report.note(f"{folder}: has no metadata.yaml; its files are read by their names")
        return {}
    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
        information = values["rosbag2_bagfile_information"]
        if isinstance(information, dict):
            return information
        raise TypeError("rosbag2_bagfile_information is no table")
    except (OSError, ValueError, YAMLError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        report.note(f"{path}: cannot be read ({reason}); the files next to it are read")
        return {}


def _counts(information: dict[str, Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    try:
        for item in information.get("topics_with_message_count") or ():
            counts[str(item["topic_metadata"]["name"])] = int(item["message_count"])
    except (KeyError, TypeError, ValueError):
        return {}
    return counts
