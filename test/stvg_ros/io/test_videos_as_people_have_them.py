# SPDX-License-Identifier: Apache-2.0

"""Videos of phones, cut files, streams without times: read by every command in the same way."""

from __future__ import annotations

import os
import struct
import wave
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stvg_lab.annotator.jpeg_frames import open_recording as annotated
from stvg_ros.errors import RecordingError
from stvg_ros.io import video_recording
from stvg_ros.io.clip import file_clip
from stvg_ros.io.read_report import ReadReport
from stvg_ros.io.recording import Source, open_bag, source_images
from stvg_ros.io.video import write_video
from stvg_ros.types import Frame
from stvg_ros.window import Window

Build = Callable[[Path], Path]
RATE = 10


def clip_of(path: Path, report: ReadReport | None = None, **part):
    asked = {"start_s": 0.0, "end_s": None, "long_side_px": 640, "max_rate_hz": 0.0, **part}
    return file_clip(path, report=report, **asked)


def noise(index: int, width: int = 64, height: int = 48) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 255, (height, width, 3), np.uint8)


def encode(container, stream, count: int, first: int = 0, size=(64, 48)) -> None:
    for index in range(first, first + count):
        frame = av.VideoFrame.from_ndarray(noise(index, *size), format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, RATE)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def video(
    path: Path, name: str, codec: str = "libx264", kind: str | None = None, count: int = 20,
    first: int = 0, size=(64, 48), options: dict[str, str] | None = None, pixels: str = "",
    key_frames: int = 12, between: int = 0,
) -> Path:  # fmt: skip
    file = path / name
    with av.open(str(file), "w", format=kind, options=options or {}) as container:
        kinds = {"bf": str(between), "g": str(key_frames)}
        stream = container.add_stream(codec, rate=RATE, options=kinds)
        stream.width, stream.height = size
        stream.pix_fmt = pixels or ("yuvj420p" if codec == "mjpeg" else "yuv420p")
        encode(container, stream, count, first, size)
    return file


def cut(share: float, options: dict[str, str] | None = None, name: str = "a.mp4") -> Build:
    def build(path: Path) -> Path:
        file = video(path, name, count=40, options=options)
        file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
        return file

    return build


FAST = {"movflags": "faststart"}


