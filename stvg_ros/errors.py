# SPDX-License-Identifier: Apache-2.0

"""The package's exceptions: each message names the value, the expectation and the remedy."""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """Why a grounding failed; the values are those of `stvg_ros/msg/Tube.error_code`."""

    NONE = 0
    INVALID_COMMAND = 1
    NO_IMAGES = 2
    WINDOW_OUT_OF_RANGE = 3
    MODEL = 4
    PROPOSALS = 5
    DEADLINE = 6
    CANCELED = 7
    REPLACED = 8
    INVALID_IMAGE = 9
    CONFIGURATION = 10
    QUEUE_FULL = 11
    INACTIVE = 12
    UNREACHABLE = 13
    STALE_IMAGES = 14
    OUT_OF_MEMORY = 15
    INTERNAL = 99


MAX_ERROR_CHARACTERS = 2000


class StvgError(Exception):
    """Base of all errors that this package raises deliberately.

    The text is truncated, since it may contain names or values of any size.
    """

    code: ErrorCode = ErrorCode.INTERNAL

    def __init__(self, text: str = "") -> None:
        super().__init__(bounded(text, MAX_ERROR_CHARACTERS))


def bounded(text: str, characters: int) -> str:
    """The text, at most `characters` long: a longer one is cut to its start, length and end."""
    if len(text) <= characters:
        return text
    middle = f" ...({len(text)} characters)... "
    tail = (characters - len(middle)) // 3
    return text[: characters - len(middle) - tail] + middle + text[len(text) - tail :]


def said(error: BaseException) -> str:
    """An error for answers and logs: its text, with the type if it is unexpected."""
    if isinstance(error, StvgError):
        return str(error)
    return bounded(f"unexpected {type(error).__name__}: {error}", MAX_ERROR_CHARACTERS)


class CommandError(StvgError):
    """An invalid command: empty, too long, or with an invalid window."""

    code = ErrorCode.INVALID_COMMAND


class NoImagesError(StvgError):
    """A command arrived before any camera image."""

    code = ErrorCode.NO_IMAGES


class WindowError(StvgError):
    """The requested time window does not overlap the buffered frames."""

    code = ErrorCode.WINDOW_OUT_OF_RANGE


class ModelError(StvgError):
    """A checkpoint cannot be loaded or used."""

    code = ErrorCode.MODEL


class ProposalError(StvgError):
    """A source of candidate tubes failed."""

    code = ErrorCode.PROPOSALS


class DeadlineError(StvgError):
    """The command's deadline passed before the tube was ready."""

    code = ErrorCode.DEADLINE


class CanceledError(StvgError):
    """The client canceled, or the node is shutting down."""

    code = ErrorCode.CANCELED


class ReplacedError(StvgError):
    """A newer command replaced this one."""

    code = ErrorCode.REPLACED


class QueueFullError(StvgError):
    """The queue has its maximum number of waiting commands."""

    code = ErrorCode.QUEUE_FULL


class InactiveError(StvgError):
    """The node is not active."""

    code = ErrorCode.INACTIVE


class UnreachableError(StvgError):
    """The server is unreachable, or the connection broke."""

    code = ErrorCode.UNREACHABLE


class StaleImagesError(StvgError):
    """The selected cameras have sent no image for longer than the age limit."""

    code = ErrorCode.STALE_IMAGES


class OutOfMemoryError(StvgError):
    """The device has not enough memory for the command."""

    code = ErrorCode.OUT_OF_MEMORY


class ImageError(StvgError):
    """An image has an invalid encoding, size, step or stamp."""

    code = ErrorCode.INVALID_IMAGE


class ConfigError(StvgError):
    """A setting has the wrong type, is outside its range, or is unknown."""

    code = ErrorCode.CONFIGURATION


class RecordingError(StvgError):
    """A video or bag file cannot be read or written."""

    code = ErrorCode.NO_IMAGES


class AnnotationError(StvgError):
    """An annotation file, or one of its entries, is invalid."""

    code = ErrorCode.CONFIGURATION
