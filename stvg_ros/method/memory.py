# SPDX-License-Identifier: Apache-2.0

"""What to do when a computation does not fit into memory."""

from __future__ import annotations

import gc

import torch

# How PyTorch's allocators say it where they raise a plain RuntimeError.
_TEXTS = ("out of memory", "DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether the error, or one that it was raised from, says that memory did not suffice."""
    while error is not None:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return True
        if isinstance(error, RuntimeError) and any(text in str(error) for text in _TEXTS):
            return True
        error = error.__cause__
    return False


def release_memory() -> None:
    """Gives memory that nobody uses back to the system and the graphics card."""
    gc.collect()
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()
