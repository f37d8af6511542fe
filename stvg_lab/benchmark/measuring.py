# SPDX-License-Identifier: Apache-2.0

"""FLOP, seconds and bytes of a computation."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

T = TypeVar("T")


def _fused(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Both products of attention over all pairs; shapes `(B, H, S, d)` and `(B, H, N, d)`."""
    passes, heads, count, size = query
    return int(2 * passes * heads * count * key[2] * (size + value[3]))


def _fused_backward(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """The attention weights again, and two products for each of the two of the forward pass."""
    return _fused(query, key, value) * 5 // 2


_CPU_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _fused,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _fused_backward,
}


def flop_counter() -> FlopCounterMode:
    """Counts the floating point operations of products and attention from their shapes."""
    return FlopCounterMode(display=False, custom_mapping=_CPU_ATTENTION)


def flops(work: Callable[[], T]) -> tuple[T, int]:
    """The result of `work`, and its floating point operations."""
    with flop_counter() as counter:
        result = work()
    return result, counter.get_total_flops()


def matmul_rate(
    device: torch.device, dtype: torch.dtype, width: int, seconds: float = 1.0
) -> float:
    """Floating point operations per second of a large product, the rate of the FLOP floor.

    Args:
        device: the device.
        dtype: precision of the weights.
        width: a typical width of the model.
        seconds: measuring time; the fastest product counts.
    """
    rows = 2048
    first = torch.randn(rows, width, device=device).to(dtype)
    second = torch.randn(width, 4 * width, device=device).to(dtype)
    best, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        _, taken = timed(lambda: first @ second, device)
        best = min(best, taken)
    return 2 * rows * width * 4 * width / best


def timed(work: Callable[[], T], device: torch.device) -> tuple[T, float]:
    """The result of `work`, and the seconds until the device has finished.

    On a CPU this is the CPU time of this process divided by its number of threads, so that other
    programs on the machine do not count.
    """
    if device.type != "cuda":
        begin = time.process_time()
        result = work()
        return result, (time.process_time() - begin) / torch.get_num_threads()
    torch.cuda.synchronize(device)
    begin = time.perf_counter()
    result = work()
    torch.cuda.synchronize(device)
    return result, time.perf_counter() - begin


class PeakMemory:
    """Peak memory of a computation above the memory held before.

    On a GPU as counted by torch. On a CPU the resident memory of the process, sampled every few
    milliseconds; short peaks may be missed.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._done = threading.Event()
        self._before = self._peak = 0
        self._watch = threading.Thread(target=self._sample, daemon=True)

    @property
    def bytes(self) -> int:
        """The peak, after the context has ended."""
        return max(0, self._peak - self._before)

    def __enter__(self) -> PeakMemory:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)
        else:
            self._before = self._peak = _resident()
            self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._device.type == "cuda":
            self._peak = torch.cuda.max_memory_allocated(self._device)
        else:
            self._done.set()
            self._watch.join()

    def _sample(self) -> None:
        while not self._done.wait(0.005):
            self._peak = max(self._peak, _resident())


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
