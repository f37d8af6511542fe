# SPDX-License-Identifier: Apache-2.0

"""Sources of evidence for tubes and frames, and their sum.

Each source gives log-odds in nats for its own words of the command; the sources are taken as
independent, so log-odds add. Words without a measure add nothing, neither for a tube nor against
it. The attention of the model is one source (`AttentionEvidence`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from stvg_ros.method.base import MOST_NATS, BaseSource
from stvg_ros.method.interfaces import ModelLimits
from stvg_ros.method.model_settings import NEUTRAL, MllmSettings
from stvg_ros.method.rendered_pictures import looks_rendered
from stvg_ros.method.span import FLAT
from stvg_ros.types import ATTENTION, CandidateTube, Clip, Frame, SourceFinding, SplitQuery

if TYPE_CHECKING:
    from stvg_ros.config import Config

# A word is missing on a tube from this evidence against it on.
ABSENT = -1.0
# Evidence against an action before anything is measured: people who are seen too badly to tell
# whether they wave, do not wave, since most people do not.
_SELDOM = -1.2
_RUN_GAP_S = 0.4
# First words of a description that can follow "nobody".
_JOINING = ("in", "with", "wearing", "dressed", "who", "that", "on", "to", "next", "left", "right",
            "between", "near", "beside")  # fmt: skip
_SPAN_MARGIN = 0.3  # nats a second against frames without evidence
_LEAST_SCORE = 1e-3  # of a frame, so that one without attention does not outweigh all others


NO_LIMITS = ModelLimits()
MEASURING = ("body", "both")  # values of evidence.sources with which words are measured


class EvidenceSource(Protocol):
    """Measures how well tubes fit a command. One thread uses it at a time."""

    @property
    def name(self) -> str:
        """The name in answers and reports."""
        ...

    def findings(
        self, clip: Clip, split: SplitQuery, candidates: Sequence[CandidateTube]
    ) -> tuple[SourceFinding, ...]:
        """What the source found for each of its words; words that it cannot measure have none.

        Args:
            clip: F frames.
            split: the command.
            candidates: tubes over the clip.
        """
        ...

    def unmeasured(self, split: SplitQuery) -> tuple[str, ...]:
        """The words of the command that the source does not measure."""
        ...

    def keypoints(
        self, clip: Clip, candidates: Sequence[CandidateTube], frames: NDArray[np.int64]
    ) -> Mapping[int, NDArray[np.float32]]:
        """Keypoints of tubes in some frames; empty if the source knows none.

        Args:
            clip: F frames.
            candidates: tubes over the clip.
            frames: `(T,)` indices of frames.

        Returns:
            `(T, 17, 3)` by track id, see `Evidence.keypoints`.
        """
        ...

    def described(self, clip: Clip, candidate: CandidateTube, asked: str) -> str:
        """What a tube looks like or does, in words of a list; "" if that is not measured.

        Args:
            clip: F frames.
            candidate: a tube over the clip.
            asked: topic of the question, see `Command.asked`.
        """
        ...

    def renewed(self) -> EvidenceSource:
        """The same source without stored frames, for images of another recording."""
        ...

    def reconfigure(self, config: Config) -> None:
        """Uses other dynamic settings from the next command on."""
        ...


def used_sources(wanted: str, own: MllmSettings, frame: Frame) -> str:
    """The sources for pictures such as `frame`'s: "attention", "body", "both" or "stated".

    Args:
        wanted: `evidence.sources`.
        own: settings of the model.
        frame: a frame of the camera.
    """
    if wanted != "auto":
        return wanted
    if not own.rendered_only:
        return "both"
    # A model of rendered scenes decides about these, and about nothing else.
    return own.rendered_sources if looks_rendered(frame.image) else "body"


def gathered(
    sources: Sequence[EvidenceSource],
    clip: Clip,
    split: SplitQuery,
    candidates: Sequence[CandidateTube],
    config: Config,
    own: MllmSettings,
    limits: ModelLimits = NO_LIMITS,
) -> FusedEvidence:
    """The findings of the sources that `evidence.sources` asks for; attention's come later.

    Words that could not be measured on any tube are among those that are not measured. If none
    could be measured, attention decides. Where `auto` means attention, bodies decide about a
    command with words that the model does not know and bodies measure.
    """
    wanted = used_sources(config.evidence.sources, own, clip.frames[-1])
    unknown = set(limits.unknown_words) if config.evidence.sources == "auto" else set[str]()
    if wanted == "stated":
        return FusedEvidence(attention=False)
    if (wanted == "attention" and not unknown) or not sources or not candidates:
        return FusedEvidence()
    found: list[SourceFinding] = []
    left: list[str] = []
    for source in sources:
        findings = source.findings(clip, split, candidates)
        found += [one for one in findings if one.tubes]
        left += [one.words for one in findings if not one.tubes]
        left += source.unmeasured(split)
    if wanted == "attention":
        measured = {word for one in found for word in re.findall(r"\w+", one.words.lower())}
        if not measured & unknown:
            return FusedEvidence()
    return FusedEvidence(tuple(found), wanted == "both" or not found, tuple(left))


def attention_levels(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """S_frame `(T,)` from its floor (0, the lower quartile) to its peak (1); 0 where NaN or flat.

    The floor and what counts as flat are those of the adaptive span.
    """
    if not np.isfinite(scores).any():
        return np.zeros(len(scores))
    filled = np.where(np.isfinite(scores), scores, np.nanmin(scores)).astype(np.float64)
    floor, peak = float(np.quantile(filled, 0.25)), float(filled.max())
    if peak - floor <= FLAT * abs(peak):
        return np.zeros(len(scores))
    return (filled - floor) / (peak - floor)


def attention_logs(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logarithm of S_frame `(T,)`, which is relative to the neutral prompt (paper, section 4.1).

    Frames without a score have the least one's; all are 0 without any.
    """
    if not np.isfinite(scores).any():
        return np.zeros(len(scores))
    filled = np.where(np.isfinite(scores), scores, np.nanmin(scores)).astype(np.float64)
    return np.log(np.maximum(filled, _LEAST_SCORE))


