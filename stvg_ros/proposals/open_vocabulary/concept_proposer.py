# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes of the objects that the query names, by one model: SAM 3."""

from __future__ import annotations

from stvg_ros.errors import ProposalError, StvgError
from stvg_ros.method.base import BaseProposer
from stvg_ros.method.interruption import check_interruption
from stvg_ros.proposals.open_vocabulary.concept_tracker import ConceptTracker
from stvg_ros.proposals.open_vocabulary.proposer import MaskTrack, tubes_of_tracks
from stvg_ros.proposals.open_vocabulary.text_detector import noun_phrase
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import CandidateTube, Clip, SplitQuery


class ConceptProposer(BaseProposer):
    """A noun phrase in, tracks with masks out; each tracked frame is searched.

    Thread contract: one thread calls `propose`.
    """

    def __init__(self, config: ProposalConfig, tracker: ConceptTracker) -> None:
        self._config = config
        self._tracker = tracker

    @classmethod
    def load(cls, config: ProposalConfig) -> ConceptProposer:
        """Loads the model of `proposals.detector`.

        Raises:
            ModelError, ConfigError: the checkpoint or the device cannot be used.
        """
        return cls(config, ConceptTracker.load(config.detector, config.device))

    @property
    def name(self) -> str:
        """Name of this source in logs and reports."""
        return "open_vocabulary"

    def reconfigure(self, config: ProposalConfig) -> None:
        """Applies other dynamic settings from the next clip on."""
        self._config = config

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """Candidate tubes with masks, best first; empty if no such object is found.

        Raises:
            ProposalError: the model failed.
        """
        phrase = noun_phrase(query.attribute)
        try:
            return self._propose(clip, phrase)
        except StvgError:
            raise
        except Exception as error:
            raise ProposalError(
                f"open-vocabulary tubes of {phrase!r} on {len(clip)} images of "
                f"{clip.frames[0].image.shape} failed ({type(error).__name__}: {error}); out of "
                "memory: raise proposals.track_every or lower proposals.max_objects"
            ) from error

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
