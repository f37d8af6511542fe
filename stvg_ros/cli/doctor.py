# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros doctor`: checks model, device, memory, node and topics, with remedies."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_ros.checkpoints.machine import free_memory_bytes, this_machine
from stvg_ros.cli.options import add_model_arguments, at_least, config_of
from stvg_ros.config import Config
from stvg_ros.doctor.findings import Finding, write_findings
from stvg_ros.doctor.preset_choice import preset_finding
from stvg_ros.errors import ConfigError, ModelError
from stvg_ros.models.settings import ModelConfig

if TYPE_CHECKING:
    import torch

# Memory for weights, attention, gradients and images, relative to the weights.
HEADROOM = 1.3
BYTES = {"float32": 4.0, "float16": 2.0, "bfloat16": 2.0}
QUANTIZED_BYTES = {"4bit": 0.6, "8bit": 1.1}  # including the parts that are not quantised


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--node", default="/grounding", help="full name of the node to check")
    parser.add_argument(
        "--seconds", type=at_least(0.5), default=3.0, help="how long to receive images (default 3)"
    )
    parser.add_argument(
        "--machine", action="store_true", help="check this machine only, without a node"
    )
    add_model_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Prints the findings; 0 if none is bad."""
    config = config_of(given)
    preset = preset_finding(this_machine())
    fine = write_findings([*model_findings(config), *tubes_findings(config), preset])
    if given.machine:
        return 0 if fine else 1
    if importlib.util.find_spec("rclpy") is None:
        remedy = "source a ROS 2 installation, or use `make setup`, to check the node as well"
        write_findings([Finding("note", "ros", "rclpy is not installed here", remedy)])
        return 0 if fine else 1
    # Not in a checkout, where ./stvg_ros would shadow the installed package.
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "stvg_ros.doctor.node_check",
            given.node,
            str(given.seconds),
        ]
        return max(0 if fine else 1, subprocess.run(command, cwd=folder, check=False).returncode)


def model_findings(config: Config) -> Iterator[Finding]:
    """Checks model, device and memory without loading or downloading anything."""
    from stvg_ros.checkpoints.devices import devices_of
    from stvg_ros.checkpoints.files import CheckpointFiles
    from stvg_ros.models.families import original_of, unsupported
    from stvg_ros.models.loading import checkpoint_folder

    model = config.model
    try:
        devices = devices_of(model.device, "model.device")
        names = ", ".join(map(str, devices))
        yield Finding("ok", "device", f"model.device {model.device!r} is {names} here")
    except ConfigError as error:
        yield Finding("bad", "device", str(error), "set model.device to auto or cpu")
        return
    try:
        local = model.path == "embedded" or CheckpointFiles.of(model.path, "model.path").local
        folder = checkpoint_folder(model.path) if local else None
    except ModelError as error:
        remedy = "give a folder with config.json, a hub id, or 'embedded'"
        yield Finding("bad", "model", str(error), remedy)
        return
    if folder is None:
        if original := original_of(model.path):
            yield Finding("bad", "model", f"{model.path}: {unsupported(original)}")
            return
        yield Finding(
            "note", "model", f"{model.path} is a hub id, fetched when the node is first activated",
            "fetch it beforehand and give its folder, for a robot without network",
        )  # fmt: skip
        return
    yield from _checkpoint_findings(folder, config, devices)


def _checkpoint_findings(
    folder: Path, config: Config, devices: Sequence[torch.device]
) -> Iterator[Finding]:
    """Checks the files of a checkpoint and the memory that they need."""
    from stvg_ros.checkpoints.files import CheckpointFiles
    from stvg_ros.checkpoints.weight_files import stored_numbers
    from stvg_ros.models.families import FAMILIES, missing_packages, unsupported
    from stvg_ros.models.loading import check_language_model
    from stvg_ros.models.quantized_formats import PRODUCER_FILE, method_of

    model, files = config.model, CheckpointFiles(str(folder), True)
    values = files.config("model.path")
    kind = str(values.get("model_type"))
    if kind not in FAMILIES:
        yield Finding(
            "bad", "model", f"{folder}: {unsupported(kind)}",
            f"use one of {', '.join(sorted(FAMILIES))}",
        )  # fmt: skip
        return
    if lacking := missing_packages(values):
        yield Finding(
            "bad", "model", f"{folder}: {FAMILIES[kind].title} needs {' and '.join(lacking)}",
            "install what is missing",
        )  # fmt: skip
        return
    try:
        stored_numbers(files)
    except ModelError as error:
        yield Finding("bad", "weights", str(error))
        return
    stored = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    text = f"{model.path}: {FAMILIES[kind].title}, {stored / 1e6:.0f} MB of weights"
    if model.path == "embedded":
        text += "; trained on rendered scenes only"
    yield Finding("ok", "model", text)
    method = method_of(values, files.json(PRODUCER_FILE))
    if method is not None:
        yield (found := _quantized(method))
        if found.level == "bad":
            return
    try:
        check_language_model(files)
    except ModelError as error:
        yield Finding("bad", "model", str(error))
        return
    if len(devices) > 1 and (method or model.quantization != "none"):
        yield Finding(
            "bad", "quantized", "quantized weights are loaded to one device",
            "set model.device to cuda:0",
        )  # fmt: skip
        return
    ratio, device = 1.0, devices[0].type
    if method is None:
        ratio = _bytes_per_weight(model, device) / BYTES.get(_stored_dtype(values), 2.0)
    elif method == "fp8":
        ratio = _bytes_per_weight(model, device)
    yield _memory(devices, HEADROOM * stored * ratio)


def tubes_findings(config: Config) -> Iterator[Finding]:
    """Which source of candidate tubes runs here and why, without loading or downloading it."""
    from stvg_ros.build import embedded_limits
    from stvg_ros.proposals.choice import LOOKING, chosen

    if config.place.backend == "remote" and config.remote.fallback != "local":
        return
    choice = chosen(config.proposals, LOOKING)
    limit = embedded_limits(config).get("proposals.people_detector", "")
    last_resort = choice.config.source == "classical" and config.proposals.source == "auto"
    yield Finding("note" if limit or last_resort else "ok", "tubes", choice.reason, limit)


def _stored_dtype(values: Mapping[str, Any]) -> str:
    """The precision of the files by a config.json's content."""
    return str(values.get("dtype", values.get("torch_dtype")))


