# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes of the objects that the query names, by one model: SAM 3."""

from __future__ import annotations

from stvg_ros.method.interruption import check_interruption
from stvg_ros.proposals.open_vocabulary.concept_tracker import ConceptTracker
from stvg_ros.proposals.open_vocabulary.phrase_proposer import PhraseProposer
from stvg_ros.proposals.open_vocabulary.proposer import MaskTrack, tubes_of_tracks
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import CandidateTube, Clip


class ConceptProposer(PhraseProposer):
    """A noun phrase in, tracks with masks out; each tracked frame is searched.

    Thread contract: one thread calls `propose`.
    """

    def __init__(self, config: ProposalConfig, tracker: ConceptTracker) -> None:
        super().__init__(config)
        self._tracker = tracker

    @classmethod
    def load(cls, config: ProposalConfig) -> ConceptProposer:
        """Loads the model of `proposals.detector`.

        Raises:
            ModelError, ConfigError: the checkpoint or the device cannot be used.
        """
        return cls(config, ConceptTracker.load(config.detector, config.device))

    def _propose(self, clip: Clip, phrase: str) -> tuple[CandidateTube, ...]:
        config = self._config
        frames = sorted({*range(0, len(clip), config.track_every), len(clip) - 1})
        tracks: dict[int, MaskTrack] = {}
        removed: frozenset[int] = frozenset()
        self._tracker.begin(phrase, config.max_objects)
        for step, frame in enumerate(frames):
            check_interruption()
            found = self._tracker.step(clip.frames[frame].image, step)
            removed = found.removed
            for number, seen in found.seen.items():
                if seen.box_xyxy is None:
                    continue
                score = found.scores[number]
                track = tracks.setdefault(number, MaskTrack(step, seen.box_xyxy, score))
                track.seen[step] = seen
        kept = [track for number, track in tracks.items() if number not in removed]
        return tubes_of_tracks(kept, frames, clip, config)
