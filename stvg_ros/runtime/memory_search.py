# SPDX-License-Identifier: Apache-2.0

"""Grounds a command about a time before the window in what is remembered of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from stvg_ros.commands.command import Command
from stvg_ros.crops import with_pictures
from stvg_ros.errors import WindowError
from stvg_ros.frames import Clip
from stvg_ros.identity.recognition import recognised
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.identity.tube_memory import TubeMemory
from stvg_ros.known_target import KnownTarget
from stvg_ros.method.interfaces import Grounder, StageCallback
from stvg_ros.runtime.camera_search import Answer, CameraSearch, search_job
from stvg_ros.runtime.grounding_job import GroundingJob
from stvg_ros.types import Grounding, Query, Status, Tube

_LEAST_PART_NS = 5_000_000_000  # length of a part of the memory that is grounded at once


@dataclass(frozen=True, eq=False)
class MemorySearch:
    """Searches the windows first, where they cover the time, then the memory, newest part first.

    Somebody who is meant "again" is then looked for in the windows by appearance.

    Attributes:
        search: the search of the windows.
        command: the parsed command, with a time or "again".
        memory: what is remembered.
        describer: describes people in the windows.
    """

    search: CameraSearch
    command: Command
    memory: TubeMemory
    describer: TubeDescriber

    def job(self, answer: Answer, **options: Any) -> GroundingJob:
        """The job of this search; see `CameraSearch.job`."""
        return search_job(self.search.query, self.search.views, self.ground, answer, **options)

    def ground(self, grounder: Grounder, checkpoint: StageCallback) -> Grounding:
        """The answer from the windows, or from the memory.

        Raises:
            WindowError: the time is neither in a window nor remembered.
            StvgError: as `CameraSearch.ground`.
        """
        absent: Grounding | None = None
        try:
            absent = self.search.ground(grounder, checkpoint)
        except WindowError as error:
            outside = error
        if absent is not None and absent.best.status is Status.FOUND:
            return absent
        for camera, clip in self._parts():
            found = grounder.ground(clip, self._asked(clip), checkpoint)
            if found.best.status is Status.FOUND:
                answer = self._remembered(found, camera, clip)
                return self._now(grounder, checkpoint, answer) if self.command.again else answer
            absent = absent or found
        if absent is None:
            raise WindowError(f"{outside}; nothing of that time is remembered (memory.duration_s)")
        return absent

    def _parts(self) -> Iterator[tuple[str, Clip]]:
        """The remembered clips of the time that have tubes, newest first; each camera in turn."""
        spans = []
        for camera, clip in self.search.views.clips.items():
            known = self.memory.span_ns(camera)
            if known is None:
                continue
            oldest_ns, newest_ns = clip.frames[0].stamp_ns, clip.frames[-1].stamp_ns
            low_ns, high_ns = known[0], min(known[1], oldest_ns)
            if (time := self.command.time) is not None:
                low_ns = max(low_ns, newest_ns - round(time.start_s * 1e9))
                high_ns = min(known[1], newest_ns - round(time.end_s * 1e9))
            length_ns = max(newest_ns - oldest_ns, _LEAST_PART_NS)
            if time is not None and high_ns - low_ns <= 3 * length_ns:
                length_ns = max(high_ns - low_ns, 1)
            while high_ns >= low_ns:
                spans.append((high_ns, camera, max(low_ns, high_ns - length_ns)))
                high_ns -= length_ns
        for high_ns, camera, low_ns in sorted(spans, reverse=True):
            part = self.memory.clip(camera, low_ns, high_ns)
            if part is not None and part.tubes:
                yield camera, part

    def _asked(self, clip: Clip) -> Query:
        """The query about all of a remembered clip."""
        first, last = clip.frames[0].stamp_ns, clip.frames[-1].stamp_ns
        return replace(self.search.query, start_ns=first, end_ns=last, preliminary=False)

    def _remembered(self, grounding: Grounding, camera: str, clip: Clip) -> Grounding:
        """The answer from a remembered clip, with span, positions and pictures."""
        now_ns = self.search.views.clips[camera].frames[-1].stamp_ns

        def told(tube: Tube) -> Tube:
            known = self.memory.tube(tube.track_id)
            ago = [(now_ns - ns) / 1e9 for ns in (tube.start_ns, tube.end_ns)]
            said = f"from memory: {ago[0]:.1f} s to {ago[1]:.1f} s before the newest image"
            places = {} if known is None else known.boxes
            boxes = tuple(
                replace(
                    box,
                    position_m=places[box.stamp_ns].position_m,
                    target_position_m=places[box.stamp_ns].target_position_m,
                )
                if box.stamp_ns in places
                else box
                for box in tube.boxes
            )
            return replace(
                tube,
                camera=camera,
                query=self.search.query,
                boxes=boxes,
                from_memory=True,
                warning="; ".join(filter(None, (said, tube.warning))),
                picture=tube.picture or (None if known is None else known.picture),
            )

        return replace(grounding, tubes=tuple(map(told, grounding.tubes)))

    def _now(
        self, grounder: Grounder, checkpoint: StageCallback, remembered: Grounding
    ) -> Grounding:
        """The same person in the windows; without them, the answer from memory, which says so."""
        then = remembered.best
        known = self.memory.tube(then.track_id)
        last = then.boxes[-1]
        reasons = []
        if known is not None:
            # A target that was seen long ago: the tubes of the window, without the model.
            target = KnownTarget("the person from memory", last.box_xyxy_px, last.stamp_ns)
            for camera, clip in self.search.views.clips.items():
                # Fixed to the window, since the words may name another time.
                query = replace(self._asked(clip), known=target, picture=False)
                whole = grounder.ground(clip, query, checkpoint)
                here = recognised(
                    whole, clip, known.appearance, self.describer, "the person from memory"
                )
                tube = replace(here.best, camera=camera, query=self.search.query)
                if tube.status is Status.FOUND:
                    found = replace(here, tubes=(replace(tube, warning=then.warning),))
                    return with_pictures(self.search.finish(found, clip), clip)
                reasons.append(tube.error)
        note = "; ".join([then.warning, "not in view now", *dict.fromkeys(reasons)])
        best = replace(then, warning=note)
        return replace(remembered, tubes=(best, *remembered.tubes[1:]))
