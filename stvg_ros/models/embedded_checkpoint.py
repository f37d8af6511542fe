# SPDX-License-Identifier: Apache-2.0

"""The folder of the embedded model, and the settings in a checkpoint's folder."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from stvg_ros.errors import ModelError
from stvg_ros.method.model_settings import Heads, MllmSettings

FOLDER = Path(__file__).parent / "embedded"
SETTINGS_FILE = "stvg.json"
# Part of the model's name in every answer of the embedded model.
SCOPE = "embedded, rendered scenes only"


def read_settings(file: Path | None) -> MllmSettings:
    """The settings of a checkpoint's `stvg.json`; the paper's if there is none.

    Raises:
        ModelError: the file is not a JSON object, or has an unknown key or a wrong type.
    """
    if file is None or not file.is_file():
        return MllmSettings()
    known = {
        item.name: int if item.default is None else type(item.default)
        for item in fields(MllmSettings)
    }
    try:
        values = json.loads(file.read_text())
        for key, value in values.items():
            if known[key] is tuple:
                values[key] = _pairs(key, value)
                continue
            kinds = (int, float) if known[key] is float else (known[key],)
            if not isinstance(value, kinds) or isinstance(value, bool) != (kinds == (bool,)):
                raise TypeError(f"{key} = {value!r}, expected {known[key].__name__}")
        return MllmSettings(**values)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ModelError(
            f"{file}: {error!r}; expected a JSON object with keys of {', '.join(known)}; "
            "correct or remove the file"
        ) from error


def _pairs(key: str, value: object) -> Heads:
    """Raises: TypeError: not a list of pairs of whole numbers."""
    pairs: list[tuple[int, int]] = []
    for pair in value if isinstance(value, list) else [value]:
        if not isinstance(pair, list) or [type(number) for number in pair] != [int, int]:
            raise TypeError(f"{key} = {value!r}, expected [[layer, head], ...]")
        pairs.append((pair[0], pair[1]))
    return tuple(pairs)
