# SPDX-License-Identifier: Apache-2.0

"""The state of a followed target, and the reports about it."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from stvg_ros.frames import Frame
from stvg_ros.identity.descriptor import SAME_PERSON, TubeDescriptor, log_odds
from stvg_ros.identity.gallery import TargetGallery
from stvg_ros.identity.reidentification import LEAST_LEAD
from stvg_ros.method.interfaces import Follower
from stvg_ros.types import Tube, TubeBox

Box = tuple[float, float, float, float]

_VERIFY_NS = 300_000_000  # between two comparisons of the appearance
_VERIFIED = 5  # views that are compared together
_LEAST_VERIFIED = 3
# Below this similarity another person is seen. Between it and `SAME_PERSON` the light or the pose
# may have changed, unless the view is like somebody who was seen together with the target.
_OTHER_PERSON = 0.2
_KEPT_NS = 3_000_000_000  # boxes of the target


class TargetState(IntEnum):
    """State of following; the values are those of `stvg_ros/msg/Target.status`."""

    FOLLOWING = 0
    LOST = 1
    STOPPED = 2
    SEARCHING = 3
    FOUND_AGAIN = 4


@dataclass(frozen=True, eq=False)
class TargetReport:
    """What is new about the target.

    Attributes:
        state: the state.
        tube: the answer whose target is followed.
        name: its taught name, or "".
        camera: name of the camera of the box.
        frame: the frame of the box; None if the target was not in view of a frame yet.
        box_xyxy_px: current or last box.
        seen: whether it was detected there.
        score: similarity of the appearance, see `stvg_ros/msg/Target`; NaN if not compared.
        evidence: what decided.
        reason: why the target is lost or not identified.
        unseen_s: seconds since it was seen last.
        ended: whether this is the last report.
    """

    state: TargetState
    tube: Tube
    name: str
    camera: str
    frame: Frame | None
    box_xyxy_px: Box
    seen: bool
    score: float
    evidence: str
    reason: str
    unseen_s: float
    ended: bool


@dataclass(frozen=True, eq=False)
class Sighting:
    """Where a target was seen last.

    Attributes:
        tube: the answer whose target it is.
        camera: name of the camera.
        box: the box; its score is 0 if a tracker located it.
        appearance: what the target looks like.
    """

    tube: Tube
    camera: str
    box: TubeBox
    appearance: TubeDescriptor


class FollowedTarget:
    """One target: where it is, what it looks like, and since when it is lost. Not thread-safe.

    Attributes:
        tube: the answer whose target is followed.
        gallery: appearances.
        camera: where it was seen last.
        name: its taught name, or "".
        state: FOLLOWING or SEARCHING.
        frame: the frame of its last box.
        box_xyxy_px: its last box.
        seen_ns: stamp of the last frame in which it was detected and looked like itself.
        places: its detected boxes of the last seconds, by stamp.
        score: the last similarity; NaN if not compared.
        evidence: what decided last.
        ask_from_ns: the query is not asked before this stamp.
    """

    def __init__(self, tube: Tube, gallery: TargetGallery, camera: str, name: str) -> None:
        self.tube = tube
        self.gallery = gallery
        self.camera = camera
        self.name = name
        self.state = TargetState.FOLLOWING
        self.frame: Frame | None = None
        last = tube.boxes[-1]
        self.box_xyxy_px: Box = last.box_xyxy_px
        self.stamp_ns = self.seen_ns = last.stamp_ns
        self.places: OrderedDict[int, Box] = OrderedDict()
        self.score = float("nan")
        self.evidence = ""
        self.ask_from_ns = -(2**62)
        self._seen = True
        self._doubted = False  # the last view at its box looked like another person
        self._follower: Follower | None = None
        self._views: deque[TubeDescriptor] = deque(maxlen=_VERIFIED)
        self._compared_ns = last.stamp_ns
        self._agreed_ns = last.stamp_ns  # the last view that looked like the target
        self._times_ns: dict[str, tuple[int, int]] = {}  # first and newest stamp of the search

    @property
    def description(self) -> str:
        """The words that hold as long as the target is there; "" if there are none."""
        split = self.tube.split
        if self.name or split is None or "attribute" in split.fallbacks:
            return ""
        command = split.command
        if command is not None and not command.attribute:
            return ""  # an action may be over, and everybody is a person
        return split.attribute

    @property
    def unseen_s(self) -> float:
        """Seconds since it was seen last, by the stamps of its camera or, if it stopped, others."""
        newest_ns = self._times_ns.get(self.camera, (0, self.stamp_ns))[1]
        return max(self.searched_s, (newest_ns - self.seen_ns) / 1e9, 0.0)

    @property
    def searched_s(self) -> float:
        """Seconds of searching, by the camera that has seen the most of them."""
        if self.state is not TargetState.SEARCHING:
            return 0.0
        return max(((last - first) / 1e9 for first, last in self._times_ns.values()), default=0.0)

    def note_time(self, camera: str, stamp_ns: int) -> None:
        """A frame of any camera arrived."""
        first_ns = self._times_ns.get(camera, (stamp_ns, stamp_ns))[0]
        self._times_ns[camera] = first_ns, stamp_ns

    def note_seen(self, stamp_ns: int, box_xyxy_px: Box) -> None:
        """The target was detected."""
        self.places[stamp_ns] = box_xyxy_px
        while next(iter(self.places)) < stamp_ns - _KEPT_NS:
            self.places.popitem(last=False)

    @property
    def seen_box(self) -> TubeBox:
        """Its box where it was detected last and looked like itself."""
        return TubeBox(self.seen_ns, self.places.get(self.seen_ns, self.box_xyxy_px), 0.0)

    def was_at(self, stamp_ns: int) -> bool:
        """Whether its place in a frame is known, and it looked like itself since."""
        return stamp_ns <= self._agreed_ns and stamp_ns in self.places

    def follow(self, follower: Follower, frame: Frame, box_xyxy_px: Box) -> None:
        """Follows from a box of a frame."""
        self.state = TargetState.FOLLOWING
        self._follower, self.frame, self.box_xyxy_px = follower, frame, box_xyxy_px
        self.stamp_ns = self.seen_ns = self._agreed_ns = self._compared_ns = frame.stamp_ns
        self._seen, self._doubted = True, False
        self._views.clear()
        self.note_seen(frame.stamp_ns, box_xyxy_px)

    def move_to(self, camera: str) -> None:
        """Continues in a camera, without the boxes of the past."""
        self.camera = camera
        self.places.clear()

    def locate(self, frame: Frame) -> None:
        """Locates the target in a later frame; `frame` and `box_xyxy_px` are set if it is known."""
        assert self._follower is not None
        observed = self._follower.update(frame)
        if observed is None:
            return
        self.frame, self.box_xyxy_px, self._seen = frame, observed.box_xyxy_px, observed.seen
        self.stamp_ns = frame.stamp_ns
        if observed.seen:
            if not self._doubted:
                self.seen_ns = frame.stamp_ns
            self.note_seen(frame.stamp_ns, observed.box_xyxy_px)

    def due(self, frame: Frame) -> bool:
        """Whether the appearance in this frame is to be compared."""
        here = self.frame is frame and self._seen
        return here and frame.stamp_ns - self._compared_ns >= _VERIFY_NS

    def verified(
        self,
        seen: TubeDescriptor,
        frame: Frame,
        joined: Callable[[Sequence[TubeDescriptor]], TubeDescriptor],
    ) -> bool:
        """Compares the appearance at the box; whether somebody else is followed since a while.

        A view that looks like the target is added to its gallery, unless somebody who was seen
        together with the target looks clearly more like it. After a view of another person the
        target does not count as seen, until a view looks like it again.
        """
        self._compared_ns = frame.stamp_ns
        if seen.vector is None or self.gallery.target.vector is None:
            return False
        self._views.append(seen)
        own, other = self._likeness(seen)
        self.score, self.evidence = own, f"appearance {own:.2f}"
        if _is_other(own, other):
            self._doubted = True
        elif own >= SAME_PERSON and _lead(other, own) < LEAST_LEAD:
            self._agreed_ns = frame.stamp_ns
            self._doubted = False
            self.gallery.confirm(seen)
        if len(self._views) < _LEAST_VERIFIED:
            return False
        self.score, other = self._likeness(joined(list(self._views)))
        if not _is_other(self.score, other):
            return False
        self.seen_ns = self._agreed_ns
        return True

    def _likeness(self, seen: TubeDescriptor) -> tuple[float, float]:
        """How like the target somebody is, and how like the others who were seen with it."""
        return self.gallery.similarity(seen), self.gallery.nearest_other(seen)

    def lose(self) -> None:
        """The target is lost: it is searched from now on."""
        self.state = TargetState.SEARCHING
        self._follower = None
        self._times_ns = {camera: (last, last) for camera, (_, last) in self._times_ns.items()}

    def recognised(self, score: float, evidence: str) -> None:
        """Records what a search found."""
        self.score, self.evidence = score, evidence

    def report(
        self,
        state: TargetState,
        *,
        reason: str = "",
        unseen_s: float | None = None,
        ended: bool = False,
    ) -> TargetReport:
        """The state for those outside."""
        known = self._seen and not self._doubted
        seen = state in (TargetState.FOLLOWING, TargetState.FOUND_AGAIN) and known
        return TargetReport(
            state,
            self.tube,
            self.name,
            self.camera,
            self.frame,
            self.box_xyxy_px,
            seen,
            self.score,
            self.evidence,
            reason,
            self.unseen_s if unseen_s is None else unseen_s,
            ended,
        )


def _is_other(own: float, other: float) -> bool:
    """Whether a view of these similarities, to target and others, shows another person."""
    return own < _OTHER_PERSON or own < SAME_PERSON <= other


def _lead(first: float, second: float) -> float:
    """By how many nats the first similarity is ahead."""
    one, two = log_odds(np.array([first, second], np.float32))
    return float(one - two)