def frame_levels(scores: NDArray[np.float32], above: str) -> NDArray[np.float64]:
    """The attention in frames `(T,)`, compared with what `MllmSettings.level_above` says."""
    return attention_logs(scores) if above == NEUTRAL else attention_levels(scores)


def span_evidence(
    nats: NDArray[np.float64],
    levels: NDArray[np.float64],
    sampled: NDArray[np.int64],
    own: MllmSettings,
) -> NDArray[np.float64]:
    """Log-odds of a tube's frames from the measured words and the attention together, `(F,)`.

    Args:
        nats: `(F,)` of the measured words.
        levels: `(T,)` of the attention, see `frame_levels`; all 0 say nothing.
        sampled: `(T,)` frames that the model saw.
        own: weights of the model.
    """
    if not levels.any():
        return nats
    everywhere = np.interp(np.arange(len(nats)), sampled, levels)
    return own.frame_weight * nats + own.level_weight * (everywhere - own.level_inside)


def asked_keypoints(
    sources: Sequence[EvidenceSource],
    clip: Clip,
    frames: NDArray[np.int64],
    candidates: Sequence[CandidateTube],
    config: Config,
) -> dict[int, NDArray[np.float32]]:
    """The keypoints of the sources in some frames `(T,)`, if `evidence.keypoints` asks for them."""
    if not config.evidence.keypoints:
        return {}
    known: dict[int, NDArray[np.float32]] = {}
    for source in sources:
        known.update(source.keypoints(clip, candidates, frames))
    return known


@dataclass(frozen=True, eq=False)
class AttentionEvidence(BaseSource):
    """The attention of the model as a source: the largest relative attention inside each tube.

    Attributes:
        score: S_obj of a tube; -inf if the model did not see it.
        weight: nats by which its logarithm counts.
    """

    score: Callable[[CandidateTube], float]
    weight: float
    name: str = ATTENTION

    def findings(
        self, clip: Clip, split: SplitQuery, candidates: Sequence[CandidateTube]
    ) -> tuple[SourceFinding, ...]:
        """See `EvidenceSource`: log-odds of each tube against the mean of the others."""
        logs = {}
        for candidate in candidates:
            score = self.score(candidate)
            logs[candidate.track_id] = math.log(score) if score > 0 else -math.inf
        tubes = {}
        for track, value in logs.items():
            others = [v for t, v in logs.items() if t != track and math.isfinite(v)]
            against = float(np.mean(others)) if others else value
            nats = self.weight * (value - against) if math.isfinite(value) else -MOST_NATS
            tubes[track] = float(np.clip(nats, -MOST_NATS, MOST_NATS))
        return (SourceFinding(self.name, split.text, tubes),)


