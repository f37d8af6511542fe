# SPDX-License-Identifier: Apache-2.0

"""The answers of an ablation in a file, so that a long one can be done in several runs."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
from pathlib import Path
from typing import Any

from stvg_lab.ablation.experiment import Ablation
from stvg_ros.errors import ConfigError

_OF_NUMPY = {  # arrays, and the state of a generator
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.random._pcg64", "PCG64"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("numpy.random._pickle", "__generator_ctor"),
    ("numpy.random.bit_generator", "SeedSequence"),
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
}


class _AnswersUnpickler(pickle.Unpickler):
    """Builds arrays and dataclasses of this package only: a file runs no code of its own."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _OF_NUMPY or module.startswith(("stvg_lab.", "stvg_ros.")):
            found = super().find_class(module, name)
            if (module, name) in _OF_NUMPY or (
                isinstance(found, type) and dataclasses.is_dataclass(found)
            ):
                return found
        raise pickle.UnpicklingError(f"it names {module}.{name}")


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
            saved = _AnswersUnpickler(io.BytesIO(self._path.read_bytes())).load()
            asked, done, answers = saved["asked"], int(saved["scenes"]), saved["answers"]
        except (
            OSError,
            pickle.UnpicklingError,
            LookupError,
            EOFError,
            TypeError,
            ValueError,
            AttributeError,
        ) as error:
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
            # The default differs between versions of Python; with 5, NumPy names other functions.
            part.write_bytes(pickle.dumps(saved, protocol=4))
            part.replace(self._path)
        except OSError as error:
            raise ConfigError(f"--answers: {self._path}: cannot be written ({error})") from error
