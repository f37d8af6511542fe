# SPDX-License-Identifier: Apache-2.0

"""Which errors mean that memory is exhausted."""

from __future__ import annotations

import pytest
import torch

from stvg_ros.method import memory
from stvg_ros.method.memory import is_out_of_memory, release_memory


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


CPU = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
BLAS = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"


@pytest.mark.parametrize(
    ("error", "exhausted"),
    [
        (None, False),
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError(CPU), True),
        (RuntimeError(BLAS), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("CUBLAS_STATUS_NOT_SUPPORTED"), False),
        (ValueError("out of memory"), False),
        (caused(ValueError("x"), MemoryError()), True),
        (caused(ValueError("x"), caused(RuntimeError("y"), RuntimeError(CPU))), True),
        (caused(RuntimeError("x"), KeyError("out of memory")), False),
    ],
)
def test_errors_of_exhausted_memory(error: BaseException | None, exhausted: bool) -> None:
    assert is_out_of_memory(error) is exhausted


@pytest.mark.parametrize("on_gpu", [True, False])
def test_memory_of_the_gpu_is_released_where_one_is_used(monkeypatch, on_gpu: bool) -> None:
    released = []
    monkeypatch.setattr(memory.gc, "collect", lambda: released.append("objects"))
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: on_gpu)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: released.append("GPU"))
    release_memory()
    assert released == (["objects", "GPU"] if on_gpu else ["objects"])
