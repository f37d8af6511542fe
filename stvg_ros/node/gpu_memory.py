# SPDX-License-Identifier: Apache-2.0

"""Memory of the graphics card, where torch uses one."""

from __future__ import annotations

import torch


def gpu_memory_bytes() -> tuple[int, int] | None:
    """Bytes that this process has reserved, and those of the whole card; None without a card."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    device = torch.cuda.current_device()
    return torch.cuda.memory_reserved(device), torch.cuda.get_device_properties(device).total_memory