@dataclass(frozen=True, eq=False)
class FusedEvidence:
    """The findings of all sources for one command.

    Attributes:
        findings: of each source, word by word.
        attention: whether attention is one of the sources.
        unmeasured: words of the command that no source but attention measures.
    """

    findings: tuple[SourceFinding, ...] = ()
    attention: bool = True
    unmeasured: tuple[str, ...] = field(default=())

    @property
    def measured(self) -> tuple[SourceFinding, ...]:
        """The findings of the sources that measure words."""
        return tuple(item for item in self.findings if item.measured)

    def plus(self, findings: Sequence[SourceFinding]) -> FusedEvidence:
        """The same with more findings."""
        return replace(self, findings=(*self.findings, *findings))

    def tube(self, track: int, body_weight: float = 1.0) -> float:
        """Log-odds of a tube: the sum of the sources, with a weight of the measured words."""
        return sum(
            (body_weight if item.measured else 1.0) * item.tubes.get(track, 0.0)
            for item in self.findings
        )

    def frames(self, track: int, measured: bool = True) -> NDArray[np.float64] | None:
        """`(F,)` log-odds of a tube's frames; None if no source says when.

        Args:
            track: of the tube.
            measured: by the words that were measured, or by what the model states.
        """
        parts = [
            item.frames[track]
            for item in self.findings
            if item.measured == measured and track in item.frames
        ]
        return np.asarray(np.sum(parts, axis=0), np.float64) if parts else None

    def weakest(self, track: int) -> float:
        """The least log-odds of the measured words of a tube, since all must hold; 0 without."""
        return min((_posterior(item, track) for item in self.measured), default=0.0)

    def holds(self, track: int) -> bool:
        """Whether no measured word speaks against a tube."""
        return self.weakest(track) >= ABSENT

    def shows(self, track: int) -> bool:
        """Whether all measured words were seen on a tube, and more likely hold than not.

        Who could not be measured may be the target, but is not counted among those who are.
        """
        return all(
            track in item.tubes and item.tubes[track] > 0 and _posterior(item, track) >= ABSENT
            for item in self.measured
        )

    def missing(self, tracks: Sequence[int]) -> tuple[str, ...]:
        """The words that no tube has; if each has a tube, those that the best tube lacks."""
        if not tracks or not self.measured:
            return ()
        nowhere = tuple(
            item.words
            for item in self.measured
            if max(_posterior(item, track) for track in tracks) < ABSENT
        )
        if nowhere:
            return nowhere
        best = max(tracks, key=lambda track: (self.weakest(track), self.tube(track)))
        return tuple(item.words for item in self.measured if _posterior(item, best) < ABSENT)

    def unshown(self, tracks: Sequence[int]) -> tuple[str, ...]:
        """All measured words, if no tube shows all of them (see `shows`)."""
        if not self.measured or any(self.shows(track) for track in tracks):
            return ()
        return tuple(item.words for item in self.measured)

    def decided(self, track: int) -> str:
        """Which source decided for or against a tube, with the evidence of each word, in nats."""
        if not any(item.tubes for item in self.findings):
            return ""
        parts = [
            f"{item.source} '{item.words}' {item.tubes.get(track, 0.0):+.1f}"
            for item in sorted(self.findings, key=lambda item: -abs(item.tubes.get(track, 0.0)))
            if item.tubes
        ]
        if self.unmeasured:
            parts.append(f"not measured: {', '.join(self.unmeasured)}")
        return "; ".join(parts)


def _posterior(item: SourceFinding, track: int) -> float:
    """The log-odds of some words on a tube, with what is known before measuring."""
    return item.tubes.get(track, 0.0) + (_SELDOM if item.frames else 0.0)


def evident_run(nats: NDArray[np.float64], stamps_ns: NDArray[np.int64]) -> tuple[int, int]:
    """The run of frames whose evidence adds up to most, `[first, last]`; the whole clip if none.

    Args:
        nats: `(F,)` log-odds of the frames.
        stamps_ns: `(F,)`.
    """
    seconds = (stamps_ns - stamps_ns[0]) / 1e9
    usual = float(np.median(np.diff(seconds))) if len(seconds) > 1 else 0.1
    steps = np.minimum(np.diff(seconds, append=seconds[-1] + usual), _RUN_GAP_S)
    worth = (nats - _SPAN_MARGIN) * steps
    sums = np.concatenate([[0.0], np.cumsum(worth)])
    lowest = np.minimum.accumulate(sums[:-1])
    last = int(np.argmax(sums[1:] - lowest))
    first = int(np.argmin(sums[: last + 1]))
    if sums[last + 1] - sums[first] <= 0:
        return 0, len(nats) - 1
    return first, last


def nobody(missing: Sequence[str], people: int) -> str:
    """Why no tube is the answer: "nobody in red; 3 people"."""
    seen = "1 person" if people == 1 else f"{people} people"
    words = ", ".join(missing)
    joined = words if all(one.split()[0] in _JOINING for one in missing) else f"with: {words}"
    return f"nobody {joined}; {seen}"
