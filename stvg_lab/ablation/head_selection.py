# SPDX-License-Identifier: Apache-2.0

"""Which heads of a model attend to the target, measured on rendered scenes with true tubes.

Dimensions: H heads, R rows, S slots of h x w cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_lab.rendered.scene_questions import SceneQuestion
from stvg_ros.config import Config
from stvg_ros.method.attention import grounding_map
from stvg_ros.method.encoding import Encoder
from stvg_ros.method.interfaces import AttentionRows, Splitter
from stvg_ros.method.model_settings import Heads
from stvg_ros.method.model_words import wording_of
from stvg_ros.method.query import NEUTRAL, question
from stvg_ros.method.sampling import sampled_frames
from stvg_ros.method.scoring import cells_inside
from stvg_ros.models.hf_common import HfMllm

_FEWEST, _MOST, _SHARE = 2, 16, 16  # of all heads a sixteenth
_RESAMPLES = 500
_LEAST = 1e-6

Cells = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class HeadReading:
    """How one sentence's relative attention is distributed, for each head.

    Attributes:
        heads: numbers of layer and head.
        on_tube: `(N,)` logarithm of the mean attention on the true tube over that on everything.
        in_span: `(N,)` the same on the tube, in the true span over all the time; NaN if the
            sentence has no span of its own.
    """

    heads: Heads
    on_tube: NDArray[np.float64]
    in_span: NDArray[np.float64]


@dataclass(frozen=True)
class HeadScore:
    """A head, and the mean of a `HeadReading`'s logarithm with its 95 % bootstrap interval."""

    layer: int
    head: int
    mean: float
    low: float
    high: float


class HeadReader:
    """Reads the attention of each head of a model. One thread uses it."""

    def __init__(self, mllm: HfMllm, splitter: Splitter, config: Config) -> None:
        self._mllm, self._splitter, self._config = mllm, splitter, config
        self._encoder = Encoder(mllm)

    def read(self, sample: SceneQuestion) -> HeadReading:
        """The reading of a sentence whose target is there."""
        mllm, attention = self._mllm, self._config.attention
        sampled, _ = sampled_frames(sample.clip, self._config, mllm)
        with torch.no_grad():
            visual = self._encoder.encode([sample.clip.frames[i] for i in sampled])
            prefix = mllm.prefill(visual)
            text = self._splitter.split(sample.query.text).text
            asked = question(wording_of(self._config.split, mllm.settings)(text))
            tokens = tuple(mllm.ask(prefix, [asked])[0].tokens)
            whole, neutral = (mllm.rows_by_head(prefix, text) for text in (asked, NEUTRAL))
        grid = next(iter(whole.values())).shape[2:]
        tube = _cells(sample, sampled, visual.slots, (grid[1], grid[2]))
        during = np.array([sample.truth.span[sampled[list(slot)]].any() for slot in visual.slots])
        heads, on_tube, in_span = [], [], []
        for layer, rows in whole.items():
            for head, each in enumerate(rows):
                asked_rows = AttentionRows(each.cpu(), tokens)
                neutral_rows = AttentionRows(neutral[layer][head].cpu(), tokens)
                heat = grounding_map(asked_rows, neutral_rows, attention)[0].double().numpy()
                heads.append((layer, head))
                on_tube.append(_share(heat, tube, np.ones_like(tube)))
                inside = tube & during[:, None, None]
                in_span.append(_share(heat, inside, tube) if sample.timed else np.nan)
        return HeadReading(tuple(heads), np.array(on_tube), np.array(in_span))


def _cells(
    sample: SceneQuestion,
    sampled: NDArray[np.int64],
    slots: Sequence[Sequence[int]],
    grid: tuple[int, int],
) -> Cells:
    """`(S, h, w)` the cells of the true tube in any frame of each slot."""
    cells = np.zeros((len(slots), *grid), np.bool_)
    for slot, frames in enumerate(slots):
        for frame in sampled[list(frames)]:
            if sample.truth.present[frame]:
                box = sample.truth.boxes_xyxy_px[frame]
                cells[slot] |= cells_inside(box, sample.clip.size_px, grid)
    return cells


def _share(heat: NDArray[np.float64], part: Cells, whole: Cells) -> float:
    """Logarithm of the mean in some cells over that in all; NaN where there are none."""
    if not part.any() or not (whole & ~part).any():
        return float("nan")
    return float(np.log(max(heat[part].mean(), _LEAST) / max(heat[whole].mean(), _LEAST)))


def head_scores(readings: Sequence[HeadReading], use: str, seed: int = 0) -> list[HeadScore]:
    """All heads, the one that attends most first.

    Args:
        readings: one a sentence.
        use: "grounding", which reads the tube, or "temporal", which reads the span.
        seed: of the bootstrap over sentences.

    Raises:
        ValueError: no sentence has what is read.
    """
    name = {"grounding": "on_tube", "temporal": "in_span"}[use]
    values = np.array([getattr(one, name) for one in readings]).reshape(len(readings), -1)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        raise ValueError(f"no sentence shows which heads are {use}")
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), (0.025, 0.975), axis=0)
    means = values.mean(axis=0)
    return [
        HeadScore(layer, head, float(means[i]), float(low[i]), float(high[i]))
        for i in np.argsort(-means, kind="stable")
        for layer, head in (readings[0].heads[i],)
    ]


def head_count(heads: int) -> int:
    """The size of the table for a model of so many heads."""
    return min(heads, _MOST, max(_FEWEST, heads // _SHARE))


def selected(scores: Sequence[HeadScore], count: int) -> list[list[int]]:
    """The first `count` heads that attend more to the target than to the rest, for stvg.json."""
    return [[one.layer, one.head] for one in scores[:count] if one.mean > 0]


def head_rows_shown(tables: Mapping[str, Sequence[HeadScore]], count: int) -> list[str]:
    """A Markdown table of the best heads of each use."""
    lines = [
        "| use | layer | head | times the rest's attention | selected |",
        "| --- | --- | --- | --- | --- |",
    ]
    for use, scores in tables.items():
        chosen = selected(scores, count)
        for one in scores[: count + 2]:
            low, mean, high = (float(np.exp(each)) for each in (one.low, one.mean, one.high))
            mark = "yes" if [one.layer, one.head] in chosen else ""
            lines.append(
                f"| {use} | {one.layer} | {one.head} | {mean:.2f} ({low:.2f} to {high:.2f}) "
                f"| {mark} |"
            )
    return lines
