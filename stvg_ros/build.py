"""Configuration to grounder: the only place that assembles the parts."""

from __future__ import annotations

from pathlib import Path

from stvg_ros.config import Config, SplitConfig
from stvg_ros.core.grounder import LocalGrounder
from stvg_ros.core.interfaces import Mllm, Splitter
from stvg_ros.core.query import EndpointSplitter, MllmSplitter, RuleSplitter
from stvg_ros.errors import ConfigError


def build_grounder(config: Config) -> LocalGrounder:
    """Loads the model and puts the parts together; takes seconds to minutes.

    Raises:
        ModelError: the checkpoint cannot be used.
        ConfigError: settings that do not fit together.
    """
    from stvg_ros.mllm import load_mllm
    from stvg_ros.proposals.classical import ClassicalProposer

    mllm = load_mllm(config.model, config.attention)
    splitter = build_splitter(config.split, mllm)
    return LocalGrounder(mllm, splitter, ClassicalProposer(config.proposals), config)


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
