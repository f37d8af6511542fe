# SPDX-License-Identifier: Apache-2.0

"""Commands without a client program: the request is a tar of images, the response is JSON."""

from __future__ import annotations

import base64
import io
import math
import tarfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from stvg_ros.errors import ImageError, StvgError
from stvg_ros.serving import schema
from stvg_ros.serving.image_codec import decoded_size
from stvg_ros.serving.schema import MAX_FRAMES, VERSION, Event, Request, SentFrame
from stvg_ros.serving.wire_format import SchemaError
from stvg_ros.setting import nearest
from stvg_ros.types import Grounding, Picture, Query

MEDIA_TYPE = "application/x-tar"
_PARAMETERS = ("query", "rate_hz", "targets", "picture")
_MAX_MEMBERS = 4 * MAX_FRAMES  # directories and hidden files included
_MAX_HEADER_BYTES = 65_536  # of one member


class _HeaderReader(io.BytesIO):
    """A tar's bytes for `tarfile`, which reads only headers of bounded size from it."""

    left = _MAX_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.left -= len(data)
        if self.left < 0:
            raise SchemaError(
                f"tar: expected headers of at most {_MAX_HEADER_BYTES} bytes for each file, "
                "got more; pack plain files with short names"
            )
        return data


def media_type(content_type: str) -> str:
    """The media type of a `content-type` header, without parameters and in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_tar_request(content_type: str, parameters: Mapping[str, str]) -> bool:
    """Whether a request is a tar whose command is in the address.

    Without `-H`, curl names another content type.
    """
    kind = media_type(content_type)
    return kind == MEDIA_TYPE or (kind != schema.MEDIA_TYPE and "query" in parameters)


def request_of_tar(body: bytes, parameters: Mapping[str, str]) -> Request:
    """The request of a tar of JPEG or PNG files, in the order of their names.

    Directories and hidden files, such as the `._` files of macOS, are skipped.

    Args:
        body: the tar, not compressed.
        parameters: `query`; `rate_hz` of the images, 5 by default; `targets`, 1 by default;
            `picture`, 1 for a picture of each target.

    Raises:
        StvgError: not a tar of images, or an invalid parameter.
    """
    for name in parameters:
        if name not in _PARAMETERS:
            raise SchemaError(
                f"expected the parameters {', '.join(_PARAMETERS)}, got {name[:100]!r}"
                f"{nearest(name, _PARAMETERS)}"
            )
    try:
        rate_hz = float(parameters.get("rate_hz", "5"))
        targets = int(parameters.get("targets", "1"))
    except ValueError as error:
        raise SchemaError(f"rate_hz and targets: expected numbers, got {error}") from error
    if not 0.001 <= rate_hz <= 1000:
        raise SchemaError(f"rate_hz: expected 0.001 to 1000, got {rate_hz:g}")
    frames = []
    for index, member in enumerate(_members(body)):
        picture = body[member.offset_data : member.offset_data + member.size]
        try:
            width, height = decoded_size(picture)
        except ImageError as error:
            raise ImageError(f"{member.name[:100]!r}: {error}") from error
        stamp_ns = round(index * 1e9 / rate_hz)
        frames.append(SentFrame(index, stamp_ns, width, height, image=picture))
    wanted = parameters.get("picture", "0")
    if wanted not in ("0", "1"):
        raise SchemaError(f"picture: expected 0 or 1, got {wanted[:100]!r}")
    query = Query(parameters.get("query", ""), max_targets=targets, picture=wanted == "1")
    return Request(VERSION, query, tuple(frames), {})


def _members(body: bytes) -> list[tarfile.TarInfo]:
    """The image members of the tar, in the order of their names. Raises: SchemaError."""
    reader = _HeaderReader(body)
    members: list[tarfile.TarInfo] = []
    try:
        with tarfile.open(fileobj=reader, mode="r:") as archive:
            for count, member in enumerate(archive, 1):
                if _is_picture(member, len(body)):
                    members.append(member)
                if count > _MAX_MEMBERS or len(members) > MAX_FRAMES:
                    raise SchemaError(
                        f"tar: expected at most {MAX_FRAMES} pictures and {_MAX_MEMBERS} entries, "
                        "got more"
                    )
                reader.left = _MAX_HEADER_BYTES
            if body[archive.offset : archive.offset + tarfile.BLOCKSIZE].strip(b"\0"):
                raise SchemaError(
                    f"expected a tar of JPEG or PNG files, got one that is damaged at byte "
                    f"{archive.offset}"
                )
    except StvgError:
        raise
    except Exception as error:  # tarfile raises many types for damaged headers
        raise SchemaError(f"expected a tar of JPEG or PNG files, got {error}") from error
    return sorted(members, key=lambda member: member.name)


def _is_picture(member: tarfile.TarInfo, length: int) -> bool:
    """Whether a member is an image; raises SchemaError for a member that cannot be read."""
    hidden = PurePosixPath(member.name).name.startswith(".")
    if member.isdir() or hidden or "__MACOSX" in PurePosixPath(member.name).parts:
        return False
    name = f"tar: {member.name[:100]!r}"
    if member.issparse():  # its declared size differs from its data
        raise SchemaError(f"{name}: expected a plain file, got a sparse one; pack without --sparse")
    if not member.isfile():
        raise SchemaError(
            f"{name}: expected a plain file, got a link or device; pack with "
            "tar --dereference --hard-dereference"
        )
    if member.size < 0 or member.offset_data + member.size > length:
        raise SchemaError(f"{name}: expected {member.size} bytes, the tar ends before them")
    return True


def answer_json(event: Event) -> dict[str, Any]:
    """The last event of a command as JSON values."""
    if event.failure is not None:
        return failure_json(event.failure.code.name, event.failure.message)
    assert event.answer is not None
    return {"tubes": _tubes(event.answer)}


def failure_json(code: str, message: str) -> dict[str, Any]:
    """An error as JSON values."""
    return {"error": {"code": code, "message": message}}


def error_json(error: StvgError) -> dict[str, Any]:
    """An exception as JSON values."""
    return failure_json(error.code.name, str(error))


def _tubes(grounding: Grounding) -> list[dict[str, Any]]:
    return [
        {
            "status": tube.status.name.lower(),
            "reason": tube.error,
            "confidence": tube.confidence,
            "score": None if math.isnan(tube.score) else tube.score,
            "start_s": tube.start_ns / 1e9,
            "end_s": tube.end_ns / 1e9,
            "boxes": [
                {"time_s": box.stamp_ns / 1e9, "box_xyxy_px": list(box.box_xyxy_px)}
                for box in tube.boxes
            ],
            "model": tube.model,
            "candidates": tube.candidates,
            **({} if tube.picture is None else {"picture": _picture(tube.picture)}),
        }
        for tube in grounding.tubes
    ]


def _picture(picture: Picture) -> dict[str, Any]:
    data = base64.b64encode(picture.jpeg).decode("ascii")
    return {"time_s": picture.stamp_ns / 1e9, "jpeg_base64": data}
