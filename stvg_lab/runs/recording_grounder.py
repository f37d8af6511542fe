# SPDX-License-Identifier: Apache-2.0

"""A grounder that is reset for each recording, so that answers do not depend on earlier ones.

Candidate sources store the frames that they observed, in order. With several recordings, or a part
of a video twice, the answers of one source would depend on earlier samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stvg_ros.errors import StvgError
from stvg_ros.method.interfaces import Grounder
from stvg_ros.types import Frame


class RecordingPass:
    """A grounder and its source of candidate tubes, during one pass over a recording."""

    def __init__(self, grounder: Grounder) -> None:
        self.grounder = grounder

    def observe(self, frame: Frame) -> None:
        """Observes the next frame that the window keeps, like the node.

        A rejected image fails the commands whose window holds it, not the others.
        """
        with suppress(StvgError):
            self.grounder.observe(frame)
        if self.grounder.proposer is not None:
            with suppress(StvgError):
                self.grounder.proposer.observe(frame)


@contextmanager
def recording_pass(grounder: Grounder) -> Iterator[RecordingPass]:
    """The grounder for one pass over a recording, without stored frames of others."""
    own = grounder.for_recording()
    try:
        yield RecordingPass(own)
    finally:
        if own is not grounder:
            own.close()
