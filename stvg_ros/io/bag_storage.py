# SPDX-License-Identifier: Apache-2.0

"""Types shared by the two storages of rosbag2: channels, messages, and compressed data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import lz4.frame

from stvg_ros.io.file_kinds import ZSTD

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE = 1 << 16


@dataclass(frozen=True)
class Channel:
    """A sequence of messages in one file; several may have one topic.

    Attributes:
        id: its number in the file.
        topic: name of the topic.
        type: message type as the file writes it.
        encoding: of the messages, "cdr" for ROS 2.
        count: messages that the file lists or holds.
    """

    id: int
    topic: str
    type: str
    encoding: str
    count: int


@dataclass(frozen=True)
class StoredMessage:
    """A message of a file.

    Attributes:
        channel: number of its channel.
        recorded_ns: time of recording.
        place: its position for `StorageFile.read`.
        data: its bytes.
        error: why the bytes are missing.
    """

    channel: int
    recorded_ns: int
    place: tuple[int, int]
    data: bytes
    error: str = ""


class StorageFile(Protocol):
    """One file of a bag, opened. One thread uses it.

    Attributes:
        channels: all in the file.
        notes: what is damaged, one sentence each; reading may add some.
        damaged: whether messages are missing.
    """

    channels: list[Channel]
    notes: list[str]
    damaged: bool

    def messages(self, channels: Collection[int]) -> Iterator[StoredMessage]:
        """The messages of these channels in recorded order."""
        ...

    def read(self, place: tuple[int, int]) -> bytes:
        """The message at a place."""
        ...

    def close(self) -> None:
        """Closes the file."""
        ...


def unpacked(data: bytes, compression: str) -> tuple[bytes, str]:
    """The part of compressed data that can be unpacked, and why the rest cannot ("" if none).

    Args:
        data: compressed bytes.
        compression: "zstd", "lz4" or "" as MCAP names them.
    """
    if not compression:
        return data, ""
    kinds: dict[str, Callable[[], Any]] = {
        "zstd": zstd.ZstdDecompressor, "lz4": lz4.frame.LZ4FrameDecompressor,
    }  # fmt: skip
    if compression not in kinds:
        return b"", f"the compression {compression!r} is not known, expected zstd or lz4"
    out: list[bytes] = []
    decoder, at = kinds[compression](), 0
    try:
        while at < len(data):
            if decoder.eof:
                decoder = kinds[compression]()
            out.append(decoder.decompress(data[at : at + _PIECE]))
            at += _PIECE
            if decoder.eof:
                at -= len(decoder.unused_data or b"")
    except Exception as error:  # the libraries raise several kinds for damaged data
        return b"".join(out), f"its {compression} data is damaged ({error})"
    return b"".join(out), "" if decoder.eof else f"its {compression} data ends early"


def unpacked_message(data: bytes) -> tuple[bytes, str]:
    """A message of `--compression-mode message` unpacked; any other message unchanged."""
    # A message in CDR begins with a zero.
    return unpacked(data, "zstd") if data.startswith(ZSTD) else (data, "")
