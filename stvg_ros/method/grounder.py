# SPDX-License-Identifier: Apache-2.0

"""The method, in the order of the paper (section 4): one query, one clip, the tubes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from stvg_ros.config import Config
from stvg_ros.crops import with_pictures
from stvg_ros.errors import OutOfMemoryError
from stvg_ros.method.answering import QUESTIONS, answer_of
from stvg_ros.method.assembling import assembled
from stvg_ros.method.base import BaseGrounder
from stvg_ros.method.conditions import condition_factors, conditions, unmeasured
from stvg_ros.method.encoding import Encoder
from stvg_ros.method.evidence import EvidenceSource, asked_keypoints, gathered
from stvg_ros.method.interfaces import Mllm, ModelLimits, Proposer, Splitter, StageCallback
from stvg_ros.method.known_tube import known_grounding
from stvg_ros.method.marked_video import marked_video
from stvg_ros.method.memory import is_out_of_memory, release_memory
from stvg_ros.method.model_words import Wording
from stvg_ros.method.painted_ids import PaintedIds
from stvg_ros.method.pass_counter import PassCounter
from stvg_ros.method.query import refuse_unseen
from stvg_ros.method.reattention import Direction, descent
from stvg_ros.method.sampling import asked_window, cut, sampled_frames
from stvg_ros.method.second_look import SecondLook
from stvg_ros.method.stage_clock import Clock
from stvg_ros.method.stated_interval import StatedInterval
from stvg_ros.method.tube_selection import TubeSelection
from stvg_ros.method.tube_view import TubeView
from stvg_ros.method.video_passes import Probe, VideoPasses
from stvg_ros.types import (
    CandidateTube,
    Clip,
    Grounding,
    Query,
    SourceFinding,
    SplitQuery,
    Status,
    Tube,
)

# A warning of answers to which the sources that ask for numbers added nothing.
MUTE = (
    "the model states no numbers, so that painted ids and stated intervals do not count; use a "
    "checkpoint whose tokenizer has the digits"
)


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
        self._mllm = PassCounter(mllm)
        self._splitter = splitter
        self.proposer = self._proposer = proposer
        self.candidates = candidates or proposer.name
        self._config = config
        self._direction = direction
        self._sources = sources
        self._encoder = Encoder(self._mllm)

    @property
    def model_name(self) -> str:
        """The model's name in the tubes."""
        return self._mllm.name

    def for_recording(self) -> LocalGrounder:
        """The same models without stored frames, for images of another recording."""
        proposer = self._proposer.renewed()
        parts = self._mllm.mllm, self._splitter, proposer, self._config, self._direction
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
        with self._mllm.counting():
            return self._twice(clip, query, checkpoint, early)

    def _twice(
        self,
        clip: Clip,
        query: Query,
        checkpoint: StageCallback,
        early: Callable[[Grounding], None] | None,
    ) -> Grounding:
        """The answer; if memory does not suffice, of a second attempt that uses less."""
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
        passes = VideoPasses(self._mllm, config, self._direction)
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
        view = TubeView(clip, sampled, visual.slots, visual.crop)
        asked = conditions(split.command)
        texts = [passes.wording(text) for text in (split.text, *parts.values(), *asked)]
        limits = self._mllm.limits(texts, clip.frames[-1].image).of_crop(visual.crop)
        own = self._mllm.settings
        with clock.stage("measure"):
            fused = gathered(self._sources, clip, split, candidates, config, own, limits)
            said = self._stated(view, split, candidates, visual.times_s, passes.wording)
            fused = fused.plus(said or ())
            points = asked_keypoints(self._sources, clip, sampled, candidates, config)
        with clock.stage("forward pass"):
            forward = passes.probe(visual, split, parts, asked, tunable=fused.attention)
        template = self._template(clip, query, split, clock, limits)
        factors = condition_factors(
            split.command, forward.conditions, view, candidates, config.conditions
        )
        if said == []:
            template = replace(template, warning="; ".join(filter(None, (template.warning, MUTE))))
        answer = TubeSelection(
            view, candidates, forward.margins, own, config, factors, fused, points,
            SecondLook(passes, view),
        )  # fmt: skip
        if not fused.attention:  # the maps are shown, but decide nothing
            maps, token = _untuned(passes, forward)
            return self._answered(answer.grounding(*maps, token, template), view)
        if preliminary is not None:
            maps, token = _untuned(passes, forward)
            times, cost = {**clock.timings_s}, {**self._mllm.counts}
            first = replace(template, preliminary=True, timings_s=times, cost=cost)
            preliminary(answer.grounding(*maps, token, first))
        return self._re_attended(passes, forward, answer, template, clock)

    def _stated(
        self,
        view: TubeView,
        split: SplitQuery,
        candidates: tuple[CandidateTube, ...],
        times_s: tuple[float, ...],
        wording: Wording,
    ) -> list[SourceFinding] | None:
        """What the model states about a marked video; None if it is not asked."""
        wanted, every = self._config.evidence, self._config.evidence.sources == "stated"
        numbers = (every or wanted.painted_ids) and len(candidates) > 1
        ordinals = (every or wanted.stated_interval) and not split.lasts
        if not (candidates and (numbers or ordinals)):
            return None
        video = marked_video(
            self._mllm, view, candidates, times_s, numbers=numbers, ordinals=ordinals
        )
        asked: list[PaintedIds | StatedInterval] = (
            [PaintedIds(self._mllm, video, wording)] if numbers else []
        )
        asked += [StatedInterval(self._mllm, video, wording)] if ordinals else []
        return [one for source in asked for one in source.findings(view.clip, split, candidates)]

    def _re_attended(
        self,
        passes: VideoPasses,
        forward: Probe,
        answer: TubeSelection,
        template: Tube,
        clock: Clock,
    ) -> Grounding:
        """The answer by LRA and TAS, after the forward pass."""
        config, split = passes.config, template.split
        assert split is not None
        backward = None
        if config.assembling.enabled:
            with clock.stage("reversed pass"):
                # V_s starts from zero here too, so that one pass gives its first gradient, the
                # reversed A_cap and the untuned rows.
                only = {"spatial": split.attribute}
                backward = passes.probe(forward.visual.reversed(), split, only)
        with clock.stage("re-attend"):
            v_s, dropped_s = passes.tuned(forward, "spatial", split.attribute)
            v_t, dropped_t = passes.tuned(forward, "temporal", split.action)
            v_b, dropped_b = passes.tuned(backward, "spatial", split.attribute)
        with clock.stage("attend"):
            asked = [(forward, v_s, "grounding"), (forward, v_t, "temporal")]
            asked += [(backward, v_b, "grounding")] if backward else []
            (a_s, token), (a_t, _), *reverse = passes.maps(asked, split)
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
        asked = self._config.evidence.sources
        sources = () if asked in ("attention", "stated") else self._sources
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
            cost=self._mllm.counts,
            warning="; ".join(filter(None, (unmeasured(split.command), *limits.sentences))),
            calibrated=limits.trained_pictures and self._mllm.settings.calibrated,
        )


def _untuned(passes: VideoPasses, forward: Probe) -> tuple[tuple[torch.Tensor, torch.Tensor], str]:
    """A_S and A_T before tuning, and the grounding token."""
    a_s, token = passes.map_of(forward.whole, forward.neutral)
    a_t, _ = passes.map_of(forward.whole, forward.neutral, "temporal")
    return (a_s, a_t), token
