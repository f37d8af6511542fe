# SPDX-License-Identifier: Apache-2.0

"""Names of targets: the service `~/teach`, and the commands that use a taught name."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from stvg_ros.commands.naming import (
    SAME_PERSON,
    introduced_name,
    means_same_person,
    name_key,
    who_comes,
)
from stvg_ros.commands.reader import CachedReader, grammar_reader
from stvg_ros.config import Config
from stvg_ros.errors import CommandError, StvgError
from stvg_ros.identity.descriptor import TubeDescriptor
from stvg_ros.identity.followed_target import Sighting
from stvg_ros.identity.recognition import agrees, clip_of_candidates, recognised
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.known_target import KnownTarget
from stvg_ros.node.intake import Intake
from stvg_ros.srv import Teach
from stvg_ros.types import Clip, Grounding, Query, Status, Tube, TubeBox
from stvg_ros.window import Window

MAX_NAMES = 20
_MOST_ANSWERS = 20
_PERIOD_S = 0.25  # between looks for a binding that has to be moved
_UPDATES = 4  # of a known box during the length of the window


@dataclass(frozen=True, eq=False)
class _Named:
    """A taught name and its target.

    Attributes:
        known: the name and the last known box.
        answered: the boxes of the answer that showed the target. Who follows the tube of this
            answer follows the target.
        appearance: what the target looks like.
        tried_ns: stamp of the newest image when it was searched last.
    """

    known: KnownTarget
    answered: tuple[TubeBox, ...]
    appearance: TubeDescriptor
    tried_ns: int = 0

    def seen(self, camera: str, box: TubeBox) -> _Named:
        """The same target at another box."""
        known = KnownTarget(self.known.name, box.box_xyxy_px, box.stamp_ns, camera)
        return replace(self, known=known, tried_ns=0)


class Names:
    """Binds names to targets, and finds the target of a command that uses a name.

    A binding is the target's last known box and its appearance. While the target is followed, the
    box is the follower's, also after a hand-over to another camera. Otherwise the box is moved
    along the candidate tube that contains it while no command waits, and to where a command finds
    the target. Where no tube contains the box, or the tube looks like somebody else, the person is
    recognised by appearance in all cameras. Appearances are kept in memory only, without pictures.

    Thread contract: any thread may call `resolve`, `finish` and `appearance_of`, the executor's
    thread all other methods.
    """

    def __init__(
        self,
        node: Node,
        intake: Intake,
        config: Callable[[], Config],
        followed: Callable[[], Sighting | None],
        window: Callable[[str], Window],
        describer: TubeDescriber,
        remembered: Callable[[Tube], TubeDescriptor | None],
    ) -> None:
        """Creates the service.

        Args:
            node: has the service.
            intake: submits the searches for known targets; its commands may use names.
            config: returns the current configuration.
            followed: returns where the followed target was seen last, without waiting.
            window: the window of a camera.
            describer: describes people.
            remembered: returns the appearance of a tube that is in the memory.
        """
        self._remembered = remembered
        self._window = window
        self._describer = describer
        self._node = node
        self._intake = intake
        self._config = config
        self._followed = followed
        self._reader = CachedReader(grammar_reader("rules"))
        self._lock = threading.Lock()
        self._named: OrderedDict[str, _Named] = OrderedDict()
        self._answers: OrderedDict[str, list[Tube]] = OrderedDict()  # without pictures
        self._service = node.create_service(Teach, "~/teach", self._on_teach)
        self._timer = node.create_timer(
            _PERIOD_S,
            self._update,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        intake.add_listener(self._answered)
        intake.set_names(self.resolve)

    def close(self) -> None:
        """Destroys the service and clears the names."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_service(self._service)
        self._named.clear()

    def resolve(self, query: Query) -> Query:
        """The query with the known target that it names, if the name was taught.

        "The same person" is the followed target, or that of the last answer.
        """
        if means_same_person(query.text):
            return self._same_person(query)
        self._keep_up()
        with self._lock:
            if not self._named:
                return query
            command = self._reader.read(query.text)
            target = command.target
            said = {name_key(text) for text in (command.name, target, who_comes(target)) if text}
            named = next((self._named[key] for key in said if key in self._named), None)
        return query if named is None else replace(query, known=named.known)

    def _same_person(self, query: Query) -> Query:
        try:
            target = self._target("", 0)
        except CommandError:
            return query  # nobody was found yet
        return replace(query, known=self._bound(SAME_PERSON, target).known)

    def _bound(self, name: str, target: Sighting) -> _Named:
        """Binds a name."""
        box = target.box
        known = KnownTarget(name, box.box_xyxy_px, box.stamp_ns, target.camera)
        named = _Named(known, target.tube.boxes, target.appearance)
        with self._lock:
            self._named.pop(name_key(name), None)
            self._named[name_key(name)] = named
            if len(self._named) > MAX_NAMES:
                self._named.popitem(last=False)
        return named

    def _keep_up(self) -> None:
        """Moves the names of the followed target to where it was seen last."""
        target = self._followed()
        if target is None:
            return
        box = target.box
        with self._lock:
            for key, named in list(self._named.items()):
                known = named.known
                newer = box.stamp_ns > known.stamp_ns or target.camera != known.camera
                if newer and named.answered == target.tube.boxes:
                    self._named[key] = named.seen(target.camera, box)

    def _in_window(self, named: _Named) -> bool:
        """Whether the last known box is in the window of its camera."""
        return self._window(named.known.camera).spans(named.known.stamp_ns)

    def finish(self, grounding: Grounding, clip: Clip) -> Grounding:
        """The answer about a named target, by appearance where its box does not decide."""
        known = grounding.best.query.known
        named = None if known is None else self._of(known.name)
        part = clip_of_candidates(grounding, clip)
        if known is None or named is None or part is None:
            return grounding
        if part.frames[-1].stream == known.camera:  # where the known box is
            if named.appearance.vector is None:
                return grounding
            found = grounding.best.status is Status.FOUND
            if found and agrees(grounding, part, named.appearance, self._describer):
                return grounding
        return recognised(
            grounding, part, named.appearance, self._describer, repr(named.known.name)
        )

    def appearance_of(self, query: Query) -> tuple[str, TubeDescriptor | None]:
        """The name in a resolved query and its appearance; "" and None without a name."""
        named = None if query.known is None else self._of(query.known.name)
        if named is None:
            return "", None
        return named.known.name, self._describer.joined([named.appearance])

    def _of(self, name: str) -> _Named | None:
        with self._lock:
            return self._named.get(name_key(name))

    def _answered(self, grounding: Grounding) -> None:
        """Keeps the last answers, whose tubes can be named, and moves the name of a command."""
        best = grounding.best
        if best.status is not Status.FOUND:
            return
        with self._lock:
            self._answers[best.query.id] = [replace(one, picture=None) for one in grounding.tubes]
            if len(self._answers) > _MOST_ANSWERS:
                self._answers.popitem(last=False)
        named = None if best.query.known is None else self._of(best.query.known.name)
        if named is None or not best.boxes:
            return
        last = best.boxes[-1]
        newer = last.stamp_ns > named.known.stamp_ns or not self._in_window(named)
        with self._lock:
            for key, one in list(self._named.items()):
                if one.answered == named.answered:  # other names of the same target, too
                    moved = one.seen(best.camera, last) if newer else one
                    self._named[key] = replace(moved, answered=best.boxes)

    def _on_teach(self, request: Any, response: Any) -> Any:
        try:
            name = introduced_name(request.name)
            if not name_key(name):
                raise CommandError(
                    f"name: expected a name such as 'Morgan', got {request.name[:40]!r}"
                )
            named = self._bound(name, self._target(request.query_id, request.rank))
        except StvgError as error:
            response.success, response.message = False, str(error)
            return response
        response.success = True
        later = "is recognised by appearance when it is back in view"
        if named.appearance.vector is None:
            later = "is known while it stays in the window: its images are no longer there"
        place = ", ".join(f"{x:.0f}" for x in named.known.box_xyxy_px)
        response.message = f"{name!r} is the target at {place} px, and {later}"
        return response

    def _target(self, query_id: str, rank: int) -> Sighting:
        """Where a target was seen last.

        Args:
            query_id: of an answer; "" is the followed target, else the last answer.
            rank: of its tube.

        Raises:
            CommandError: there is no such answer or tube.
        """
        followed = self._followed() if not query_id else None
        if followed is not None:
            return followed
        with self._lock:
            known = list(self._answers)
            wanted = query_id or (known[-1] if known else "")
            answer = self._answers.get(wanted)
        if answer is None:
            raise CommandError(
                f"query_id: expected the id of an answer with a tube ({', '.join(known) or 'none'}"
                f"), got {query_id!r}; give a command that finds the target first"
            )
        tubes = [tube for tube in answer if tube.boxes]
        if rank >= len(tubes):
            raise CommandError(
                f"rank: expected 0 to {len(tubes) - 1}, the tubes of {wanted!r}, got {rank}"
            )
        tube = tubes[rank]
        return Sighting(tube, tube.camera, tube.boxes[-1], self._appearance_in(tube))

    def _appearance_in(self, tube: Tube) -> TubeDescriptor:
        """The appearance of a tube that is remembered, or in its images that are still there."""
        remembered = self._remembered(tube)
        if remembered is not None:
            return self._describer.joined([remembered])
        window = self._window(tube.camera)
        frames = window.snapshot().frames if window.fill[0] else ()
        by_stamp = {frame.stamp_ns: frame for frame in frames}
        boxes = [box for box in tube.boxes if box.stamp_ns in by_stamp]
        shown = [by_stamp[box.stamp_ns] for box in boxes]
        return self._describer.of_boxes(shown, [box.box_xyxy_px for box in boxes])

    def _update(self) -> None:
        """Moves the binding that waits longest to the newest box of its tube, if nobody asks."""
        self._keep_up()
        with self._lock:
            waiting = sorted(self._named.items(), key=lambda item: item[1].known.stamp_ns)
        apart_ns = int(self._config().window.duration_s / _UPDATES * 1e9)
        for key, named in waiting:
            query = Query(named.known.name, f"name {key}", known=named.known)
            try:
                if not self._in_window(named):
                    continue  # recognised when a command asks
                views = self._intake.views(named.known.camera)
                newest_ns = max(clip.frames[-1].stamp_ns for clip in views.clips.values())
                if newest_ns - max(named.known.stamp_ns, named.tried_ns) >= apart_ns:
                    tried = replace(named, tried_ns=newest_ns)
                    if self._intake.offer(query, views, partial(self._moved, key, tried)):
                        with self._lock:
                            if self._named.get(key) is named:
                                self._named[key] = tried
                    return
            except StvgError:
                continue  # the node is inactive, or its camera has no fresh images

    def _moved(self, key: str, named: _Named, grounding: Grounding) -> None:
        tube = grounding.best
        if tube.status is not Status.FOUND:
            return
        last = tube.boxes[-1]
        with self._lock:
            if self._named.get(key) is named and last.stamp_ns > named.known.stamp_ns:
                self._named[key] = named.seen(tube.camera, last)
