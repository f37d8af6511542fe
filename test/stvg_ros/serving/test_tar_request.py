# SPDX-License-Identifier: Apache-2.0

"""Tars that people have are read; what claims more than it holds is refused before it is made."""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import tarfile
import tracemalloc

import numpy as np
import pytest

from stvg_ros.errors import ErrorCode, StvgError
from stvg_ros.serving.image_codec import encoded
from stvg_ros.serving.schema import VERSION, Event, Failure
from stvg_ros.serving.tar_request import answer_json, error_json, is_tar_request, request_of_tar
from stvg_ros.types import Grounding, Picture, Query, Status, Tube, TubeBox

PICTURE = encoded(np.zeros((48, 64, 3), np.uint8), 90)
QUERY = {"query": "the dog"}


def member(name, content=PICTURE, kind=tarfile.REGTYPE, **more):
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content), kind
    for key, value in more.items():
        setattr(info, key, value)
    return info, content


def tar(*members, form=tarfile.PAX_FORMAT):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return file.getvalue()


def sparse(claimed, blocks=0):
    """A GNU sparse member that claims so many bytes and holds none."""

    def number(value):
        return b"%011o\0" % value if value < 8**11 else b"\x80" + value.to_bytes(11, "big")

    head = bytearray(tarfile.TarInfo("a.jpg").tobuf(tarfile.GNU_FORMAT))
    head[156:157] = b"S"
    head[386:398], head[398:410] = number(claimed), number(0)
    head[410:482], head[482], head[483:495] = b"\0" * 72, bool(blocks), number(claimed)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head[:512])
    extension = (number(0) * 42).ljust(504, b"\0") + b"\x01" + b"\0" * 7
    return bytes(head) + extension * blocks + b"\0" * 1024


