# SPDX-License-Identifier: Apache-2.0

"""Which checkpoints this machine can run, by counted memory, and which of them are here."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stvg_ros.checkpoints.machine import Machine
from stvg_ros.models.counted_memory import (
    FULL,
    ON_CPU,
    ON_GPU,
    PROCESS_BYTES,
    USUAL,
    CountedMemory,
    counts,
)

_ROW = "{:<32}{:<10}{:>9}  {}"


@dataclass(frozen=True)
class PrecisionChoice:
    """The most exact precision of a checkpoint that fits, or the smallest one if none does.

    Attributes:
        count: its memory.
        needed: bytes that must be free.
        fits: whether they are.
    """

    count: CountedMemory
    needed: float
    fits: bool


def choices(machine: Machine) -> Iterator[PrecisionChoice]:
    """A choice for each released checkpoint whose memory was counted."""
    gpu = machine.gpu_free_bytes
    kinds, free = (ON_CPU, machine.memory_free_bytes) if gpu is None else (ON_GPU, gpu)
    beside = PROCESS_BYTES if machine.shared else 0.0
    known = [each for each in counts() if (each.frames, each.long_side_px) == USUAL]
    for checkpoint in dict.fromkeys(each.checkpoint for each in known):
        offered = []
        for kind in kinds:
            for each in known:
                if each.checkpoint == checkpoint and (each.weights_in, each.recomputed) == kind:
                    needed = each.needed_on_cpu if gpu is None else each.needed_on_gpu + beside
                    offered.append(PrecisionChoice(each, needed, needed <= free))
        yield next((each for each in offered if each.fits), offered[-1])


def listing(
    machine: Machine, cached: Callable[[str], bool], parts: dict[str, bool]
) -> Iterator[str]:
    """The lines of `stvg-ros models list`.

    Args:
        machine: its memory.
        cached: whether a hub id is in the cache of the hub.
        parts: other weights, and whether they are here.
    """
    if machine.gpu_free_bytes is None:
        yield f"{machine.no_gpu}; {machine.memory_free_bytes / 1e9:.1f} GB of main memory free"
        yield "released models were not timed on a CPU; docs/serving.md has a server with a GPU"
    else:
        where = "shared by CPU and GPU" if machine.shared else "on the GPU"
        yield f"{machine.gpu_free_bytes / 1e9:.1f} GB free, {where}"
    frames, side_px = USUAL
    yield f"counted for {frames} frames of {side_px} px, re-attention included, not measured"
    yield _ROW.format("checkpoint", "weights", "needs", "here")
    yield _ROW.format("embedded", "float32", "-", "runs; in the package; rendered scenes only")
    for choice in choices(machine):
        count = choice.count
        said = "runs" + _with_settings(count, machine) if choice.fits else "does not fit"
        state = "fetched" if cached(count.checkpoint) else "not fetched"
        needed = f"{choice.needed / 1e9:.1f} GB"
        yield _ROW.format(count.checkpoint, count.weights_in, needed, f"{said}; {state}")
    for name, here in parts.items():
        yield _ROW.format(name, "", "", "fetched" if here else "not fetched")


def _with_settings(count: CountedMemory, machine: Machine) -> str:
    """The settings that a count is for and that are not the defaults on this machine."""
    usual: dict[str, str | bool] = {"model.dtype": "bfloat16", "model.quantization": "none"}
    if machine.gpu_free_bytes is None:
        usual |= {"model.dtype": "float32", "model.gradient_checkpointing": False}
    wanted = {
        name: value for name, value in count.settings.items() if usual.get(name, value) != value
    }
    if not wanted:
        return ""
    text = " with " + " and ".join(f"{name} {str(value).lower()}" for name, value in wanted.items())
    if count.weights_in not in FULL and importlib.util.find_spec("bitsandbytes") is None:
        text += " (install bitsandbytes and accelerate)"
    return text
