# SPDX-License-Identifier: Apache-2.0

"""The method, in the order of the paper (section 4): one query, one clip, the tubes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from stvg_ros.config import Config
from stvg_ros.crops import with_pictures
from stvg_ros.errors import ModelError, OutOfMemoryError
from stvg_ros.method.answering import QUESTIONS, answer_of
from stvg_ros.method.assembling import assembled
from stvg_ros.method.attention import grounding_map
from stvg_ros.method.base import BaseGrounder
from stvg_ros.method.conditions import Condition, condition_factors, conditions, unmeasured
from stvg_ros.method.encoding import Encoder
from stvg_ros.method.evidence import EvidenceSource, asked_keypoints, gathered
from stvg_ros.method.interfaces import (
    AttentionRows,
    Mllm,
    ModelLimits,
    Proposer,
    Splitter,
    StageCallback,
)
from stvg_ros.method.interruption import check_interruption
from stvg_ros.method.known_tube import known_grounding
from stvg_ros.method.memory import is_out_of_memory, release_memory
from stvg_ros.method.query import NEUTRAL, question, refuse_unseen
from stvg_ros.method.reattention import (
    Direction,
    descent,
    gradient,
    reattention_loss,
    spatial_step,
    temporal_step,
    tuned,
)
from stvg_ros.method.sampling import asked_window, cut, sampled_frames
from stvg_ros.method.stage_clock import Clock
from stvg_ros.method.tube_selection import TubeSelection, TubeView
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.types import Clip, Grounding, Query, SplitQuery, Status, Tube


@dataclass(frozen=True, eq=False)
class Probe:
    """Results of the untuned pass over one order of the frames.

    Attributes:
        visual: T_v in that order.
        whole: rows of Q.
        neutral: rows of the neutral prompt, A_cap.
        margins: log p(yes) - log p(no) of Q and of the sub-queries that were asked.
        gradients: dL/dV at V = 0 for each sub-query that tunes a branch.
        conditions: maps of negated parts and of the other target.
    """

    visual: VisualTokens
    whole: AttentionRows
    neutral: AttentionRows
    margins: tuple[float, ...]
    gradients: Mapping[str, torch.Tensor]
    conditions: tuple[Condition, ...] = ()


class LocalGrounder(BaseGrounder):
    """Grounds queries with a model in this process.

    Thread contract: any thread may call `reconfigure`, which takes effect with the next call; all
    other methods are for one thread.
    """

    def __init__(
        self,
        mllm: Mllm,
        splitter: Splitter,
        proposer: Proposer,
        config: Config,
        direction: Direction = descent,
        sources: tuple[EvidenceSource, ...] = (),
        candidates: str = "",
    ) -> None:
        """Combines the parts.

        Args:
            mllm: the model.
            splitter: reads commands.
            proposer: source of candidate tubes.
            config: settings.
            direction: computes the gradient, against which V moves.
            sources: evidence besides the model's attention.
            candidates: `proposer` in words, and why it was chosen; its name if empty.
        """
        self._mllm = mllm
        self._splitter = splitter
        self.proposer = self._proposer = proposer
        self.candidates = candidates or proposer.name
        self._config = config
        self._direction = direction
        self._sources = sources
        self._encoder = Encoder(mllm)

    @property
    def model_name(self) -> str:
        """The model's name in the tubes."""
        return self._mllm.name

    def for_recording(self) -> LocalGrounder:
        """The same models without stored frames, for images of another recording."""
        proposer = self._proposer.renewed()
        parts = self._mllm, self._splitter, proposer, self._config, self._direction
        sources = tuple(source.renewed() for source in self._sources)
        return LocalGrounder(*parts, sources, self.candidates)

    def reconfigure(self, config: Config) -> None:
        """Uses other dynamic settings from the next call on."""
        self._config = config
        self._proposer.reconfigure(config.proposals)
        for source in self._sources:
            source.reconfigure(config)

    def prefetch(self, clip: Clip) -> bool:
        """Encodes a slot of frames for later commands; False if there is nothing to do."""
        sampled, total = sampled_frames(clip, self._config, self._mllm)
        return total > 0 and self._encoder.prefetch([clip.frames[i] for i in sampled], total)

    @property
    def prepared_bytes(self) -> int:
        """Memory of the slots that `prefetch` encoded, on the model's device."""
        return self._encoder.nbytes

    def forget(self) -> None:
        """Releases the tokens of frames that no longer exist; `prefetch` does so too."""
        self._encoder.forget()

    def ground(
        self,
        clip: Clip,
        query: Query,
        checkpoint: StageCallback,
        preliminary: Callable[[Grounding], None] | None = None,
    ) -> Grounding:
        """Finds the tubes that the query describes; see `Grounder.ground`.

        If memory does not suffice, caches are released, and the command is grounded once more with
        recomputed activations.

        Raises:
            OutOfMemoryError: memory does not suffice for the second attempt either.
            ModelError: the model's numbers are not finite.
            StvgError: the window does not fit, or the source of tubes failed.
        """
        given: list[Grounding] = []

        def once(grounding: Grounding) -> None:
            if preliminary is not None and not given:
                given.append(grounding)
                preliminary(grounding)

        early = None if preliminary is None else once
        try:
            return self._grounded(clip, query, checkpoint, early)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        # Not in the handler, where the error's traceback still holds tensors.
        self._release()
        try:
            with self._mllm.saving_memory():
                return self._grounded(clip, query, checkpoint, early)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            said = str(error).partition("\n")[0]
        self._release()
        raise OutOfMemoryError(
            f"memory does not suffice for {len(clip)} images, also with activations recomputed "
            f"({said:.200}); lower sampling.frames or window.long_side_px, set "
            "model.quantization or sampling.prefetch: false, or choose a smaller model"
        )

    def _release(self) -> None:
        self._encoder.clear()
        release_memory()

    def _grounded(
        self,
        clip: Clip,
        query: Query,
        checkpoint: StageCallback,
        preliminary: Callable[[Grounding], None] | None,
    ) -> Grounding:
        config, clock = self._config, Clock(checkpoint)
        with clock.stage("split"):
            split = self._splitter.split(query.text)
            refuse_unseen(split.command if query.known is None else None)
            clip = cut(clip, *asked_window(query, split.command, clip))
            parts = {"spatial": split.attribute, "temporal": split.action}
        with clock.stage("propose"):
            known = clip.tubes
            candidates = self._proposer.propose(clip, split) if known is None else known
        if query.known is not None:
            template = self._template(clip, query, split, clock, ModelLimits())
            return with_pictures(known_grounding(query.known, clip, candidates, template), clip)
        with clock.stage("encode"):
            sampled, total = sampled_frames(clip, config, self._mllm)
            visual = self._encoder.encode([clip.frames[i] for i in sampled], total)
        with clock.stage("forward pass"):
            asked = conditions(split.command)
            forward = self._probe(visual, split, parts, config, asked)
        texts = [split.text, *parts.values(), *asked]
        limits = self._mllm.limits(texts, clip.frames[-1].image).of_crop(visual.crop)
        template = self._template(clip, query, split, clock, limits)
        view = TubeView(clip, sampled, visual.slots, visual.crop)
        factors = condition_factors(
            split.command, forward.conditions, view, candidates, config.conditions
        )
        with clock.stage("measure"):
            fused = gathered(self._sources, clip, split, candidates, config, self._mllm.settings)
            points = asked_keypoints(self._sources, clip, sampled, candidates, config)
        answer = TubeSelection(
            view, candidates, forward.margins, self._mllm.settings, config, factors, fused, points
        )
        if not fused.attention:  # the maps are shown, but decide nothing
            heat, token = _map(forward.whole, forward.neutral, config)
            return self._answered(answer.grounding(heat, heat, token, template), view)
        if preliminary is not None:
            heat, token = _map(forward.whole, forward.neutral, config)
            first = replace(template, preliminary=True, timings_s={**clock.timings_s})
            preliminary(answer.grounding(heat, heat, token, first))
        return self._re_attended(visual, forward, answer, template, clock)

    def _re_attended(
        self,
        visual: VisualTokens,
        forward: Probe,
        answer: TubeSelection,
        template: Tube,
        clock: Clock,
    ) -> Grounding:
        """The answer by LRA and TAS, after the forward pass."""
        config, split = self._config, template.split
        assert split is not None
        backward = None
        if config.assembling.enabled:
            with clock.stage("reversed pass"):
                # V_s starts from zero here too, so that one pass gives its first gradient, the
                # reversed A_cap and the untuned rows.
                only = {"spatial": split.attribute}
                backward = self._probe(visual.reversed(), split, only, config)
        with clock.stage("re-attend"):
            v_s, dropped_s = self._tuned(forward, "spatial", split.attribute, config)
            v_t, dropped_t = self._tuned(forward, "temporal", split.action, config)
            v_b, dropped_b = self._tuned(backward, "spatial", split.attribute, config)
        with clock.stage("attend"):
            passes = [(forward, v_s), (forward, v_t), *([(backward, v_b)] if backward else [])]
            (a_s, token), (a_t, _), *reverse = self._maps(passes, split, config)
        consistency = float("nan")
        for a_b, _ in reverse:
            with clock.stage("assemble"):
                a_s, consistency = assembled(a_s, a_b)
        with clock.stage("score"):
            dropped = int(dropped_s + dropped_t + dropped_b)
            final = replace(template, consistency=consistency, dropped_steps=dropped)
            return self._answered(answer.grounding(a_s, a_t, token, final), answer.view)

    def _answered(self, grounding: Grounding, view: TubeView) -> Grounding:
        """The grounding with the answer in words, if the command asks a question."""
        grounding, split = with_pictures(grounding, view.clip), grounding.best.split
        if split is None or split.command is None or split.command.intent not in QUESTIONS:
            return grounding
        sources = () if self._config.evidence.sources == "attention" else self._sources
        text, number = answer_of(split.command, grounding, view, self._mllm, sources)
        return replace(grounding, text=text, number=number)

    def _template(
        self, clip: Clip, query: Query, split: SplitQuery, clock: Clock, limits: ModelLimits
    ) -> Tube:
        """The fields that all tubes of the answer share."""
        newest = clip.frames[-1]
        return Tube(
            query=query,
            status=Status.NOT_FOUND,
            split=split,
            width_px=newest.source_width_px,
            height_px=newest.source_height_px,
            frame_id=newest.frame_id,
            stamp_ns=newest.stamp_ns,
            model=self._mllm.name,
            candidates=self.candidates,
            timings_s=clock.timings_s,
            warning="; ".join(filter(None, (unmeasured(split.command), *limits.sentences))),
            calibrated=limits.trained_pictures and self._mllm.settings.calibrated,
        )

    def _probe(
        self,
        visual: VisualTokens,
        split: SplitQuery,
        parts: Mapping[str, str],
        config: Config,
        conditions: Sequence[str] = (),
    ) -> Probe:
        """One pass over T_v for Q, its parts, the neutral prompt, and all first gradients."""
        branches = [name for name in parts if getattr(config.reattention, name)]
        with torch.set_grad_enabled(bool(branches)):
            offset = _zeros_like(visual)
            prefix = self._mllm.prefill(visual, offset)
            asked = [question(text) for text in (split.text, *parts.values())]
            extra = [question(text) for text in conditions]
            whole, *readings, neutral = self._mllm.ask(prefix, [*asked, *extra, NEUTRAL])
            readings, denied = readings[: len(parts)], readings[len(parts) :]
            gradients = {}
            for name, reading in zip(parts, readings, strict=True):
                if name in branches:
                    loss = reattention_loss(reading, neutral, config.reattention.loss)
                    more = name != branches[-1]
                    gradients[name] = gradient(loss, offset, keep_graph=more)
        margins = torch.stack([reading.margin.detach() for reading in (whole, *readings)]).tolist()
        if not np.isfinite(margins).all():
            raise _not_finite(f"log p(yes) - log p(no) = {margins}")
        return Probe(
            visual,
            whole.without_answer(),
            neutral.without_answer(),
            tuple(margins),
            gradients,
            tuple(
                Condition(
                    _map(reading.without_answer(), neutral.without_answer(), config)[0],
                    float(reading.margin.detach()),
                )
                for reading in denied
            ),
        )

    def _tuned(
        self, probe: Probe | None, branch: str, text: str, config: Config
    ) -> tuple[torch.Tensor | None, torch.Tensor | int]:
        """V of one branch and its dropped steps, or None if the branch is off."""
        if probe is None or branch not in probe.gradients:
            return None, 0
        visual = probe.visual

        def loss(offset: torch.Tensor) -> torch.Tensor:
            check_interruption()
            with torch.enable_grad():
                prefix = self._mllm.prefill(visual, offset)
                reading, neutral = self._mllm.ask(prefix, [question(text), NEUTRAL])
                return reattention_loss(reading, neutral, config.reattention.loss)

        step_of = spatial_step if branch == "spatial" else temporal_step
        step = step_of(config.reattention, self._mllm.settings)
        return tuned(probe.gradients[branch], visual.features, step, loss, self._direction)

    def _maps(
        self,
        passes: Sequence[tuple[Probe, torch.Tensor | None]],
        split: SplitQuery,
        config: Config,
    ) -> list[tuple[torch.Tensor, str]]:
        """For each pass the rows of Q over T_v + V, relative to A_cap over T_v."""
        tuned_passes = [(probe.visual, offset) for probe, offset in passes if offset is not None]
        seen = iter(
            self._mllm.attention_rows(tuned_passes, question(split.text)) if tuned_passes else ()
        )
        found = [(probe.whole if v is None else next(seen), probe.neutral) for probe, v in passes]
        return [_map(rows, neutral, config) for rows, neutral in found]


def _map(rows: AttentionRows, neutral: AttentionRows, config: Config) -> tuple[torch.Tensor, str]:
    """The grounding map on the host. Raises: ModelError."""
    rows, neutral = rows.on_host(), neutral.on_host()
    if not (rows.rows.isfinite().all() and neutral.rows.isfinite().all()):
        raise _not_finite("attention")
    return grounding_map(rows, neutral, config.attention)


def _not_finite(what: str) -> ModelError:
    return ModelError(
        f"the model's numbers are not finite ({what}): its weights hold NaN or infinity, or its "
        "precision overflows; check the checkpoint in model.path, or set model.dtype to "
        "'bfloat16' or 'float32'"
    )


def _zeros_like(visual: VisualTokens) -> torch.Tensor:
    """V before tuning: float32 in any model precision; a leaf if gradients are enabled."""
    return torch.zeros(
        visual.features.shape,
        dtype=torch.float32,
        device=visual.features.device,
        requires_grad=torch.is_grad_enabled(),
    )
