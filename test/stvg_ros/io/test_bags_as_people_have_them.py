# SPDX-License-Identifier: Apache-2.0

"""One table of bags, read by every command's way to read: the same images, the same notes."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import damaged_recordings as made
import pytest
from damaged_recordings import CAMERA, COMPRESSED, IMAGE, MCAP, SQLITE, TOPIC, CompressionMode

from stvg_lab.annotator.jpeg_frames import open_recording as annotated
from stvg_ros.errors import RecordingError
from stvg_ros.io.clip import file_clip
from stvg_ros.io.read_report import ReadReport
from stvg_ros.io.recording import Source, open_bag, source_images

Build = Callable[[Path], Path]


SIX, TEN = made.images(0, 6), made.images(0, 10)
ZSTD_FILE, ZSTD_MESSAGE = CompressionMode.FILE, CompressionMode.MESSAGE


def recorded(plugin=SQLITE, mode: CompressionMode | None = None, topics=SIX) -> Build:
    return lambda path: made.bag(path / "run", topics, plugin, mode=mode)


def one_file(build: Build) -> Build:
    return lambda path: made.data_file(build(path))


def changed(build: Build, change: Build) -> Build:
    return lambda path: change(build(path))


def metadata(**values) -> Build:
    return lambda path: made.edited(path, lambda information: information.update(values))


def topic_metadata(**values) -> Build:
    return lambda path: made.edited(path, lambda found: made.topic_of(found).update(values))


def moved(path: Path) -> Path:
    """Written on another machine, by an old distribution."""
    name = f"/elsewhere/{made.data_file(path).name}"
    return made.edited(path, lambda information: information.update(relative_file_paths=[name]))


def no_metadata(path: Path) -> Path:
    (path / "metadata.yaml").unlink()
    return path


def broken_metadata(path: Path) -> Path:
    (path / "metadata.yaml").write_text("rosbag2_bagfile_information: [\n")
    return path


def split(path: Path, qos=(made.QOS,)) -> Path:
    second = made.bag(path / "b", TEN[5:], qos=qos)
    return made.joined(path / "run", [made.bag(path / "a", TEN[:5]), second])


def part_gone(path: Path) -> Path:
    run = split(path)
    (run / "run_1.db3").unlink()
    return run


def part_is_pointer(path: Path) -> Path:
    run = split(path)
    (run / "run_0.db3").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    return run


def eleven_parts(path: Path) -> Path:
    parts = [made.bag(path / f"p{i}", made.images(i, i + 1)) for i in range(11)]
    return no_metadata(made.joined(path / "run", parts))


def of_windows(path: Path) -> Path:
    def change(information) -> None:
        for file in information["files"]:
            file["path"] = f"C:\\bags\\run\\{file['path']}"
        information["relative_file_paths"] = [file["path"] for file in information["files"]]

    return made.edited(path, change)


def listed(names: Callable[[list[str]], object]) -> Build:
    """Another list of files in metadata.yaml."""

    def change(path: Path) -> Path:
        return made.edited(
            path,
            lambda found: found.update(relative_file_paths=names(found["relative_file_paths"])),
        )

    return change


def twelve_parts(path: Path) -> Path:
    parts = [made.bag(path / f"p{i}", made.images(i, i + 1)) for i in range(12)]
    return made.joined(path / "run", parts)


def named_by_hand(path: Path) -> Path:
    parts = [made.bag(path / "a", TEN[:5]), made.bag(path / "b", TEN[5:])]
    return made.joined(path / "run", parts, ["morning.db3", "evening.db3"])


def counter_first(path: Path) -> Path:
    """Files named as rosbag2 does since 2026: number, name and time."""
    parts = [made.bag(path / f"p{i}", made.images(i, i + 1)) for i in range(11)]
    names = [f"{i}_run_2026_01_01-10_00_{59 - i:02d}.db3" for i in range(11)]
    return no_metadata(made.joined(path / "run", parts, names))


def in_a_folder(path: Path) -> Path:
    (path / "parts").mkdir()
    made.data_file(path).rename(path / "parts" / "a.db3")
    return listed(lambda names: ["parts/a.db3"])(path)


def table(change: str) -> Build:
    """Messages in a table without a key, as a program that merges bags writes them."""

    def build(path: Path) -> Path:
        with closing(sqlite3.connect(made.data_file(path))) as base, base:
            base.execute("CREATE TABLE copied AS SELECT * FROM messages")
            base.execute("DROP TABLE messages")
            base.execute("ALTER TABLE copied RENAME TO messages")
            base.execute(f"UPDATE messages SET {change}")
        return path

    return build


def topic_twice(path: Path) -> Path:
    with closing(sqlite3.connect(made.data_file(path))) as base, base:
        base.execute("CREATE TABLE copied AS SELECT * FROM topics")
        base.execute("UPDATE copied SET id = 2")
        base.execute("INSERT INTO topics SELECT * FROM copied")
        base.execute("UPDATE messages SET topic_id = 2 WHERE id > 3")
    return path


def big_endian(path: Path) -> Path:
    def message(index: int) -> bytes:
        body = struct.pack(">iI", *divmod(made.stamp(index), 10**9))
        body += struct.pack(">I", 7) + b"camera\0\0" + struct.pack(">III", 48, 64, 5) + b"rgb8\0\0"
        body += bytes(-len(body) % 4) + struct.pack(">II", 3 * 64, 3 * 48 * 64)
        return b"\0\0\0\0" + body + made.picture(index).tobytes()

    return made.bag(path / "run", [(index, message(index)) for index in range(6)])


def chunk_without_index(path: Path) -> Path:
    """As `noMessageIndex` of the storage's settings gives it: the channel is in the chunk alone."""
    body = CAMERA + ALL
    head = struct.pack("<QQQI", made.stamp(0), made.stamp(5), len(body), 0) + struct.pack("<I", 0)
    return made.mcap(path / "run.mcap", made.record(6, head + struct.pack("<Q", len(body)) + body))


