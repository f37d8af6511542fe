"""The method, in the order of the paper (section 4): one query, one clip, the tubes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.config import Config
from stvg_ros.core.assembling import assembled
from stvg_ros.core.attention import grounding_map
from stvg_ros.core.interfaces import Checkpoint, Mllm, Proposer, Reading, Splitter, VisualTokens
from stvg_ros.core.presence import confidence
from stvg_ros.core.query import NEUTRAL, question
from stvg_ros.core.reattention import Step, gradient, reattention_loss, tuned
from stvg_ros.core.sampling import cut, uniform_indices
from stvg_ros.core.scoring import box_scores, slot_of_frames
from stvg_ros.core.span import find_span, span_ns
from stvg_ros.types import (
    CandidateTube,
    Clip,
    Evidence,
    Grounding,
    Query,
    SplitQuery,
    Status,
    Tube,
    TubeBox,
)

STAGES = ("split", "propose", "encode", "look", "re-attend", "place", "time", "assemble", "score")


@dataclass(frozen=True, eq=False)
class FirstLook:
    """What the plain video tells: readings before tuning, and the gradients for V_s and V_t."""

    whole: Reading
    neutral: Reading
    margins: tuple[float, ...]
    spatial_gradient: torch.Tensor | None
    temporal_gradient: torch.Tensor | None


@dataclass
class Clock:
    """Seconds per stage; calls the checkpoint as each stage begins."""

    checkpoint: Checkpoint
    timings_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures one stage."""
        self.checkpoint(name, STAGES.index(name) / len(STAGES))
        begin = time.perf_counter()
        yield
        self.timings_s[name] = time.perf_counter() - begin


