"""Configuration to grounder: the only place that assembles the parts."""

from __future__ import annotations

from pathlib import Path

from stvg_ros.config import Config, ProposalConfig, SplitConfig
from stvg_ros.core.grounder import LocalGrounder
from stvg_ros.core.interfaces import Mllm, Proposer, Splitter
from stvg_ros.core.query import EndpointSplitter, MllmSplitter, RuleSplitter, WholeSplitter
from stvg_ros.errors import ConfigError


def build_grounder(config: Config) -> LocalGrounder:
    """Loads the model and puts the parts together; takes seconds to minutes.

    Raises:
        ModelError: the checkpoint cannot be used.
        ConfigError: settings that do not fit together.
    """
    from stvg_ros.mllm import load_mllm

    mllm = load_mllm(config.model, config.attention)
    splitter = build_splitter(config.split, mllm)
    return LocalGrounder(mllm, splitter, build_proposer(config.proposals), config)


def build_proposer(config: ProposalConfig) -> Proposer:
    """The source of candidate tubes that the configuration names.

    Raises:
        ModelError, ConfigError: a checkpoint or the device cannot be used.
    """
    if config.source == "open_vocabulary":
        from stvg_ros.proposals.open_vocabulary import OpenVocabularyProposer

        return OpenVocabularyProposer.load(config)
    if config.source == "external":
        from stvg_ros.proposals.external import ExternalProposer

        return ExternalProposer(config)
    from stvg_ros.proposals.classical import ClassicalProposer

    return ClassicalProposer(config)


def checkpoint_folder(path: str) -> Path:
    """The local folder of the files of a model that `model.path` names; see `mllm.loading`.

    Raises:
        ModelError: there are none.
    """
    from stvg_ros.mllm.loading import checkpoint_folder

    return checkpoint_folder(path)


def build_splitter(config: SplitConfig, mllm: Mllm) -> Splitter:
    """The splitter that the configuration names."""
    method = mllm.settings.split if config.method == "auto" else config.method
    if method == "none":
        return WholeSplitter()
    if method == "rules":
        return RuleSplitter()
    if method == "mllm":
        return MllmSplitter(mllm)
    if not config.endpoint_url:
        raise ConfigError(
            "split.endpoint_url: expected the URL of an OpenAI-compatible endpoint for "
            "split.method 'endpoint', got ''; set it or choose 'mllm' or 'rules'"
        )
    return EndpointSplitter(config.endpoint_url, config.endpoint_model, config.endpoint_timeout_s)
