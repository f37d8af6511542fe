# SPDX-License-Identifier: Apache-2.0

"""Memory of a grounding, part by part; needs neither the weights nor the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from stvg_lab.benchmark.memory_ledger import MemoryLedger, followed, storage_bytes
from stvg_lab.benchmark.side_by_side import CountingMllm, grounded, noise
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.hf_common import HfMllm

BLOCK = 64  # weights per scale in 4 bits


@dataclass(frozen=True)
class MemoryUse:
    """Memory of a grounding with tuning and assembling, in bytes.

    Attributes:
        visual_tokens: M.
        weights: of language model and vision tower.
        tower: peak of the vision tower, above the weights.
        keys: keys and values of one pass, for all layers.
        graph: kept for the backward pass, keys and values included.
        tuning: peak of the passes with a gradient, above the weights.
        attending: peak of the tuned passes, above the weights.
        reads: number of host reads, each of which waits for the device.
    """

    visual_tokens: int
    weights: int
    tower: int
    keys: int
    graph: int
    tuning: int
    attending: int
    reads: int

    @property
    def peak(self) -> int:
        """The overall peak."""
        return self.weights + max(self.tower, self.tuning, self.attending)


def memory_use(mllm: HfMllm, frames: int, grid: tuple[int, int]) -> MemoryUse:
    """Grounds noise of `frames` frames with `grid` (rows, columns) tokens per slot, and counts.

    On the meta device nothing is computed, and the passes after tuning run one by one.
    """
    model, preprocessing = mllm.checkpoint.model, mllm.checkpoint.preprocessing
    clip = noise(frames, grid, preprocessing.patch * preprocessing.merge)
    weights = [*model.parameters(), *model.buffers()]
    ledger = MemoryLedger()
    ledger.leave_out(weights)
    with followed(ledger, model.device):
        visual = mllm.encode([frame.image for frame in clip.frames])
        tower = ledger.restart()
        watched = _Watched(mllm, ledger)
        grounded(watched, clip, visual)
    return MemoryUse(
        len(visual.features),
        storage_bytes(weights),
        tower,
        watched.keys,
        watched.graph,
        watched.tuning,
        ledger.restart(),
        ledger.reads,
    )


def allocated_peak(work: Callable[[], object]) -> int:
    """Peak of torch's CPU allocator while `work` runs, from its profiler."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    results: Any = seen.profiler
    events = sorted(
        (event for event in results.kineto_results.events() if event.name() == "[memory]"),
        key=lambda event: int(event.start_ns()),
    )
    held = peak = 0
    for event in events:
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def quantized(mllm: HfMllm, bits: int) -> HfMllm:
    """The model with placeholders for the weights of the language model in 4 or 8 bits."""
    for layer in mllm.checkpoint.model.get_decoder().layers:
        for block in (layer.self_attn, layer.mlp):
            for name, child in list(block.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(block, name, _FourBits(child) if bits == 4 else _EightBits(child))
    return mllm


class _Watched(CountingMllm):
    """Records the memory at the stages of a grounding."""

    def __init__(self, mllm: HfMllm, ledger: MemoryLedger) -> None:
        super().__init__(mllm)
        self._ledger = ledger
        self.keys = self.graph = self.tuning = 0

    def prefill(self, visual: VisualTokens, offset: Tensor | None = None) -> Any:
        prefix = super().prefill(visual, offset)
        self.keys = storage_bytes(each for pair in prefix.pairs for each in pair)
        return prefix

    def ask(self, prefix: Any, questions: Sequence[str]) -> Any:
        readings = super().ask(prefix, questions)
        self.graph = max(self.graph, self._ledger.live_bytes)
        return readings

    def attention_rows(self, passes: Any, question: str) -> Any:
        self.tuning = self._ledger.restart()
        return super().attention_rows(passes, question)


class _FourBits(nn.Module):
    """The memory of bitsandbytes' nf4: packed weights and scales; unpacked during the product."""

    def __init__(self, whole: nn.Linear) -> None:
        super().__init__()
        self._shape, self.bias, kept = whole.weight.shape, whole.bias, whole.weight
        count = kept.numel()
        self.register_buffer("packed", kept.new_empty(count // 2, dtype=torch.uint8))
        self.register_buffer("scales", kept.new_empty(-(-count // BLOCK), dtype=torch.float32))

    def forward(self, states: Tensor) -> Tensor:
        """`(..., inputs)` to `(..., outputs)`."""
        product: Tensor = _WholeForAMoment.apply(states, self._shape)  # type: ignore[no-untyped-call]
        return product if self.bias is None else product + self.bias


class _WholeForAMoment(torch.autograd.Function):
    """The product with a weight that is unpacked in the forward and in the backward pass."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, shape: tuple[int, int]) -> Tensor:
        ctx.shape = shape
        return states @ states.new_empty(shape).t()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0] @ grads[0].new_empty(ctx.shape), None


class _EightBits(nn.Module):
    """The memory of bitsandbytes' LLM.int8: weights and states of a product in 8 bits."""

    def __init__(self, whole: nn.Linear) -> None:
        super().__init__()
        self.bias, kept = whole.bias, whole.weight
        self.register_buffer("packed", kept.new_empty(kept.shape, dtype=torch.int8))
        self.register_buffer("scales", kept.new_empty(len(kept), dtype=torch.float32))

    def forward(self, states: Tensor) -> Tensor:
        """`(..., inputs)` to `(..., outputs)`."""
        product: Tensor = _InEightBits.apply(states, self.packed)  # type: ignore[no-untyped-call]
        return product if self.bias is None else product + self.bias


class _InEightBits(torch.autograd.Function):
    """The product of quantized states; the weight is unpacked in the backward pass."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, packed: Tensor) -> Tensor:
        held = states.to(torch.float16).to(torch.int8)
        product = states.new_empty((*states.shape[:-1], len(packed)))
        del held
        # As bitsandbytes does: not by save_for_backward, so recomputing layers does not free them.
        ctx.kept = states if ctx.needs_input_grad[0] else None
        ctx.shape = packed.shape
        return product

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return grads[0] @ grads[0].new_empty(ctx.shape), None
