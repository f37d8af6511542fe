# SPDX-License-Identifier: Apache-2.0

"""The data types passed between stages. Stamps are integer nanoseconds of the image headers,
boxes are xyxy pixels of the original camera image, images are RGB uint8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from stvg_ros.commands.command import Command
from stvg_ros.errors import CommandError, ErrorCode
from stvg_ros.frames import MAX_NAME_CHARACTERS as MAX_NAME_CHARACTERS
from stvg_ros.frames import CandidateTube as CandidateTube
from stvg_ros.frames import Clip as Clip
from stvg_ros.frames import Frame as Frame
from stvg_ros.frames import short_name as short_name
from stvg_ros.known_target import KnownTarget

MAX_QUERY_CHARACTERS = 2000


@dataclass(frozen=True)
class Query:
    """A language command.

    Attributes:
        text: what to find, 1 to `MAX_QUERY_CHARACTERS` characters after stripping.
        id: the caller's name for the command; repeated in answers.
        start_ns: start of the requested window, or None for the start of the buffer.
        end_ns: end of the requested window (included), or None for the newest frame.
        deadline_s: seconds from receipt after which the answer is useless, or None.
        max_targets: maximum number of returned tubes, best first.
        preliminary: whether the answer before tuning is requested too, before the final one.
        camera: name of one of several cameras, or "" for all; only the node reads it.
        known: the target that the text names, if the name was taught.
        picture: whether the tubes of the answer carry a picture of who was found.
    """

    text: str
    id: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    deadline_s: float | None = None
    max_targets: int = 1
    preliminary: bool = False
    camera: str = ""
    known: KnownTarget | None = None
    picture: bool = False

    def __post_init__(self) -> None:
        text = " ".join(self.text.split())
        if not text:
            raise CommandError(
                f"the command is empty (got {self.text!r:.40}); say what to find, "
                "for example 'find the person in red who waves'"
            )
        if len(text) > MAX_QUERY_CHARACTERS:
            raise CommandError(
                f"the command has {len(text)} characters; expected at most "
                f"{MAX_QUERY_CHARACTERS}; shorten it to one description"
            )
        object.__setattr__(self, "text", text)
        for name, value in (("id", self.id), ("camera", self.camera)):
            if len(value) > MAX_NAME_CHARACTERS:
                raise CommandError(
                    f"{name}: expected at most {MAX_NAME_CHARACTERS} characters, got "
                    f"{len(value)}; shorten it"
                )
        if self.start_ns is not None and self.end_ns is not None and self.end_ns < self.start_ns:
            raise CommandError(
                f"the window ends ({self.end_ns} ns) before it starts ({self.start_ns} ns); "
                "swap them or leave them at 0 for the whole buffer"
            )
        if self.deadline_s is not None and not self.deadline_s > 0:
            raise CommandError(f"deadline: expected more than 0 s, got {self.deadline_s} s")
        if self.max_targets < 1:
            raise CommandError(f"max_targets: expected 1 or more, got {self.max_targets}")


@dataclass(frozen=True)
class SplitQuery:
    """A query and its two sub-queries (paper, section 4.2).

    Attributes:
        text: Q, without the words that only address the robot.
        attribute: Q_s, the static part, a noun phrase such as "the man in purple clothes".
        action: Q_t, the action, such as "the man sits on the bench".
        method: how it was split: "mllm", "endpoint", "parser", "rules", "none".
        fallbacks: names of the parts ("attribute", "action") that were replaced by Q.
        command: the parsed command; None if it was not parsed.
        tokens: tokens that the MLLM read to split it; 0 if it did not, or knew the sentence.
    """

    text: str
    attribute: str
    action: str
    method: str
    fallbacks: tuple[str, ...] = ()
    command: Command | None = None
    tokens: int = 0

    @property
    def lasts(self) -> bool:
        """Whether the description holds while the target is present: appearance, no action."""
        return self.fallbacks == ("action",)


class Status(IntEnum):
    """Outcome of a command; the values are those of `stvg_ros/msg/Tube.status`."""

    FOUND = 0
    NOT_FOUND = 1
    FAILED = 2


@dataclass(frozen=True)
class TubeBox:
    """One box of a tube.

    Attributes:
        score: the attention inside it relative to the tube's peak, 0 to 1.
        position_m: x, y, z in the camera frame, if depth was available.
        target_position_m: the same in the tube's `target_frame`.
    """

    stamp_ns: int
    box_xyxy_px: tuple[float, float, float, float]
    score: float
    interpolated: bool = False
    position_m: tuple[float, float, float] | None = None
    target_position_m: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Picture:
    """A crop of one frame.

    Attributes:
        stamp_ns: stamp of the frame.
        jpeg: the file.
    """

    stamp_ns: int
    jpeg: bytes


@dataclass(frozen=True)
class Tube:
    """The answer to one command: where and when.

    Attributes:
        query: the command.
        status: found, not found, or failed.
        boxes: one per buffered frame inside the span, ordered by stamp.
        start_ns: stamp of the first frame of the span.
        end_ns: stamp of the last frame of the span (included).
        confidence: 0 to 1; the model's confidence that the target is present.
        calibrated: whether the confidence was calibrated for this model and pictures like these.
        rank: 0 for the best tube, 1 for the next, ...
        track_id: the chosen candidate tube.
        score: S_obj, the highest attention inside the tube relative to the neutral prompt; tubes
            are ranked by it. NaN without a tube.
        consistency: S_cons of temporal-augmented assembling, -1 to 1; NaN when it did not run.
        dropped_steps: re-attention steps dropped for a non-finite gradient.
        preliminary: the answer before tuning; the final one follows.
        timings_s: seconds per stage, in the order of execution.
        cost: what the model computed, see `method.pass_counter`; empty if it is not known.
        camera: name of the camera, if there are several.
        warning: limits of the answer, such as a camera that could not be searched.
        decided: which source of evidence decided for the tube, word by word; "" if attention alone
            did.
        image_age_s: time from the receipt of the camera's newest image to that of the command.
        target_frame: the coordinate frame of the boxes' `target_position_m`.
        candidates: the source of the candidate tubes, and why it was chosen.
        from_memory: whether the frames had left the window; `warning` gives the span.
        picture: the best crop of the target, if the query asks for it.
    """

    query: Query
    status: Status
    split: SplitQuery | None = None
    boxes: tuple[TubeBox, ...] = ()
    start_ns: int = 0
    end_ns: int = 0
    confidence: float = 0.0
    calibrated: bool = True
    rank: int = 0
    track_id: int = -1
    score: float = float("nan")
    consistency: float = float("nan")
    dropped_steps: int = 0
    preliminary: bool = False
    width_px: int = 0
    height_px: int = 0
    frame_id: str = ""
    stamp_ns: int = 0
    model: str = ""
    candidates: str = ""
    error_code: ErrorCode = ErrorCode.NONE
    error: str = ""
    timings_s: Mapping[str, float] = field(default_factory=dict)
    cost: Mapping[str, int] = field(default_factory=dict)
    camera: str = ""
    target_frame: str = ""
    warning: str = ""
    decided: str = ""
    image_age_s: float = 0.0
    from_memory: bool = False
    picture: Picture | None = None


# Sources that ask the model about the query as a whole.
ATTENTION, PAINTED_IDS = "attention", "painted ids"
STATED_INTERVAL, SECOND_LOOK = "stated interval", "second look"


@dataclass(frozen=True, eq=False)
class SourceFinding:
    """What one source of evidence says about some words of a command.

    Attributes:
        source: name of the source, such as "attention" or "body".
        words: the words of the command.
        tubes: log-odds in nats that a tube is what the words describe, by track id; a tube that is
            not in it could not be measured.
        frames: `(F,)` log-odds of the clip's frames, by track id, of what does not last; empty if
            the words say nothing about when.
    """

    source: str
    words: str
    tubes: Mapping[int, float]
    frames: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def measured(self) -> bool:
        """Whether its words were measured on each tube.

        The others compare tubes with one another, which does not tell whether the target is there.
        """
        return self.source not in (ATTENTION, PAINTED_IDS, STATED_INTERVAL, SECOND_LOOK)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Why a tube was chosen: attention maps and scores.

    Attributes:
        stamps_ns: `(T,)` stamps of the sampled frames.
        slots: for each of the S temporal slots, the indices of the sampled frames in it.
        spatial: `(S, h, w)` relative attention A_S, after assembling.
        temporal: `(S, h, w)` relative attention A_T.
        frame_scores: `(T,)` S_frame inside the chosen track; NaN without a track.
        track_scores: what ranks each candidate tube, by track id: S_obj, or with findings the
            sum of their log-odds.
        track_boxes: `(T, 4)` their boxes at the sampled frames, by track id; NaN where absent.
        grounding_token: label of the prompt token whose row is A_S.
        margins: log p(yes) - log p(no) of Q, Q_s and Q_t before tuning, in nats.
        findings: of all sources of evidence; empty if attention alone decided.
        looks: log p(yes) - log p(no) of a second look by track id, in nats; empty without one.
        keypoints: `(T, 17, 3)` by track id: x and y in the camera's pixels and the visibility of
            COCO's keypoints at the sampled frames, NaN where they were not estimated; empty
            unless `evidence.keypoints` asks for them.
    """

    stamps_ns: NDArray[np.int64]
    slots: tuple[tuple[int, ...], ...]
    spatial: NDArray[np.float32]
    temporal: NDArray[np.float32]
    frame_scores: NDArray[np.float32]
    track_scores: Mapping[int, float]
    grounding_token: str
    margins: tuple[float, ...] = ()
    track_boxes: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    findings: tuple[SourceFinding, ...] = ()
    looks: Mapping[int, float] = field(default_factory=dict)
    keypoints: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Grounding:
    """The result of one call of a grounder.

    Attributes:
        tubes: best first, at least one.
        evidence: attention maps and scores of the best tube.
        candidates: the candidate tubes on the frames of the requested window; empty if they are
            not available.
        text: the answer to a question in words; "" if there was no question.
        number: number of matching tubes, if the command asks for a count or presence.
    """

    tubes: tuple[Tube, ...]
    evidence: Evidence | None = None
    candidates: tuple[CandidateTube, ...] = ()
    text: str = ""
    number: int | None = None

    def __post_init__(self) -> None:
        if not self.tubes:
            raise ValueError("Grounding: expected at least one tube, got none")

    @property
    def best(self) -> Tube:
        """The tube of rank 0."""
        return self.tubes[0]
