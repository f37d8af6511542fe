# SPDX-License-Identifier: Apache-2.0

"""Follow mode: publishes the target for each new image, and looks for a lost one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from std_msgs.msg import Header
from std_srvs.srv import SetBool

from stvg_ros import msg
from stvg_ros.config import Config
from stvg_ros.crops import picture_of
from stvg_ros.errors import StvgError
from stvg_ros.identity.descriptor import TubeDescriptor
from stvg_ros.identity.followed_target import Sighting, TargetReport, TargetState
from stvg_ros.identity.long_term_tracker import LongTermTracker, SearchQuestion
from stvg_ros.identity.query_evidence import query_odds
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.method.interfaces import Proposer
from stvg_ros.node.conversions import box_message, time_message
from stvg_ros.node.target_pictures import TargetPictures
from stvg_ros.runtime.camera_search import Answer, CameraViews
from stvg_ros.types import (
    CandidateTube,
    Clip,
    Frame,
    Grounding,
    Query,
    SplitQuery,
    Status,
    Tube,
    TubeBox,
)
from stvg_ros.window import Window

PEOPLE = SplitQuery("people", "people", "people", "none")
_PATIENCE_S = 5.0  # how long the query waits for running commands
# Submits a query on some clips while no command waits; False if one does.
Offer = Callable[[Query, CameraViews, Answer], bool]


@dataclass(frozen=True)
class FoundTarget:
    """An answer whose target is to be followed.

    Attributes:
        tube: the best tube.
        appearance: what is known of the target; None describes the tube.
        name: its taught name, or "".
    """

    tube: Tube
    appearance: TubeDescriptor | None = None
    name: str = ""


class Follow:
    """Publishes `~/target`; the service `~/follow` switches it on and off.

    Thread contract: `answered` and `followed` may be called from any thread, `frame_stored` from
    one thread, `search` from another; the service and `start`, `stop` and `close` run in the
    executor's. A lock guards the tracker.
    """

    def __init__(
        self,
        node: Node,
        window: Callable[[str], Window],
        config: Callable[[], Config],
        place: Callable[[TubeBox, Frame], TubeBox],
        describer: TubeDescriber,
        pictures: TargetPictures,
    ) -> None:
        """Creates the topic and the service.

        Args:
            node: publishes.
            window: the window of a camera.
            config: returns the current configuration.
            place: adds the position to a frame's box.
            describer: describes people.
            pictures: receives a picture of a target that was found again.
        """
        self._place = place
        self._node = node
        self._window = window
        self._config = config
        self._describer = describer
        self._pictures = pictures
        self._lock = threading.RLock()
        self._enabled = config().follow.enabled
        self._source: Proposer | None = None
        self._given: Proposer | None = None  # the source, whether it can follow or not
        self._tracker: LongTermTracker | None = None
        self._found: FoundTarget | None = None  # the next one to follow
        self._sighting: Sighting | None = None  # of the target, the newest
        self._restarted: set[str] = set()
        self._asked: SearchQuestion | None = None
        self._in_queue = False  # whether the question was accepted
        self._waited_s = 0.0  # monotonic seconds, since when it waits
        self._offer: Offer = lambda query, views, answer: False
        self._wake: Callable[[], None] = lambda: None
        self._targets = node.create_publisher(msg.Target, "~/target", 10)
        self._service = node.create_service(SetBool, "~/follow", self._on_switch)

    def set_search(self, offer: Offer, wake: Callable[[], None]) -> None:
        """Uses `offer` to ask the query, and `wake` when a search begins."""
        self._offer, self._wake = offer, wake

    def start(self, source: Proposer | None) -> None:
        """Uses this source of tubes; warns if it cannot follow and following is enabled."""
        self._given = source
        self._source = source if source is not None and source.can_follow else None
        if self._source is not None:
            self._tracker = LongTermTracker(
                self._source, self._describer, self._window, lambda: self._config().follow
            )
        elif self._enabled:
            self._node.get_logger().warning(f"follow.enabled: {_missing(source)}")

    def stop(self) -> None:
        """Stops following."""
        with self._lock:
            self._source = self._given = self._tracker = None
            self._found = self._asked = self._sighting = None
            self._in_queue = False

    def close(self) -> None:
        """Destroys the topic and the service."""
        self._node.destroy_service(self._service)
        self._node.destroy_publisher(self._targets)

    @property
    def searching(self) -> bool:
        """Whether a lost target is searched."""
        tracker = self._tracker
        return tracker is not None and tracker.searching

    def _asking(self) -> bool:
        """Whether the query is asked about candidates, or waits to be."""
        return self._asked is not None

    def answered(self, target: FoundTarget) -> None:
        """Follows the tube of an answer from the next image on, if there is one."""
        tube = target.tube
        if tube.preliminary:
            return
        with self._lock:
            if self._enabled and tube.status is Status.FOUND and tube.boxes:
                self._found, self._sighting = target, None

    def followed(self) -> Sighting | None:
        """Where the target was seen last that is followed, or lost and searched.

        It does not wait for the tracker. None without a target, and until the next image if the
        target of a newer answer will be followed.
        """
        return self._sighting

    def window_restarted(self, camera: str) -> None:
        """Ends following on a camera whose stamps jumped back."""
        with self._lock:
            self._restarted.add(camera)

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """Locates the target in a new frame, or in one whose detections have arrived."""
        with self._lock:
            tracker = self._tracker
            jumped, self._restarted = self._restarted, set()
            found, self._found = self._found, None
            if tracker is None:
                return
            target = tracker.target
            reports: list[TargetReport] = []
            if target is not None and target.camera in jumped:
                reports = tracker.stop(TargetState.LOST, "the image stamps jumped back")
            elif target is not None and not self._enabled:
                reports = tracker.stop(TargetState.STOPPED, "following was switched off")
            if found is not None and self._enabled:
                self._begin(tracker, found)
            reports += tracker.update(camera, frame)
            self._publish(reports)
            searching = tracker.searching
        if searching and reports:
            self._wake()

    def _begin(self, tracker: LongTermTracker, found: FoundTarget) -> None:
        tube = found.tube
        try:
            if not tube.from_memory:
                tracker.begin(tube, found.appearance, found.name)
            elif found.appearance is not None:
                tracker.await_return(tube, found.appearance, found.name)
                self._wake()
        except StvgError as error:
            self._node.get_logger().warning(f"{tube.query.id}: cannot be followed: {error}")

    def search(self, cameras: Iterable[str]) -> None:
        """Searches a lost target once among the tubes of the cameras."""
        if self._asking():
            if not self._in_queue:
                self._ask()
            return
        for camera in cameras:
            with self._lock:
                tracker, source = self._tracker, self._source
                clip = None if tracker is None else tracker.search_clip(camera)
            if tracker is None or source is None or clip is None or len(clip) < 2:
                continue
            if not source.proposes_anytime:
                self._ground(tracker, camera, clip)
                return
            self.people_seen(camera, clip, source.propose(clip, PEOPLE))
            if self._asking():
                return

    def people_seen(self, camera: str, clip: Clip, candidates: Sequence[CandidateTube]) -> None:
        """Takes the candidate tubes of a camera, while searching or not."""
        with self._lock:
            tracker = self._tracker
            if tracker is None or tracker.target is None:
                return
            self._publish(tracker.searched(camera, clip, candidates))
            question = tracker.question
        if question is not None and question is not self._asked:
            self._asked, self._waited_s = question, time.monotonic()
            self._ask()

    def _ask(self) -> None:
        """Asks the query about the candidates, or decides without it after a while."""
        question, tracker = self._asked, self._tracker
        target = None if tracker is None else tracker.target
        if question is None or tracker is None or target is None:
            return
        if tracker.question is not question:  # another target, or none
            self._asked = None
            return

        def answer(grounding: Grounding) -> None:
            best = grounding.best
            problem = best.error if best.status is Status.FAILED else "it says nothing"
            self._decide(question, query_odds(grounding), problem)

        query = _search_query(target.tube, question.text, question.clip)
        self._in_queue = True  # before the answer can arrive
        if self._offer(query, CameraViews({question.camera: question.clip}), answer):
            return
        self._in_queue = False
        if time.monotonic() - self._waited_s > _PATIENCE_S:
            self._decide(question, None, "commands were running")

    def _decide(
        self, question: SearchQuestion, odds: dict[int, float] | None, problem: str
    ) -> None:
        with self._lock:
            tracker = self._tracker
            self._asked, self._in_queue = None, False
            if tracker is not None and tracker.question is question:
                self._publish(tracker.answered(odds, problem))

    def _ground(self, tracker: LongTermTracker, camera: str, clip: Clip) -> None:
        """For a source that only the grounding thread may use: tubes and odds of one answer."""
        target = tracker.target
        if target is None:
            return

        def answer(grounding: Grounding) -> None:
            with self._lock:
                reports = tracker.searched(camera, clip, grounding.candidates)
                if tracker.question is not None:
                    reports += tracker.answered(query_odds(grounding), "it says nothing")
                self._publish(reports)

        query = _search_query(target.tube, target.description or "a person", clip)
        self._offer(query, CameraViews({camera: clip}), answer)

    def _publish(self, reports: Iterable[TargetReport]) -> None:
        """Publishes what is new, after `followed` returns it."""
        self._note_sighting()
        for report in reports:
            state, tube, frame = report.state, report.tube, report.frame
            if state not in (TargetState.FOLLOWING, TargetState.SEARCHING):
                said = f"{state.name.lower().replace('_', ' ')} {report.reason or report.evidence}"
                self._node.get_logger().info(f"{tube.query.id}: {said}")
            stamp_ns = tube.boxes[-1].stamp_ns if frame is None else frame.stamp_ns
            box = TubeBox(stamp_ns, report.box_xyxy_px, 0.0, interpolated=not report.seen)
            if report.seen and frame is not None:  # a predicted box has no measured depth
                box = self._place(box, frame)
            frame_id = tube.frame_id if frame is None else frame.frame_id
            self._targets.publish(
                msg.Target(
                    header=Header(stamp=time_message(stamp_ns), frame_id=frame_id),
                    query_id=tube.query.id,
                    query=tube.query.text,
                    name=report.name,
                    camera=report.camera,
                    status=int(state),
                    ended=report.ended,
                    reason=report.reason,
                    score=float(report.score),
                    evidence=report.evidence,
                    unseen=float(report.unseen_s),
                    box=box_message(box),
                )
            )
            if state is TargetState.FOUND_AGAIN and frame is not None:
                self._pictures.publish(picture_of(frame, report.box_xyxy_px), frame_id)

    def _note_sighting(self) -> None:
        target = None if self._tracker is None else self._tracker.target
        if target is None or self._found is not None:
            self._sighting = None
            return
        appearance = self._describer.joined([target.gallery.target])
        self._sighting = Sighting(target.tube, target.camera, target.seen_box, appearance)

    def _on_switch(self, request: Any, response: Any) -> Any:
        response.success = self._source is not None or not request.data
        if response.success:
            with self._lock:
                self._enabled = request.data
            response.message = "the next tube is followed" if request.data else "following is off"
        else:
            response.message = f"the node is not active, or {_missing(self._given)}"
        return response


def _missing(source: Proposer | None) -> str:
    """Why nothing can be followed."""
    if source is None:
        here = "with backend: remote, set remote.tubes to 'robot'"
        return f"it cannot follow without a source of candidate tubes in its process; {here}"
    return f"its source of tubes ({source.name}) cannot follow; choose another proposals.source"


def _search_query(tube: Tube, text: str, clip: Clip) -> Query:
    """The query of a search, fixed to its clip."""
    first, last = clip.frames[0].stamp_ns, clip.frames[-1].stamp_ns
    return Query(text, f"{tube.query.id[:200]} search", start_ns=first, end_ns=last)
