# SPDX-License-Identifier: Apache-2.0

"""Long-term tracking of one target: follows it, notices its loss, and identifies it again.

A short-term tracker (`Follower`) gives the box of each frame. The appearance at the box is compared
with the target's, so that a track that jumps to another person is a loss, too. A lost target is
searched among the candidate tubes of all cameras, see `reidentification`. There is no ROS here:

    tracker = LongTermTracker(source, describer, windows, lambda: FollowConfig())
    tracker.begin(tube)
    for frame in stream:
        reports = tracker.update("", frame)
        clip = tracker.search_clip("")
        if clip is not None:
            reports += tracker.searched("", clip, source.propose(clip, query))
        if tracker.question is not None:
            reports += tracker.answered(None)        # or what a grounder says about the query
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from stvg_ros.boxes import paired_iou
from stvg_ros.errors import ProposalError
from stvg_ros.frames import CandidateTube, Clip, Frame
from stvg_ros.identity.descriptor import TubeDescriptor
from stvg_ros.identity.followed_target import Box, FollowedTarget, TargetReport, TargetState
from stvg_ros.identity.gallery import TargetGallery
from stvg_ros.identity.reidentification import Candidate, Identification, identified
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.method.interfaces import Follower, Proposer
from stvg_ros.node.settings import FollowConfig
from stvg_ros.types import Tube
from stvg_ros.window import Window

_BEFORE_NS = 1_000_000_000  # of the loss, in the clip that is searched
_SEARCHED_NS = 4_000_000_000  # length of that clip at most
_IN_VIEW_NS = 1_000_000_000  # a candidate must have been seen since
_ELSEWHERE = 0.1  # IoU with the target's box up to which a tube is another person's
_LEAST_COMMON = 2  # frames in which both were seen
_ASK_AGAIN_NS = 2_000_000_000  # after the query contradicted


@dataclass(frozen=True, eq=False)
class SearchQuestion:
    """What the query is asked about: candidates of a camera, of whom one looks like the target.

    Attributes:
        camera: name of the camera.
        clip: its frames, with the candidates as `Clip.tubes`.
        text: the description of the target.
    """

    camera: str
    clip: Clip
    text: str


class LongTermTracker:
    """Follows one target through losses.

    Nobody else is taken for the target silently: while it is lost, no box is reported as seen, and
    a person is followed only after `FOUND_AGAIN`.

    Not thread-safe. Memory is bounded by the target's gallery and a few seconds of boxes; frames
    are in the windows only.
    """

    def __init__(
        self,
        source: Proposer,
        describer: TubeDescriber,
        window: Callable[[str], Window],
        config: Callable[[], FollowConfig],
    ) -> None:
        """Starts without a target.

        Args:
            source: follows boxes; its tubes are given to `searched`.
            describer: describes appearances.
            window: the window of a camera.
            config: returns the current settings.
        """
        self._source = source
        self._describer = describer
        self._window = window
        self._config = config
        self._target: FollowedTarget | None = None
        self._question: SearchQuestion | None = None
        self._pending: list[Candidate] = []

    @property
    def target(self) -> FollowedTarget | None:
        """The target; None before `begin` and after it was given up."""
        return self._target

    @property
    def searching(self) -> bool:
        """Whether the target is lost and searched."""
        return self._target is not None and self._target.state is TargetState.SEARCHING

    @property
    def question(self) -> SearchQuestion | None:
        """What should be asked of the query now; `answered` takes the answer."""
        return self._question

    def begin(self, tube: Tube, appearance: TubeDescriptor | None = None, name: str = "") -> None:
        """Follows from the tube's last box, through the frames that arrived since.

        Args:
            tube: of an answer, with boxes.
            appearance: what is known of the target's appearance; None describes the tube.
            name: the taught name of the target.

        Raises:
            ProposalError: the tube's last image has left the window, or the source cannot follow.
        """
        self._target = self._question = None
        window = self._window(tube.camera)
        frames = {f.stamp_ns: f for f in window.snapshot().frames}
        shown = [box for box in tube.boxes if box.stamp_ns in frames]
        if not shown or shown[-1] is not tube.boxes[-1]:
            raise ProposalError(
                "not followed: the tube's last image has left the window; raise window.duration_s"
            )
        detected = [box for box in shown if not box.interpolated] or shown
        seen = self._describer.of_boxes(
            [frames[box.stamp_ns] for box in detected], [box.box_xyxy_px for box in detected]
        )
        gallery = TargetGallery(seen if appearance is None else appearance)
        target = FollowedTarget(tube, gallery, tube.camera, name)
        for box in detected:
            target.note_seen(box.stamp_ns, box.box_xyxy_px)
        last, here = frames[shown[-1].stamp_ns], shown[-1].box_xyxy_px
        self._start(target, self._follower(last, here), last, here)
        self._target = target

    def await_return(self, tube: Tube, appearance: TubeDescriptor, name: str = "") -> None:
        """Searches a target that is not in view now, such as one from memory.

        Args:
            tube: where it was seen last.
            appearance: what it looks like.
            name: its taught name.
        """
        self._question = None
        target = FollowedTarget(tube, TargetGallery(appearance), tube.camera, name)
        target.state = TargetState.SEARCHING
        self._target = target

    def stop(self, state: TargetState, reason: str) -> list[TargetReport]:
        """Ends following with a last report, if there is a target."""
        target, self._target = self._target, None
        self._question = None
        if target is None:
            return []
        return [target.report(state, reason=reason, ended=True)]

    def update(self, camera: str, frame: Frame) -> list[TargetReport]:
        """Processes a new frame of any camera; returns what is new about the target.

        Frames of a camera must be in order of their stamps; others are ignored.
        """
        target = self._target
        if target is None:
            return []
        target.note_time(camera, frame.stamp_ns)
        if target.state is TargetState.SEARCHING:
            return self._waited(target)
        if camera != target.camera or frame.stamp_ns <= target.stamp_ns:
            return []
        lost = self._located(target, frame)
        if lost or target.frame is not frame:
            return lost
        return [target.report(TargetState.FOLLOWING)]

    def search_clip(self, camera: str) -> Clip | None:
        """The frames in which the target should be searched now; None if it is not searched."""
        target = self._target
        if target is None or not self.searching or self._question is not None:
            return None
        window = self._window(camera)
        if not window.fill[0]:
            return None
        clip = window.snapshot()
        since_ns = clip.frames[-1].stamp_ns - _SEARCHED_NS
        if camera == target.camera:
            since_ns = max(since_ns, target.seen_ns - _BEFORE_NS)
            if clip.frames[-1].stamp_ns <= target.seen_ns:
                return None
        return clip.part(clip.stamps_ns >= since_ns)

    def searched(
        self, camera: str, clip: Clip, candidates: Sequence[CandidateTube]
    ) -> list[TargetReport]:
        """Takes the candidate tubes of a camera; they also show who else is in view."""
        target = self._target
        if target is None or not candidates:
            return self._unidentified(target, camera, "nobody is in view") if self.searching else []
        apart = [self._elsewhere(target, camera, clip, one) for one in candidates]
        if not self.searching:
            others = [one for one, other in zip(candidates, apart, strict=True) if other]
            self._note_others(target, clip, others)
            return []
        newest_ns = clip.frames[-1].stamp_ns
        since_ns = target.seen_ns if camera == target.camera else -(2**62)
        shown = [
            (one, other)
            for one, other in zip(candidates, apart, strict=True)
            if clip.stamps_ns[one.present][-1] >= max(newest_ns - _IN_VIEW_NS, since_ns + 1)
        ]
        seen = self._describer.of_tubes(clip, [one for one, _ in shown], since_ns)
        people = [
            Candidate(one.track_id, part, elsewhere=other)
            for (one, other), part in zip(shown, seen, strict=True)
        ]
        found = identified(target.gallery, people)
        asked = found.track_id is not None or len(found.ambiguous) > 0
        if not asked:
            return self._unidentified(target, camera, found.reason, found)
        text = target.description
        whole = Clip(clip.frames, tuple(one for one, _ in shown))
        question = SearchQuestion(camera, whole, text)
        if not text:
            return self._decided(target, question, people)
        if newest_ns < target.ask_from_ns:
            reason = "the query contradicted a moment ago"
            return self._unidentified(target, camera, reason, found)
        self._question, self._pending = question, people
        return []

    def answered(self, odds: Mapping[int, float] | None, problem: str = "") -> list[TargetReport]:
        """Takes what the query says about the candidates of `question`, and decides.

        Args:
            odds: log-odds in nats that the description is true of a candidate, by track id; None
                if it could not be asked: the appearance decides alone.
            problem: why it could not be asked.
        """
        target, question = self._target, self._question
        self._question = None
        if target is None or question is None or not self.searching:
            return []
        people = [
            one if odds is None else replace(one, query=odds.get(one.track_id))
            for one in self._pending
        ]
        note = "" if odds is not None else f"; query not asked: {problem or 'no model'}"
        return self._decided(target, question, people, note)

    def _decided(
        self,
        target: FollowedTarget,
        question: SearchQuestion,
        people: Sequence[Candidate],
        note: str = "",
    ) -> list[TargetReport]:
        """Follows the identified candidate, or goes on searching."""
        found = identified(target.gallery, people)
        clip = question.clip
        if found.track_id is None:
            target.ask_from_ns = clip.frames[-1].stamp_ns + _ASK_AGAIN_NS
            return self._unidentified(target, question.camera, found.reason, found)
        assert clip.tubes is not None
        chosen = next(one for one in clip.tubes if one.track_id == found.track_id)
        row = int(np.flatnonzero(chosen.present)[-1])
        seen = next(one.appearance for one in people if one.track_id == found.track_id)
        unseen_s = target.unseen_s
        x1, y1, x2, y2 = map(float, chosen.boxes_xyxy_px[row])
        frame, box = clip.frames[row], (x1, y1, x2, y2)
        try:
            follower = self._follower(frame, box)
            target.move_to(question.camera)
            self._start(target, follower, frame, box)
        except ProposalError as error:
            reason = f"cannot be followed: {error}"
            return self._unidentified(target, question.camera, reason, found)
        target.gallery.confirm(seen)
        target.recognised(found.score, found.evidence + note)
        return [target.report(TargetState.FOUND_AGAIN, unseen_s=unseen_s)]

    def _follower(self, frame: Frame, box: Box) -> Follower:
        """A tracker of a box of a frame."""
        return self._source.follower(frame, np.array(box, np.float32))

    def _start(self, target: FollowedTarget, follower: Follower, frame: Frame, box: Box) -> None:
        """Follows from a box of a frame, and through the later frames of its window."""
        target.follow(follower, frame, box)
        frames = self._window(target.camera).snapshot().frames
        since = [f for f in frames if f.stamp_ns > frame.stamp_ns]
        # The newest frame is left to `update`.
        for later in since[: -1 : max(1, -(-len(since) // follower.most_replayed))]:
            target.locate(later)

    def _located(self, target: FollowedTarget, frame: Frame) -> list[TargetReport]:
        """Locates the target in a frame; reports its loss."""
        try:
            target.locate(frame)
        except Exception as error:
            return self._lose(target, f"following failed: {error}", can_search=False)
        if target.due(frame):
            seen = self._describer.of_box(frame, target.box_xyxy_px)
            if target.verified(seen, frame, self._describer.joined):
                reason = f"another person is at its place (appearance {target.score:.2f})"
                return self._lose(target, reason)
        unseen_s = (frame.stamp_ns - target.seen_ns) / 1e9
        if unseen_s > self._config().lost_s:
            return self._lose(target, f"not seen for {unseen_s:.1f} s")
        return []

    def _lose(
        self, target: FollowedTarget, reason: str, *, can_search: bool = True
    ) -> list[TargetReport]:
        if not (can_search and self._config().search_s):
            return self.stop(TargetState.LOST, reason)
        report = target.report(TargetState.LOST, reason=reason)
        target.lose()
        return [report]

    def _waited(self, target: FollowedTarget) -> list[TargetReport]:
        """Gives the target up after `follow.search_s`."""
        limit_s = self._config().search_s
        if target.searched_s <= limit_s:
            return []
        return self.stop(
            TargetState.LOST, f"not found again within follow.search_s ({limit_s:g} s)"
        )

    def _unidentified(
        self,
        target: FollowedTarget | None,
        camera: str,
        reason: str,
        found: Identification | None = None,
    ) -> list[TargetReport]:
        """The report of a search in a camera without a result."""
        if target is None:
            return []
        reason = f"{camera}: {reason}" if camera else reason
        score, evidence = (float("nan"), "") if found is None else (found.score, found.evidence)
        target.recognised(score, evidence)
        return [target.report(TargetState.SEARCHING, reason=reason)]

    def _elsewhere(
        self, target: FollowedTarget, camera: str, clip: Clip, candidate: CandidateTube
    ) -> bool:
        """Whether a tube was seen together with the target, at another place."""
        if camera != target.camera:
            return False
        rows = [
            i
            for i in np.flatnonzero(candidate.present & ~candidate.interpolated)
            if target.was_at(clip.frames[i].stamp_ns)
        ]
        if len(rows) < _LEAST_COMMON:
            return False
        own = np.array([target.places[clip.frames[i].stamp_ns] for i in rows], np.float32)
        return bool(paired_iou(own, candidate.boxes_xyxy_px[rows]).max() <= _ELSEWHERE)

    def _note_others(
        self, target: FollowedTarget, clip: Clip, others: Sequence[CandidateTube]
    ) -> None:
        for seen in self._describer.of_tubes(clip, others, most=4):
            target.gallery.add_other(seen)
