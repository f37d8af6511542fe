# SPDX-License-Identifier: Apache-2.0

"""The environment of a run: versions, machine, hashes of the code and of the weights."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "av", "numpy", "opencv-python-headless", "rosbags", "scipy", "torch",
    "transformers",
)  # fmt: skip
_HASHED = (".safetensors", ".bin", ".json", ".jinja", ".model", ".txt")


def environment(model: str, folder: Path | None, gpu: str | None) -> dict[str, Any]:
    """The content of `environment.json`.

    Args:
        model: its name in the settings.
        folder: folder of its files; None if they are not on this machine.
        gpu: name of the GPU in use, or None.
    """
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": versions,
        "code": {"sha256": code_hash()},
        "machine": {
            "system": platform.platform(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "gpu": gpu,
        },
        "model": {"path": model, "sha256": "" if folder is None else folder_hash(folder)},
    }


def code_hash() -> str:
    """SHA-256 of the names and contents of this package's modules."""
    package = Path(__file__).parent.parent
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(f"{path.relative_to(package)}\n".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def folder_hash(folder: Path) -> str:
    """SHA-256 of the names and contents of a checkpoint's files, in order of their names.

    Only the model's files are included: weights, configuration, tokenizer.
    """
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _HASHED:
            content = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    content.update(block)
            total.update(f"{path.name} {content.hexdigest()}\n".encode())
    return total.hexdigest()
