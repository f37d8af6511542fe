# SPDX-License-Identifier: Apache-2.0

"""Which slots are encoded as frames arrive."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
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


class Images(ToyMllm):
    """Notes the sizes and brightness of the images of each call, and its total."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[list[tuple[int, int]], int]] = []

    def encode(self, images, total=0):  # type: ignore[no-untyped-def]
        self.calls.append(([image.shape[:2] for image in images], total))
        return super().encode(images, total)


def test_prefetched_slots_are_used_while_their_images_exist() -> None:
    mllm = Images()
    encoder = Encoder(mllm)
    frames = list(noise_clip(4).frames)
    while encoder.prefetch(frames[:3], 4):
        pass
    assert (encoder.kept, len(mllm.calls)) == (3, 3)
    one = mllm.encode([frames[0].image]).nbytes
    assert encoder.nbytes == 3 * one
    mllm.calls.clear()
    tokens = encoder.encode(frames, 4)
    assert mllm.calls == [([frames[3].image.shape[:2]], 4)]  # the last one was not prefetched
    whole = Encoder(ToyMllm()).encode(frames)
    assert torch.equal(tokens.features, whole.features)
    assert tokens.times_s == whole.times_s == (0.0, 0.1, 0.2, 0.3)
    # Depth that comes later makes another frame with the same image.
    mllm.calls.clear()
    encoder.encode([replace(frame, frame_id="other") for frame in frames[:3]], 4)
    assert mllm.calls == []
    del frames[0], tokens
    encoder.forget()
    assert encoder.kept == 2
    encoder.clear()
    assert (encoder.kept, encoder.nbytes) == (0, 0)


def test_a_slot_of_another_total_or_size_is_encoded_anew() -> None:
    mllm = Images()
    encoder = Encoder(mllm)
    clip = noise_clip(2)
    assert encoder.prefetch(clip.frames[:1], 2)
    assert not encoder.prefetch(clip.frames[:1], 2)
    assert encoder.prefetch(clip.frames[:1], 3)
    # All images get the size of the newest one.
    small = replace(clip.frames[1], image=np.ascontiguousarray(clip.frames[1].image[::2, ::2]))
    height, width = small.image.shape[:2]
    mllm.calls.clear()
    encoder.encode([clip.frames[0], small], 2)
    assert mllm.calls == [([(height, width)], 2)] * 2
    mllm.calls.clear()
    assert encoder.prefetch([clip.frames[0], small], 2)
    assert mllm.calls == [([(height, width)], 2)]


def test_all_at_once_is_one_call_and_uses_nothing_prefetched() -> None:
    mllm = Images()
    encoder = Encoder(mllm)
    frames = noise_clip(3).frames
    encoder.prefetch(frames, 3)
    mllm.calls.clear()
    encoder.encode(frames)
    assert mllm.calls == [([frame.image.shape[:2] for frame in frames], 0)]


def test_another_image_at_the_same_address_is_not_taken_for_the_old_one() -> None:
    mllm = Images()
    encoder = Encoder(mllm)
    frame = noise_clip(1).frames[0]
    encoder.prefetch([frame], 1)
    ((key, kept),) = encoder._kept.items()
    other = noise_clip(1).frames[0]
    encoder._kept = {((id(other.image),), *key[1:]): kept}
    mllm.calls.clear()
    encoder.encode([other], 1)
    assert len(mllm.calls) == 1
