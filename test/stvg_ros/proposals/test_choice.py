# SPDX-License-Identifier: Apache-2.0

"""What `proposals.source: auto` stands for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stvg_ros.proposals.choice import CPU, GPU, HERE, LOOKING, Surroundings, chosen
from stvg_ros.proposals.people import ssdlite
from stvg_ros.proposals.settings import ProposalConfig

NANO, SMALL = CPU[0], GPU[0]
SILENT = "the hub gave no answer within 4 s"


def surroundings(
    *, gpu: bool = False, cached: Sequence[str] = (), problem: str = SILENT, small: bool = True
) -> Surroundings:
    return Surroundings(
        on_gpu=lambda device: gpu,
        cached=lambda hub_id: hub_id in cached,
        fetched=lambda hub_id: problem,
        small_installed=lambda: small,
    )


@pytest.mark.parametrize(
    ("given", "here", "source", "detector", "reasons"),
    [
        ({}, surroundings(), "people_detector", "ssdlite", (NANO, SILENT, "small detector")),
        ({}, surroundings(cached=[NANO]), "people_detector", NANO, ("cache of the hub", "CPU")),
        ({}, surroundings(cached=[SMALL]), "people_detector", "ssdlite", (NANO,)),
        ({}, surroundings(problem=""), "people_detector", NANO, ("fetched",)),
        ({}, surroundings(gpu=True), "people_detector", "ssdlite", (SMALL, SILENT)),
        ({}, surroundings(gpu=True, cached=[NANO]), "people_detector", NANO, ("cache",)),
        ({}, surroundings(gpu=True, cached=GPU), "people_detector", SMALL, ("GPU",)),
        ({}, surroundings(gpu=True, problem=""), "people_detector", SMALL, ("fetched",)),
        ({}, surroundings(small=False), "classical", "auto", (SILENT, "pip install --no-deps")),
        (
            {"source": "people_detector"}, surroundings(cached=[NANO]),
            "people_detector", NANO, ("cache",),
        ),
        (
            {"source": "people_detector"}, surroundings(small=False),
            "people_detector", "ssdlite", (SILENT,),
        ),
        (
            {"people_detector": "models/mine"}, surroundings(cached=[NANO]),
            "people_detector", "models/mine", ("proposals.people_detector says",),
        ),
        (
            {"source": "classical"}, surroundings(cached=[NANO]),
            "classical", "auto", ("proposals.source says",),
        ),
        (
            {"source": "external"}, surroundings(problem=""),
            "external", "auto", ("proposals.source says",),
        ),
    ],
)  # fmt: skip
def test_the_best_source_at_hand_is_chosen(
    given: dict[str, str], here: Surroundings, source: str, detector: str, reasons: tuple[str, ...]
) -> None:
    choice = chosen(ProposalConfig(**given), here)
    assert (choice.config.source, choice.config.people_detector) == (source, detector)
    assert all(reason in choice.reason for reason in reasons), choice.reason


def test_who_only_looks_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "stvg_ros.proposals.hub_download.fetched", lambda hub_id: pytest.fail("fetched")
    )
    monkeypatch.setenv("HF_HUB_CACHE", "/nonexistent")
    assert "when the tubes are first needed" in chosen(ProposalConfig(device="cpu"), LOOKING).reason


@pytest.mark.parametrize("damaged", [False, True])
def test_a_damaged_package_is_not_at_hand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damaged: bool
) -> None:
    if damaged:
        (tmp_path / "graph.pb").write_bytes(b"cut")
        monkeypatch.setattr(ssdlite, "graph_path", lambda: tmp_path / "graph.pb")
    elif ssdlite.graph_path() is None:
        pytest.skip("the package of the small detector is not installed")
    here = replace(HERE, cached=lambda hub_id: False, fetched=lambda hub_id: SILENT)
    assert chosen(ProposalConfig(), here).config.source == (
        "classical" if damaged else "people_detector"
    )
