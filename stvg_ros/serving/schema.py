# SPDX-License-Identifier: Apache-2.0

"""What travels between client and server, version 1. Types only; see `codec` for the bytes.

POST /v1/frames   FrameBatch in, Stored out
POST /v1/ground   Request in, a stream of Event out; the last one has an answer or an error
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stvg_ros import errors
from stvg_ros.config import Config, settings
from stvg_ros.errors import ErrorCode, StvgError
from stvg_ros.serving.wire_format import SchemaError
from stvg_ros.setting import Value
from stvg_ros.types import CandidateTube, Grounding, Query

VERSION = 1
SESSION_HEADER = "x-session-id"  # by which Ray Serve chooses the replica
MEDIA_TYPE = "application/msgpack"
MAX_FRAMES = 4096  # of a message
MAX_SIDE_PX = 16_384
# Settings that a client may choose for its own commands: how to ground, not with what.
CLIENT_GROUPS = (
    "sampling", "attention", "reattention", "assembling", "span", "presence", "window",
)  # fmt: skip


def _checked_version(version: int) -> None:
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
    """

    id: int
    stamp_ns: int
    width_px: int
    height_px: int
    frame_id: str = ""
    image: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 < self.width_px <= MAX_SIDE_PX or not 0 < self.height_px <= MAX_SIDE_PX:
            raise ValueError(
                f"expected sides of 1 to {MAX_SIDE_PX} px, got {self.width_px} x {self.height_px}"
            )
        if len(self.frame_id) > 256:
            raise ValueError(f"frame_id: expected 256 characters, got {len(self.frame_id)}")


@dataclass(frozen=True)
class FrameBatch:
    """Frames for the session.

    Attributes:
        keep_from: frames of smaller ids are of no more use.
        settings: as of `Request`, of the commands to come: frames may be encoded ahead of them.
    """

    version: int
    frames: tuple[SentFrame, ...]
    keep_from: int = 0
    settings: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _checked_version(self.version)
        if len(self.frames) > MAX_FRAMES:
            raise ValueError(f"expected at most {MAX_FRAMES} frames, got {len(self.frames)}")
        _check_settings(self.settings)


@dataclass(frozen=True)
class SessionState:
    """How many frames the session holds now."""

    version: int
    frames: int


@dataclass(frozen=True)
class Request:
    """One command: the whole request, so that tuning stays beside the model.

    Attributes:
        query: the command; its window and deadline included.
        frames: the clip, in order; images only of those that the session lacks.
        settings: settings by name, where the client's differ from their defaults.
        tubes: candidate tubes of the client's own; None lets the server look for some.
        keep_from: as of `FrameBatch`.
        preliminary: the answer before tuning is wanted too.
    """

    version: int
    query: Query
    frames: tuple[SentFrame, ...]
    settings: Mapping[str, bool | int | float | str]
    tubes: tuple[CandidateTube, ...] | None = None
    keep_from: int = 0
    preliminary: bool = False

    def __post_init__(self) -> None:
        _checked_version(self.version)
        if not 0 < len(self.frames) <= MAX_FRAMES:
            raise ValueError(f"expected 1 to {MAX_FRAMES} frames, got {len(self.frames)}")
        for tube in self.tubes or ():
            if len(tube.present) != len(self.frames):
                raise ValueError(
                    f"tubes: expected boxes for {len(self.frames)} frames, got {len(tube.present)}"
                )
        _check_settings(self.settings)


class MissingFramesError(StvgError):
    """The session lacks frames of the command, those of `ids`; it is to be sent with them."""

    def __init__(self, ids: Iterable[int]) -> None:
        self.ids = tuple(ids)
        super().__init__(f"the session lacks {len(self.ids)} frames; send the command with them")


@dataclass(frozen=True)
class Failure:
    """An error of `stvg_ros.errors`, and which frames it is about.

    Attributes:
        missing: ids of frames that the session lacks; send the command again with them.
    """

    code: ErrorCode
    message: str
    missing: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Event:
    """One step of a command's stream: at a stage, alive, answered early, answered, or failed.

    Attributes:
        stage: the stage that begins; empty in events that only show that the server lives.
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
        _checked_version(self.version)


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


_KINDS: dict[ErrorCode, type[StvgError]] = {
    kind.code: kind
    for kind in reversed(list(vars(errors).values()))  # the first of a code counts
    if isinstance(kind, type) and issubclass(kind, StvgError)
}


def error_of(failure: Failure) -> StvgError:
    """The error that the server told."""
    return _KINDS.get(failure.code, StvgError)(failure.message)
