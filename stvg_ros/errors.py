# SPDX-License-Identifier: Apache-2.0

"""The one error family: a message names the value, what was expected, and the remedy."""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


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
    """Base of every error that this package raises on purpose.

    A text is bounded: it may hold a name or value of any size, and logs and answers are kept.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(self, text: str = "") -> None:
        super().__init__(bounded(text, MAX_ERROR_CHARACTERS))


def bounded(text: str, characters: int) -> str:
    """A text of at most so many characters; of a longer one its begin and end, and its length."""
    if len(text) <= characters:
        return text
    middle = f" ...({len(text)} characters)... "
    tail = (characters - len(middle)) // 3
    return text[: characters - len(middle) - tail] + middle + text[len(text) - tail :]


def said(error: BaseException) -> str:
    """What an answer or a log says of an error: the text of a known one, else its type too."""
    if isinstance(error, StvgError):
        return str(error)
    return bounded(f"unexpected {type(error).__name__}: {error}", MAX_ERROR_CHARACTERS)


class CommandError(StvgError):
    """A command that cannot be understood: empty, too long, or with an impossible window."""

    code = ErrorCode.INVALID_COMMAND


class NoImagesError(StvgError):
    """A command came before any camera image."""

    code = ErrorCode.NO_IMAGES


class WindowError(StvgError):
    """The asked time window does not overlap the buffered frames."""

    code = ErrorCode.WINDOW_OUT_OF_RANGE


class ModelError(StvgError):
    """A checkpoint that cannot be loaded or used."""

    code = ErrorCode.MODEL


class ProposalError(StvgError):
    """A source of candidate tubes that failed."""

    code = ErrorCode.PROPOSALS


class DeadlineError(StvgError):
    """The command's deadline passed before the tube was ready."""

    code = ErrorCode.DEADLINE


class CanceledError(StvgError):
    """The client canceled, or the node is shutting down."""

    code = ErrorCode.CANCELED


class ReplacedError(StvgError):
    """A newer command took this one's place."""

    code = ErrorCode.REPLACED


class QueueFullError(StvgError):
    """As many commands wait as the queue holds."""

    code = ErrorCode.QUEUE_FULL


class InactiveError(StvgError):
    """The node is not active."""

    code = ErrorCode.INACTIVE


class UnreachableError(StvgError):
    """The server with the model cannot be reached, or broke off."""

    code = ErrorCode.UNREACHABLE


class StaleImagesError(StvgError):
    """The cameras meant have sent no image for longer than the age limit."""

    code = ErrorCode.STALE_IMAGES


class OutOfMemoryError(StvgError):
    """The memory of the device does not suffice for the command."""

    code = ErrorCode.OUT_OF_MEMORY


class ImageError(StvgError):
    """An image whose encoding, size, step or stamp is not usable."""

    code = ErrorCode.INVALID_IMAGE


class ConfigError(StvgError):
    """A setting of the wrong type, outside its range, or unknown."""

    code = ErrorCode.CONFIGURATION


class RecordingError(StvgError):
    """A video or bag file that cannot be read or written."""

    code = ErrorCode.NO_IMAGES


class AnnotationError(StvgError):
    """An annotation file, or one of its entries, that does not say what it has to."""

    code = ErrorCode.CONFIGURATION
