# SPDX-License-Identifier: Apache-2.0

"""A grounder that begins anew with each recording, so that no answer depends on what came before.

Candidate sources remember the frames that they observed, in order. One that served several
recordings, or a part of a video twice, would answer by what was asked before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, runtime_checkable

from stvg_ros.errors import StvgError
from stvg_ros.method.interfaces import Grounder
from stvg_ros.types import Frame


@runtime_checkable
class RecordingGrounder(Grounder, Protocol):
    """A grounder that remembers frames."""

    def for_recording(self) -> Grounder:
        """The same models without any memory of frames."""
        ...


class RecordingPass:
    """A grounder and its source of candidate tubes, during one pass over a recording."""

    def __init__(self, grounder: Grounder) -> None:
        self.grounder = grounder
        parts = (grounder, getattr(grounder, "proposer", None))
        found = (getattr(part, "observe", None) for part in parts)
        self._observers: list[Callable[[Frame], None]] = [one for one in found if one is not None]

    def observe(self, frame: Frame) -> None:
        """Takes the next frame that the window keeps, as the node does.

        An image that is refused fails the commands whose window holds it, not the others.
        """
        for observe in self._observers:
            with suppress(StvgError):
                observe(frame)


@contextmanager
def recording_pass(grounder: Grounder) -> Iterator[RecordingPass]:
    """The grounder for one pass over a recording, without memory of others.

    Args:
        grounder: with the models; one that is no `RecordingGrounder` is used as it is.
    """
    if not isinstance(grounder, RecordingGrounder):
        yield RecordingPass(grounder)
        return
    own = grounder.for_recording()
    try:
        yield RecordingPass(own)
    finally:
        close = getattr(own, "close", None)  # a remote one has connections
        if close is not None:
            close()
