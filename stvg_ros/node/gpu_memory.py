# SPDX-License-Identifier: Apache-2.0

"""GPU memory, if torch uses a GPU."""

from __future__ import annotations

import torch


def gpu_memory_bytes() -> tuple[int, int] | None:
    """Bytes reserved by this process, and bytes of the whole GPU; None without a GPU."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    device = torch.cuda.current_device()
    return torch.cuda.memory_reserved(device), torch.cuda.get_device_properties(device).total_memory