def damaged(path: Path) -> Path:
    """The first bytes of a frame in the middle are overwritten: its decoder rejects it."""
    file = path / "a.mp4"
    write_video(file, map(noise, range(40)), [i * 10**8 for i in range(40)])
    data = bytearray(file.read_bytes())
    with av.open(str(file)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    at = packets[20].pos
    data[at : at + 400] = bytes(400)
    file.write_bytes(data)
    return file


def joined(path: Path, sizes: list[tuple[int, int]], firsts: list[int]) -> Path:
    parts = [
        video(path, f"{number}.ts", kind="mpegts", size=size, first=first).read_bytes()
        for number, (size, first) in enumerate(zip(sizes, firsts, strict=True))
    ]
    (path / "all.ts").write_bytes(b"".join(parts))
    return path / "all.ts"


def three_streams(path: Path) -> Path:
    """A recorder with two cameras and a preview: the largest of them."""
    file = path / "three.mkv"
    with av.open(str(file), "w") as container:
        streams = []
        for size in ((32, 24), (64, 48), (48, 32)):
            stream = container.add_stream("libx264", rate=RATE)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            streams.append((stream, size))
        for stream, size in streams:
            encode(container, stream, 20, 0, size)
    return file


def with_cover(path: Path, attached: bool, first: bool = True) -> Path:
    file = path / "cover.mkv"
    with av.open(str(file), "w") as container:
        kinds = ["mjpeg", "libx264"] if first else ["libx264", "mjpeg"]
        added = {codec: container.add_stream(codec, rate=1 if codec == "mjpeg" else RATE)
                 for codec in kinds}  # fmt: skip
        cover, stream = added["mjpeg"], added["libx264"]
        cover.width = cover.height = 128
        cover.pix_fmt = "yuvj420p"
        kind = av.stream.Disposition
        cover.disposition = kind.attached_pic if attached else kind(0)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.disposition = kind.default
        picture = av.VideoFrame.from_ndarray(noise(0, 128, 128), format="rgb24")
        picture.pts = 0
        container.mux(cover.encode(picture))
        container.mux(cover.encode(None))
        encode(container, stream, 20)
    return file


def with_preview(first: bool, default: bool, small: str = "libx264") -> Build:
    """A small stream before or after the large one, which FFmpeg prefers if it is the default."""

    def build(path: Path) -> Path:
        file = path / "two.mkv"
        kind = av.stream.Disposition
        with av.open(str(file), "w") as container:
            streams = []
            for size in ((32, 24), (64, 48)) if first else ((64, 48), (32, 24)):
                is_small = size == (32, 24)
                stream = container.add_stream(small if is_small else "libx264", rate=RATE)
                stream.width, stream.height = size
                stream.pix_fmt = "yuvj420p" if is_small and small == "mjpeg" else "yuv420p"
                stream.disposition = kind.default if is_small == default else kind(0)
                streams.append((stream, size))
            for stream, size in streams:
                encode(container, stream, 20, 0, size)
        return file

    return build


def still(kind: str) -> Build:
    def build(path: Path) -> Path:
        cv2.imwrite(str(path / f"a.{kind}"), noise(0)[..., ::-1])
        return path / f"a.{kind}"

    return build


def without_head(path: Path) -> Path:
    """The start of a transport stream is missing: the first pictures have no key frame."""
    file = video(path, "a.ts", kind="mpegts", key_frames=8)
    data = file.read_bytes()
    file.write_bytes(data[len(data) * 3 // 10 // 188 * 188 :])
    return file


def longer(build: Build, zeros: int) -> Build:
    """Zeroes behind the file, as a recovered one has."""

    def changed(path: Path) -> Path:
        file = build(path)
        file.write_bytes(file.read_bytes() + bytes(zeros))
        return file

    return changed


FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


def old_avi(path: Path) -> Path:
    return video(path, "old.avi", "mpeg4")


# Name, builder, frames that are there, and a word of the notes ("" for none).
TABLE: list[tuple[str, Build, int | range, str]] = [
    ("MP4", lambda path: video(path, "a.mp4"), 20, ""),
    ("Matroska", lambda path: video(path, "a.mkv"), 20, ""),
    ("AVI", old_avi, 20, ""),
    ("MPEG transport stream", lambda path: video(path, "a.ts", kind="mpegts"), 20, ""),
    ("a colon in the name", lambda path: video(path, "a.mp4").rename(path / "10:30.mp4"), 20, ""),
    ("a per cent sign", lambda path: video(path, "a.mp4").rename(path / "50%d #?.mp4"), 20, ""),
    ("cut at 30 %", cut(0.3, FAST), range(8, 13), "lost"),
    ("cut at 60 %", cut(0.6, FAST), range(20, 25), "lost"),
    ("cut at 95 %", cut(0.95, FAST), range(35, 39), "lost"),
    ("cut Matroska", cut(0.6, None, "a.mkv"), range(20, 26), ""),
    ("cut transport stream", cut(0.6, None, "a.ts"), range(20, 26), ""),
    ("a damaged frame", damaged, 39, "damaged"),
    ("a cover first", lambda path: with_cover(path, False), 20, ""),
    ("a cover that says so", lambda path: with_cover(path, True), 20, ""),
    ("a preview first", with_preview(True, False), 20, ""),
    ("a preview that is the default", with_preview(True, True), 20, ""),
    ("a preview behind", with_preview(False, False), 20, ""),
    ("a preview behind that is the default", with_preview(False, True), 20, ""),
    ("a preview of still pictures", with_preview(True, True, "mjpeg"), 20, ""),
    ("three streams", three_streams, 20, ""),
    ("a small stream of many frames", with_preview(True, True, "mpeg4"), 20, ""),
    ("a cover behind", lambda path: with_cover(path, True, first=False), 20, ""),
    (
        "a cover behind that does not say so",
        lambda path: with_cover(path, False, first=False),
        20,
        "",
    ),
    ("times begin anew", lambda path: joined(path, [(64, 48)] * 2, [30, 0]), range(38, 41), "jump"),
    ("raw H.264", lambda path: video(path, "a.h264", kind="h264"), 20, ""),
    ("raw H.265", lambda path: video(path, "a.hevc", "libx265", "hevc"), 20, ""),
    ("raw MPEG-4", lambda path: video(path, "a.m4v", "mpeg4", "m4v"), 20, ""),
    ("GIF", lambda path: video(path, "a.gif", "gif", pixels="rgb8"), 20, ""),
    ("WebM", lambda path: video(path, "a.webm", "libvpx-vp9"), 20, ""),
    ("Flash", lambda path: video(path, "a.flv", "flv"), 20, ""),
    ("MJPEG in AVI", lambda path: video(path, "a.avi", "mjpeg"), 20, ""),
    ("10 bits", lambda path: video(path, "a.mp4", pixels="yuv420p10le"), 20, ""),
    ("grey of 16 bits", lambda path: video(path, "a.mkv", "ffv1", pixels="gray16le"), 20, ""),
    ("with alpha", lambda path: video(path, "a.mkv", "ffv1", pixels="bgra"), 20, ""),
    ("frames out of order", lambda path: video(path, "a.mp4", between=3), 20, ""),
    ("fragmented", lambda path: video(path, "a.mp4", options=FRAGMENTS), 20, ""),
    ("fragmented and cut", cut(0.6, FRAGMENTS), range(15, 30), "lost"),
    ("the start is missing", without_head, range(8, 17), ""),
    ("zeroes behind", longer(lambda path: video(path, "a.mp4"), 10**5), 20, ""),
    (
        "zeroes behind a stream",
        longer(lambda path: video(path, "a.ts", kind="mpegts"), 1880),
        20,
        "",
    ),
    ("begins an hour later", lambda path: video(path, "a.mkv", first=36_000), 20, ""),
]


@pytest.mark.parametrize(
    ("build", "count", "note"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_everybody_reads_what_is_there(
    build: Build, count: int | range, note: str, tmp_path: Path, monkeypatch
) -> None:
    path = build(tmp_path)
    monkeypatch.chdir(path.parent)
    path = Path(path.name)  # as a shell gives it
    report = ReadReport()
    clip = clip_of(path, report)
    images = [image for image in source_images(Source(str(path))) if image.picture is not None]
    page = annotated(path)
    assert len(clip) in count if isinstance(count, range) else len(clip) == count
    assert [image.stamp_ns for image in images] == clip.stamps_ns.tolist()
    assert clip.stamps_ns[0] == 0
    assert {frame.image.shape for frame in clip.frames} == {(48, 64, 3)}
    assert np.abs(np.diff(clip.stamps_ns) / 1e8 % 1 - 0.5).min() > 0.45  # steps of 0.1 s
    assert set(clip.stamps_ns.tolist()) <= set(page.stamps_ns.tolist())
    assert note in " ".join(report.sentences)
    if not note:
        assert page.stamps_ns.tolist() == clip.stamps_ns.tolist()
    for index in (0, len(clip) // 2, 1):
        (shown,) = (image for number, image in page.pictures(index) if number == index)
        row = clip.stamps_ns.tolist().index(int(page.stamps_ns[index]))
        assert np.abs(shown.astype(int) - clip.frames[row].image).mean() < 3
    page.close()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("avi", "mpeg4"), ("flv", "flv"), ("mkv", "libx264"), ("ts", "libx264"), ("webm", "libvpx")],
)
def test_the_page_shows_all_frames_of_a_cut_file(
    suffix: str, codec: str, share: float, tmp_path: Path
) -> None:
    path = video(tmp_path, f"a.{suffix}", codec, "mpegts" if suffix == "ts" else None, count=40)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    clip, page = clip_of(path), annotated(path)
    assert set(clip.stamps_ns.tolist()) <= set(page.stamps_ns.tolist())
    assert len(clip) <= len(page.stamps_ns) <= len(clip) + 1  # the last one may be cut
    page.close()


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "bmp"])
def test_a_picture_is_a_video_of_one_frame(kind: str, tmp_path: Path) -> None:
    path = still(kind)(tmp_path)
    clip, page = clip_of(path), annotated(path)
    assert (clip.stamps_ns.tolist(), page.stamps_ns.tolist()) == ([0], [0])
    ((number, shown),) = page.pictures(0)
    assert (number, shown.shape) == (0, (48, 64, 3))
    assert (shown == clip.frames[0].image).all()


@pytest.mark.parametrize("index", [10, 63, 64, 100, 119])
def test_a_seek_that_goes_too_far_begins_anew(index: int, tmp_path: Path, monkeypatch) -> None:
    page = annotated(video(tmp_path, "a.mp4", count=120, options=None))
    (right,) = (image for number, image in page.pictures(index) if number == index)
    seek = av.container.InputContainer.seek
    begun = video_recording.VideoRecording._start

    def started(self, number: int) -> None:
        begun(self, number)
        seek(self._container, self._times[-1] + 10**6, stream=self._stream)  # behind the end

    monkeypatch.setattr(video_recording.VideoRecording, "_start", started)
    again = annotated(tmp_path / "a.mp4")
    (found,) = (image for number, image in again.pictures(index) if number == index)
    assert (found == right).all()


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_raw_stream_has_the_rate_that_it_tells(codec: str, tmp_path: Path) -> None:
    kind = "h264" if codec == "libx264" else "hevc"
    clip = clip_of(video(tmp_path, f"a.{kind}", codec, kind, count=31))
    assert (clip.stamps_ns[-1] - clip.stamps_ns[0]) / 1e9 == pytest.approx(3.0, abs=0.01)


# A matrix of tkhd: a, b, c, d; and what it makes of an image.
TURNS = {
    "as it is": ((1, 0, 0, 1), lambda image: image),
    "90": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "180": ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
    "270": ((0, -1, 1, 0), lambda image: np.rot90(image, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda image: image[::-1]),
    "transposed": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    "transposed back": ((0, -1, -1, 0), lambda image: image[::-1, ::-1].transpose(1, 0, 2)),
    "scaled by two": ((2, 0, 0, 2), lambda image: image),
    "turned a little": ((0.99, 0.1, -0.1, 0.99), lambda image: image),
}


@pytest.mark.parametrize("turn", TURNS)
def test_videos_stand_upright(turn: str, tmp_path: Path) -> None:
    (a, b, c, d), shown = TURNS[turn]
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:24, :32], stored[24:, :32], stored[:24, 32:] = (
        (220, 20, 20),
        (20, 20, 220),
        (20, 200, 20),
    )
    path = tmp_path / "phone.mp4"
    write_video(path, [stored] * 3, [0, 10**8, 2 * 10**8])
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd")
    matrix = at + 8 + (20 if data[at + 4] == 0 else 32) + 16
    fixed = [round(value * 65536) for value in (a, b, c, d)]
    data[matrix : matrix + 36] = struct.pack(
        ">9i", fixed[0], fixed[1], 0, fixed[2], fixed[3], 0, 0, 0, 1 << 30
    )
    path.write_bytes(data)
    clip = clip_of(path)
    wanted = np.ascontiguousarray(shown(stored))
    assert clip.size_px == (wanted.shape[1], wanted.shape[0])
    found = clip.frames[0].image
    assert np.median(np.abs(found.astype(int) - wanted)) < 6
    page = annotated(path)
    assert page.size_px == clip.size_px
    small = clip_of(path, long_side_px=32)
    assert small.size_px == clip.size_px
    assert max(small.frames[0].image.shape) == 32


def with_exif(orientation: int) -> bytes:
    """A JPEG of a phone: how the camera was held is in its EXIF data."""
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[:24], stored[:24, :32] = (0, 0, 230), (0, 230, 0)
    data = cv2.imencode(".jpg", stored)[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"
    exif += bytes([orientation]) + bytes(6)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


@pytest.mark.parametrize("orientation", range(9))
def test_photos_stand_upright(orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(with_exif(orientation))
    shown = cv2.imread(str(path))[..., ::-1]  # OpenCV turns it
    clip, page = clip_of(path), annotated(path)
    found = clip.frames[0].image
    assert found.shape == shown.shape
    assert np.abs(found.astype(int) - shown).mean() < 4
    assert page.size_px == clip.size_px == (shown.shape[1], shown.shape[0])


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
def test_a_film_of_photos_is_read(suffix: str, tmp_path: Path) -> None:
    """Cameras write EXIF data into each picture of an MJPEG film."""
    path = tmp_path / f"film.{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for index in range(10):
            packet = av.Packet(with_exif(1))
            packet.pts = packet.dts = index
            packet.time_base, packet.stream = Fraction(1, RATE), stream
            packet.is_keyframe = True
            container.mux(packet)
    clip = clip_of(path)
    assert clip.stamps_ns.tolist() == [index * 10**8 for index in range(10)]
    with closing(annotated(path)) as page:
        assert len(page.stamps_ns) == 10


def test_another_size_on_the_way_starts_anew(tmp_path: Path) -> None:
    path = joined(tmp_path, [(64, 48), (32, 24)], [0, 20])
    report = ReadReport()
    clip = clip_of(path, report)
    assert clip.size_px == (32, 24)
    assert 15 <= len(clip) <= 20
    assert "the image size changes" in " ".join(report.sentences)
    page = annotated(path)
    with pytest.raises(RecordingError, match="is 32 x 24, expected 64 x 48 like the first"):
        list(page.pictures(len(page.stamps_ns) - 1))
    assert dict(page.pictures(0))[0].shape == (48, 64, 3)


A, B, C = (64, 48), (32, 24), (48, 64)
SIZES = {
    "smaller": [A, B], "larger": [B, A], "turned": [A, C], "back again": [A, B, A],
    "three": [A, B, C], "twice": [A, A, B], "once more": [A, B, B], "there and back": [C, A, C, A],
    "wider": [A, (96, 48)], "higher": [A, (64, 96)], "much larger": [A, (640, 480)],
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_each_change_of_the_size_starts_anew(name: str, tmp_path: Path) -> None:
    """A camera app that is turned, a stream that adapts to the network."""
    sizes = SIZES[name]
    path = joined(tmp_path, sizes, [20 * number for number in range(len(sizes))])
    report = ReadReport()
    clip = clip_of(path, report)
    same = next((n for n, size in enumerate(sizes[::-1]) if size != sizes[-1]), len(sizes))
    assert clip.size_px == sizes[-1]
    assert {frame.image.shape for frame in clip.frames} == {(*sizes[-1][::-1], 3)}
    assert 15 * same <= len(clip) <= 20 * same
    assert "the image size changes" in " ".join(report.sentences)
    shapes = [
        image.frame().image.shape[1::-1]
        for image in source_images(Source(str(path)))
        if not image.error
    ]
    assert set(shapes) == set(sizes)
    assert (np.diff([i.stamp_ns for i in source_images(Source(str(path)))]) >= 0).all()


PARTS = {
    "the last second": ({"last_s": 1.0}, range(29, 40)),
    "the last tenth": ({"last_s": 0.1}, range(38, 40)),
    "less than a frame": ({"last_s": 0.05}, range(39, 40)),
    "all": ({}, range(40)),
    "more than all": ({"last_s": 100.0}, range(40)),
    "from a second": ({"start_s": 1.0}, range(10, 40)),
    "from between": ({"start_s": 1.05}, range(11, 40)),
    "up to a second": ({"end_s": 1.0}, range(10)),
    "a second": ({"start_s": 1.0, "end_s": 2.0}, range(10, 20)),
    "the last of a part": ({"end_s": 2.0, "last_s": 0.5}, range(14, 20)),
    "the last of another": ({"start_s": 1.0, "end_s": 3.0, "last_s": 1.0}, range(19, 30)),
    "slower": ({"last_s": 1.0, "max_rate_hz": 5.0}, range(28, 40, 2)),
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("kind", ["mp4", "ts", "mkv"])
def test_a_part_is_kept_and_no_more(name: str, kind: str, tmp_path: Path, monkeypatch) -> None:
    path = video(tmp_path, f"a.{kind}", kind="mpegts" if kind == "ts" else None, count=40)
    part, numbers = PARTS[name]
    most, add = [0], Window.add

    def counted(window: Window, frame: Frame) -> object:
        outcome = add(window, frame)
        most[0] = max(most[0], window.fill[0])
        return outcome

    monkeypatch.setattr(Window, "add", counted)
    clip = clip_of(path, **part)
    assert clip.stamps_ns.tolist() == [number * 10**8 for number in numbers]
    assert most[0] == len(clip)  # nothing that was read before is held


def only_a_cover(path: Path) -> Path:
    """A song with the picture of its cover."""
    file = path / "song.mka"
    with av.open(str(file), "w", format="matroska") as container:
        stream = container.add_stream("aac", rate=44100)
        stream.layout = "mono"
        cover = cv2.imencode(".jpg", noise(0))[1].tobytes()
        container.add_attachment("cover.jpg", "image/jpeg", cover)
        for index in range(8):
            silence = np.zeros((1, 1024), np.float32)
            sound = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            sound.sample_rate, sound.pts = 44100, index * 1024
            container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    return file


def written(path: Path, data: bytes) -> Path:
    (path / "a.mp4").write_bytes(data)
    return path / "a.mp4"


def sound(path: Path) -> Path:
    with wave.open(str(path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    return path / "a.wav"


def pipe(path: Path) -> Path:
    os.mkfifo(path / "a.mp4")
    return path / "a.mp4"


def circle(path: Path) -> Path:
    (path / "a.mp4").symlink_to("a.mp4")
    return path / "a.mp4"


def text(path: Path) -> Path:
    (path / "a.mp4").write_text("no video")
    return path / "a.mp4"


REFUSED: list[tuple[str, Build, str]] = [
    ("no index", cut(0.8), "no index .moov.: its recorder was stopped"),
    ("raw MJPEG", lambda path: video(path, "a.mjpeg", "mjpeg", "mjpeg"), "without times.*-r 30"),
    ("only a cover", only_a_cover, "expected a video stream, found none"),
    ("text", text, "cannot be decoded"),
    ("missing", lambda path: path / "a.mp4", "no such video file"),
    ("empty", lambda path: written(path, b""), "cannot be decoded"),
    ("zeroes", lambda path: written(path, bytes(5000)), "cannot be decoded"),
    ("a page of the web", lambda path: written(path, b"<!doctype html>"), "cannot be decoded"),
    ("a list of streams", lambda path: written(path, b"#EXTM3U\na.ts\n"), "cannot be decoded"),
    (
        "a list of files",
        lambda path: written(path, b"ffconcat version 1.0\nfile /etc/hosts\n"),
        "cannot be decoded",
    ),
    ("sound", sound, "expected a video stream, found none"),
    ("a pipe", pipe, "is a device or a pipe, expected a file"),
    ("a device", lambda path: Path("/dev/zero"), "is a device or a pipe, expected a file"),
    ("an address", lambda path: Path("rtsp://camera:554/live"), "is an address, expected a file"),
    ("an address of a page", lambda path: Path("https://host/a.mp4"), "ffmpeg -i ADDRESS"),
    ("a link in a circle", circle, "no such video file"),
    ("a long name", lambda path: path / ("a" * 300 + ".mp4"), "no such video file"),
]


@pytest.mark.parametrize(("build", "said"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_what_cannot_be_read_is_named(build: Build, said: str, tmp_path: Path) -> None:
    path = build(tmp_path)
    for read in (clip_of, lambda p: list(source_images(Source(str(p)))), annotated):
        with pytest.raises(RecordingError, match=said):
            read(path)


def test_the_last_seconds_only(tmp_path: Path) -> None:
    path = video(tmp_path, "a.mp4", count=40)
    assert clip_of(path, last_s=1.0).stamps_ns.tolist() == [i * 10**8 for i in range(29, 40)]
    assert len(clip_of(path, start_s=1.0, end_s=2.0)) == 10


def test_a_video_is_no_bag(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="is a video; expected a rosbag2 recording"):
        open_bag(video(tmp_path, "a.mp4"))
