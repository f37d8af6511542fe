# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""Where the embedded model lies, and the settings that a checkpoint brings along."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

from stvg_ros.core.interfaces import MllmSettings
from stvg_ros.errors import ModelError

FOLDER = Path(__file__).parent / "embedded"
SETTINGS_FILE = "stvg.json"


def read_settings(file: Path | None) -> MllmSettings:
    """The settings of a checkpoint's `stvg.json`; the paper's where there is none.

    Raises:
        ModelError: the file is no JSON object, or has an unknown key or a wrong type.
    """
    if file is None or not file.is_file():
        return MllmSettings()
    known = {item.name: type(item.default) for item in fields(MllmSettings)}
    try:
        values = json.loads(file.read_text())
        for key, value in values.items():
            kinds = (int, float) if known[key] is float else (known[key],)
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise TypeError(f"{key} = {value!r}, expected {known[key].__name__}")
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ModelError(
            f"{file}: {error!r}; expected a JSON object with keys of {', '.join(known)}; "
            "correct or remove the file"
        ) from error
    return MllmSettings(**values)