def its_metadata(path: Path) -> Path:
    return path / "metadata.yaml"


def column(name: str, value: object) -> Build:
    """Another value in the row of one message."""

    def change(path: Path) -> Path:
        with closing(sqlite3.connect(made.data_file(path))) as base, base:
            base.execute(f"UPDATE messages SET {name} = ? WHERE id = 6", (value,))
        return path

    return change


def two_bags(path: Path) -> Path:
    recorded()(path).rename(path / "first")
    recorded()(path).rename(path / "second")
    return path


def with_wal(path: Path) -> Path:
    """A recorder that was killed before SQLite merged its log."""
    run = made.bag(path / "run", SIX[:3])
    file = made.data_file(run)
    base = sqlite3.connect(file)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA wal_autocheckpoint = 0")
    sql = "INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)"
    base.executemany(sql, [(made.stamp(index), data) for index, data in SIX[3:]])
    base.commit()
    whole, log = file.read_bytes(), Path(f"{file}-wal").read_bytes()
    base.close()
    file.write_bytes(whole)
    Path(f"{file}-wal").write_bytes(log)
    return run


def without_index(path: Path) -> Path:
    with closing(sqlite3.connect(made.data_file(path))) as base, base:
        base.execute("DROP INDEX timestamp_idx")
    return path


def mcap(*parts: bytes, **named) -> Build:
    return lambda path: made.mcap(path / "run.mcap", CAMERA + b"".join(parts), **named)


def typed(name: bytes) -> Build:
    body = made.schema(1, name) + made.channel(1, 1) + made.messages(SIX)
    return lambda path: made.mcap(path / "run.mcap", body)


def chunks(compression: str) -> bytes:
    return made.chunk(SIX[:3], compression) + made.chunk(SIX[3:], compression)


def cut(share: float) -> Build:
    return lambda path: made.cut(path, share)