@pytest.mark.parametrize(
    "members",
    [
        [member("b.jpg"), member("a.jpg")],
        [member(".", b"", tarfile.DIRTYPE), member("./a.jpg"), member("./b.jpg")],
        [member("._a.jpg", b"AppleDouble"), member("a.jpg"), member("b.jpg")],
        [member("x/._b.jpg", b"\0\5\x16\7"), member("x/a.jpg"), member("x/b.jpg")],
        [member("__MACOSX/a.jpg", b"x"), member("__MACOSX/x/b.jpg", b"x"), member("a.jpg"),
         member("b.jpg")],
        [member(".DS_Store", b"x"), member("a.jpg"), member(".hidden.jpg", b""), member("b.jpg")],
        [member("a" * 300 + ".jpg"), member("b" * 200 + "/" + "c" * 90 + ".jpg")],
        [member("\u00e4.jpg"), member("\u4eba.jpg")],
        [member("a.jpg", pax_headers={"comment": "x" * 1000}), member("b.jpg")],
        [member("a.png", encoded(np.zeros((48, 64, 3), np.uint8), 0)), member("b")],
        [member("a.jpg", uid=2**20, mtime=1.5e9, uname="u", gname="g"), member("b.jpg")],
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_tars_that_people_have_are_read(members, form):
    request = request_of_tar(tar(*members, form=form), QUERY)
    assert [(frame.width_px, frame.image[:2]) for frame in request.frames] in (
        [(64, b"\xff\xd8")] * 2,
        [(64, b"\x89P"), (64, b"\xff\xd8")],
    )


@pytest.mark.skipif(shutil.which("tar") is None, reason="tar is missing")
@pytest.mark.parametrize("form", ["gnu", "oldgnu", "pax", "posix", "ustar", "v7"])
def test_tars_of_the_tar_program_are_read(form, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("b.jpg", "a.jpg"):
        (tmp_path / "in" / name).write_bytes(PICTURE)
    body = subprocess.run(
        ["tar", "-C", tmp_path / "in", f"--format={form}", "-c", "."],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    assert len(request_of_tar(body, QUERY).frames) == 2


@pytest.mark.parametrize("claimed", [1, 10**4, 8 * 10**8, 3 << 30, 1 << 40, 2**63, 2**80])
@pytest.mark.parametrize("blocks", [0, 10, 10_000])
def test_a_sparse_member_is_refused_before_it_is_made(claimed, blocks):
    body = sparse(claimed, blocks)
    tracemalloc.start()
    try:
        with pytest.raises(StvgError, match="tar"):
            request_of_tar(body, QUERY)
        assert tracemalloc.get_traced_memory()[1] < 2 * 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(shutil.which("tar") is None, reason="tar is missing")
@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0", None])
def test_a_sparse_file_of_the_tar_program_is_refused_with_the_remedy(version, tmp_path):
    with (tmp_path / "a.jpg").open("wb") as file:
        os.truncate(file.fileno(), 800 << 20)
    form = ["--format=gnu"] if version is None else ["--format=pax", f"--sparse-version={version}"]
    body = subprocess.run(
        ["tar", "-C", tmp_path, *form, "--sparse", "-c", "a.jpg"], check=True, capture_output=True
    ).stdout
    with pytest.raises(StvgError, match="got a sparse one; pack without --sparse"):
        request_of_tar(body, QUERY)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (tar(member("a.jpg", b"", tarfile.SYMTYPE, linkname="b.jpg")), "got a link or device"),
        (tar(member("a.jpg", b"", tarfile.LNKTYPE, linkname="b.jpg")), "got a link or device"),
        (tar(member("a.jpg", b"", tarfile.FIFOTYPE)), "got a link or device"),
        (tar(member("a.jpg", b"", tarfile.CHRTYPE)), "got a link or device"),
        (tar(member("a.jpg"), member("b.txt", b"hello")), "'b.txt': image: expected a JPEG"),
        (tar(member("a.jpg"))[:600], "tar"),
        (tar(member("a.jpg"))[:512], "tar"),
        (tar(member("a.jpg", b"x" * 5000))[:4000], "'a.jpg': expected 5000 bytes, the tar ends"),
        (tar(member("a.jpg", b"x" * 512))[:1023], "expected 512 bytes, the tar ends before"),
        (tar(member("a.jpg"), member("y" * 150, b"x")), f"^'{'y' * 100}': image"),
        (tar(member("y" * 150, b"", tarfile.SYMTYPE)), f"^tar: '{'y' * 100}': expected a plain"),
        (tar(*[member(f"{n}.jpg", b"") for n in range(4097)]), "at most 4096 pictures"),
        (tar(*[member(f".{n}", b"") for n in range(16_385)]), "16384 entries"),
        (tar(member("a.jpg")).replace(b"\0" * 1024, b"\1" * 1024), "damaged at byte"),
        (tar(member("a.jpg", pax_headers={"comment": "x" * 10**6})), "headers of at most 65536"),
        (tar(member("x" * 10**6), form=tarfile.GNU_FORMAT), "headers of at most 65536"),
        (b"\x1f\x8b" + b"x" * 2000, "a tar of JPEG or PNG files"),
    ],
)
def test_what_would_be_lost_or_large_is_refused(body, said):
    with pytest.raises(StvgError, match=said) as caught:
        request_of_tar(body, QUERY)
    assert len(str(caught.value)) < 400
    assert caught.value.code in (ErrorCode.INVALID_COMMAND, ErrorCode.INVALID_IMAGE)


def test_a_chain_of_long_names_is_refused():
    link = tarfile.TarInfo("././@LongLink")
    link.type, link.size = tarfile.GNUTYPE_LONGNAME, 512
    with pytest.raises(StvgError, match="tar"):
        request_of_tar((link.tobuf(tarfile.GNU_FORMAT) + b"x" * 512) * 20_000, QUERY)


def test_damaged_tars_are_read_or_refused():
    draw = random.Random(7)
    whole = tar(member("a.jpg"), member("b.jpg"), member("c" * 200 + ".jpg"))
    read = 0
    for _ in range(500):
        body = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            at = draw.randrange(len(body)) if draw.random() < 0.5 else draw.randrange(512)
            if draw.random() < 0.7:
                body[at] = draw.randrange(256)
            else:
                del body[at : at + draw.randint(1, 600)]
        try:
            read += bool(request_of_tar(bytes(body), QUERY).frames)
        except StvgError as error:
            last = error
    assert 10 < read < 490
    assert len(str(last)) < 400


@pytest.mark.parametrize(
    ("rate", "stamps_ns"),
    [
        ({}, [0, 200_000_000, 400_000_000]),
        ({"rate_hz": "2"}, [0, 500_000_000, 1_000_000_000]),
        ({"rate_hz": "3"}, [0, 333_333_333, 666_666_667]),
        ({"rate_hz": "0.001"}, [0, 10**12, 2 * 10**12]),
        ({"rate_hz": "1000"}, [0, 10**6, 2 * 10**6]),
    ],
)
def test_pictures_have_the_stamps_of_their_rate(rate, stamps_ns):
    body = tar(*(member(f"{name}.jpg") for name in "cab"))
    request = request_of_tar(body, {**QUERY, **rate, "targets": "3"})
    assert [(frame.id, frame.stamp_ns) for frame in request.frames] == list(enumerate(stamps_ns))
    assert (request.query.text, request.query.max_targets) == ("the dog", 3)
    assert request_of_tar(body, {**QUERY, **rate}).query.max_targets == 1


@pytest.mark.parametrize("rate", ["0.0009", "1000.1", "0", "-5", "nan", "inf", "fast"])
def test_a_rate_that_no_camera_has_is_refused(rate):
    with pytest.raises(StvgError, match="rate_hz"):
        request_of_tar(tar(member("a.jpg")), {**QUERY, "rate_hz": rate})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("rate", "rate_hz"), ("rate_Hz", "rate_hz"), ("rat_hz", "rate_hz"), ("target", "targets"),
        ("max_targets", "targets"), ("Query", "query"), ("querry", "query"), ("zzz", ""),
        ("", ""), ("x" * 5000, ""),
    ],
)  # fmt: skip
def test_misspelt_parameters_are_named(name, meant):
    with pytest.raises(StvgError, match="expected the parameters query, rate_hz, targets") as error:
        request_of_tar(tar(member("a.jpg")), {**QUERY, name: "1"})
    assert ("did you mean" in str(error.value)) == bool(meant)
    assert meant in str(error.value).rpartition("did you mean")[2]
    assert len(str(error.value)) < 250


