# SPDX-License-Identifier: Apache-2.0

"""The passes over one video that the stages of the method need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stvg_ros.config import Config
from stvg_ros.errors import ModelError
from stvg_ros.method.attention import grounding_map, head_rows
from stvg_ros.method.conditions import Condition
from stvg_ros.method.interfaces import AttentionRows, Mllm
from stvg_ros.method.interruption import check_interruption
from stvg_ros.method.model_words import Wording, wording_of
from stvg_ros.method.query import NEUTRAL, question
from stvg_ros.method.reattention import (
    Direction,
    can_gain,
    gradient,
    reattention_loss,
    spatial_step,
    temporal_step,
    tuned,
)
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.types import SplitQuery


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


@dataclass(frozen=True, eq=False)
class VideoPasses:
    """Runs the model for one command.

    Attributes:
        mllm: the model.
        config: the command's settings.
        direction: computes the gradient, against which V moves.
    """

    mllm: Mllm
    config: Config
    direction: Direction

    @property
    def wording(self) -> Wording:
        """The words in which this model is asked."""
        return wording_of(self.config.split, self.mllm.settings)

    def asked(self, texts: Iterable[str]) -> list[str]:
        """The questions for (sub-)queries, in the model's words."""
        return [question(text) for text in map(self.wording, texts)]

    def probe(
        self,
        visual: VisualTokens,
        split: SplitQuery,
        parts: Mapping[str, str],
        conditions: Sequence[str] = (),
        *,
        tunable: bool = True,
    ) -> Probe:
        """One pass over T_v for Q, its parts, the neutral prompt, and all first gradients.

        Args:
            visual: T_v.
            split: Q.
            parts: Q_s and Q_t, by the branch that they tune.
            conditions: texts that are asked as well.
            tunable: whether attention decides; otherwise there are no gradients.
        """
        config = self.config
        wanted = [name for name in parts if tunable and getattr(config.reattention, name)]
        with torch.set_grad_enabled(bool(wanted)):
            offset = _zeros_like(visual)
            prefix = self.mllm.prefill(visual, offset)
            asked = self.asked([split.text, *parts.values(), *conditions])
            whole, *readings, neutral = self.mllm.ask(prefix, [*asked, NEUTRAL])
            readings, denied = readings[: len(parts)], readings[len(parts) :]
            branches = [
                name
                for name, reading in zip(parts, readings, strict=True)
                if name in wanted and can_gain(reading, config.reattention, self.mllm.settings)
            ]
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
                    self.map_of(reading.without_answer(), neutral.without_answer())[0],
                    float(reading.margin.detach()),
                )
                for reading in denied
            ),
        )

    def tuned(
        self, probe: Probe | None, branch: str, text: str
    ) -> tuple[torch.Tensor | None, torch.Tensor | int]:
        """V of one branch and its dropped steps, or None if the branch is off or gated."""
        config = self.config
        if probe is None or branch not in probe.gradients:
            return None, 0
        visual = probe.visual

        def loss(offset: torch.Tensor) -> torch.Tensor:
            check_interruption()
            with torch.enable_grad():
                prefix = self.mllm.prefill(visual, offset)
                reading, neutral = self.mllm.ask(prefix, [*self.asked([text]), NEUTRAL])
                return reattention_loss(reading, neutral, config.reattention.loss)

        step_of = spatial_step if branch == "spatial" else temporal_step
        step = step_of(config.reattention, self.mllm.settings)
        return tuned(probe.gradients[branch], visual.features, step, loss, self.direction)

    def maps(
        self,
        passes: Sequence[tuple[Probe, torch.Tensor | None, str]],
        split: SplitQuery,
    ) -> list[tuple[torch.Tensor, str]]:
        """For each pass the rows of Q over T_v + V, relative to A_cap over T_v.

        Args:
            passes: for each map, the video, V, and what its heads are for, one of `HEAD_USES`.
            split: the query.
        """
        moved = [(probe.visual, offset) for probe, offset, _ in passes if offset is not None]
        (asked,) = self.asked([split.text])
        seen = iter(self.mllm.attention_rows(moved, asked) if moved else ())
        return [
            self.map_of(probe.whole if offset is None else next(seen), probe.neutral, use)
            for probe, offset, use in passes
        ]

    def map_of(
        self, rows: AttentionRows, neutral: AttentionRows, use: str = "grounding"
    ) -> tuple[torch.Tensor, str]:
        """The grounding map on the host. Raises: ModelError, ConfigError."""
        attention = self.config.attention
        rows, neutral = (head_rows(one, attention, use).on_host() for one in (rows, neutral))
        if not (rows.rows.isfinite().all() and neutral.rows.isfinite().all()):
            raise _not_finite("attention")
        return grounding_map(rows, neutral, attention)


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
