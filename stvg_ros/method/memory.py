# SPDX-License-Identifier: Apache-2.0

"""Detects out-of-memory errors and releases cached memory."""

from __future__ import annotations

import gc

import torch

# Messages of PyTorch's allocators that raise a plain RuntimeError.
_TEXTS = ("out of memory", "DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether the error, or one of its causes, is an out-of-memory error."""
    while error is not None:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return True
        if isinstance(error, RuntimeError) and any(text in str(error) for text in _TEXTS):
            return True
        error = error.__cause__
    return False


def release_memory() -> None:
    """Releases unused memory to the system and the GPU."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
