# SPDX-License-Identifier: Apache-2.0

"""A command without a client program: a tar of pictures in, JSON out."""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Mapping
from typing import Any

from stvg_ros.errors import StvgError
from stvg_ros.serving.image_codec import decoded_size
from stvg_ros.serving.schema import MAX_FRAMES, VERSION, Event, Request, SentFrame
from stvg_ros.serving.wire_format import SchemaError
from stvg_ros.types import Grounding, Query

MEDIA_TYPE = "application/x-tar"


def request_of_tar(body: bytes, parameters: Mapping[str, str]) -> Request:
    """The request of a tar of JPEG or PNG files, which are taken in the order of their names.

    Args:
        body: the tar, not compressed.
        parameters: `query`; `rate_hz` of the pictures, 5 by default; `targets`, 1 by default.

    Raises:
        StvgError: no tar of pictures, or a parameter that is not usable.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
            members = [member for member in archive if member.isfile()]
            members.sort(key=lambda member: member.name)
            pictures = [_content(archive, member) for member in members[: MAX_FRAMES + 1]]
    except (tarfile.TarError, OSError, ValueError) as error:
        raise SchemaError(f"expected a tar of JPEG or PNG files, got {error}") from error
    try:
        rate_hz = float(parameters.get("rate_hz", "5"))
        targets = int(parameters.get("targets", "1"))
    except ValueError as error:
        raise SchemaError(f"rate_hz and targets: expected numbers, got {error}") from error
    if not 0.001 <= rate_hz <= 1000:
        raise SchemaError(f"rate_hz: expected 0.001 to 1000, got {rate_hz:g}")
    frames = []
    for index, picture in enumerate(pictures):
        width, height = decoded_size(picture)
        stamp_ns = round(index * 1e9 / rate_hz)
        frames.append(SentFrame(index, stamp_ns, width, height, image=picture))
    query = Query(parameters.get("query", ""), max_targets=targets)
    try:
        return Request(VERSION, query, tuple(frames), {})
    except ValueError as error:
        raise SchemaError(str(error)) from error


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return file.read() if file is not None else b""


def answer_json(event: Event) -> dict[str, Any]:
    """The last event of a command as plain values."""
    if event.failure is not None:
        return failure_json(event.failure.code.name, event.failure.message)
    assert event.answer is not None
    return {"tubes": _tubes(event.answer)}


def failure_json(code: str, message: str) -> dict[str, Any]:
    """An error as plain values."""
    return {"error": {"code": code, "message": message}}


def error_json(error: StvgError) -> dict[str, Any]:
    """The same of an exception."""
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
        }
        for tube in grounding.tubes
    ]
