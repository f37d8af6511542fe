# SPDX-License-Identifier: Apache-2.0

"""A run that goes on where it was stopped: its folder, its configuration, what is still to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stvg_lab.datasets.samples import Sample
from stvg_lab.runs.records import (
    CONFIG,
    ENVIRONMENT,
    FORMAT,
    SUMMARY,
    Result,
    ResultFile,
    read_json,
    read_results,
    results_name,
    write_json,
)
from stvg_lab.runs.summary import summary
from stvg_ros.errors import ConfigError
from stvg_ros.setting import Value


@dataclass(frozen=True)
class RunConfig:
    """What a run is about; a folder goes on only with an equal one.

    Attributes:
        kind: "data", "bag" (recordings read directly) or "live" (through a running node).
        data: what was asked for: files, split, ...
        settings: every setting of the package.
        convention: of the scores.
        evidence: whether results carry it.
    """

    kind: str
    data: dict[str, Any]
    settings: dict[str, Value]
    convention: str = "frames"
    evidence: bool = False

    def to_json(self) -> dict[str, Any]:
        """The content of `config.json`."""
        return {"format": FORMAT, **vars(self)}


def part_of(
    samples: Sequence[Sample], limit: int | None, shard: tuple[int, int] | None
) -> list[Sample]:
    """The first `limit` samples, and of these the i-th of n parts."""
    chosen = list(samples[:limit])
    return chosen if shard is None else chosen[shard[0] - 1 :: shard[1]]


class Run:
    """The folder of a run.

    Several processes may work on different parts of one run at a time.
    """

    def __init__(
        self, folder: Path, config: RunConfig, shard: tuple[int, int] | None = None
    ) -> None:
        """Opens the folder, or begins it.

        Raises:
            ConfigError: the folder holds a run of another configuration.
            RecordingError: it cannot be read or written.
        """
        self.folder, self.config, self._shard = folder, config, shard
        path = folder / CONFIG
        if path.exists():
            _check_same(path, read_json(path), config.to_json())
        else:
            write_json(path, config.to_json())

    def remaining(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples that no result is there for. Raises: RecordingError."""
        done = {result.id for result in self.results()}
        return [sample for sample in samples if sample.id not in done]

    def results(self) -> list[Result]:
        """Those so far, of all parts. Raises: RecordingError."""
        if not any(self.folder.glob("results*.jsonl")):
            return []
        return read_results(self.folder)

    def describe(self, environment: dict[str, Any]) -> None:
        """Keeps what the run is made with, unless an earlier part of it has. Raises: ConfigError.

        Raises:
            ConfigError: the earlier part used other weights.
        """
        path = self.folder / ENVIRONMENT
        if not path.exists():
            write_json(path, environment)
            return
        earlier = read_json(path)["model"]["sha256"]
        if earlier != environment["model"]["sha256"]:
            raise ConfigError(
                f"{self.folder}: the run began with other weights (SHA-256 {earlier[:12]}..., now "
                f"{environment['model']['sha256'][:12]}...); choose another folder with --out"
            )

    def record(self, results: Iterable[Result], each: Callable[[Result], None]) -> None:
        """Writes results as they come, then tells `each`. Raises: RecordingError."""
        with ResultFile(self.folder / results_name(self._shard)) as file:
            for result in results:
                file.add(result)
                each(result)

    def finish(self, planned: Sequence[Sample]) -> dict[str, Any]:
        """Writes the summary of all results of the planned samples, and returns it.

        Raises:
            RecordingError: it cannot be written.
        """
        wanted = {sample.id for sample in planned}
        found = [result for result in self.results() if result.id in wanted]
        values = summary(found, convention=self.config.convention, planned=len(wanted))
        write_json(self.folder / SUMMARY, values)
        return values


def _check_same(path: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Raises a ConfigError that names what differs."""
    before, after = _flat(old), _flat(new)
    different = [
        f"{name} {before.get(name)!r} there, {after.get(name)!r} now"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    if different:
        raise ConfigError(
            f"{path}: the folder holds another run ({'; '.join(different[:3])}); choose another "
            "folder with --out, or repeat that run's arguments to go on with it"
        )


def _flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = list(value) if isinstance(value, tuple) else value
    return found
