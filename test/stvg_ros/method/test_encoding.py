# SPDX-License-Identifier: Apache-2.0

"""Which slots are encoded as frames arrive."""

from __future__ import annotations

import pytest
from fakes import ToyMllm, noise_clip

from stvg_ros.method.encoding import Encoder


class Slots(ToyMllm):
    """Notes the slots that are encoded."""

    def __init__(self, frames_per_slot: int) -> None:
        super().__init__()
        self.frames_per_slot = frames_per_slot
        self.sizes: list[int] = []

    def encode(self, images, total=0):  # type: ignore[no-untyped-def]
        self.sizes.append(len(images))
        return super().encode(images, total)


@pytest.mark.parametrize("frames_per_slot", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 6, 7])
def test_only_slots_that_are_complete_are_prepared(frames_per_slot: int, count: int) -> None:
    mllm = Slots(frames_per_slot)
    encoder = Encoder(mllm)
    frames = noise_clip(8).frames[:count]
    while encoder.prefetch(frames, 8):
        pass
    assert mllm.sizes == [frames_per_slot] * (count // frames_per_slot)
