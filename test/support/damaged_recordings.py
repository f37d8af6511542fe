# SPDX-License-Identifier: Apache-2.0

"""Bags and MCAP files as people have them: cut, damaged, edited, or written by other programs."""

from __future__ import annotations

import struct
from binascii import crc32
from pathlib import Path

import cv2
import lz4.frame
import numpy as np
import yaml
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.reader import zstd
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
TYPES = STORE.types
IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
TOPIC = "/camera/image"
T0, PERIOD = 1_700_000_000 * 10**9, 10**8
SQLITE, MCAP = StoragePlugin.SQLITE3, StoragePlugin.MCAP
TIME = QosTime(0, 0)
QOS = Qos(
    QosHistory.KEEP_LAST, 10, QosReliability.RELIABLE, QosDurability.VOLATILE, TIME, TIME,
    QosLiveliness.AUTOMATIC, TIME, False,
)  # fmt: skip
Messages = list[tuple[int, bytes]]


def stamp(index: int) -> int:
    return T0 + index * PERIOD


def header(ns: int):
    time = TYPES["builtin_interfaces/msg/Time"](sec=ns // 10**9, nanosec=ns % 10**9)
    return TYPES["std_msgs/msg/Header"](stamp=time, frame_id="camera")


def picture(index: int = 0) -> np.ndarray:
    """Red above, blue below, noise on the right, so that packed data does not shrink to nothing."""
    rgb = np.zeros((48, 64, 3), np.uint8)
    rgb[:24], rgb[24:] = (230, 30, 30), (20, 40, 220)
    rgb[:, 40:] = np.random.default_rng(index).integers(0, 255, (48, 24, 3))
    return rgb


def raw(ns: int, pixels: np.ndarray, encoding: str = "rgb8") -> bytes:
    data = np.ascontiguousarray(pixels).view(np.uint8).ravel()
    height, width = pixels.shape[:2]
    message = TYPES[IMAGE](
        header=header(ns), height=height, width=width, encoding=encoding, is_bigendian=0,
        step=data.size // height, data=data,
    )  # fmt: skip
    return bytes(STORE.serialize_cdr(message, IMAGE))


def packed(ns: int, data: bytes, form: str = "jpeg") -> bytes:
    message = TYPES[COMPRESSED](header=header(ns), format=form, data=np.frombuffer(data, np.uint8))
    return bytes(STORE.serialize_cdr(message, COMPRESSED))


def encoded(kind: str, rgb: np.ndarray) -> bytes:
    pixels = rgb[..., ::-1] if rgb.ndim == 3 else rgb
    return cv2.imencode(f".{kind}", pixels)[1].tobytes()


def images(first: int, end: int) -> Messages:
    return [(index, raw(stamp(index), picture(index))) for index in range(first, end)]


def jpegs(first: int, end: int) -> Messages:
    return [
        (index, packed(stamp(index), encoded("jpg", picture(index)))) for index in range(first, end)
    ]


def bag(
    path: Path, topics: dict[str, tuple[str, Messages]] | Messages, plugin=SQLITE, qos=(QOS,),
    mode: CompressionMode | None = None,
) -> Path:  # fmt: skip
    """A folder of rosbag2: messages of the camera, or of several topics with their types."""
    writer = Writer(path, version=9, storage_plugin=plugin)
    if mode is not None:
        writer.set_compression(mode, CompressionFormat.ZSTD)
    listed = topics if isinstance(topics, dict) else {TOPIC: (IMAGE, topics)}
    with writer:
        for topic, (kind, messages) in listed.items():
            connection = writer.add_connection(
                topic, kind, typestore=STORE, offered_qos_profiles=list(qos)
            )
            for index, data in messages:
                writer.write(connection, stamp(index), data)
    return path


def data_file(path: Path) -> Path:
    (found,) = (item for item in path.iterdir() if item.suffix in (".mcap", ".db3", ".zstd"))
    return found


def edited(path: Path, change) -> Path:
    """Changes metadata.yaml as a user does."""
    file = path / "metadata.yaml"
    values = yaml.safe_load(file.read_text())
    change(values["rosbag2_bagfile_information"])
    file.write_text(yaml.safe_dump(values))
    return path


def topic_of(information: dict) -> dict:
    return information["topics_with_message_count"][0]["topic_metadata"]


def joined(path: Path, parts: list[Path], names: list[str] | None = None) -> Path:
    """One split bag of several bags of one topic."""
    path.mkdir()
    infos = []
    for number, part in enumerate(parts):
        text = (part / "metadata.yaml").read_text()
        info = yaml.safe_load(text)["rosbag2_bagfile_information"]
        old = data_file(part)
        name = names[number] if names else f"run_{number}{old.suffix}"
        (path / name).write_bytes(old.read_bytes())
        info["files"][0]["path"] = name
        infos.append(info)
    info = infos[0]
    info["files"] = [other["files"][0] for other in infos]
    info["relative_file_paths"] = [file["path"] for file in info["files"]]
    count = sum(other["message_count"] for other in infos)
    info["message_count"] = info["topics_with_message_count"][0]["message_count"] = count
    (path / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": info}))
    return path


# MCAP, record by record.
def _text(value: bytes) -> bytes:
    return struct.pack("<I", len(value)) + value


def record(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + struct.pack("<Q", len(body)) + body


def schema(number: int, name: bytes = b"sensor_msgs/msg/Image", encoding: bytes = b"ros2msg"):
    body = struct.pack("<H", number) + _text(name) + _text(encoding) + _text(b"Header header\n")
    return record(3, body)


def channel(number: int, schema_number: int, topic: str = TOPIC, encoding: bytes = b"cdr"):
    body = struct.pack("<HH", number, schema_number) + _text(topic.encode()) + _text(encoding)
    return record(4, body + _text(b""))


def message(number: int, index: int, data: bytes) -> bytes:
    return record(5, struct.pack("<HIQQ", number, index, stamp(index), stamp(index)) + data)


def messages(found: Messages, number: int = 1) -> bytes:
    return b"".join(message(number, index, data) for index, data in found)


def chunk(found: Messages, compression: str = "", checksum: bool = True) -> bytes:
    """A chunk with the index behind it, as recorders write it."""
    body = messages(found)
    data = {"": lambda d: d, "zstd": zstd.compress, "lz4": lz4.frame.compress}[compression](body)
    times = [stamp(index) for index, _ in found]
    head = struct.pack("<QQQI", min(times), max(times), len(body), crc32(body) if checksum else 0)
    head += _text(compression.encode()) + struct.pack("<Q", len(data))
    at, entries = 0, b""
    for index, item in found:
        entries += struct.pack("<QQ", stamp(index), at)
        at += len(message(1, index, item))
    return record(6, head + data) + record(7, struct.pack("<H", 1) + _text(entries))


MAGIC = b"\x89MCAP0\r\n"
CAMERA = schema(1) + channel(1, 1)


def mcap(path: Path, body: bytes, profile: bytes = b"ros2", whole: bool = True) -> Path:
    end = record(15, bytes(4)) + record(2, struct.pack("<QQI", 0, 0, 0)) + MAGIC if whole else b""
    path.write_bytes(MAGIC + record(1, _text(profile) + _text(b"test")) + body + end)
    return path


def cut(path: Path, share: float) -> Path:
    """Keeps a share of a file, or of the one data file of a bag."""
    file = data_file(path) if path.is_dir() else path
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    return path


def overwritten(path: Path, share: float, count: int) -> Path:
    """Zeroes some bytes of a file from a share of it on."""
    file = data_file(path) if path.is_dir() else path
    data = bytearray(file.read_bytes())
    at = int(len(data) * share)
    data[at : at + count] = bytes(count)
    file.write_bytes(data)
    return path
