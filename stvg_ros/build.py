# SPDX-License-Identifier: Apache-2.0

"""Builds a grounder from a configuration: the only place that assembles the parts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_ros.boxes import Boxes
from stvg_ros.commands.endpoint import token
from stvg_ros.commands.reader import grammar_reader
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.method.evidence import MEASURING, used_sources
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.interfaces import Grounder, Mllm, Proposer, Splitter
from stvg_ros.method.query import EndpointSplitter, MllmSplitter, RuleSplitter, WholeSplitter
from stvg_ros.method.settings import SplitConfig
from stvg_ros.proposals.choice import SourceChoice, chosen
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Frame

if TYPE_CHECKING:
    from stvg_ros.body.body_evidence import BodyEvidence

_LOG = logging.getLogger(__name__)


def build_grounder(config: Config) -> Grounder:
    """The grounder that `backend` selects: with a local model, or a remote one.

    Raises:
        StvgError: as in `build_local`, or the address is invalid.
    """
    if config.place.backend == "local":
        return build_local(config)
    try:
        from stvg_ros.serving.client import RemoteGrounder
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"backend: remote needs {error.name}; pip install -r requirements/library.txt"
        ) from error

    # Tubes that are computed on the robot are sent with the command.
    here = config.proposals.source == "external" or config.remote.tubes == "robot"
    own = build_proposer(config.proposals) if here else None
    local = None
    if config.remote.fallback == "local":
        local = build_local(config, lambda proposer: own or proposer)
    return RemoteGrounder(config, local, own)


def build_local(
    config: Config, around: Callable[[Proposer], Proposer] = lambda proposer: proposer
) -> LocalGrounder:
    """Loads the model and assembles the parts; takes seconds to minutes.

    Args:
        config: selects the parts.
        around: wraps the source of candidate tubes.

    Raises:
        ModelError: the checkpoint cannot be used.
        ConfigError: settings contradict each other.
    """
    from stvg_ros.models import load_mllm

    mllm = load_mllm(config.model, config.attention)
    splitter = build_splitter(config.split, mllm)
    choice, sources = chosen(config.proposals), build_sources(config)
    own = build_proposer(choice)
    measure_on_arrival(
        own,
        sources,
        lambda frame: used_sources(config.evidence.sources, mllm.settings, frame) in MEASURING,
    )
    return LocalGrounder(
        mllm, splitter, around(own), config, sources=sources, candidates=choice.reason
    )


def measure_on_arrival(
    proposer: Proposer,
    sources: tuple[BodyEvidence, ...],
    used: Callable[[Frame], bool] = lambda frame: True,
) -> None:
    """Passes the people whom a source of tubes detects in arriving frames to the measures.

    Args:
        proposer: the source of tubes.
        sources: with the measures first.
        used: whether a command about such frames will use the measures.
    """
    from stvg_ros.proposals.people.streaming import StreamingTubes

    def arrived(frame: Frame, boxes: Boxes) -> None:
        if used(frame):
            sources[0].arrived(frame, boxes)

    if sources and isinstance(proposer, StreamingTubes):
        from stvg_ros.body.arrivals import ArrivalThread

        proposer.on_people = ArrivalThread(arrived)


def build_sources(config: Config) -> tuple[BodyEvidence, ...]:
    """The sources of evidence besides attention; none if they are not used or not at hand.

    Raises:
        ModelError, ConfigError: the estimator of keypoints cannot be loaded, or is off although
            `evidence.sources` names it.
    """
    if config.evidence.sources in ("attention", "stated"):
        return ()
    from stvg_ros.body.body_evidence import BodyEvidence
    from stvg_ros.body.estimator_choice import build_estimator
    from stvg_ros.body.tracks import BodyMeter

    estimator = build_estimator(config.body)
    if estimator is None:
        if config.evidence.sources != "auto":
            raise ConfigError(
                f"evidence.sources {config.evidence.sources!r}: expected keypoints of people, but "
                f"body.estimator {config.body.estimator!r} gives none; run "
                "`stvg-ros models fetch body`, or set evidence.sources to 'attention'"
            )
        return ()
    meter = BodyMeter(estimator, config.body.megabytes)
    return (BodyEvidence(meter, grammar_reader("rules"), config.body),)


def application(arguments: Mapping[str, Any]) -> Any:
    """The Ray Serve application of one model, for `import_path` of a Serve config file.

    Args:
        arguments: `settings`, a map of settings by name; `token_file`; all others are options of
            the deployment.

    Raises:
        ConfigError: a setting is refused.
    """
    from stvg_ros.serving.server import application as serve_application

    given = {"settings": {}, **arguments}
    return serve_application(build_local, **given)


def build_proposer(wanted: ProposalConfig | SourceChoice) -> Proposer:
    """The source of candidate tubes that the configuration selects.

    Args:
        wanted: the settings, or what was chosen for them.

    Raises:
        ModelError, ConfigError: a checkpoint or the device is not usable.
    """
    choice = wanted if isinstance(wanted, SourceChoice) else chosen(wanted)
    config = choice.config
    _LOG.info("candidate tubes: %s", choice.reason)
    if config.source == "people_detector":
        from stvg_ros.proposals.people.transformer_detector import PeopleProposer

        return PeopleProposer.load(config)
    if config.source == "open_vocabulary":
        from stvg_ros.proposals.open_vocabulary.model_choice import load_open_vocabulary

        return load_open_vocabulary(config)
    if config.source == "external":
        from stvg_ros.proposals.external import ExternalProposer

        return ExternalProposer(config)
    from stvg_ros.proposals.people.classical import ClassicalProposer

    return ClassicalProposer(config)


def embedded_limits(config: Config) -> dict[str, str]:
    """Limits of the embedded checkpoints in use, by the setting that replaces them.

    Empty if no embedded checkpoint runs in this process.
    """
    limits = {}
    here = config.place.backend == "local" or config.remote.fallback == "local"
    if here and config.model.path == "embedded":
        limits["model.path"] = (
            "model.path 'embedded': this model was trained on rendered scenes only and does not "
            "work on real video; use a released checkpoint, such as "
            "model.path=Qwen/Qwen2.5-VL-7B-Instruct"
        )
    source = config.proposals
    if here and (source.source, source.people_detector) == ("people_detector", "embedded"):
        limits["proposals.people_detector"] = (
            "proposals.people_detector 'embedded': this detector was trained on rendered people "
            "only and does not work on real video; use a released checkpoint, such as "
            "proposals.people_detector=PekingU/rtdetr_v2_r18vd"
        )
    return limits


def checkpoint_folder(config: Config) -> Path | None:
    """The local folder of the model's files; None if the model runs on a server.

    Raises:
        ModelError: there are no such files.
    """
    if config.place.backend != "local":
        return None
    from stvg_ros.models.loading import checkpoint_folder

    return checkpoint_folder(config.model.path)


def build_splitter(config: SplitConfig, mllm: Mllm) -> Splitter:
    """The splitter that the configuration selects."""
    method = mllm.settings.split if config.method is None else config.method
    if method == "none":
        return WholeSplitter()
    if method in ("parser", "rules"):
        return RuleSplitter(grammar_reader(config.method or "auto"))
    if method == "mllm":
        return MllmSplitter(mllm)
    if not config.endpoint_url:
        raise ConfigError(
            "split.endpoint_url: expected the URL of an OpenAI-compatible endpoint for "
            "split.method 'endpoint', got ''; set it or choose 'mllm' or 'rules'"
        )
    return EndpointSplitter(
        config.endpoint_url,
        config.endpoint_model,
        config.endpoint_timeout_s,
        token(config.endpoint_token_file),
    )