def last_chunk_damaged(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    at = data.rfind(b"\x28\xb5\x2f\xfd")  # zstd
    data[at : at + 8] = bytes(8)
    path.write_bytes(data)
    return path


def zeroed(share: float, count: int) -> Build:
    return lambda path: made.overwritten(path, share, count)


def named(name: str) -> Build:
    return lambda path: path.rename(path.with_name(name))


GREY = made.picture()[..., 0]
DEPTH = (IMAGE, [(i, made.raw(made.stamp(i), GREY.astype("u2"), "16UC1")) for i in range(3)])
PNG = b"\0" * 12 + made.encoded("png", GREY)
PACKED_DEPTH = (COMPRESSED, [(0, made.packed(made.T0, PNG, "16UC1; compressedDepth png"))])
COLOUR = (IMAGE, SIX)
JPEGS = (COMPRESSED, made.jpegs(0, 6))
UNSTAMPED = [(i, made.raw(0, made.picture(i))) for i in range(6)]
ONE_ZERO = [*SIX[:5], (5, made.raw(0, made.picture(5)))]
FOREIGN = made.schema(2, b"foxglove.Log", b"jsonschema") + made.channel(2, 2, "/log", b"json")
ALL = made.messages(SIX)
EXTRA = made.record(12, bytes(8)) + made.record(200, b"of another program")
BOTH = {"/camera/image": COLOUR, "/camera/image/compressed": JPEGS}
FEWER = {"/camera/image": (IMAGE, SIX[:2]), "/camera/image/compressed": JPEGS}
ODD_ONE = (3, SIX[3][1][:8] + struct.pack("<I", 2 * 10**9) + SIX[3][1][12:])
SAME_STAMP = [(i, made.raw(made.stamp(i // 2), made.picture(i))) for i in range(8)]
TWICE = made.channel(2, 1) + made.messages(SIX[::2]) + made.messages(SIX[1::2], 2)

# Name, builder, images that are there, and a word of the notes ("" for none).
TABLE: list[tuple[str, Build, int, str]] = [
    ("whole SQLite", recorded(), 6, ""),
    ("whole MCAP", recorded(MCAP), 6, ""),
    ("no metadata.yaml", changed(recorded(), no_metadata), 6, "has no metadata.yaml"),
    ("broken metadata.yaml", changed(recorded(), broken_metadata), 6, "cannot be read"),
    ("other QoS", changed(recorded(), topic_metadata(offered_qos_profiles="")), 6, ""),
    ("other hash", changed(recorded(), topic_metadata(type_description_hash="RIHS01_0")), 6, ""),
    ("no storage named", changed(recorded(MCAP), metadata(storage_identifier="")), 6, ""),
    ("a newer version", changed(recorded(), metadata(version=12)), 6, ""),
    ("of another machine", changed(recorded(), moved), 6, ""),
    ("of a Windows machine", changed(recorded(), of_windows), 6, ""),
    ("its metadata.yaml", changed(recorded(), its_metadata), 6, ""),
    ("a time that is text", changed(recorded(), column("timestamp", "soon")), 5, "no time"),
    ("a topic that is text", changed(recorded(), column("topic_id", "camera")), 5, "no time"),
    ("a time that is a fraction", changed(recorded(), column("timestamp", 0.5)), 5, "no time"),
    ("text for a message", changed(recorded(), column("data", "abc")), 5, "too short"),
    ("split", split, 10, ""),
    ("split, other QoS", lambda path: split(path, ()), 10, ""),
    ("split, a part gone", part_gone, 5, "run_1.db3, which is not there"),
    ("split, a part is a pointer", part_is_pointer, 5, "git lfs pull"),
    ("eleven parts by their numbers", eleven_parts, 11, "has no metadata.yaml"),
    ("its own .db3", one_file(recorded()), 6, ""),
    ("its own .mcap", one_file(recorded(MCAP)), 6, ""),
    ("zstd by message", recorded(MCAP, ZSTD_MESSAGE), 6, ""),
    ("zstd by message, .mcap", one_file(recorded(MCAP, ZSTD_MESSAGE)), 6, ""),
    ("zstd by message, .db3", one_file(recorded(SQLITE, ZSTD_MESSAGE)), 6, ""),
    ("zstd by file", recorded(MCAP, ZSTD_FILE), 6, ""),
    ("zstd by file, .mcap", one_file(recorded(MCAP, ZSTD_FILE)), 6, ""),
    ("zstd by file, .db3", changed(recorded(SQLITE, ZSTD_FILE), no_metadata), 6, "no metadata"),
    ("no profile", mcap(ALL, profile=b""), 6, ""),
    ("named otherwise", changed(mcap(ALL), named("run.bin")), 6, ""),
    ("chunks of zstd", mcap(chunks("zstd")), 6, ""),
    ("chunks of lz4", mcap(chunks("lz4")), 6, ""),
    ("out of order", mcap(made.messages(SIX[3:]), made.messages(SIX[:3])), 6, ""),
    ("chunks that overlap", mcap(made.chunk(SIX[::2]), made.chunk(SIX[1::2])), 6, ""),
    ("killed", mcap(ALL, whole=False), 6, "ends early"),
    ("killed, cut", changed(mcap(ALL, whole=False), cut(0.7)), 4, "ends early"),
    ("killed, chunk", changed(mcap(chunks(""), whole=False), cut(0.7)), 4, "ends early"),
    ("killed, zstd", changed(mcap(chunks("zstd"), whole=False), cut(0.7)), 3, "ends early"),
    ("killed, lz4", changed(mcap(chunks("lz4"), whole=False), cut(0.7)), 3, "ends early"),
    ("killed, reindexed", changed(recorded(MCAP), cut(0.5)), 3, "ends early"),
    ("a damaged chunk", changed(mcap(chunks("zstd")), last_chunk_damaged), 3, "damaged"),
    ("wrong checksum", changed(mcap(chunks("")), zeroed(0.3, 8)), 6, "checksum"),
    ("a log beside", with_wal, 6, ""),
    ("pages missing", changed(recorded(topics=made.images(0, 40)), cut(0.6)), 23, "damaged"),
    ("no index in SQLite", changed(recorded(), without_index), 6, ""),
    ("an empty message", recorded(topics=[*SIX[:5], (5, b"")]), 5, "too short"),
    ("a short message", recorded(MCAP, topics=[*SIX[:5], (5, b"\0\1\0\0\1\2")]), 5, "too short"),
    ("a JSON channel beside", mcap(FOREIGN, made.message(2, 0, b"{}"), ALL), 6, ""),
    ("two channels of the topic", mcap(TWICE), 6, ""),
    ("type without msg", typed(b"sensor_msgs/Image"), 6, ""),
    ("type of the middleware", typed(b"sensor_msgs::msg::dds_::Image_"), 6, ""),
    ("JPEG images", recorded(topics={TOPIC: JPEGS}), 6, ""),
    ("depth beside", recorded(topics={"/colour": COLOUR, "/depth": DEPTH}), 6, ""),
    ("compressedDepth beside", recorded(topics={"/c": JPEGS, "/d": PACKED_DEPTH}), 6, ""),
    ("no stamps", recorded(topics=UNSTAMPED), 6, "no stamps"),
    ("one stamp of zero", recorded(topics=ONE_ZERO), 5, "a stamp of zero"),
    ("a colon in the name", lambda path: made.bag(path / "10:30", SIX), 6, ""),
    ("a file listed twice", changed(recorded(), listed(lambda names: names * 2)), 6, ""),
    ("files listed by name", changed(twelve_parts, listed(sorted)), 12, ""),
    ("files listed backwards", changed(split, listed(lambda names: names[::-1])), 10, ""),
    ("files named by hand", named_by_hand, 10, ""),
    ("the number first", counter_first, 11, "has no metadata.yaml"),
    ("one file and no list", changed(recorded(), listed(lambda names: names[0])), 6, ""),
    ("a number for the files", changed(recorded(), listed(lambda names: 5)), 6, ""),
    ("no files listed", changed(recorded(), listed(lambda names: None)), 6, ""),
    ("a file in a folder", changed(recorded(), in_a_folder), 6, ""),
    ("messages without numbers", changed(recorded(), table("id = NULL")), 6, ""),
    ("messages of one number", changed(recorded(), table("id = 1")), 6, ""),
    ("large numbers", changed(recorded(), table("id = id + 9000000000")), 6, ""),
    ("a message of nothing", changed(recorded(), table("data = NULL WHERE id = 6")), 5, "short"),
    ("the topic twice", changed(recorded(), topic_twice), 6, ""),
    ("big-endian", big_endian, 6, ""),
    ("a chunk without an index", chunk_without_index, 6, ""),
    ("records of other programs", mcap(EXTRA, ALL, EXTRA), 6, ""),
    ("the camera raw and compressed", recorded(topics=BOTH), 6, "/camera/image (6 messages) is"),
    ("the camera mostly compressed", recorded(topics=FEWER), 6, "compressed (6 messages) is"),
    ("an impossible stamp", recorded(topics=[*SIX[:3], ODD_ONE, *SIX[4:]]), 5, "is no time"),
]


@pytest.mark.parametrize(
    ("build", "count", "note"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_everybody_reads_what_is_there(build: Build, count: int, note: str, tmp_path: Path) -> None:
    path = build(tmp_path)
    report = ReadReport()
    clip = file_clip(path, start_s=0, end_s=None, long_side_px=640, max_rate_hz=0, report=report)
    images = [image for image in source_images(Source(str(path))) if image.stamp_ns >= 0]
    page = annotated(path)
    shown = [next(iter(page.pictures(index)))[1] for index in range(len(page.stamps_ns))]
    bag = open_bag(path)
    published = [image for image in bag.messages() if not image.error]
    stamps = clip.stamps_ns.tolist()
    assert len(stamps) == count
    assert [image.stamp_ns for image in images] == stamps
    assert page.stamps_ns.tolist() == stamps
    assert [image.stamp_ns for image in published] == stamps
    assert all((a.image == b).all() for a, b in zip(clip.frames, shown, strict=True))
    assert note in " ".join(report.sentences)
    assert bool(note) == bool(report.sentences)
    assert report.sentences == bag.report.sentences
    assert page.notes == report.sentences
    page.close()
    bag.close()
    assert not list(tmp_path.rglob("*-shm"))


def test_times_and_pixels_are_those_that_were_recorded(tmp_path: Path) -> None:
    path = mcap(chunks("zstd"))(tmp_path)
    clip = file_clip(path, start_s=0, end_s=None, long_side_px=640, max_rate_hz=0)
    assert clip.stamps_ns.tolist() == [made.stamp(index) for index in range(6)]
    assert all((f.image == made.picture(i)).all() for i, f in enumerate(clip.frames))


def bytes_of(data: bytes, name: str = "run.mcap") -> Build:
    def build(path: Path) -> Path:
        (path / name).write_bytes(data)
        return path / name

    return build


def other_encoding(encoding: bytes, name: bytes, definition: bytes) -> Build:
    body = made.schema(1, name, definition) + made.channel(1, 1, TOPIC, encoding)
    return lambda path: made.mcap(path / "run.mcap", body + made.message(1, 0, b"abc"), profile=b"")


def empty_folder(path: Path) -> Path:
    (path / "run").mkdir()
    return path / "run"


SEVERAL = {"/left": COLOUR, "/right": (IMAGE, TEN)}
LFS = b"version https://git-lfs.github.com/spec/v1\n"
PROTOBUF = other_encoding(b"protobuf", b"foxglove.CompressedImage", b"protobuf")
REFUSED: list[tuple[str, Build, str | None, tuple[str, ...]]] = [
    ("ROS 1", bytes_of(b"#ROSBAG V2.0\n" + bytes(99), "a.bag"), None, ("ROS 1", "rosbags-convert")),
    ("Git LFS", bytes_of(LFS), None, ("git lfs pull",)),
    ("Git LFS .db3", bytes_of(LFS, "a.db3"), None, ("git lfs pull",)),
    ("empty", bytes_of(b""), None, ("it is empty",)),
    ("text", bytes_of(b"hello, this is no recording"), None, ("neither MCAP nor SQLite",)),
    ("only the magic", bytes_of(made.MAGIC), None, ("no message is left",)),
    ("other SQLite", bytes_of(b"SQLite format 3\0" + bytes(84), "a.db3"), None, ("SQLite",)),
    ("ROS 1 in MCAP", other_encoding(b"ros1", b"sensor_msgs/Image", b"ros1msg"), None, ("ROS 1",)),
    ("protobuf", PROTOBUF, None, ("protobuf", "sensor_msgs")),
    ("JSON only", other_encoding(b"json", b"foxglove.Log", b"jsonschema"), None, ("json",)),
    ("a folder of bags", two_bags, None, ("name one of its bags", "first")),
    ("empty folder", empty_folder, None, (".mcap or .db3",)),
    ("depth only", recorded(topics={"/depth": DEPTH}), None, ("depth only",)),
    ("depth wanted", recorded(topics={"/c": COLOUR, "/d": DEPTH}), "/d", ("depth images", "/c")),
    ("two cameras", recorded(topics=SEVERAL), None, ("/left, /right", "--topic")),
    ("unknown topic", recorded(topics=SEVERAL), "/up", ("'/up'", "/left, /right")),
    ("nothing there", lambda path: path / "none.mcap", None, ("no such recording",)),
]


@pytest.mark.parametrize(
    ("build", "topic", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_cannot_be_read_is_named(
    build: Build, topic: str | None, words: tuple[str, ...], tmp_path: Path
) -> None:
    path = build(tmp_path)
    texts = []
    for read in (
        lambda: file_clip(
            path, start_s=0, end_s=None, long_side_px=640, max_rate_hz=0, topic=topic
        ),
        lambda: list(source_images(Source(str(path), topic=topic or ""))),
        lambda: annotated(path, topic),
        lambda: open_bag(path, topic),
    ):
        with pytest.raises(RecordingError) as caught:
            read()
        texts.append(str(caught.value))
    assert len(set(texts)) == 1
    assert all(word in texts[0] for word in words)
    assert "reindex" not in texts[0]


def test_a_named_topic_of_several(tmp_path: Path) -> None:
    path = recorded(topics=SEVERAL)(tmp_path)
    clip = file_clip(path, start_s=0, end_s=None, long_side_px=640, max_rate_hz=0, topic="/right")
    assert len(clip) == 10


@pytest.mark.parametrize("place", range(12))
def test_any_byte_may_be_wrong(place: int, tmp_path: Path) -> None:
    """Whatever is damaged: images, or one clear error."""
    for number, body in enumerate((ALL, chunks("zstd"))):
        (tmp_path / str(number)).mkdir()
        path = made.overwritten(mcap(body)(tmp_path / str(number)), place / 12, 30)
        try:
            frames = list(file_clip(
                path, start_s=0, end_s=None, long_side_px=640, max_rate_hz=0
            ).frames)  # fmt: skip
        except RecordingError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            assert 0 < len(frames) <= 6


def test_the_stamp_of_a_too_short_message_is_no_struct_error(tmp_path: Path) -> None:
    data = b"\0\1\0\0" + struct.pack("<i", 5)
    path = made.bag(tmp_path / "run", [(0, data), *SIX[1:3]])
    with closing(annotated(path)) as page:
        assert page.stamps_ns.tolist() == [made.stamp(1), made.stamp(2)]


@pytest.mark.parametrize("storage", [SQLITE, MCAP])
@pytest.mark.parametrize("kept", [1, 2, 3, 4])
def test_images_that_are_not_later_are_counted(storage, kept: int, tmp_path: Path) -> None:
    """Two publishers on one topic, or a driver that sends each image twice."""
    path = made.bag(tmp_path / "run", SAME_STAMP[: 2 * kept], storage)
    report = ReadReport()
    clip = file_clip(path, start_s=0, end_s=None, long_side_px=640, max_rate_hz=0, report=report)
    assert clip.stamps_ns.tolist() == [made.stamp(i) for i in range(kept)]
    assert f"not later than those before: {kept} images" in " ".join(report.sentences)


@pytest.mark.parametrize("start_s", [0.0, 0.1, 0.25, 0.3])
def test_late_images_of_a_part_that_is_not_asked_for_stay_out(start_s: float, tmp_path) -> None:
    path = made.bag(tmp_path / "run", SAME_STAMP)
    clip = file_clip(path, start_s=start_s, end_s=None, long_side_px=640, max_rate_hz=0)
    wanted = [made.stamp(i) for i in range(4) if i >= 10 * start_s]
    assert clip.stamps_ns.tolist() == wanted
