# SPDX-License-Identifier: Apache-2.0

"""Stores what calibration found in a model's folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stvg_ros.errors import ModelError


def store(file: Path, new_values: Mapping[str, Any], instead: str) -> None:
    """Changes settings of a stvg.json, or creates the file.

    Args:
        file: the file.
        new_values: the settings.
        instead: what to do where the file cannot be changed.

    Raises:
        ModelError: the file cannot be read or written.
    """
    try:
        values = json.loads(file.read_text()) if file.is_file() else {}
        values |= dict(new_values)
        new = file.with_name(f".{file.name}.{os.getpid()}")
        new.write_text(json.dumps(values, indent=2) + "\n")
        new.replace(file.resolve())
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{file}: cannot be changed ({error}); expected a writable JSON object; {instead}"
        ) from error
