# SPDX-License-Identifier: Apache-2.0

"""Models that compute nonsense or need too much memory: an error of its own, never an answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FixedProposer, FixedSplitter, ToyMllm, no_checkpoint, noise_clip

from stvg_ros.config import Config
from stvg_ros.depth import Depth, Intrinsics
from stvg_ros.errors import ErrorCode, ModelError, OutOfMemoryError, ProposalError
from stvg_ros.images import reduced
from stvg_ros.method.encoding import Encoder
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.memory import is_out_of_memory
from stvg_ros.models import load_mllm
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.types import Clip, Frame, Query
from stvg_ros.window import Window, WindowConfig

QUERY = Query("the person in red who waves")


def grounder(mllm: Any, **flat: Any) -> LocalGrounder:
    return LocalGrounder(
        mllm, FixedSplitter(), FixedProposer((1.0, 2.0, 30.0, 40.0)), Config.from_flat(flat)
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    ("weights", "one"),
    [
        ("layers.1.mlp.up_proj", True),
        ("layers.1.mlp.up_proj", False),
        ("layers.0.self_attn.v_proj", True),
        ("layers.0.self_attn.v_proj", False),
        ("layers.1.", False),
        ("visual", True),
        ("visual", False),
        ("embed_tokens", False),
        ("", False),
    ],
)
def test_weights_that_are_no_numbers_are_an_error(value: float, weights: str, one: bool) -> None:
    torch.set_num_threads(1)
    config = Config()
    mllm = load_mllm(config.model, config.attention)
    assert isinstance(mllm, HfMllm)
    changed = [
        tensor for name, tensor in mllm.checkpoint.model.named_parameters() if weights in name
    ]
    assert changed
    with torch.no_grad():
        if one:
            changed[0].view(-1)[len(changed[0].view(-1)) // 2] = value
        else:
            for tensor in changed:
                tensor.fill_(value)
    work = grounder(mllm, **{"sampling.frames": 4})
    with pytest.raises(ModelError, match=r"not finite.*model\.path"):
        work.ground(noise_clip(), QUERY, no_checkpoint)


@pytest.mark.parametrize("stage", ["ask", "attention_rows"])
def test_attention_that_is_not_finite_is_an_error(
    stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mllm = ToyMllm()
    plain = getattr(mllm, stage)

    def broken(*arguments: Any) -> Any:
        found = plain(*arguments)
        spoilt = []
        for reading in found:
            rows = reading.rows.clone()
            rows[0, 0, 0, 0] = float("nan")
            spoilt.append(replace(reading, rows=rows))
        return tuple(spoilt)

    monkeypatch.setattr(mllm, stage, broken)
    with pytest.raises(ModelError, match="attention"):
        grounder(mllm).ground(noise_clip(), QUERY, no_checkpoint)


class Greedy(ToyMllm):
    """Runs out of memory in its n-th pass, so often, unless it saves memory."""

    def __init__(self, error: Exception, always: bool = False, at: int = 1) -> None:
        super().__init__()
        self.error, self.always, self.at = error, always, at
        self.saving = False
        self.saved = 0

    @contextmanager
    def saving_memory(self) -> Iterator[None]:
        self.saving, self.saved = True, self.saved + 1
        yield
        self.saving = False

    def prefill(self, visual: Any, offset: Any = None) -> Any:
        if self.prefills + 1 >= self.at and (self.always or not self.saving):
            raise self.error
        return super().prefill(visual, offset)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA`."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=str)
@pytest.mark.parametrize("at", [1, 2])
def test_too_little_memory_is_tried_once_more_with_less(error: Exception, at: int) -> None:
    mllm, early = Greedy(error, at=at), []
    found = grounder(mllm).ground(noise_clip(), QUERY, no_checkpoint, early.append)
    plain = grounder(ToyMllm()).ground(noise_clip(), QUERY, no_checkpoint)
    assert (mllm.saved, mllm.saving) == (1, False)
    assert found.best.boxes == plain.best.boxes
    assert len(early) == 1


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=str)
def test_memory_that_never_suffices_is_an_error_with_its_remedy(error: Exception) -> None:
    mllm = Greedy(error, always=True)
    work = grounder(mllm, **{"sampling.prefetch": True, "window.duration_s": 1.0})
    clip = noise_clip(11)
    assert work.prefetch(clip)
    assert work.prepared_bytes
    with pytest.raises(OutOfMemoryError, match=r"sampling\.frames") as raised:
        work.ground(clip, QUERY, no_checkpoint)
    first, _, _ = str(error).partition("\n")
    assert f"recomputed ({first}); lower" in str(raised.value)
    assert raised.value.code is ErrorCode.OUT_OF_MEMORY
    assert raised.value.__context__ is None  # its traceback would hold the tensors
    assert work.prepared_bytes == 0
    mllm.always = False
    mllm.at = 10**9
    assert work.ground(clip, QUERY, no_checkpoint).tubes


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("x"), KeyError("y")])
def test_other_errors_are_not_tried_again(error: Exception) -> None:
    mllm = Greedy(error)
    with pytest.raises(type(error)):
        grounder(mllm).ground(noise_clip(), QUERY, no_checkpoint)
    assert mllm.saved == 0


def test_an_error_from_too_little_memory_is_known_by_its_cause() -> None:
    error = ProposalError("the detector failed")
    assert not is_out_of_memory(error)
    error.__cause__ = torch.OutOfMemoryError("CUDA out of memory")
    assert is_out_of_memory(error)


def window_of(*sides: int, frames: int = 6, size: tuple[int, int] = (64, 48)) -> Window:
    """A window whose `long_side_px` was changed after every so many frames."""
    window = Window(WindowConfig(max_rate_hz=0.0))
    draw = np.random.default_rng(0)
    for number in range(frames * len(sides)):
        big = draw.integers(0, 256, (size[1], size[0], 3), np.uint8)
        image = np.array(reduced(big, sides[number // frames]))
        window.add(Frame(10**9 + number * 10**8, image, *size, "camera"))
    return window


@pytest.mark.parametrize("prefetch", [False, True])
@pytest.mark.parametrize(
    "sides", [(64, 32), (32, 64), (64, 17), (16, 64), (64, 63), (33, 64, 20), (40, 39, 38, 37)]
)
def test_images_of_several_sizes_are_grounded_at_that_of_the_newest(
    sides: tuple[int, ...], prefetch: bool
) -> None:
    torch.set_num_threads(1)
    config = Config()
    mllm = load_mllm(config.model, config.attention)
    clip = window_of(*sides).snapshot()
    work = grounder(mllm, **{
        "sampling.frames": 4, "sampling.prefetch": prefetch,
        "window.duration_s": len(clip) / 10,
    })  # fmt: skip
    while work.prefetch(clip):
        pass
    found = work.ground(clip, QUERY, no_checkpoint)
    newest = Clip(clip.frames[-6:])
    alone = grounder(mllm, **{"sampling.frames": 4}).ground(newest, QUERY, no_checkpoint)
    assert found.evidence is not None and alone.evidence is not None
    assert found.evidence.spatial.shape[1:] == alone.evidence.spatial.shape[1:]


def test_depth_that_comes_after_its_image_does_not_encode_it_again() -> None:
    mllm = ToyMllm()
    encoder, window = Encoder(mllm), Window(WindowConfig(max_rate_hz=0.0))
    depth = Depth(np.ones((2, 2), np.float32), Intrinsics(1.0, 1.0, 1.0, 1.0))
    for frame in noise_clip(10).frames:
        window.add(frame)
        while encoder.prefetch(window.snapshot().frames, 10):
            pass
        assert window.attach(frame.stamp_ns, depth)
        assert not encoder.prefetch(window.snapshot().frames, 10)
    assert (mllm.encoded, encoder.kept) == (10, 10)
