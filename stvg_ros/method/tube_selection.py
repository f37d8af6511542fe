# SPDX-License-Identifier: Apache-2.0

"""From attention maps and candidate tubes to the tubes of the answer (method, section 4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.config import Config
from stvg_ros.method.evidence import (
    ABSENT,
    AttentionEvidence,
    FusedEvidence,
    evident_run,
    frame_levels,
    nobody,
    span_evidence,
)
from stvg_ros.method.model_settings import NEUTRAL, MllmSettings
from stvg_ros.method.presence import confidence, evidence
from stvg_ros.method.span import ADAPTIVE, find_span, span_ns
from stvg_ros.method.tube_look import Look, TubeLook
from stvg_ros.method.tube_view import TubeView
from stvg_ros.types import (
    CandidateTube,
    Evidence,
    Grounding,
    SplitQuery,
    Status,
    Tube,
    TubeBox,
)

MOST_LOOKED = 20  # tubes, for a command for several or with a relation


@dataclass(frozen=True, eq=False)
class TubeScores:
    """Maps and candidate tubes of one clip, and the scores computed from them.

    Attributes:
        view: the part of the clip that the model saw.
        spatial: `(S, h, w)` A_S.
        temporal: `(S, h, w)` A_T.
        candidates: candidate tubes over the clip.
        config: settings of the span.
        own: settings of the model.
        factors: factors of S_obj by track id, see `conditions`.
        fused: findings of the sources besides attention.
        looked: second looks by track id.
    """

    view: TubeView
    spatial: torch.Tensor
    temporal: torch.Tensor
    candidates: tuple[CandidateTube, ...]
    config: Config
    own: MllmSettings
    factors: Mapping[int, float] = field(default_factory=dict)
    fused: FusedEvidence = field(default_factory=FusedEvidence)
    looked: Mapping[int, TubeLook] = field(default_factory=dict)

    def object_score(self, candidate: CandidateTube) -> float:
        """S_obj; -inf for a candidate in no sampled frame."""
        peak = self.view.peak(self.spatial, candidate)
        return peak * self.factors.get(candidate.track_id, 1.0)

    def with_sources(
        self,
        fused: FusedEvidence,
        split: SplitQuery | None,
        look: Look | None = None,
        looked: int = 0,
    ) -> TubeScores:
        """The same with the findings of all sources, attention's too if it is one of them.

        Args:
            fused: the findings of the sources that do not depend on the ranking.
            split: the command.
            look: asks about the tubes that those sources rank first.
            looked: number of these.
        """
        if split is None or not (fused.findings or looked):
            return replace(self, fused=fused)
        if fused.attention:
            source = AttentionEvidence(self.object_score, self.own.attention_weight)
            fused = fused.plus(source.findings(self.view.clip, split, self.candidates))
        scored = replace(self, fused=fused)
        if look is None or not looked:
            return scored
        ranked = scored.ranked()
        looks = look.looks(split, ranked[:looked])
        others = [one.track_id for one in ranked if one.track_id not in looks]
        compared = look.compared(split, looks, others)
        return replace(scored, fused=fused.plus(compared), looked=looks)

    def ranked(self) -> list[CandidateTube]:
        """Candidates, best first; equal scores keep the proposer's order.

        Those whom no measured word speaks against come first, since all words must hold; after a
        second look the sum alone decides. Attention decides between equal sums, which are clipped.
        """
        peaks = {
            one.track_id: self.object_score(one) if self.fused.attention else 0.0
            for one in self.candidates
        }
        return sorted(
            self.candidates,
            key=lambda one: (
                bool(self.looked) or self.fused.holds(one.track_id),
                self._score(one), peaks[one.track_id],
            ),
            reverse=True,
        )  # fmt: skip

    def _score(self, candidate: CandidateTube) -> float:
        """The sum of all sources in nats, or S_obj if attention alone decides."""
        if self.fused.findings or not self.fused.attention:
            return self.fused.tube(candidate.track_id, self.own.body_weight)
        return self.object_score(candidate)

    def best_score(self) -> float:
        """S_obj of the best candidate, -inf without one."""
        return max(map(self.object_score, self.candidates), default=float("-inf"))

    def tube(self, candidate: CandidateTube, answer: Tube) -> Tube:
        """`answer` with the candidate's span and one box per buffered frame in the span."""
        clip_ns, sampled = self.view.clip.stamps_ns, self.view.sampled
        start_ns, end_ns = self._span_ns(candidate, answer)
        place = self.view.scores(self.spatial, candidate)
        peak = float(np.nanmax(place)) if np.isfinite(place).any() else 0.0
        nearest = np.searchsorted((clip_ns[sampled][1:] + clip_ns[sampled][:-1]) // 2, clip_ns)
        shares = np.nan_to_num(place / peak if peak > 0 else place * 0.0)
        boxes = []
        for frame in np.flatnonzero(
            candidate.present & (clip_ns >= start_ns) & (clip_ns <= end_ns)
        ):
            x_min, y_min, x_max, y_max = map(float, candidate.boxes_xyxy_px[frame])
            boxes.append(
                TubeBox(
                    stamp_ns=int(clip_ns[frame]),
                    box_xyxy_px=(x_min, y_min, x_max, y_max),
                    score=float(shares[nearest[frame]]),
                    interpolated=bool(candidate.interpolated[frame]),
                )
            )
        return replace(
            answer,
            status=Status.FOUND,
            track_id=candidate.track_id,
            score=self.object_score(candidate),
            start_ns=start_ns,
            end_ns=end_ns,
            boxes=tuple(boxes),
            decided=self.fused.decided(candidate.track_id),
        )

    def _span_ns(self, candidate: CandidateTube, answer: Tube) -> tuple[int, int]:
        """First and last stamp of the answer.

        With an adaptive method, a description without an action holds as long as its target is
        there: the candidate's own time, or the whole window. Measured actions and stated intervals
        give the run of frames with the most evidence, together with the attention if it is one of
        the sources. Of an action that nothing else measures, attention that is compared with the
        neutral prompt gives such a run, any other a span by the method; without attention it holds
        as long as its target is there.
        """
        clip_ns, span = self.view.clip.stamps_ns, self.config.span
        lasts = answer.split is not None and answer.split.lasts
        if span.method in ADAPTIVE:
            frames = self.fused.frames(candidate.track_id)
            stated = self.fused.frames(candidate.track_id, measured=False)
            if not (frames is None and stated is None and not self._attention_times) and not lasts:
                frames = np.zeros(len(clip_ns)) if frames is None else frames
                if self.fused.attention:
                    scores = self.view.scores(self.temporal, candidate)
                    levels = frame_levels(scores, self.own.level_above)
                    frames = span_evidence(frames, levels, self.view.sampled, self.own)
                frames = frames if stated is None else frames + stated
                first, last = evident_run(frames, clip_ns)
                return int(clip_ns[first]), int(clip_ns[last])
            if lasts or not self.fused.attention:
                present = span.without_action == "presence"
                there = clip_ns[candidate.present] if present else clip_ns
                return int(there[0]), int(there[-1])
        first, last = find_span(self.view.scores(self.temporal, candidate), span)
        return span_ns(first, last, clip_ns[self.view.sampled], clip_ns)

    @property
    def _attention_times(self) -> bool:
        """Whether attention by itself gives the evidence of frames."""
        alone = self.config.evidence.sources == "attention"  # as the paper, by `span.method`
        return self.fused.attention and not alone and self.own.level_above == NEUTRAL

    def evidence(
        self,
        token: str,
        margins: tuple[float, ...],
        keypoints: Mapping[int, NDArray[np.float32]],
    ) -> Evidence:
        """The maps, scores and margins behind the tubes, and keypoints if they are asked for."""
        ranked, view = self.ranked(), self.view
        nothing = np.full(len(view.sampled), np.nan, np.float32)
        return Evidence(
            stamps_ns=view.clip.stamps_ns[view.sampled],
            slots=view.slots,
            spatial=view.on_image(self.spatial),
            temporal=view.on_image(self.temporal),
            frame_scores=self.view.scores(self.temporal, ranked[0]) if ranked else nothing,
            track_scores={c.track_id: self._score(c) for c in self.candidates},
            grounding_token=token,
            margins=margins,
            track_boxes={
                one.track_id: np.where(one.present[:, None], one.boxes_xyxy_px, np.nan)[
                    view.sampled
                ].astype(np.float32)
                for one in self.candidates
            },
            findings=self.fused.findings,
            looks={track: look.margin for track, look in self.looked.items()},
            keypoints=keypoints,
        )


@dataclass(frozen=True, eq=False)
class TubeSelection:
    """The data that the answers of one command, before and after tuning, share.

    Attributes:
        view: the part of the clip that the model saw.
        candidates: candidate tubes over the clip.
        margins: log p(yes) - log p(no) of Q, Q_s and Q_t before tuning, in nats.
        own: the model's defaults.
        config: the configuration.
        factors: factors of S_obj by track id.
        fused: findings of the sources besides attention.
        keypoints: of the candidates at the sampled frames, if they are asked for.
        look: takes a second look at the best tubes, if that is asked for.
    """

    view: TubeView
    candidates: tuple[CandidateTube, ...]
    margins: tuple[float, ...]
    own: MllmSettings
    config: Config
    factors: Mapping[int, float] = field(default_factory=dict)
    fused: FusedEvidence = field(default_factory=FusedEvidence)
    keypoints: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    look: Look | None = None

    def grounding(
        self, spatial: torch.Tensor, temporal: torch.Tensor, token: str, template: Tube
    ) -> Grounding:
        """The tubes of A_S and A_T, or why there are none; other fields are `template`'s."""
        # A candidate that no source saw has no score and cannot be the answer.
        shown = tuple(
            one for one in self.candidates if self.fused.measured or self.view.seen(one).any()
        )
        scored = TubeScores(
            self.view, spatial, temporal, shown, self.config, self.own, self.factors
        )
        looked = 0 if template.preliminary else self._looked(template.split)
        scored = scored.with_sources(self.fused, template.split, self.look, looked)
        sure = self._confidence(scored, scored.ranked()[0] if shown else None)
        template = replace(template, confidence=sure, decided=_refusing(scored))
        if not self.candidates:
            reason = "no candidate tubes: their source detected nothing"
            tubes: tuple[Tube, ...] = (replace(template, error=reason),)
        elif not shown:
            reason = (
                "no candidate tube is in one of the frames that the model saw; raise "
                "sampling.frames, or ask for a shorter window"
            )
            tubes = (replace(template, error=reason),)
        else:
            best = self._wanted(scored, template)
            tubes = tuple(
                scored.tube(candidate, replace(template, rank=rank, confidence=sure))
                for rank, (candidate, sure) in enumerate(best)
            ) or (replace(template, error=_refusal(scored, template)),)
        shown_evidence = scored.evidence(token, self.margins, self.keypoints)
        return Grounding(tubes, shown_evidence, self.candidates)

    def _looked(self, split: SplitQuery | None) -> int:
        """At how many tubes a second look is taken."""
        wanted = self.config.evidence.second_look
        if wanted is None:  # a model whose attention does not decide is not asked either
            wanted = self.own.second_look if self.fused.attention else 0
        command = split.command if split is not None else None
        every = command is not None and (command.number != "one" or command.relation is not None)
        return MOST_LOOKED if wanted and every else wanted

    def _wanted(self, scored: TubeScores, template: Tube) -> list[tuple[CandidateTube, float]]:
        """The tubes of the answer, best first, each with its own confidence.

        A command for several targets ("both kids", "everyone in red") returns all that match: their
        own evidence passes the threshold, and, without a second look, their score is above a share
        of the best one's. Empty if the target is not there: then the evidence of the best one is
        below the threshold, or, if words are measured, nobody of several shows them.
        """
        ranked = scored.ranked()
        if self.config.presence.enabled and template.confidence < 0.5:
            return []
        command = template.split.command if template.split is not None else None
        number = command.number if command is not None else "one"
        best = scored.object_score(ranked[0])
        if number == "one":
            return [(c, template.confidence) for c in ranked[: template.query.max_targets]]
        rated = [(c, self._confidence(scored, c, of_several=True)) for c in ranked]
        # Looks and measured words decide for each tube by themselves; attention only relative to
        # the best.
        looked = bool(scored.looked)
        relative = not (looked or scored.fused.measured) and math.isfinite(best)
        least = self.config.presence.share * best if relative else -math.inf
        bar = 0.5 if self.config.presence.enabled else 0.0
        matching = [
            (c, sure) for c, sure in rated if sure >= bar and scored.object_score(c) >= least
        ]
        if self.config.presence.enabled and scored.fused.measured and not looked:
            matching = [(c, sure) for c, sure in matching if scored.fused.shows(c.track_id)]
        if isinstance(number, int):
            matching = matching[: max(number, template.query.max_targets)]
        return matching

    def _confidence(
        self, scored: TubeScores, candidate: CandidateTube | None, of_several: bool = False
    ) -> float:
        """0 to 1, that a candidate is the target; without one, from the answers of the model.

        Args:
            scored: the scores of all.
            candidate: the candidate.
            of_several: whether it is one of several by itself, not the best of all.
        """
        weight, threshold = self.config.presence.track_weight, self.config.presence.threshold
        weight = self.own.presence_track_weight if weight is None else weight
        seen = candidate is not None and (scored.fused.attention or scored.fused.measured)
        score = scored.object_score(candidate) if candidate and seen else float("-inf")
        nats = evidence(self.margins, score, weight, self.own.presence_margin_weight)
        nats -= self.own.presence_threshold
        if candidate is not None and candidate.track_id in scored.looked:
            look = scored.looked[candidate.track_id]
            margin = look.margin - self.own.presence_look_threshold
            nats = nats + self.own.presence_look_weight * margin
            nats -= self.own.presence_match_threshold if of_several else 0.0
        if candidate is not None and scored.fused.measured:
            weakest = scored.fused.weakest(candidate.track_id) - ABSENT
            together = nats + self.own.presence_body_weight * weakest
            nats = together if scored.fused.attention else weakest
        return confidence(nats, threshold)


def _refusal(scored: TubeScores, template: Tube) -> str:
    """Why no tube is the answer: the words that nobody has, or the confidence."""
    tracks = [one.track_id for one in scored.candidates]
    sure = template.confidence >= 0.5  # but of several, nobody was seen with all words
    missing = scored.fused.unshown(tracks) if sure else scored.fused.missing(tracks)
    if missing:
        return nobody(missing, len(tracks))
    known = "" if template.calibrated else ", which is not calibrated here"
    return f"the model sees no such target (confidence {template.confidence:.2f}{known})"


def _refusing(scored: TubeScores) -> str:
    """What speaks for and against the tube that fits best, for answers without a tube."""
    ranked = scored.ranked()
    return scored.fused.decided(ranked[0].track_id) if ranked and scored.fused.measured else ""
