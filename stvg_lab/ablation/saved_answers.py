# SPDX-License-Identifier: Apache-2.0

"""The answers of an ablation in a file, so that a long one can be done in several runs."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

from stvg_lab.ablation.experiment import Ablation
from stvg_ros.errors import ConfigError


class SavedAnswers:
    """The file of one ablation; written after each scene, by one process at a time."""

    def __init__(self, path: Path, asked: dict[str, Any]) -> None:
        """`asked` describes the ablation: split, first scene, candidates, settings, rows."""
        self._path = path
        self._asked = json.dumps(asked, sort_keys=True, default=str)

    def restored(self, ablation: Ablation) -> int:
        """Gives an ablation its answers back; returns the number of scenes that are done.

        Raises:
            ConfigError: the file is of another ablation, or is none.
        """
        if not self._path.exists():
            return 0
        try:
            saved = pickle.loads(self._path.read_bytes())
            asked, done, answers = saved["asked"], int(saved["scenes"]), saved["answers"]
        except (OSError, pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
            raise ConfigError(
                f"--answers: {self._path} holds no answers of an ablation ({error}); name another "
                "file, which is created"
            ) from error
        if asked != self._asked:
            raise ConfigError(
                f"--answers: {self._path} is of {asked}, not of {self._asked}; name another file"
            )
        ablation.answers = answers
        return done

    def store(self, ablation: Ablation, scenes: int) -> None:
        """Writes all answers to the first `scenes` scenes.

        Raises:
            ConfigError: the file cannot be written.
        """
        saved = {"asked": self._asked, "scenes": scenes, "answers": ablation.answers}
        part = self._path.with_name(self._path.name + ".part")
        try:
            part.write_bytes(pickle.dumps(saved))
            part.replace(self._path)
        except OSError as error:
            raise ConfigError(f"--answers: {self._path}: cannot be written ({error})") from error
