# SPDX-License-Identifier: Apache-2.0

"""Reads MCAP files record by record, also if the end is missing or a part is damaged.

The rosbags library needs a complete file with footer and profile "ros2"; a recorder that was
killed writes neither. Format: https://mcap.dev/spec.
"""

from __future__ import annotations

import heapq
import struct
from binascii import crc32
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from stvg_ros.errors import RecordingError
from stvg_ros.io.bag_storage import Channel, StoredMessage, unpacked, unpacked_message
from stvg_ros.io.file_kinds import MCAP

_HEADER, _FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _INDEX, _CHUNK_INDEX = range(1, 9)
_DATA_END = 15
_HEAD = struct.Struct("<BQ")  # of a record: kind and length
_MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
_CHUNK_HEAD = struct.Struct("<QQQI")  # first and last log time, unpacked size, checksum


@dataclass
class _Chunk:
    """A chunk: the position of its records, and the content of the indexes behind it."""

    start: int
    length: int
    first_ns: int
    counts: Counter[int] = field(default_factory=Counter)


def _text(data: bytes, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from("<I", data, at)
    if at + 4 + size > len(data):
        raise struct.error("a text ends early")
    return data[at + 4 : at + 4 + size].decode(errors="replace"), at + 4 + size


class McapFile:
    """An open MCAP file; attributes and thread contract are those of `StorageFile`."""

    def __init__(self, path: Path) -> None:
        """Reads the file's index; only chunks without an index are unpacked.

        Raises:
            RecordingError: it is not an MCAP file, or holds no readable message.
        """
        self.path = path
        self.notes: list[str] = []
        self.damaged = False
        self.profile = ""
        self._schemas: dict[int, str] = {}
        self._found: dict[int, Channel] = {}
        self._chunks: list[_Chunk] = []
        self._loose: list[tuple[int, int, int, int]] = []  # log time, begin, length, channel
        self._listed: list[tuple[int, int, int]] = []  # chunks by the summary
        self._counts: Counter[int] = Counter()
        self._unpacked: tuple[int, bytes] = (-1, b"")
        self._whole = False
        try:
            self._file = path.open("rb")
            self._size = path.stat().st_size
        except OSError as error:
            raise RecordingError(f"{path}: cannot be read ({error})") from error
        try:
            self._scan()
            every = not self._whole or any(number not in self._found for number in self._counts)
            self._look_into_chunks([
                number for number, chunk in enumerate(self._chunks) if every or not chunk.counts
            ])  # fmt: skip
        except BaseException:
            self.close()
            raise
        self.channels = [
            replace(item, count=self._counts[item.id]) for item in self._found.values()
        ]

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _lose(self, what: str) -> None:
        self.damaged = True
        sentence = f"{self.path.name}: {what}"
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _bytes(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    # --- index ---------------------------------------------------------------------------

    def _scan(self) -> None:
        """Scans the records of the file without unpacking chunks."""
        at = len(MCAP)
        while at < self._size:
            head = self._bytes(at, _HEAD.size)
            if len(head) < _HEAD.size:
                break
            kind, length = _HEAD.unpack(head)
            begin = at + _HEAD.size
            if kind == 0 or begin + length > self._size:
                if kind == _CHUNK and begin + _CHUNK_HEAD.size <= self._size:
                    self._entry(kind, begin, self._size - begin)
                break
            if kind == _FOOTER:
                self._whole = True
                return
            try:
                self._entry(kind, begin, length)
            except struct.error:
                self._lose(f"the record at byte {at} is damaged")
            at = begin + length
        self._lose(f"ends early or is damaged at byte {at} of {self._size}; earlier data is read")
        self._chunks_after(at)

    def _entry(self, kind: int, begin: int, length: int) -> None:
        """Stores the content of one record of the file."""
        if kind == _CHUNK:
            first_ns, _, _, _ = _CHUNK_HEAD.unpack(self._bytes(begin, _CHUNK_HEAD.size))
            self._chunks.append(_Chunk(begin, length, first_ns))
        elif kind == _MESSAGE:
            channel, _, log_ns, _ = _MESSAGE_HEAD.unpack(self._bytes(begin, _MESSAGE_HEAD.size))
            if length > _MESSAGE_HEAD.size:
                self._loose.append((log_ns, begin, length, channel))
                self._counts[channel] += 1
        elif kind == _INDEX and self._chunks:
            channel, size = struct.unpack("<HI", self._bytes(begin, 6))
            self._chunks[-1].counts[channel] += size // 16
            self._counts[channel] += size // 16
        elif kind in (_HEADER, _SCHEMA, _CHANNEL):
            self._described(kind, self._bytes(begin, length))

    def _described(self, kind: int, data: bytes) -> None:
        """A header, schema or channel."""
        if kind == _HEADER:
            self.profile, _ = _text(data, 0)
        elif kind == _SCHEMA:
            self._schemas[struct.unpack_from("<H", data)[0]] = _text(data, 2)[0]
        else:
            number, schema = struct.unpack_from("<HH", data)
            topic, at = _text(data, 4)
            encoding, _ = _text(data, at)
            self._found[number] = Channel(number, topic, self._schemas.get(schema, ""), encoding, 0)

    def _chunks_after(self, at: int) -> None:
        """Adds chunks behind a damaged part from the summary at the end."""
        footer = self._bytes(max(0, self._size - 37), 37)
        if footer[-8:] != MCAP or footer[:1] != bytes([_FOOTER]):
            return
        (summary,) = struct.unpack_from("<Q", footer, 9)
        where = summary
        while at < where < self._size - 37:
            kind, length = _HEAD.unpack(self._bytes(where, _HEAD.size))
            begin = where + _HEAD.size
            if kind == _CHUNK_INDEX:
                _, _, offset, size = struct.unpack("<QQQQ", self._bytes(begin, 32))
                if offset > at and offset + size <= self._size:
                    self._entry(_CHUNK, offset + _HEAD.size, size - _HEAD.size)
            elif kind in (_SCHEMA, _CHANNEL):
                self._described(kind, self._bytes(begin, length))
            where = begin + length

    def _look_into_chunks(self, numbers: list[int]) -> None:
        """Finds channels by unpacking chunks, and counts messages that no index counts."""
        for number in numbers:
            chunk, found = self._chunks[number], Counter[int]()
            for kind, data, _ in self._records(number):
                if kind in (_SCHEMA, _CHANNEL):
                    try:
                        self._described(kind, data)
                    except struct.error:
                        continue
                elif kind == _MESSAGE:
                    found[struct.unpack_from("<H", data)[0]] += 1
            if not chunk.counts:
                chunk.counts = found
                self._counts += found

    # --- messages --------------------------------------------------------------------------------

    def _chunk_bytes(self, number: int) -> bytes:
        """The records of a chunk that can be unpacked; the latest chunk is cached."""
        if self._unpacked[0] != number:
            chunk = self._chunks[number]
            packed = self._bytes(chunk.start, chunk.length)
            _, _, size, checksum = _CHUNK_HEAD.unpack_from(packed)
            compression, at = _text(packed, _CHUNK_HEAD.size)
            (length,) = struct.unpack_from("<Q", packed, at)
            data, error = unpacked(packed[at + 8 : at + 8 + length], compression)
            if not error and checksum and crc32(data) != checksum:
                error = "its checksum is wrong"
            if error or len(data) != size:
                self._lose(
                    f"the chunk at byte {chunk.start - _HEAD.size} is damaged "
                    f"({error or 'it ends early'})"
                )
            self._unpacked = (number, data)
        return self._unpacked[1]

    def _records(self, number: int) -> Iterator[tuple[int, bytes, int]]:
        """Kind, content and place of each readable record in a chunk."""
        try:
            data = self._chunk_bytes(number)
        except struct.error:
            self._lose(f"the chunk at byte {self._chunks[number].start - _HEAD.size} is cut")
            return
        at = 0
        while at + _HEAD.size <= len(data):
            kind, length = _HEAD.unpack_from(data, at)
            begin = at + _HEAD.size
            if kind == 0 or begin + length > len(data):
                return
            if kind != _MESSAGE or length > _MESSAGE_HEAD.size:
                yield kind, data[begin : begin + length], begin
            at = begin + length

    def messages(self, channels: Collection[int]) -> Iterator[StoredMessage]:
        """See `StorageFile.messages`; chunks that overlap in time are merged."""
        sources = [
            self._of_chunk(number, chunk, channels)
            for number, chunk in enumerate(self._chunks)
            if not chunk.counts or any(chunk.counts[channel] for channel in channels)
        ]
        for _, _, message in heapq.merge(*sources, self._of_file(channels), key=lambda m: m[:2]):
            if message is not None:
                yield message

    def _of_chunk(
        self, number: int, chunk: _Chunk, channels: Collection[int]
    ) -> Iterator[tuple[int, tuple[int, int], StoredMessage | None]]:
        yield chunk.first_ns, (number, -1), None  # unpacked only when its first message is due
        found, counts = [], Counter[int]()
        for kind, data, begin in self._records(number):
            if kind == _MESSAGE:
                channel, _, log_ns, _ = _MESSAGE_HEAD.unpack_from(data)
                counts[channel] += 1
                if channel in channels:
                    body, error = unpacked_message(data[_MESSAGE_HEAD.size :])
                    place = (number, begin)
                    found.append(StoredMessage(channel, log_ns, place, body, error))
        for message in sorted(found, key=lambda item: item.recorded_ns):
            yield message.recorded_ns, message.place, message
        last_ns = found[-1].recorded_ns if found else chunk.first_ns
        for channel in channels:
            for missing in range(chunk.counts[channel] - counts[channel]):
                error = f"{self.path.name}: their chunk is damaged"
                lost = StoredMessage(channel, last_ns, (number, -1), b"", error)
                yield last_ns, (number, len(self._unpacked[1]) + missing), lost

    def _of_file(
        self, channels: Collection[int]
    ) -> Iterator[tuple[int, tuple[int, int], StoredMessage | None]]:
        """Messages outside chunks."""
        for log_ns, begin, length, channel in sorted(self._loose):
            if channel in channels:
                place = (-1, begin)
                data, error = unpacked_message(self._bytes(begin, length)[_MESSAGE_HEAD.size :])
                yield log_ns, place, StoredMessage(channel, log_ns, place, data, error)

    def read(self, place: tuple[int, int]) -> bytes:
        """The message at a place."""
        number, begin = place
        if number < 0:
            (length,) = struct.unpack("<Q", self._bytes(begin - 8, 8))
            return unpacked_message(self._bytes(begin, length)[_MESSAGE_HEAD.size :])[0]
        data = self._chunk_bytes(number)
        (length,) = struct.unpack_from("<Q", data, begin - 8)
        return unpacked_message(data[begin + _MESSAGE_HEAD.size : begin + length])[0]
