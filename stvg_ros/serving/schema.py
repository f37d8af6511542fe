# SPDX-License-Identifier: Apache-2.0

"""Messages between client and server, version 1; `wire_format` encodes them.

The annotations bound what a client may send; the server checks them while reading.

POST /v1/frames   FrameBatch in, SessionState out
POST /v1/ground   Request in, a stream of Event out; the last one has an answer or a failure
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from stvg_ros import errors
from stvg_ros.config import Config, settings
from stvg_ros.errors import ErrorCode, StvgError
from stvg_ros.serving.wire_format import SchemaError
from stvg_ros.setting import Setting, Value
from stvg_ros.types import MAX_NAME_CHARACTERS, CandidateTube, Grounding, Query

VERSION = 1
SESSION_HEADER = "x-session-id"  # by which Ray Serve chooses the replica
MEDIA_TYPE = "application/msgpack"
MAX_FRAMES = 4096  # of a message, and of a session
MAX_TUBES = 1024
# Settings that a client may choose for its own commands: how to ground, not with what.
CLIENT_GROUPS = (
    "sampling", "attention", "reattention", "assembling", "span", "presence", "conditions",
    "evidence", "window",
)  # fmt: skip
# What to ground with is chosen where the model is.
SERVER_GROUPS = ("model", "split", "proposals", "body")

Name = Annotated[str, Meta(max_length=MAX_NAME_CHARACTERS)]
Side = Annotated[int, Meta(ge=1, le=2**31 - 1)]  # the camera's own; the image sent may be smaller
Settings = Annotated[Mapping[str, bool | int | float | str], Meta(max_length=256)]


def _check_version(version: int) -> None:
    if version != VERSION:
        raise SchemaError(
            f"version: expected {VERSION}, got {version}; install the same release of stvg_ros "
            "on the robot and on the server"
        )


def _check_settings(settings: Iterable[str]) -> None:
    for name in settings:
        if name.split(".")[0] not in CLIENT_GROUPS:
            raise ValueError(f"settings: {name!r} is not for clients to choose")


@dataclass(frozen=True)
class SentFrame:
    """One frame of a session.

    Attributes:
        id: the client's number for the frame, larger for later ones.
        stamp_ns: the image header's stamp.
        width_px: width of the camera's own image.
        height_px: height of the camera's own image.
        frame_id: the header's coordinate frame.
        image: a JPEG or PNG file, or None when the session has the frame already.
        stream: the client's camera, where it has several.
    """

    id: int
    stamp_ns: int
    width_px: Side
    height_px: Side
    frame_id: Name = ""
    image: bytes | None = None
    stream: Name = ""


@dataclass(frozen=True)
class FrameBatch:
    """Frames for the session.

    Attributes:
        keep_from: frames of smaller ids are no longer needed.
        settings: of future commands, as in `Request`; used to prefetch frames.
    """

    version: int
    frames: Annotated[tuple[SentFrame, ...], Meta(max_length=MAX_FRAMES)]
    keep_from: int = 0
    settings: Settings = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_version(self.version)
        _check_settings(self.settings)


@dataclass(frozen=True)
class SessionState:
    """Number of frames in the session."""

    version: int
    frames: int


@dataclass(frozen=True)
class Request:
    """One whole command, so that tuning runs on the server with the model.

    Attributes:
        query: the command; its window and deadline included.
        frames: the clip, in order; with images only for frames that the session lacks.
        settings: the client's settings that differ from their defaults, by name.
        tubes: candidate tubes of the client; None lets the server compute them.
        keep_from: as in `FrameBatch`.
        preliminary: whether the answer before tuning is requested too.
    """

    version: int
    query: Query
    frames: Annotated[tuple[SentFrame, ...], Meta(max_length=MAX_FRAMES)]
    settings: Settings
    tubes: Annotated[tuple[CandidateTube, ...], Meta(max_length=MAX_TUBES)] | None = None
    keep_from: int = 0
    preliminary: bool = False

    def __post_init__(self) -> None:
        _check_version(self.version)
        if not 0 < len(self.frames) <= MAX_FRAMES:
            raise SchemaError(
                f"expected 1 to {MAX_FRAMES} frames, got {len(self.frames)}; a window has fewer "
                "with less of window.duration_s or window.max_rate_hz"
            )
        for tube in self.tubes or ():
            if len(tube.present) != len(self.frames):
                raise ValueError(
                    f"tubes: expected boxes for {len(self.frames)} frames, got {len(tube.present)}"
                )
        _check_settings(self.settings)


class MissingFramesError(StvgError):
    """The session lacks the frames `ids` of the command, which must be sent again with them."""

    def __init__(self, ids: Iterable[int]) -> None:
        self.ids = tuple(ids)
        super().__init__(f"the session lacks {len(self.ids)} frames; send the command with them")


@dataclass(frozen=True)
class Failure:
    """An error of `stvg_ros.errors`, and the missing frames.

    Attributes:
        missing: ids of frames that the session lacks; send the command again with them.
    """

    code: ErrorCode
    message: str
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Event:
    """One event of a command's stream: a stage, a keep-alive, an answer, or a failure.

    Attributes:
        stage: the stage that starts; empty in a keep-alive.
        progress: 0 to 1.
        early: the answer before tuning.
    """

    version: int
    stage: str = ""
    progress: float = 0.0
    early: Grounding | None = None
    answer: Grounding | None = None
    failure: Failure | None = None

    def __post_init__(self) -> None:
        _check_version(self.version)


def chosen_settings(config: Config) -> dict[str, Value]:
    """The dynamic settings for the server that differ from their defaults."""
    flat = config.flat()
    return {
        item.name: flat[item.name]
        for item in settings()
        if item.dynamic
        and item.name.split(".")[0] in CLIENT_GROUPS
        and flat[item.name] != item.default
    }


def settings_without_effect(config: Config) -> list[str]:
    """Names of settings that are not at their defaults and that only the server decides.

    With `remote.fallback: local`, the local model uses them.
    """
    if config.place.backend != "remote" or config.remote.fallback == "local":
        return []
    robot = config.proposals.source == "external" or config.remote.tubes == "robot"
    here = ("proposals",) if robot else ()
    flat = config.flat()

    def decided_there(item: Setting) -> bool:
        group = item.name.split(".")[0]
        if group in CLIENT_GROUPS:
            return not item.dynamic
        return group in SERVER_GROUPS and group not in here

    return [i.name for i in settings() if decided_there(i) and flat[i.name] != i.default]


_KINDS: dict[ErrorCode, type[StvgError]] = {
    kind.code: kind
    for kind in reversed(list(vars(errors).values()))  # the first of a code counts
    if isinstance(kind, type) and issubclass(kind, StvgError)
}


def error_of(failure: Failure) -> StvgError:
    """The error that the server answered."""
    return _KINDS.get(failure.code, StvgError)(failure.message)