class LocalGrounder:
    """Grounds queries with a model in this process.

    Thread contract: one thread calls `ground`; any thread may call `reconfigure`, which takes
    effect with the next call.
    """

    def __init__(self, mllm: Mllm, splitter: Splitter, proposer: Proposer, config: Config) -> None:
        self._mllm = mllm
        self._splitter = splitter
        self._proposer = proposer
        self._config = config

    @property
    def model_name(self) -> str:
        """What the tubes name as their model."""
        return self._mllm.name

    def reconfigure(self, config: Config) -> None:
        """Uses other dynamic settings from the next call on."""
        self._config = config

    def ground(self, clip: Clip, query: Query, checkpoint: Checkpoint) -> Grounding:
        """Finds the tubes that the query describes; see `Grounder.ground`."""
        config, clock = self._config, Clock(checkpoint)
        clip = cut(clip, query.start_ns, query.end_ns)
        wanted = config.sampling.frames or self._mllm.settings.frame_count
        sampled = uniform_indices(len(clip), wanted)
        with clock.stage("split"):
            split = self._splitter.split(query.text)
        with clock.stage("propose"):
            candidates = self._proposer.propose(clip, split)
        with clock.stage("encode"):
            visual = self._mllm.encode([clip.frames[i].image for i in sampled])
        with clock.stage("look"):
            look = self._first_look(visual, split, config)
        threshold = config.presence.threshold + self._mllm.settings.presence_threshold
        sure = confidence(look.margins, threshold)
        with clock.stage("re-attend"):
            v_s, dropped_s = self._tuned(visual, split.attribute, look.spatial_gradient, config)
            v_t, dropped_t = self._tuned(visual, split.action, look.temporal_gradient, config)
        with clock.stage("place"):
            a_s, token = self._map(visual, v_s, split, look, config)
        with clock.stage("time"):
            a_t, _ = self._map(visual, v_t, split, look, config)
        consistency, dropped_r = float("nan"), 0
        if config.assembling.enabled:
            with clock.stage("assemble"):
                reversed_map, dropped_r = self._reversed_map(visual, split, config)
                a_s, consistency = assembled(a_s, reversed_map)
        with clock.stage("score"):
            scored = _Scored(clip, sampled, visual.slots, a_s, a_t, candidates, config)
            ranked = scored.ranked()
        newest = clip.frames[-1]
        answer = Tube(
            query=query,
            status=Status.NOT_FOUND,
            split=split,
            confidence=sure,
            consistency=consistency,
            dropped_steps=dropped_s + dropped_t + dropped_r,
            width_px=newest.source_width_px,
            height_px=newest.source_height_px,
            frame_id=newest.frame_id,
            stamp_ns=newest.stamp_ns,
            model=self._mllm.name,
            timings_s=clock.timings_s,
        )
        if not ranked:
            reason = f"no candidate tubes: the source '{self._proposer.name}' saw nothing to follow"
            tubes: tuple[Tube, ...] = (replace(answer, error=reason),)
        elif config.presence.enabled and sure < 0.5:
            reason = f"the model sees no such target (confidence {sure:.2f})"
            tubes = (replace(answer, error=reason),)
        else:
            tubes = tuple(
                scored.tube(candidate, replace(answer, rank=rank))
                for rank, candidate in enumerate(ranked[: query.max_targets])
            )
        return Grounding(tubes, scored.evidence(ranked, token), candidates)

    def _first_look(self, visual: VisualTokens, split: SplitQuery, config: Config) -> FirstLook:
        """One pass over T_v serves Q, Q_s, Q_t, the neutral prompt, and both first gradients."""
        spatial, temporal = config.reattention.spatial, config.reattention.temporal
        with torch.set_grad_enabled(spatial or temporal):
            offset = _zeros_like(visual)
            prompts = [split.text, split.attribute, split.action]
            prefix = self._mllm.prefill(visual, offset)
            whole, attribute, action, neutral = self._mllm.ask(
                prefix, [*map(question, prompts), NEUTRAL]
            )
            kind = config.reattention.loss
            g_s = g_t = None
            if spatial:
                loss = reattention_loss(attribute, neutral, kind)
                g_s = gradient(loss, offset, keep_graph=temporal)
            if temporal:
                loss = reattention_loss(action, neutral, kind)
                g_t = gradient(loss, offset, keep_graph=False)
        margins = tuple(float(reading.margin.detach()) for reading in (whole, attribute, action))
        # Detached, so that the graph of the pass goes before the next pass begins.
        return FirstLook(whole.detached(), neutral.detached(), margins, g_s, g_t)

    def _tuned(
        self, visual: VisualTokens, text: str, first: torch.Tensor | None, config: Config
    ) -> tuple[torch.Tensor | None, int]:
        """V for one sub-query, or None when its branch is off."""
        if first is None:
            return None, 0
        return tuned(
            _zeros_like(visual),
            first,
            visual.features,
            self._step(config),
            config.reattention.epochs,
            self._loss_at(visual, text, config),
        )

    def _loss_at(
        self, visual: VisualTokens, text: str, config: Config
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        def loss(offset: torch.Tensor) -> torch.Tensor:
            with torch.enable_grad():
                prefix = self._mllm.prefill(visual, offset)
                reading, neutral = self._mllm.ask(prefix, [question(text), NEUTRAL])
                return reattention_loss(reading, neutral, config.reattention.loss)

        return loss

    def _step(self, config: Config) -> Step:
        own, asked = self._mllm.settings, config.reattention
        rule = own.step if asked.step == "auto" else asked.step
        return Step(asked.loss, rule, asked.learning_rate or own.learning_rate)

    def _map(
        self,
        visual: VisualTokens,
        offset: torch.Tensor | None,
        split: SplitQuery,
        look: FirstLook,
        config: Config,
    ) -> tuple[torch.Tensor, str]:
        """A_S or A_T: the rows of Q over T_v + V, relative to A_cap over T_v."""
        if offset is None:
            return grounding_map(look.whole, look.neutral, config.attention)
        with torch.no_grad():
            prefix = self._mllm.prefill(visual, offset)
            (reading,) = self._mllm.ask(prefix, [question(split.text)])
        return grounding_map(reading, look.neutral, config.attention)

    def _reversed_map(
        self, visual: VisualTokens, split: SplitQuery, config: Config
    ) -> tuple[torch.Tensor, int]:
        """A_S over the reversed T_v, with V_s tuned for that order (paper, section 4.4).

        V_s starts from zero there as it does in the true order, so that its first gradient, the
        reversed A_cap and the untuned rows come from one pass.
        """
        backward = visual.reversed()
        spatial = config.reattention.spatial
        with torch.set_grad_enabled(spatial):
            offset = _zeros_like(backward)
            prefix = self._mllm.prefill(backward, offset)
            whole, attribute, neutral = self._mllm.ask(
                prefix, [question(split.text), question(split.attribute), NEUTRAL]
            )
            first = None
            if spatial:
                loss = reattention_loss(attribute, neutral, config.reattention.loss)
                first = gradient(loss, offset, keep_graph=False)
        look = FirstLook(whole.detached(), neutral.detached(), (), first, None)
        v_s, dropped = self._tuned(backward, split.attribute, first, config)
        return self._map(backward, v_s, split, look, config)[0], dropped


def _zeros_like(visual: VisualTokens) -> torch.Tensor:
    """V before tuning: float32 whatever the model's precision; a leaf when gradients are on."""
    return torch.zeros(
        visual.features.shape,
        dtype=torch.float32,
        device=visual.features.device,
        requires_grad=torch.is_grad_enabled(),
    )


@dataclass(frozen=True, eq=False)
class _Scored:
    """Maps and candidate tubes of one clip, and the scores that follow from them."""

    clip: Clip
    sampled: NDArray[np.int64]
    slots: tuple[tuple[int, ...], ...]
    spatial: torch.Tensor
    temporal: torch.Tensor
    candidates: tuple[CandidateTube, ...]
    config: Config

    def _scores(self, heat: torch.Tensor, candidate: CandidateTube) -> NDArray[np.float32]:
        """`(T,)` maxima of a map inside a candidate at the sampled frames; NaN where absent."""
        return box_scores(
            heat.float().cpu().numpy(),
            candidate.boxes_xyxy_px[self.sampled],
            candidate.present[self.sampled],
            slot_of_frames(self.slots, len(self.sampled)),
            self.clip.size_px,
        )

    def object_score(self, candidate: CandidateTube) -> float:
        """S_obj, -inf for a candidate that no sampled frame shows."""
        scores = self._scores(self.spatial, candidate)
        return float(np.nanmax(scores)) if np.isfinite(scores).any() else float("-inf")

    def ranked(self) -> list[CandidateTube]:
        """Candidates, best first; equal scores keep the proposer's order."""
        return sorted(self.candidates, key=self.object_score, reverse=True)

    def tube(self, candidate: CandidateTube, answer: Tube) -> Tube:
        """`answer` with the candidate's span and one box per buffered frame in the span."""
        clip_ns = self.clip.stamps_ns
        first, last = find_span(self._scores(self.temporal, candidate), self.config.span)
        start_ns, end_ns = span_ns(first, last, clip_ns[self.sampled], clip_ns)
        place = self._scores(self.spatial, candidate)
        peak = float(np.nanmax(place)) if np.isfinite(place).any() else 0.0
        nearest = np.searchsorted(
            (clip_ns[self.sampled][1:] + clip_ns[self.sampled][:-1]) // 2, clip_ns
        )
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
            start_ns=start_ns,
            end_ns=end_ns,
            boxes=tuple(boxes),
        )

    def evidence(self, ranked: list[CandidateTube], token: str) -> Evidence:
        """The maps and scores behind the tubes."""
        nothing = np.full(len(self.sampled), np.nan, np.float32)
        return Evidence(
            stamps_ns=self.clip.stamps_ns[self.sampled],
            slots=self.slots,
            spatial=self.spatial.float().cpu().numpy(),
            temporal=self.temporal.float().cpu().numpy(),
            frame_scores=self._scores(self.temporal, ranked[0]) if ranked else nothing,
            track_scores={c.track_id: self.object_score(c) for c in self.candidates},
            grounding_token=token,
        )
