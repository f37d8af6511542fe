# SPDX-License-Identifier: Apache-2.0

"""What sources of candidate tubes for a noun phrase share."""

from __future__ import annotations

from abc import ABC, abstractmethod

from stvg_ros.errors import ProposalError, StvgError
from stvg_ros.method.base import BaseProposer
from stvg_ros.proposals.open_vocabulary.text_detector import noun_phrase
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import CandidateTube, Clip, SplitQuery


class PhraseProposer(BaseProposer, ABC):
    """Finds the objects that the query's noun phrase names; the phrase is not known on arrival.

    Thread contract: one thread calls `propose`.
    """

    def __init__(self, config: ProposalConfig) -> None:
        self._config = config

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
            ProposalError: a model failed.
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

    @abstractmethod
    def _propose(self, clip: Clip, phrase: str) -> tuple[CandidateTube, ...]:
        """The tubes of the objects of a phrase; errors of any kind."""
