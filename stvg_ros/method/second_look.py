# SPDX-License-Identifier: Apache-2.0

"""A second look as a source of evidence: yes or no about the images cut to the best tubes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.commands.command import others_of
from stvg_ros.method.answering import cut_to_tube
from stvg_ros.method.base import MOST_NATS, BaseSource
from stvg_ros.method.evidence import attention_logs
from stvg_ros.method.query import NEUTRAL
from stvg_ros.method.relations import related
from stvg_ros.method.scoring import slot_of_frames
from stvg_ros.method.tube_look import TubeLook
from stvg_ros.method.tube_view import TubeView
from stvg_ros.method.video_passes import VideoPasses
from stvg_ros.types import SECOND_LOOK, CandidateTube, Clip, SourceFinding, SplitQuery


@dataclass(frozen=True, eq=False)
class SecondLook(BaseSource):
    """Asks the whole query about each of a few tubes by itself.

    Attributes:
        passes: runs the model.
        view: the frames that it saw.
    """

    passes: VideoPasses
    view: TubeView
    name: str = SECOND_LOOK

    def looks(self, split: SplitQuery, candidates: Sequence[CandidateTube]) -> dict[int, TubeLook]:
        """What the model says of tubes, by track id; without those that it did not see.

        One tube does not show a relation to another person. Then the model is asked about the rest
        of the description and about the other one, and the tubes' places decide; all must hold, so
        the least decides.
        """
        own, others = _asked(split)
        texts = [*([own] if own else []), *others]
        found = {}
        for candidate in candidates:
            pictures = cut_to_tube(candidate, self.view)
            look = self._look(texts, candidate, pictures) if pictures else None
            if look is not None:
                found[candidate.track_id] = look
        margins = {track: look[0] for track, look in found.items()}
        if others and split.command is not None and split.command.relation is not None:
            seen = [one for one in candidates if one.track_id in margins]
            fits = [
                [margins[one.track_id][place] for one in seen] for place in range(-len(others), 0)
            ]
            there = min((max(fit) for fit in fits if fit), default=0.0)
            places = related(split.command.relation, fits, seen, self.view.clip)
            for track, said in margins.items():
                least = min(there, places.get(track, 0.0))
                margins[track] = (min(said[0], least) if own else least,)
        return {track: TubeLook(margins[track][0], look[1]) for track, look in found.items()}

    def _look(
        self,
        texts: Sequence[str],
        candidate: CandidateTube,
        pictures: Sequence[NDArray[np.uint8]],
    ) -> tuple[tuple[float, ...], NDArray[np.float32]] | None:
        """The margins of texts about one tube, and the scores of its frames for the first text."""
        mllm = self.passes.mllm
        with torch.no_grad():
            visual = mllm.encode(pictures)
            asked = self.passes.asked(texts)
            *readings, neutral = mllm.ask(mllm.prefill(visual), [*asked, NEUTRAL])
        margins = tuple(float(reading.margin) for reading in readings)
        if not np.isfinite(margins).all():
            return None
        first = readings[0].without_answer()
        heat, _ = self.passes.map_of(first, neutral.without_answer(), "temporal")
        slots = slot_of_frames(visual.slots, len(pictures))
        scores = np.full(len(self.view.sampled), np.nan, np.float32)
        scores[candidate.present[self.view.sampled]] = heat.flatten(1).amax(1).numpy()[slots]
        return margins, scores

    def findings(
        self, clip: Clip, split: SplitQuery, candidates: Sequence[CandidateTube]
    ) -> tuple[SourceFinding, ...]:
        """See `EvidenceSource`: log-odds of each of the candidates against their mean."""
        return self.compared(split, self.looks(split, candidates))

    def compared(
        self, split: SplitQuery, looks: Mapping[int, TubeLook], others: Sequence[int] = ()
    ) -> tuple[SourceFinding, ...]:
        """The finding of given looks; none without one.

        Args:
            split: the command.
            looks: by track id.
            others: tracks without a look, which are taken to be as little as the least of them.
        """
        if not looks:
            return ()
        own, count = self.passes.mllm.settings, len(self.view.clip)
        margins = {track: look.margin for track, look in looks.items()}
        margins = {**dict.fromkeys(others, min(margins.values())), **margins}
        mean = float(np.mean(list(margins.values())))
        nats = {track: own.second_look_weight * (one - mean) for track, one in margins.items()}
        tubes = {track: float(np.clip(one, -MOST_NATS, MOST_NATS)) for track, one in nats.items()}
        frames = {}
        for track, look in looks.items():
            levels = attention_logs(look.scores)
            if own.look_level_weight and levels.any() and not split.lasts:
                above = own.look_level_weight * (levels - own.look_level_inside)
                frames[track] = np.interp(np.arange(count), self.view.sampled, above)
        return (SourceFinding(self.name, split.text, tubes, frames),)


def _asked(split: SplitQuery) -> tuple[str, list[str]]:
    """What is asked about a tube by itself, "" for nothing, and about those in a relation to it."""
    command = split.command
    others = others_of(command.relation) if command is not None else []
    if not others or command is None or command.relation is None:
        return split.text, []
    rest = " ".join(command.target.replace(command.relation.text, " ").split())
    return (rest if command.features else ""), others
