# SPDX-License-Identifier: Apache-2.0

"""What a model without settings of its own is run with."""

from __future__ import annotations

import pytest
import torch

from stvg_ros.method.interfaces import AttentionRows, ModelLimits, Reading
from stvg_ros.method.model_settings import MllmSettings


def test_a_model_without_its_own_settings_has_the_papers() -> None:
    own = MllmSettings()
    assert (own.frame_count, own.step, own.learning_rate) == (20, "plain", 8.0)
    assert (own.first_layer, own.last_layer) == (0, None)  # the mean over all layers
    assert (own.split, own.aspect_ratio) == ("mllm", 0.0)  # and pictures of any shape


def test_a_model_without_its_own_settings_knows_every_picture_and_is_not_calibrated() -> None:
    own = MllmSettings()
    assert not own.rendered_only
    assert ModelLimits().trained_pictures
    assert not own.calibrated
    assert (own.presence_threshold, own.presence_track_weight) == (0.0, 0.0)


@pytest.mark.parametrize(("threshold", "weight"), [(1.5, 0.0), (0.0, 0.2), (-3.0, 2.0)])
def test_a_model_is_calibrated_by_a_threshold_or_a_weight(threshold: float, weight: float) -> None:
    assert MllmSettings(presence_threshold=threshold, presence_track_weight=weight).calibrated


def test_a_reading_is_rows_and_an_answer() -> None:
    rows, yes, no = torch.zeros(1, 2, 3, 3), torch.tensor(-0.5), torch.tensor(-2.0)
    reading = Reading(rows, ("?",), yes, no)
    assert float(reading.margin) == 1.5
    kept = reading.without_answer()
    assert (type(kept), kept.rows is rows, kept.tokens) == (AttentionRows, True, ("?",))
