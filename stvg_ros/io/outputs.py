# SPDX-License-Identifier: Apache-2.0

"""Output files of the commands: a command replaces only what it wrote itself.

A hidden file in each folder lists each written file with its command and hash. A file that is
not listed, or was changed since, is kept, and the error names it.
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
_NAME_BYTES, _PATH_BYTES = 255, 4000  # longest name and path of a file
_SHOWN_BYTES = 200  # longer names are shortened in the names of temporary folders


def check_outputs(command: str, paths: Iterable[Path]) -> None:
    """Checks before the work begins that its results can be written.

    Args:
        command: the command that will write.
        paths: files or folders.

    Raises:
        ConfigError: some of them exist and were not written by this command.
        RecordingError: their folder cannot be written.
    """
    paths = list(paths)
    for path in paths:
        _check_folder(path)
    foreign = [str(path) for path in paths if not _is_own(command, _target(path))]
    if foreign:
        names = ", ".join(foreign)
        raise ConfigError(
            f"{names}: not written by stvg-ros {command}, or changed since; nothing is replaced: "
            "move it away, or choose another --out"
        )


@contextmanager
def output(command: str, path: Path) -> Iterator[Path]:
    """A temporary path next to `path` for a file or folder, which replaces `path` at the end.

    The replacement is atomic. A link is kept, and its target is written.

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
                check_outputs(command, [path])  # it may have been created in the meantime
                entries[_target(path).name] = entry
        except OSError as error:
            raise RecordingError(f"{path}: cannot be written ({error})") from error


@contextmanager
def new_content(path: Path) -> Iterator[Path]:
    """A temporary path for a file or folder, which replaces `path` at the end.

    For callers that own what exists at `path`; `output` checks it.

    Raises:
        RecordingError: it cannot be written.
    """
    target = _target(path)
    # In a folder of its own: some writers store the file's name in the file.
    folder = target.with_name(f"{_part_name(target)}.{os.getpid()}{PART}")
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
    """Lists files that change while a command runs, such as logs, as its outputs.

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
    write_output(command, path, json_text(values) + "\n")


def json_text(values: Any, *, ascii_only: bool = False) -> str:
    """Values as JSON that a file in UTF-8 can hold: readable, except where a name of a file is not
    in UTF-8, whose bytes Python shows as halves of characters.
    """
    text = json.dumps(values, indent=1, ensure_ascii=ascii_only)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json_text(values, ascii_only=True)
    return text


def written_by(command: str, path: Path) -> bool:
    """Whether a file or folder exists and is this command's unchanged output."""
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
    """The target of a path: links are resolved, but for those that lead in a circle."""
    return Path(os.path.realpath(path))


def _bytes(name: str) -> int:
    return len(os.fsencode(name))


def _part_name(target: Path) -> str:
    """How the names of a target's temporary folders start."""
    if _bytes(target.name) > _SHOWN_BYTES:
        return f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()}"
    return f".{target.name}"


def _check_folder(path: Path) -> None:
    """Raises: RecordingError: the folder of `path` cannot be made or written."""
    target = _target(path)
    longest, whole = max(map(_bytes, target.parts)), _bytes(str(target))
    if longest > _NAME_BYTES or whole > _PATH_BYTES:
        raise RecordingError(
            f"{str(path)[:100]}...: cannot be written: a name of {longest} bytes in a path of "
            f"{whole}, expected at most {_NAME_BYTES} and {_PATH_BYTES}; choose another --out"
        )
    folder = next(parent for parent in target.parents if os.path.lexists(parent))
    if not folder.is_dir():
        what = "a file" if folder.exists() else "a link to itself"
        raise RecordingError(
            f"{path}: cannot be written: {folder} is {what}, expected a folder; choose another "
            "--out"
        )
    if not os.access(folder, os.W_OK):
        raise RecordingError(
            f"{path}: cannot be written: no permission to write in {folder}; choose another --out"
        )


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
    """The list of outputs of a folder; changes are saved. One process at a time changes it."""
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
    except (OSError, ValueError):  # no list, or a foreign file: no file here counts as ours
        return {}
    return values if isinstance(values, dict) else {}


def _remove_left(target: Path) -> None:
    """Removes the temporary folders that a killed command left next to a target."""
    for left in target.parent.glob(f"{glob.escape(_part_name(target))}.*{PART}"):
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