@pytest.mark.parametrize(
    ("content_type", "parameters", "plain"),
    [
        ("application/x-tar", {}, True),
        ("Application/X-TAR; charset=binary", {}, True),
        (" application/x-tar ", QUERY, True),
        ("application/msgpack", {}, False),
        ("application/msgpack", QUERY, False),
        ("Application/MsgPack; v=1", QUERY, False),
        ("application/x-www-form-urlencoded", QUERY, True),  # of curl without -H
        ("application/x-www-form-urlencoded", {}, False),
        ("application/octet-stream", QUERY, True),
        ("", QUERY, True),
        ("", {}, False),
    ],
)
def test_a_tar_is_known_by_its_type_or_by_the_command_in_its_address(
    content_type, parameters, plain
):
    assert is_tar_request(content_type, parameters) == plain


def test_as_many_pictures_and_entries_as_are_allowed_are_read(monkeypatch):
    monkeypatch.setattr("stvg_ros.serving.tar_request.MAX_FRAMES", 3)
    monkeypatch.setattr("stvg_ros.serving.tar_request._MAX_MEMBERS", 5)
    pictures = [member(f"{n}.jpg") for n in range(4)]
    hidden = [member(f".{n}", b"") for n in range(5)]
    assert len(request_of_tar(tar(*pictures[:3], *hidden[:2]), QUERY).frames) == 3
    assert len(request_of_tar(tar(*hidden[:2], *pictures[:3]), QUERY).frames) == 3
    for members in (pictures, [*hidden[:3], *pictures[:3]], [*hidden, pictures[0]]):
        with pytest.raises(StvgError, match="at most 3 pictures and 5 entries"):
            request_of_tar(tar(*members), QUERY)


def test_headers_are_bounded_for_each_member():
    long = {"comment": "x" * 50_000}
    body = tar(member("a.jpg", pax_headers=long), member("b.jpg", pax_headers=long))
    assert len(request_of_tar(body, QUERY).frames) == 2
    # A header each for the comment and the file, of 512 bytes, leave so much for the comment.
    longest = 65_536 - 1024
    for size, fits in ((longest, True), (longest + 1, False)):
        comment = {"comment": "x" * (size - len(f"{size} comment=\n"))}
        body = tar(member("a.jpg", pax_headers=comment))
        if fits:
            assert len(request_of_tar(body, QUERY).frames) == 1
        else:
            with pytest.raises(StvgError, match="headers of at most 65536 bytes"):
                request_of_tar(body, QUERY)


def test_a_tar_without_the_blocks_at_its_end_is_read():
    whole = PICTURE.ljust(-(-len(PICTURE) // 512) * 512, b"\0")
    body = tar(member("a.jpg", whole))
    assert len(request_of_tar(body[: 512 + len(whole)], QUERY).frames) == 1


def test_an_answer_is_json_of_seconds_and_pixels():
    boxes = (TubeBox(1_500_000_000, (1.0, 2.0, 3.0, 4.0), 0.5),)
    found = Tube(
        Query("the dog"), Status.FOUND, None, boxes, score=2.5, confidence=0.75,
        start_ns=1_500_000_000, end_ns=2_500_000_000, model="m",
    )  # fmt: skip
    none = Tube(Query("the dog"), Status.NOT_FOUND, error="why")
    first, second = answer_json(Event(VERSION, answer=Grounding((found, none))))["tubes"]
    assert first == {
        "status": "found", "reason": "", "confidence": 0.75, "score": 2.5, "start_s": 1.5,
        "end_s": 2.5, "boxes": [{"time_s": 1.5, "box_xyxy_px": [1.0, 2.0, 3.0, 4.0]}],
        "model": "m", "candidates": "",
    }  # fmt: skip
    assert (second["status"], second["reason"], second["score"]) == ("not_found", "why", None)
    failed = answer_json(Event(VERSION, failure=Failure(ErrorCode.MODEL, "broken")))
    assert failed == {"error": {"code": "MODEL", "message": "broken"}}
    assert error_json(StvgError("broken")) == {"error": {"code": "INTERNAL", "message": "broken"}}


def test_a_picture_is_asked_for_and_sent_in_base64():
    request = request_of_tar(tar(member("a.jpg")), {**QUERY, "picture": "1"})
    assert request.query.picture
    assert not request_of_tar(tar(member("a.jpg")), QUERY).query.picture
    with pytest.raises(StvgError, match="picture: expected 0 or 1, got 'yes'"):
        request_of_tar(tar(member("a.jpg")), {**QUERY, "picture": "yes"})
    shown = Tube(Query("the dog"), Status.FOUND, picture=Picture(1_500_000_000, b"abc"))
    (tube,) = answer_json(Event(VERSION, answer=Grounding((shown,))))["tubes"]
    assert tube["picture"] == {"time_s": 1.5, "jpeg_base64": "YWJj"}
