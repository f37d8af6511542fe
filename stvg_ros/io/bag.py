# SPDX-License-Identifier: Apache-2.0

"""Frames as a rosbag2 recording, written without a ROS installation."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import Stores, get_typestore

from stvg_ros.errors import RecordingError
from stvg_ros.io.image_messages import COMPRESSED, IMAGE
from stvg_ros.types import Frame

STORAGES = {"sqlite3": StoragePlugin.SQLITE3, "mcap": StoragePlugin.MCAP}


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
