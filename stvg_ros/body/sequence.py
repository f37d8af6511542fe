# SPDX-License-Identifier: Apache-2.0

"""Evidence of what happens one after another: "stands, then squats".

The time is cut into a segment for each stage, in order, so that the stages' evidence is largest;
each stage is then measured in its own segment.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stvg_ros.body.logic import Array, smoothed

# Nats that one stage can give: a long first stage must not take the time of a short second one.
_MOST = 6.0
_BRIEF_S = 0.4
_STEP_S = 0.5  # a frame counts for at most this time
_BETWEEN = 0.6  # nats of frames between the stages, which belong to the sequence

Segment = tuple[int, int]  # first frame, and the one after the last


def segments(stages: Sequence[Array], seconds: Array) -> list[Segment]:
    """The frames of each stage: K intervals in order that cover all F frames.

    Args:
        stages: evidence of K stages, `(F,)` nats each; at most F of them.
        seconds: `(F,)`.
    """
    count = len(seconds)
    tables = [_values(nats, seconds) for nats in stages]
    total = tables[0][0]  # of the first stage up to each frame
    cuts: list[NDArray[np.int64]] = []
    for number, table in enumerate(tables[1:], 1):
        # Begin at frame i, after the stages before end at i - 1.
        sums = np.full((count, count), -np.inf)
        begins = np.arange(number, count)
        sums[begins] = total[begins - 1][:, None] + table[begins]
        cuts.append(sums.argmax(axis=0))
        total = sums.max(axis=0)
    ends = [count]
    for cut in reversed(cuts):
        ends.insert(0, int(cut[ends[0] - 1]))
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _values(nats: Array, seconds: Array) -> Array:
    """The evidence of a stage in each interval of frames, `(F, F)` by first and last frame.

    That of the best run in it, or of its least unlikely moment; -inf where it ends before it
    begins.
    """
    worth = _worth(nats, seconds)
    brief = np.minimum(smoothed(nats, seconds, _BRIEF_S), 0.0)
    table = np.full((len(nats), len(nats)), -np.inf)
    for first in range(len(nats)):
        sums = np.cumsum(worth[first:])
        lowest = np.minimum.accumulate(np.concatenate([[0.0], sums[:-1]]))
        runs = np.maximum.accumulate(sums - lowest)
        moments = np.maximum.accumulate(brief[first:])
        table[first, first:] = np.where(runs > 0, _MOST * np.tanh(runs / _MOST), moments)
    return table


def _worth(nats: Array, seconds: Array) -> Array:
    usual = np.median(np.diff(seconds)) if len(seconds) > 1 else 0.1
    steps = np.minimum(np.diff(seconds, append=seconds[-1] + usual), _STEP_S)
    return np.asarray(nats * steps, np.float64)


def span_frames(nats: Array, order: Sequence[Segment], stage: int, run: Segment) -> Array:
    """A stage's evidence for the span of the whole sequence, `(F,)`.

    Zero in the other stages' segments. All frames from the start of the first stage to the end of
    the last one belong to the sequence, also those of a change from one stage to the next.

    Args:
        nats: `(F,)` of the stage.
        order: the segments.
        stage: the number of this stage.
        run: first frame of the sequence, and the one after the last.
    """
    first, last = order[stage]
    found = np.zeros(len(nats))
    found[first:last] = nats[first:last]
    inside = slice(max(first, run[0]), max(first, min(last, run[1])))
    found[inside] = np.maximum(found[inside], _BETWEEN)
    return found


def whole_run(stages: Sequence[Array], order: Sequence[Segment], seconds: Array) -> Segment:
    """From the start of the first stage's best run to the end of the last one's."""
    first, _ = _best_run(_worth(stages[0], seconds), order[0])
    _, last = _best_run(_worth(stages[-1], seconds), order[-1])
    return first, last


def _best_run(worth: Array, segment: Segment) -> Segment:
    """The run with the largest sum in a segment; empty, at its border, if there is none."""
    inside = worth[segment[0] : segment[1]]
    sums = np.concatenate([[0.0], np.cumsum(inside)])
    lowest = np.minimum.accumulate(sums[:-1])
    last = int(np.argmax(sums[1:] - lowest))
    first = int(np.argmin(sums[: last + 1]))
    if sums[last + 1] <= sums[first]:
        return segment[1], segment[0]
    return segment[0] + first, segment[0] + last + 1
