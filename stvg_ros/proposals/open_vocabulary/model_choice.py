# SPDX-License-Identifier: Apache-2.0

"""Chooses the models of open-vocabulary tubes by the checkpoint of the detector."""

from __future__ import annotations

from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.method.interfaces import Proposer
from stvg_ros.proposals.open_vocabulary import concept_tracker
from stvg_ros.proposals.open_vocabulary.concept_proposer import ConceptProposer
from stvg_ros.proposals.open_vocabulary.proposer import OpenVocabularyProposer
from stvg_ros.proposals.settings import ProposalConfig


def load_open_vocabulary(config: ProposalConfig) -> Proposer:
    """SAM 3 where `proposals.detector` is one, else a text detector with a mask tracker.

    Raises:
        ModelError, ConfigError: a checkpoint or the device cannot be used.
    """
    setting = concept_tracker.SETTING
    kind = CheckpointFiles.of(config.detector, setting).config(setting).get("model_type")
    if kind in concept_tracker.CLASSES:
        return ConceptProposer.load(config)
    return OpenVocabularyProposer.load(config)
