# SPDX-License-Identifier: Apache-2.0

"""What the assembly says about the checkpoints that come with the package."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes
from stvg_ros.build import embedded_limits, measure_on_arrival
from stvg_ros.config import Config
from stvg_ros.method.evidence import used_sources
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.proposals.people.transformer_detector import PeopleProposer
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Frame

MODEL, DETECTOR = "model.path", "proposals.people_detector"
RT_DETR = "PekingU/rtdetr_v2_r18vd"
PEOPLE = {"proposals.source": "people_detector", "proposals.people_detector": "embedded"}


@pytest.mark.parametrize(
    ("values", "limited"),
    [
        ({}, {MODEL}),
        ({MODEL: "Qwen/Qwen2.5-VL-7B-Instruct"}, set()),
        ({MODEL: "/models/qwen"}, set()),
        (PEOPLE, {MODEL, DETECTOR}),
        ({**PEOPLE, MODEL: "Qwen/Qwen2-VL-7B-Instruct"}, {DETECTOR}),
        ({**PEOPLE, DETECTOR: RT_DETR}, {MODEL}),
        ({**PEOPLE, DETECTOR: RT_DETR, MODEL: "/models/qwen"}, set()),
        ({DETECTOR: RT_DETR}, {MODEL}),
        ({"proposals.source": "external"}, {MODEL}),
        ({"backend": "remote"}, set()),
        ({"backend": "remote", "remote.fallback": "local"}, {MODEL}),
        ({"backend": "remote", "remote.fallback": "local", MODEL: "/models/qwen"}, set()),
        ({"backend": "remote", **PEOPLE}, set()),
    ],
)
def test_embedded_checkpoints_name_their_limits_and_the_remedy(values, limited):
    limits = embedded_limits(Config.from_flat(values))
    assert set(limits) == limited
    for name, text in limits.items():
        assert "rendered" in text
        assert f"use a released checkpoint, such as {name}=" in text


class CountedSource:
    """A source of evidence that counts the frames of arriving people."""

    def __init__(self) -> None:
        self.stamps_ns: list[int] = []

    def arrived(self, frame: Frame, boxes: Boxes) -> None:
        self.stamps_ns.append(frame.stamp_ns)


class OnePerson:
    """One person in each picture."""

    name, new_track_score, smoothing_s, every = "fake", 0.5, 0.0, 1

    def __call__(self, image: NDArray[np.uint8]) -> tuple[Boxes, NDArray[np.float32]]:
        return np.array([[100, 40, 160, 200]], np.float32), np.array([0.9], np.float32)


@pytest.mark.parametrize(
    ("sources", "rendered_only", "measured"),
    [("auto", True, [2]), ("auto", False, [1, 2]), ("both", True, [1, 2])],
)
def test_people_of_arriving_frames_are_measured_where_a_command_will_use_it(
    sources, rendered_only, measured
):
    drawn = np.full((240, 320, 3), 128, np.uint8)
    seen = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    seen = seen.repeat(8, axis=0).repeat(8, axis=1)  # texture, as a camera's pictures have
    proposer, source = PeopleProposer(ProposalConfig(), OnePerson()), CountedSource()
    own = MllmSettings(rendered_only=rendered_only)
    measure_on_arrival(
        proposer, (source,), lambda frame: used_sources(sources, own, frame) != "attention"
    )
    proposer.observe(Frame(1, drawn, 320, 240))
    proposer.observe(Frame(2, seen, 320, 240))
    proposer.on_people.wait()
    assert source.stamps_ns == measured
