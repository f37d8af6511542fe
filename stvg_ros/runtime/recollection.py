# SPDX-License-Identifier: Apache-2.0

"""Memory beyond the window: what of it is remembered, and which commands use it."""

from __future__ import annotations

from collections.abc import Callable

from stvg_ros.commands.reader import CachedReader, grammar_reader
from stvg_ros.config import Config
from stvg_ros.identity.descriptor import TubeDescriptor
from stvg_ros.identity.recognition import clip_of_candidates
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.identity.tube_memory import TubeMemory
from stvg_ros.runtime.camera_search import CameraSearch
from stvg_ros.runtime.memory_search import MemorySearch
from stvg_ros.types import CandidateTube, Clip, Frame, Grounding, Tube, TubeBox
from stvg_ros.window import Window

_OVERLAP_S = 2.0  # of consecutive windows, at most a third of them


class Recollection:
    """Remembers the candidate tubes of the windows, and searches them for commands about the past.

    Thread contract: any thread may call any method.
    """

    def __init__(
        self,
        config: Callable[[], Config],
        window: Callable[[str], Window],
        describer: TubeDescriber,
        place: Callable[[TubeBox, Frame], TubeBox],
    ) -> None:
        """Starts without memories.

        Args:
            config: returns the current configuration.
            window: the window of a camera.
            describer: describes people.
            place: adds the position to a frame's box.
        """
        self._config = config
        self._window = window
        self._describer = describer
        self._reader = CachedReader(grammar_reader("rules"))
        self._added_ns: dict[str, int] = {}
        self.memory = TubeMemory(describer, lambda: config().memory, place)

    def search_of(self, search: CameraSearch) -> CameraSearch | MemorySearch:
        """The search of a command: in the memory as well, if it means a time before the window."""
        query = search.query
        fixed = query.start_ns is not None or query.end_ns is not None
        if fixed or query.known is not None or not self.memory.enabled:
            return search
        command = self._reader.read(query.text)
        if command.time is None and not command.again:
            return search
        spans_s = [
            (clip.frames[-1].stamp_ns - clip.frames[0].stamp_ns) / 1e9
            for clip in search.views.clips.values()
        ]
        if not command.again and command.time is not None and command.time.start_s <= min(spans_s):
            return search
        return MemorySearch(search, command, self.memory, self._describer)

    def due_clip(self, camera: str) -> Clip | None:
        """A camera's window, if it has moved on enough since it was added last."""
        window = self._window(camera)
        if not self.memory.enabled or not window.fill[0]:
            return None
        clip = window.snapshot()
        newest_ns, added_ns = clip.frames[-1].stamp_ns, self._added_ns.get(camera, -(2**62))
        moved_ns = newest_ns - added_ns
        length_s = self._config().window.duration_s
        due = not 0 <= moved_ns < (length_s - min(_OVERLAP_S, length_s / 3)) * 1e9
        return clip if due else None

    def add(self, camera: str, clip: Clip, candidates: tuple[CandidateTube, ...]) -> None:
        """Remembers the candidate tubes of a camera's window."""
        self._added_ns[camera] = clip.frames[-1].stamp_ns
        self.memory.add(camera, clip, candidates)

    def finish(self, grounding: Grounding, clip: Clip) -> None:
        """Remembers the candidates of an answer, for sources that are not asked in between."""
        part = clip_of_candidates(grounding, clip) if self.memory.enabled else None
        if part is not None and clip.tubes is None:
            self.memory.add(part.frames[-1].stream, part, grounding.candidates)

    def appearance_of(self, tube: Tube) -> TubeDescriptor | None:
        """The appearance of a tube from memory."""
        known = self.memory.tube(tube.track_id) if tube.from_memory else None
        return None if known is None else known.appearance

    def appearance_like(self, tube: Tube) -> TubeDescriptor | None:
        """The remembered appearance of whoever is in a tube of any answer; None if unknown."""
        if tube.from_memory:
            return self.appearance_of(tube)
        known = self.memory.like(tube.camera, tube.boxes)
        return None if known is None else known.appearance

    def forget(self, camera: str) -> None:
        """Drops what a camera saw before its stamps jumped back."""
        self._added_ns.pop(camera, None)
        self.memory.clear(camera)
