# SPDX-License-Identifier: Apache-2.0

"""A stated interval as a source of evidence: the model is asked in which images it happens.

The first and the last image are read from the log-probabilities of their numbers; no text is
generated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stvg_ros.method.base import MOST_NATS, BaseSource
from stvg_ros.method.interfaces import Mllm
from stvg_ros.method.marked_video import MarkedVideo
from stvg_ros.method.model_words import Wording, as_said
from stvg_ros.method.query import described
from stvg_ros.types import STATED_INTERVAL, CandidateTube, Clip, SourceFinding, SplitQuery

ENDS = ("first", "last")


def which_image(text: str, end: str) -> str:
    """The question for the first or the last image."""
    return (
        "The images of this video have numbers in the top left corner. Which number has the "
        f"{end} image in which this is seen: {described(text)}? Answer with the number."
    )


@dataclass(frozen=True, eq=False)
class StatedInterval(BaseSource):
    """What the model says about the time on a marked video.

    Attributes:
        mllm: the model.
        video: with the numbers of slots in the images.
        wording: of the questions.
    """

    mllm: Mllm
    video: MarkedVideo
    wording: Wording = as_said
    name: str = STATED_INTERVAL

    def findings(
        self, clip: Clip, split: SplitQuery, candidates: Sequence[CandidateTube]
    ) -> tuple[SourceFinding, ...]:
        """See `EvidenceSource`: log-odds of the frames, the same for every tube.

        Empty if the query names no action, or the model does not know numbers.
        """
        slots = self.video.view.slots
        if split.lasts or len(slots) < 2:
            return ()
        options = [str(number + 1) for number in range(len(slots))]
        ends = []
        for end in ENDS:
            asked = which_image(self.wording(split.text), end)
            log_p = self.mllm.option_log_p(self.video.prefix, asked, options)
            if log_p is None or not log_p.isfinite().all():
                return ()
            ends.append(log_p.double().cpu().numpy())
        inside = slot_probabilities(*ends)
        weight = self.mllm.settings.stated_interval_weight
        odds = np.log(inside) - np.log1p(-inside)
        nats = _in_frames(np.clip(weight * odds, -MOST_NATS, MOST_NATS), self.video)
        return (
            SourceFinding(self.name, split.action, {}, {one.track_id: nats for one in candidates}),
        )


def slot_probabilities(
    first: NDArray[np.float64], last: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability that each of S slots is in the interval, `(S,)`, strictly between 0 and 1.

    Args:
        first: `(S,)` log-probabilities of the first slot.
        last: `(S,)` of the last; what it says about slots before the first does not count.
    """
    begin, end = np.exp(first - first.max()), np.exp(last - last.max())
    pairs = np.triu(np.outer(begin, end))
    if pairs.sum() <= 0:  # the two answers contradict each other
        return np.full(len(first), 0.5)
    places = np.arange(len(first))
    inside = [float(pairs[: at + 1, at:].sum()) for at in places]
    return np.asarray(np.clip(np.array(inside) / pairs.sum(), 1e-6, 1 - 1e-6), np.float64)


def _in_frames(slots: NDArray[np.float64], video: MarkedVideo) -> NDArray[np.float64]:
    """Values of slots in all frames of the clip, `(F,)`."""
    sampled = video.view.sampled
    middles = np.array([sampled[list(frames)].mean() for frames in video.view.slots])
    order = np.argsort(middles)
    frames = np.arange(len(video.view.clip))
    return np.asarray(np.interp(frames, middles[order], slots[order]), np.float64)
