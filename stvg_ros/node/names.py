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

from stvg_ros.commands.naming import introduced_name, name_key
from stvg_ros.commands.reader import CachedReader, grammar_reader
from stvg_ros.config import Config
from stvg_ros.errors import CommandError, StvgError
from stvg_ros.known_target import KnownTarget
from stvg_ros.node.intake import Intake
from stvg_ros.srv import Teach
from stvg_ros.types import Grounding, Query, Status, TubeBox

MAX_NAMES = 20
_MOST_ANSWERS = 20
_PERIOD_S = 0.25  # between looks for a binding that has to be moved
_UPDATES = 4  # of a known box during the length of the window


@dataclass(frozen=True)
class _Named:
    """A taught name and its target."""

    known: KnownTarget
    camera: str
    tried_ns: int = 0  # stamp of the newest image when it was searched last


class Names:
    """Binds names to targets, and finds the target of a command that uses a name.

    A binding is the target's last known box. It is moved along the candidate tube that contains it
    while no command waits, so it holds as long as the target has a tube that reaches into the
    window; there is no recognition of a person who left and came back.

    Thread contract: any thread may call `resolve`, the executor's thread all other methods.
    """

    def __init__(
        self,
        node: Node,
        intake: Intake,
        config: Callable[[], Config],
        followed: Callable[[], tuple[str, TubeBox] | None],
    ) -> None:
        """Creates the service.

        Args:
            node: has the service.
            intake: submits the searches for known targets; its commands may use names.
            config: returns the current configuration.
            followed: returns the camera and the box of the followed target.
        """
        self._node = node
        self._intake = intake
        self._config = config
        self._followed = followed
        self._reader = CachedReader(grammar_reader("rules"))
        self._lock = threading.Lock()
        self._named: OrderedDict[str, _Named] = OrderedDict()
        self._answers: OrderedDict[str, Grounding] = OrderedDict()
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
        """The query with the known target that it names, if the name was taught."""
        with self._lock:
            if not self._named:
                return query
            command = self._reader.read(query.text)
            said = {name_key(text) for text in (command.name, command.target) if text}
            named = next((self._named[key] for key in said if key in self._named), None)
        if named is None:
            return query
        return replace(query, known=named.known, camera=named.camera)

    def _answered(self, grounding: Grounding) -> None:
        """Keeps the last answers, whose tubes can be named."""
        if grounding.best.status is not Status.FOUND:
            return
        with self._lock:
            self._answers[grounding.best.query.id] = grounding
            if len(self._answers) > _MOST_ANSWERS:
                self._answers.popitem(last=False)

    def _on_teach(self, request: Any, response: Any) -> Any:
        try:
            name = introduced_name(request.name)
            if not name_key(name):
                raise CommandError(
                    f"name: expected a name such as 'Morgan', got {request.name[:40]!r}"
                )
            camera, box = self._target(request)
        except StvgError as error:
            response.success, response.message = False, str(error)
            return response
        known = KnownTarget(name, box.box_xyxy_px, box.stamp_ns)
        with self._lock:
            self._named.pop(name_key(name), None)
            self._named[name_key(name)] = _Named(known, camera)
            if len(self._named) > MAX_NAMES:
                self._named.popitem(last=False)
        response.success = True
        response.message = (
            f"{name!r} is the target at {', '.join(f'{x:.0f}' for x in known.box_xyxy_px)} px, "
            "while it stays in the window"
        )
        return response

    def _target(self, request: Any) -> tuple[str, TubeBox]:
        """The camera and the box that a request names.

        Raises:
            CommandError: there is no such answer or tube.
        """
        followed = self._followed() if not request.query_id else None
        if followed is not None:
            return followed
        with self._lock:
            known = list(self._answers)
            wanted = request.query_id or (known[-1] if known else "")
            answer = self._answers.get(wanted)
        if answer is None:
            raise CommandError(
                f"query_id: expected the id of an answer with a tube ({', '.join(known) or 'none'}"
                f"), got {request.query_id!r}; give a command that finds the target first"
            )
        tubes = [tube for tube in answer.tubes if tube.boxes]
        if request.rank >= len(tubes):
            raise CommandError(
                f"rank: expected 0 to {len(tubes) - 1}, the tubes of {wanted!r}, got {request.rank}"
            )
        tube = tubes[request.rank]
        return tube.camera, tube.boxes[-1]

    def _update(self) -> None:
        """Moves the binding that waits longest to the newest box of its tube, if nobody asks."""
        with self._lock:
            waiting = sorted(self._named.items(), key=lambda item: item[1].known.stamp_ns)
        apart_ns = int(self._config().window.duration_s / _UPDATES * 1e9)
        for key, named in waiting:
            query = Query(named.known.name, f"name {key}", known=named.known, camera=named.camera)
            try:
                views = self._intake.views(named.camera)
                newest_ns = max(clip.frames[-1].stamp_ns for clip in views.clips.values())
                if newest_ns - max(named.known.stamp_ns, named.tried_ns) >= apart_ns:
                    tried = replace(named, tried_ns=newest_ns)
                    if self._intake.offer(query, views, partial(self._moved, key, tried)):
                        with self._lock:
                            if self._named.get(key) is named:
                                self._named[key] = tried
                    return
            except StvgError:
                return  # the node is inactive, or there are no images

    def _moved(self, key: str, named: _Named, grounding: Grounding) -> None:
        tube = grounding.best
        if tube.status is not Status.FOUND:
            return
        last = tube.boxes[-1]
        known = replace(named.known, box_xyxy_px=last.box_xyxy_px, stamp_ns=last.stamp_ns)
        with self._lock:
            if self._named.get(key) is named and last.stamp_ns > named.known.stamp_ns:
                self._named[key] = _Named(known, named.camera)
