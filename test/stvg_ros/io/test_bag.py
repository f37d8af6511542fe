# SPDX-License-Identifier: Apache-2.0

import os
import struct
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Writer
from rosbags.typesys import Stores, get_typestore

from stvg_ros.errors import RecordingError
from stvg_ros.io.bag import STORAGES, write_bag
from stvg_ros.io.bag_recording import RawMessage
from stvg_ros.io.image_messages import COMPRESSED, IMAGE
from stvg_ros.io.mcap_file import McapFile
from stvg_ros.io.recording import open_bag, read_frames
from stvg_ros.types import Frame

STAMPS = (1_700_000_000_123_456_789, 1_700_000_000_223_456_789, 1_700_000_000_323_456_789)


def frames() -> list[Frame]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (len(STAMPS), 4, 6, 3), np.uint8)
    images = coarse.repeat(8, 1).repeat(8, 2)
    return [Frame(s, i, 48, 32, "cam") for s, i in zip(STAMPS, images, strict=True)]


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_raw_images_come_back_exactly(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "bag"
    assert write_bag(path, frames(), topic="/cam", storage=storage) == 3
    found = open_bag(path)
    assert (found.topic, found.type, len(list(found.images()))) == ("/cam", IMAGE, 3)
    back = list(read_frames(path))
    assert tuple(f.stamp_ns for f in back) == STAMPS
    assert all(np.array_equal(a.image, b.image) for a, b in zip(back, frames(), strict=True))
    assert back[0].frame_id == "cam"
    assert back[0].source_width_px == 48
    assert [m.raw.recorded_ns for m in found.images()] == list(STAMPS)
    assert [m.raw.stamp_ns for m in found.images()] == list(STAMPS)
    ((_, middle),) = found.at(found.scan()[1][1], STAMPS[1])
    assert middle.stamp_ns == middle.raw.stamp_ns == STAMPS[1]
    assert found.report.sentences == ()
    found.close()


def test_the_stamp_of_a_message_in_either_order_of_bytes() -> None:
    fields = (1_700_000_000, 5)
    for order, mark in (("<", 1), (">", 0)):
        message = RawMessage(0, bytes([0, mark, 0, 0]) + struct.pack(f"{order}iI", *fields))
        assert message.stamp_ns == 1_700_000_000_000_000_005


@pytest.mark.parametrize("storage", ["sqlite3", "mcap"])
def test_compressed_images_come_back_in_rgb(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "bag"
    image = np.zeros((32, 48, 3), np.uint8)
    image[..., 0] = 220
    write_bag(path, [Frame(5, image, 48, 32)], storage=storage, compressed=True)
    with closing(open_bag(path)) as bag:
        assert bag.type == COMPRESSED
    (back,) = read_frames(path)
    assert np.abs(back.image.astype(int) - image).max() < 12


def test_missing_and_wrong_topics(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such recording"):
        open_bag(tmp_path / "none")
    write_bag(tmp_path / "bag", frames(), topic="/cam")
    with pytest.raises(RecordingError, match="no image topic '/other'; image topics in it: /cam"):
        next(read_frames(tmp_path / "bag", "/other"))
    write_bag(tmp_path / "empty", [])
    with pytest.raises(RecordingError, match="expected an image topic with messages"):
        open_bag(tmp_path / "empty")


@pytest.mark.parametrize(
    ("storage", "kept"),
    [("sqlite3", 0.0), ("sqlite3", 0.1), ("sqlite3", 0.6), ("mcap", 0.0), ("mcap", 0.1)],
)
def test_truncated_recordings_say_so(tmp_path: Path, storage: str, kept: float) -> None:
    path = tmp_path / "bag"
    write_bag(path, frames(), storage=storage)
    (data,) = (p for p in path.iterdir() if p.suffix != ".yaml")
    whole = data.read_bytes()
    data.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(RecordingError, match="cannot be read as a rosbag2 recording"):
        list(read_frames(path))


@pytest.mark.parametrize("kept", [0.1, 0.4])
def test_a_file_that_cannot_be_read_is_closed(tmp_path: Path, kept: float) -> None:
    write_bag(tmp_path / "bag", frames(), storage="sqlite3")
    (data,) = (tmp_path / "bag").glob("*.db3")
    whole = data.read_bytes()
    data.write_bytes(whole[: int(len(whole) * kept)].ljust(len(whole), b"\x03"))
    with pytest.raises(RecordingError, match="cannot be read as a rosbag2 recording") as caught:
        open_bag(tmp_path / "bag")
    assert not opened(tmp_path), f"only `close` closes what {caught} refers to"


def test_a_file_whose_reading_fails_is_closed(tmp_path: Path, monkeypatch) -> None:
    def broken(self: McapFile, at: int, size: int) -> bytes:
        raise OSError("the disk is gone")

    write_bag(tmp_path / "bag", frames(), storage="mcap")
    monkeypatch.setattr(McapFile, "_bytes", broken)
    with pytest.raises(OSError, match="the disk is gone") as caught:
        open_bag(tmp_path / "bag")
    assert not opened(tmp_path), f"only `close` closes what {caught} refers to"


def opened(folder: Path) -> list[str]:
    """The open files of this process below a folder."""
    numbers = Path("/proc/self/fd")
    names = [os.readlink(number) for number in numbers.iterdir() if number.is_symlink()]
    return [name for name in names if name.startswith(f"{folder}{os.sep}")]


def test_refuses_to_overwrite_and_unknown_storage(tmp_path: Path) -> None:
    write_bag(tmp_path / "bag", frames())
    with pytest.raises(RecordingError, match="does not exist yet"):
        write_bag(tmp_path / "bag", frames())
    with pytest.raises(RecordingError, match="storage: expected one of sqlite3, mcap, got 'zip'"):
        write_bag(tmp_path / "other", frames(), storage="zip")


@pytest.mark.parametrize(
    ("storage", "mode"),
    [("sqlite3", "MESSAGE"), ("sqlite3", "FILE"), ("mcap", "FILE"), ("mcap", "STORAGE")],
)
def test_zstd_compression_of_every_kind_is_read(tmp_path: Path, storage: str, mode: str) -> None:
    write_bag(tmp_path / "plain", frames(), topic="/cam")
    writer = Writer(tmp_path / "zstd", version=9, storage_plugin=STORAGES[storage])
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    store = get_typestore(Stores.ROS2_JAZZY)
    with writer, closing(open_bag(tmp_path / "plain")) as plain:
        connection = writer.add_connection("/cam", IMAGE, typestore=store)
        for image in plain.images():
            writer.write(connection, image.raw.recorded_ns, image.raw.data)
    back = list(read_frames(tmp_path / "zstd"))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(back, frames(), strict=True))
    (data,) = (p for p in (tmp_path / "zstd").iterdir() if p.suffix != ".yaml")
    assert b"\x28\xb5\x2f\xfd" in data.read_bytes()  # zstd
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    if (storage, mode) == ("mcap", "STORAGE"):  # the first images of a packed chunk are there
        part = list(read_frames(tmp_path / "zstd"))
        assert part
        assert all(np.array_equal(a.image, b.image) for a, b in zip(part, back, strict=False))
        return
    with pytest.raises(RecordingError, match="cannot be read as a rosbag2 recording"):
        list(read_frames(tmp_path / "zstd"))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8", "mono16", "bayer_rggb8"])
def test_padded_rows_and_other_encodings(tmp_path: Path, encoding: str) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    types = store.types
    pixel = {"rgb8": [200, 100, 50], "bgr8": [50, 100, 200], "mono8": [90], "mono16": [7, 90]}
    row = np.tile(np.array(pixel.get(encoding, [90]), np.uint8), 6)
    rows = np.pad(np.tile(row, (4, 1)), ((0, 0), (0, 5)), constant_values=255)
    header = types["std_msgs/msg/Header"](
        stamp=types["builtin_interfaces/msg/Time"](sec=1, nanosec=2), frame_id="cam"
    )
    message = types[IMAGE](
        header=header, height=4, width=6, encoding=encoding, is_bigendian=0, step=rows.shape[1],
        data=rows.ravel(),
    )  # fmt: skip
    with Writer(tmp_path / "bag", version=9) as writer:
        connection = writer.add_connection("/cam", IMAGE, typestore=store)
        writer.write(connection, 7, store.serialize_cdr(message, IMAGE))
    (frame,) = read_frames(tmp_path / "bag")
    wanted = [200, 100, 50] if encoding in ("rgb8", "bgr8") else [90, 90, 90]
    assert frame.image.shape == (4, 6, 3)
    assert (frame.image == wanted).all()
    assert (frame.stamp_ns, frame.frame_id) == (1_000_000_002, "cam")
