# SPDX-License-Identifier: Apache-2.0

"""Which parameter file of config/ fits this machine, and why."""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.checkpoints.machine import Machine
from stvg_ros.doctor.findings import Finding
from stvg_ros.models.presets import PRESETS, Preset

_FAMILIES = ("Orin", "Thor")  # of boards, by their names


def preset_finding(machine: Machine, presets: Sequence[Preset] = PRESETS) -> Finding:
    """The largest preset that fits, and why no larger one."""
    free = machine.gpu_free_bytes
    if free is None:
        return Finding(
            "ok", "preset", f"laptop_cpu.yaml: {machine.no_gpu}",
            "for a released model: a server and params_file:=remote_gpu.yaml",
        )  # fmt: skip
    where = "shared by CPU and GPU" if machine.shared else "on the GPU"
    have, larger = f"{free / 1e9:.1f} GB free, {where}", ""
    for preset in (each for each in presets if _suits(each, machine)):
        need = f"about {preset.needed / 1e9:.1f} GB"
        if preset.needed <= free:
            text = (
                f"{preset.name}.yaml: {preset.model} needs {need} "
                f"({preset.count.peak / 1e9:.1f} GB counted) of {have}{larger}"
            )
            return Finding("ok", "preset", text, f"params_file:={preset.name}.yaml")
        larger = f"; {preset.name}.yaml needs {need}"
    text = f"no preset fits {have}{larger}"
    return Finding(
        "note", "preset", text, "end other programs, or a server and params_file:=remote_gpu.yaml"
    )


def _suits(preset: Preset, machine: Machine) -> bool:
    """Whether a preset is for this kind of machine, whatever memory is free."""
    if not (preset.shared and machine.shared):
        return preset.shared == machine.shared
    family = next((name for name in _FAMILIES if name in machine.board), "")
    return family in preset.machine
