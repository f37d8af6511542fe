# SPDX-License-Identifier: Apache-2.0

"""Reads SQLite files of rosbag2, also with an unmerged log or missing pages."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import quote

from stvg_ros.errors import RecordingError
from stvg_ros.io.bag_storage import Channel, StoredMessage, unpacked_message

_HOPELESS = 1000  # unreadable messages in a row that end the search


class SqliteFile:
    """An open SQLite file; attributes and thread contract are those of `StorageFile`."""

    def __init__(self, path: Path) -> None:
        """Reads the topics and the times of all messages.

        Raises:
            RecordingError: it is not an SQLite file of rosbag2, or holds no readable message.
        """
        self.path = path
        self.notes: list[str] = []
        self.damaged = False
        self._open = ExitStack()  # what `close` closes, the latest first
        index = path.with_name(f"{path.name}-shm")  # SQLite writes it next to a log
        if not index.exists():
            self._open.callback(index.unlink, missing_ok=True)
        try:
            self._base = self._opened()
            topics = self._topics()
            self._rows = self._listed()  # time, number and topic of each message
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise RecordingError(
                f"{path}: cannot be read as a rosbag2 recording (SQLite: {error}); the file is "
                "damaged at its beginning, or is no recording"
            ) from error
        counts: dict[int, int] = {}
        for _, _, topic in self._rows:
            counts[topic] = counts.get(topic, 0) + 1
        self.channels = [
            Channel(number, name, kind, encoding, counts.get(number, 0))
            for number, name, kind, encoding in topics
        ]

    def _opened(self) -> sqlite3.Connection:
        """Opens the database; SQLite merges a log or journal next to it."""
        try:
            base = self._connected(self.path, "ro")
            base.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return base
        except sqlite3.DatabaseError as error:
            beside = [self.path.with_name(self.path.name + end) for end in ("-wal", "-journal")]
            if not any(other.exists() for other in beside):
                if "malformed" not in str(error):
                    raise
                return self._connected(self.path, "ro", damaged=True)
        # A log in a read-only folder, or the journal of a killed recorder: SQLite must write in
        # both cases, so it works on copies.
        folder = self._open.enter_context(tempfile.TemporaryDirectory(prefix="stvg_bag_"))
        copy = Path(folder) / self.path.name
        for file in (self.path, *(other for other in beside if other.exists())):
            shutil.copyfile(file, copy.with_name(file.name))
        return self._connected(copy, "rw")

    def _connected(self, path: Path, mode: str, *, damaged: bool = False) -> sqlite3.Connection:
        """A connection that `close` closes; arguments as of `_connect`."""
        return self._open.enter_context(closing(_connect(path, mode, damaged=damaged)))

    def close(self) -> None:
        """Closes the file."""
        self._open.close()

    def _topics(self) -> list[tuple[int, str, str, str]]:
        rows = self._base.execute("SELECT id, name, type, serialization_format FROM topics")
        return [(int(row[0]), str(row[1]), str(row[2]), str(row[3] or "cdr")) for row in rows]

    def _listed(self) -> list[tuple[int, int, int]]:
        try:
            rows = self._base.execute("SELECT timestamp, rowid, topic_id FROM messages").fetchall()
        except sqlite3.DatabaseError as error:
            rows = list(self._salvaged())
            self._lose(f"is damaged ({error}); {len(rows)} of its messages are read")
        # A column of SQLite may have a value of another type.
        whole = [row for row in rows if all(isinstance(value, int) for value in row)]
        if len(whole) < len(rows):
            self._lose(f"{len(rows) - len(whole)} of its messages have no time and topic")
        return sorted(whole)

    def _salvaged(self) -> Iterator[tuple[int, int, int]]:
        """Time, number and topic of the messages whose pages are present, one by one."""
        self._base.close()
        self._base = self._connected(self.path, "ro", damaged=True)
        number, failed = 0, 0
        while failed < _HOPELESS:
            number += 1
            try:
                row = self._base.execute(
                    "SELECT timestamp, rowid, topic_id FROM messages WHERE rowid = ?", (number,)
                ).fetchone()
            except sqlite3.DatabaseError:
                row = None
            failed = failed + 1 if row is None else 0
            if row is not None:
                yield row

    def _lose(self, what: str) -> None:
        self.damaged = True
        self.notes.append(f"{self.path.name}: {what}")

    def messages(self, channels: Collection[int]) -> Iterator[StoredMessage]:
        """See `StorageFile.messages`."""
        for recorded_ns, number, topic in self._rows:
            if topic in channels:
                place = (0, number)
                try:
                    data, error = unpacked_message(self._data(number))
                except sqlite3.DatabaseError as cause:
                    data, error = b"", f"{self.path.name}: its pages are damaged ({cause})"
                yield StoredMessage(topic, recorded_ns, place, data, error)

    def _data(self, number: int) -> bytes:
        row = self._base.execute("SELECT data FROM messages WHERE rowid = ?", (number,)).fetchone()
        value = b"" if row is None else row[0]
        return value if isinstance(value, bytes) else str(value).encode()

    def read(self, place: tuple[int, int]) -> bytes:
        """The message at a place."""
        try:
            return unpacked_message(self._data(place[1]))[0]
        except sqlite3.DatabaseError:
            return b""


def _connect(path: Path, mode: str, *, damaged: bool = False) -> sqlite3.Connection:
    """A connection that any thread can use.

    Args:
        path: the file.
        mode: "ro" or "rw", of SQLite's URIs.
        damaged: accept a file that is shorter than its header says.
    """
    where = quote(str(path.resolve()))
    base = sqlite3.connect(f"file:{where}?mode={mode}", uri=True, check_same_thread=False)
    if damaged:
        with closing(base.cursor()) as cursor:
            cursor.execute("PRAGMA writable_schema = ON")
    return base