def _quantized(method: str) -> Finding:
    """Whether quantized weights can be read."""
    from stvg_ros.models.quantized_formats import INSTEAD, format_of

    kind = format_of(method)
    text = f"weights quantized by {method!r}: {kind.note}"
    if kind.bytes_per_weight is None:
        return Finding("bad", "quantized", text, INSTEAD)
    if kind.missing:
        return Finding("bad", "quantized", text, f"install {' and '.join(kind.missing)}")
    return Finding("ok", "quantized", text)


def _bytes_per_weight(model: ModelConfig, device: str) -> float:
    auto = "bfloat16" if device == "cuda" else "float32"
    whole = BYTES[auto if model.dtype == "auto" else model.dtype]
    return QUANTIZED_BYTES.get(model.quantization, whole)


def _memory(devices: Sequence[torch.device], needed: float) -> Finding:
    """Whether the weights and the memory of a grounding, in bytes, fit."""
    if devices[0].type == "cuda":
        import torch

        free = sum(torch.cuda.mem_get_info(each)[0] for each in devices)
        where = "on the GPU" if len(devices) == 1 else f"on {len(devices)} GPUs"
        if this_machine().shared:
            free, where = free_memory_bytes(), "of the memory that CPU and GPU share"
    else:
        free, where = free_memory_bytes(), "of main memory"
    text = f"about {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free {where}"
    if needed <= free:
        return Finding("ok", "memory", text)
    remedy = (
        "set model.quantization to 4bit or model.device to balanced, take a smaller model, or end "
        "other programs"
    )
    return Finding("bad", "memory", text, remedy)
