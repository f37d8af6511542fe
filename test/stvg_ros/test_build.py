# SPDX-License-Identifier: Apache-2.0

"""What the assembly says about the checkpoints that come with the package."""

from __future__ import annotations

import pytest

from stvg_ros.build import embedded_limits
from stvg_ros.config import Config

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
