# SPDX-License-Identifier: Apache-2.0

"""Chooses the frames of a command's tubes in which bodies are measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_REACH_S = 0.25  # a frame that was measured on arrival stands for those within this time
MOST_LATE = 24  # people in frames; about half a second of one core at 18 ms each


def frames_to_measure(
    due: NDArray[np.bool_],
    ready: NDArray[np.bool_],
    seconds: NDArray[np.float64],
    most: int | None,
) -> NDArray[np.bool_]:
    """Which tubes are measured in which frames, `(N, F)`.

    Frames are spread evenly over each tube. Where frames were measured on arrival, those are taken
    if they are near, and a command measures at most `MOST_LATE` others, spread evenly too, so that
    an answer does not wait for people who were not tracked when they were seen.

    Args:
        due: `(N, F)` frames in which a tube may be measured.
        ready: `(N, F)` those in which it was measured on arrival; none if nothing is measured then.
        seconds: `(F,)` times of the frames.
        most: frames of a tube; None for each that is due.
    """
    wanted = np.zeros_like(due)
    late = []
    for row in range(len(due)):
        frames = np.flatnonzero(due[row])
        picks = spread(frames, len(frames) if most is None else most)
        known = np.flatnonzero(due[row] & ready[row])
        if len(known) and len(picks):
            reach_s = max(_REACH_S, np.ptp(seconds[picks]) / (2 * len(picks)))
            away_s = np.abs(seconds[picks][:, None] - seconds[known])
            near = away_s.min(axis=1) <= reach_s
            wanted[row, known[away_s.argmin(axis=1)[near]]] = True
            picks = picks[~near]
        late.append(picks)
    share = max(1, MOST_LATE // max(1, sum(len(picks) > 0 for picks in late)))
    for row, picks in enumerate(late):
        wanted[row, spread(picks, share) if ready.any() else picks] = True
    return wanted


def spread(frames: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most this many of the frames `(K,)`, evenly spaced."""
    count = min(len(frames), most)
    picks = (np.arange(count) + 0.5) * len(frames) / max(count, 1)
    return np.asarray(frames[picks.astype(int)], np.int64)
