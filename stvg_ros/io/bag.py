# SPDX-License-Identifier: Apache-2.0

"""Camera images in rosbag2 recordings, read and written without a ROS installation."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.image import message_to_cvimage
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_typestore

from stvg_ros.errors import ImageError, RecordingError, StvgError
from stvg_ros.io.image_messages import compressed_frame, image_frame, stamp_ns
from stvg_ros.types import Frame

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
ANY_SIZE_PX = 1 << 20  # no image is longer
STORAGES = {"sqlite3": StoragePlugin.SQLITE3, "mcap": StoragePlugin.MCAP}


@dataclass(frozen=True)
class ImageTopic:
    """An image topic of a recording: its name, message type and number of messages."""

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class RawMessage:
    """A message as it lies in the recording: when it was recorded, and its CDR bytes."""

    recorded_ns: int
    data: bytes

    @property
    def stamp_ns(self) -> int:
        """The stamp of its header, which is its first field. Raises: struct.error."""
        # Four bytes of encapsulation, the second of which tells the order of the bytes.
        seconds, nanoseconds = struct.unpack_from("<iI" if self.data[1] else ">iI", self.data, 4)
        return int(seconds) * 1_000_000_000 + int(nanoseconds)


def write_bag(
    path: Path | str,
    frames: Iterable[Frame],
    *,
    topic: str = "/camera/image",
    storage: str = "mcap",
    compressed: bool = False,
) -> int:
    """Writes frames as `sensor_msgs/Image` (or JPEG `CompressedImage`) at their stamps.

    Args:
        path: the recording's folder; must not exist.
        frames: in order of stamps; each message's header carries its frame's stamp.
        topic: name of the image topic.
        storage: "mcap" or "sqlite3".
        compressed: whether to write JPEG images.

    Returns:
        The number of messages written.

    Raises:
        RecordingError: the folder exists, the storage is unknown, or it cannot be written.
    """
    if storage not in STORAGES:
        raise RecordingError(f"storage: expected one of {', '.join(STORAGES)}, got {storage!r}")
    store = get_typestore(Stores.ROS2_JAZZY)
    kind = COMPRESSED if compressed else IMAGE
    count = 0
    try:
        with Writer(Path(path), version=9, storage_plugin=STORAGES[storage]) as writer:
            connection = writer.add_connection(topic, kind, typestore=store)
            for frame in frames:
                message = _message(store.types, frame, compressed)
                writer.write(connection, frame.stamp_ns, store.serialize_cdr(message, kind))
                count += 1
    except (WriterError, OSError, sqlite3.Error) as error:
        raise RecordingError(
            f"{path}: cannot write a recording ({error}); choose a folder that does not exist yet"
        ) from error
    return count


def _message(types: Any, frame: Frame, compressed: bool) -> Any:
    """The frame as a message of the typestore."""
    seconds, nanoseconds = divmod(frame.stamp_ns, 1_000_000_000)
    stamp = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame.frame_id or "camera")
    if compressed:
        done, data = cv2.imencode(".jpg", frame.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
        if not done:
            raise RecordingError(f"the image at {frame.stamp_ns} ns cannot be written as JPEG")
        return types[COMPRESSED](header=header, format="jpeg", data=data.ravel())
    height, width = frame.image.shape[:2]
    return types[IMAGE](
        header=header,
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(frame.image).ravel(),
    )


@contextmanager
def _opened(path: Path | str) -> Iterator[Reader]:
    """An open reader; everything that a broken file raises becomes a `RecordingError`."""
    if not Path(path).exists():
        raise RecordingError(
            f"{path}: no such recording; expected a rosbag2 folder or one of its files"
        )
    try:
        with Reader(Path(path)) as reader:
            yield reader
    except StvgError:
        raise
    except Exception as error:  # broken bytes raise whatever the first reader of them raises
        detail = str(error) or type(error).__name__
        raise RecordingError(
            f"{path}: cannot be read as a rosbag2 recording ({detail}); "
            "was it cut short? 'ros2 bag reindex' may repair it"
        ) from error


def _image_connection(reader: Reader, path: Path | str, topic: str | None) -> Connection:
    """The connection of the image topic that was asked for, or of the only one."""
    kinds = (IMAGE, COMPRESSED)
    images = [item for item in reader.connections if item.msgtype in kinds and item.msgcount]
    names = ", ".join(sorted(item.topic for item in images)) or "none"
    if topic is not None:
        images = [item for item in images if item.topic == topic]
        if not images:
            raise RecordingError(f"{path}: no image topic {topic!r}; image topics in it: {names}")
    if not images:
        every = ", ".join(sorted(f"{c.topic} ({c.msgtype})" for c in reader.connections)) or "none"
        raise RecordingError(f"{path}: expected an image topic with messages; topics: {every}")
    if len(images) > 1:
        raise RecordingError(f"{path}: has several image topics ({names}); name one of them")
    return images[0]


def find_image_topic(path: Path | str, topic: str | None = None) -> ImageTopic:
    """The image topic of a recording; `topic` chooses where there are several.

    Raises:
        RecordingError: the recording is broken, has no such topic, or has several and none named.
    """
    with _opened(path) as reader:
        found = _image_connection(reader, path, topic)
        return ImageTopic(found.topic, found.msgtype, found.msgcount)


def read_raw(path: Path | str, topic: str | None = None) -> Iterator[RawMessage]:
    """The image messages as they lie in the recording, one at a time. Raises: RecordingError."""
    with _opened(path) as reader:
        connection = _image_connection(reader, path, topic)
        for _, recorded_ns, data in reader.messages(connections=[connection]):
            yield RawMessage(recorded_ns, bytes(data))


@dataclass(frozen=True, eq=False)
class BagImage:
    """An image message whose pixels are not converted yet.

    Attributes:
        stamp_ns: the header's stamp; -1 for an impossible one, whose frame is refused.
        raw: the message as it lies in the recording.
        message: `sensor_msgs/Image` or `CompressedImage`.
        name: what errors call it.
    """

    stamp_ns: int
    raw: RawMessage
    message: Any
    name: str

    def frame(self, long_side_px: int | None = None) -> Frame:
        """The image in RGB, scaled down to a long side where one is given, as the node does it.

        Raises:
            ImageError: an encoding that is not known, or bytes that do not decode.
        """
        limit = long_side_px or ANY_SIZE_PX
        try:
            if hasattr(self.message, "format"):
                return compressed_frame(self.message, limit)
            return image_frame(self.message, limit, _library_rgb)
        except ImageError as error:
            raise ImageError(f"{self.name}: {error}") from error


def _library_rgb(message: Any, rows: NDArray[np.uint8], encoding: str) -> NDArray[np.uint8]:
    packed = replace(message, encoding=encoding, step=rows.shape[1], data=rows.ravel())
    return np.asarray(message_to_cvimage(packed, "rgb8"), np.uint8)


def read_images(
    path: Path | str, topic: str | None = None, *, recorded_ns: int | None = None
) -> Iterator[BagImage]:
    """The images of a recording in the order in which they were recorded, one at a time.

    Args:
        path: the recording.
        topic: chooses the image topic where there are several.
        recorded_ns: only those recorded at this time, found without reading the others.

    Raises:
        RecordingError: the recording is broken, or has no such image topic.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    start, stop = (None, None) if recorded_ns is None else (recorded_ns, recorded_ns + 1)
    with _opened(path) as reader:
        connection = _image_connection(reader, path, topic)
        for _, recorded_ns, data in reader.messages([connection], start, stop):
            message: Any = store.deserialize_cdr(data, connection.msgtype)
            name = f"{path}: the image recorded at {recorded_ns} ns on {connection.topic}"
            raw = RawMessage(recorded_ns, bytes(data))
            try:
                yield BagImage(stamp_ns(message.header.stamp), raw, message, name)
            except ImageError:
                yield BagImage(-1, raw, message, name)


def read_frames(path: Path | str, topic: str | None = None) -> Iterator[Frame]:
    """The images of a recording as frames with their header stamps, one at a time.

    Raises:
        RecordingError: the recording is broken, or has no such image topic.
    """
    for image in read_images(path, topic):
        try:
            yield image.frame()
        except ImageError as error:
            raise RecordingError(str(error)) from error
