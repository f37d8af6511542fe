# SPDX-License-Identifier: Apache-2.0

"""The memory of this machine, and whether CPU and GPU share it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_BOARD = Path("/proc/device-tree/model")  # of ARM boards


@dataclass(frozen=True)
class Machine:
    """What a model finds here.

    Attributes:
        memory_free_bytes: main memory.
        gpu_free_bytes: memory of the first GPU that is free; None without one.
        shared: whether CPU and GPU share the memory, as on a Jetson.
        board: name of an ARM board; else empty.
    """

    memory_free_bytes: float
    gpu_free_bytes: float | None = None
    shared: bool = False
    board: str = ""

    @property
    def no_gpu(self) -> str:
        """Why no model runs on a GPU; empty if one can."""
        if self.gpu_free_bytes is not None:
            return ""
        if "Jetson" in self.board:
            return f"{self.board}, but this torch finds no GPU: install NVIDIA's for its JetPack"
        return "no GPU here"


def this_machine() -> Machine:
    """The machine as it is now."""
    import torch

    free = float(free_memory_bytes())
    if not torch.cuda.is_available():
        return Machine(free, board=board_name())
    # CUDA does not count memory that Linux would release, such as its cache of files.
    shared = bool(torch.cuda.get_device_properties(0).is_integrated)
    gpu = free if shared else float(torch.cuda.mem_get_info(0)[0])
    return Machine(free, gpu, shared, board_name())


def board_name(file: Path = _BOARD) -> str:
    """The model of an ARM board by its device tree, such as "NVIDIA Jetson AGX Orin ..."."""
    try:
        return file.read_bytes().rstrip(b"\0\n").decode("utf-8", "replace")
    except OSError:
        return ""


def free_memory_bytes() -> int:
    """Main memory available without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
