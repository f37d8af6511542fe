# SPDX-License-Identifier: Apache-2.0

"""Floors and oracles: reference scores for the score of an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stvg_lab.runs.scores import FrameTube, Score
from stvg_ros.types import CandidateTube


def references(
    answer: FrameTube,
    track_id: int,
    candidates: tuple[CandidateTube, ...],
    truth: FrameTube,
    asked: NDArray[np.bool_],
    *,
    carried: Callable[[FrameTube], FrameTube],
    score: Callable[[FrameTube], Score],
) -> tuple[dict[str, Score], int | None]:
    """Scores by the names of `scores.REFERENCES`, and the id of the best track.

    The own track is the answer's, at all times (the whole window: without temporal grounding) and
    in the true span. The best track is a perfect choice among the candidates, in the same two
    spans; both are missing if the candidates are unknown. Its id is None if no candidate
    overlaps the truth.

    Args:
        answer: the answer on the F scored frames.
        track_id: the candidate of the answer, or an id of no candidate.
        candidates: the candidates on the stored frames.
        truth: the truth on the scored frames, with a span.
        asked: `(F,)`, the scored frames that the command asks about.
        carried: interpolates a tube from the stored to the scored frames.
        score: scores an answer on the scored frames.
    """
    tracks = {
        item.track_id: carried(FrameTube(item.boxes_xyxy_px, item.present, item.present))
        for item in candidates
    }
    own = tracks.get(track_id, answer)
    found = {
        "whole_window": score(replace(own, span=asked)),
        "own_track_true_span": score(replace(own, span=truth.span)),
    }
    if not tracks:
        return found, None
    overlap = {name: score(track).gt_v_iou for name, track in tracks.items()}
    best_id = max(overlap, key=overlap.__getitem__)
    best = tracks[best_id]
    found["best_track"] = score(replace(best, span=asked))
    found["best_track_true_span"] = score(replace(best, span=truth.span))
    return found, best_id if overlap[best_id] > 0 else None
