# SPDX-License-Identifier: Apache-2.0

"""What the commands write: never in place of something that the same command did not write.

A hidden file in each folder lists what was written there, by which command, with a hash. What is
not listed, or was changed since, is somebody's work: it stays, and the conflict is named.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stvg_ros.errors import ConfigError, RecordingError

LEDGER = ".stvg_ros_outputs"
PART = ".stvg_ros_part"


def check_outputs(command: str, paths: Iterable[Path]) -> None:
    """Says before the work begins that its results could not be written.

    Args:
        command: that is about to write.
        paths: of files or folders.

    Raises:
        ConfigError: some of them are there and are not this command's.
    """
    foreign = [str(path) for path in paths if not _is_own(command, _target(path))]
    if foreign:
        names = ", ".join(foreign)
        raise ConfigError(
            f"{names}: not written by stvg-ros {command}, or changed since; nothing is replaced: "
            "move it away, or choose another --out"
        )


@contextmanager
def output(command: str, path: Path) -> Iterator[Path]:
    """A new path beside `path` to write a file or a folder to, which takes its place at the end.

    Readers see the old one or the new one, whole. A link stays, and what it points to is written.

    Raises:
        ConfigError: see `check_outputs`.
        RecordingError: it cannot be written.
    """
    check_outputs(command, [path])
    with new_content(path) as part:
        yield part
        try:
            entry = {"command": command, "sha256": fingerprint(part)}
            with _ledger(_target(path).parent) as entries:
                check_outputs(command, [path])  # somebody may have written in the meantime
                entries[_target(path).name] = entry
        except OSError as error:
            raise RecordingError(f"{path}: cannot be written ({error})") from error


@contextmanager
def new_content(path: Path) -> Iterator[Path]:
    """A new path to write a file or a folder to, which takes the place of `path` at the end.

    For callers that know that what is there is theirs; `output` finds it out.

    Raises:
        RecordingError: it cannot be written.
    """
    target = _target(path)
    # In a folder of its own: some writers put the name of the path into what they write.
    folder = target.with_name(f".{target.name}.{os.getpid()}{PART}")
    part = folder / target.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(target)
        folder.mkdir()
        yield part
        if target.is_dir():
            shutil.rmtree(target)
        part.replace(target)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def claim_outputs(command: str, paths: Iterable[Path]) -> None:
    """Lists files that change while a command runs, such as logs, as its own.

    Raises:
        ConfigError: see `check_outputs`.
        RecordingError: the folder cannot be written.
    """
    paths = list(paths)
    check_outputs(command, paths)
    for path in paths:
        target = _target(path)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with _ledger(target.parent) as entries:
                entries[target.name] = {"command": command, "sha256": None}
        except OSError as error:
            raise RecordingError(f"{path}: cannot be written ({error})") from error


def write_output(command: str, path: Path, content: str | bytes) -> None:
    """Writes a file; see `output`. Raises: ConfigError, RecordingError."""
    with output(command, path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json_output(command: str, path: Path, values: Any) -> None:
    """Writes values as JSON; see `output`. Raises: ConfigError, RecordingError."""
    write_output(command, path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def written_by(command: str, path: Path) -> bool:
    """Whether a file or folder is there and is what this command wrote."""
    target = _target(path)
    return target.exists() and _is_own(command, target)


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's content, or of the names and contents of all files in a folder."""
    if not path.is_dir():
        total = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
        return total.hexdigest()
    total = hashlib.sha256()
    for item in sorted(item for item in path.rglob("*") if not item.is_dir()):
        total.update(f"{item.relative_to(path)} {fingerprint(item)}\n".encode())
    return total.hexdigest()


def _target(path: Path) -> Path:
    """Where a path leads to: a link is followed."""
    return path.resolve()


def _is_own(command: str, target: Path) -> bool:
    """Whether a path is free, or this command's unchanged output."""
    if not os.path.lexists(target):
        return True
    with _ledger(target.parent, write=False) as entries:
        entry = entries.get(target.name)
    if not isinstance(entry, dict) or entry.get("command") != command:
        return False
    if entry.get("sha256") is None:
        return True
    try:
        return bool(entry.get("sha256") == fingerprint(target))
    except OSError as error:
        raise RecordingError(f"{target}: cannot be read ({error})") from error


@contextmanager
def _ledger(folder: Path, *, write: bool = True) -> Iterator[dict[str, Any]]:
    """What was written in a folder; changes are kept. One process at a time changes it."""
    path = folder / LEDGER
    if not write:
        yield _entries(path)
        return
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        entries = _entries(path)
        yield entries
        new = path.with_name(f"{LEDGER}.{os.getpid()}")
        new.write_text(json.dumps(entries, indent=1) + "\n", "utf-8")
        new.replace(path)
    finally:
        os.close(lock)


def _entries(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):  # none, or not ours: then nothing in the folder is
        return {}
    return values if isinstance(values, dict) else {}


def _remove_left(target: Path) -> None:
    """Removes what a command that was killed left beside a target."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*{PART}"):
        number = left.name.removesuffix(PART).rpartition(".")[2]
        if number.isdecimal() and not _runs(int(number)):
            shutil.rmtree(left, ignore_errors=True)


def _runs(process: int) -> bool:
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
