# SPDX-License-Identifier: Apache-2.0

"""The folder of a resumable run: its configuration, results and remaining samples."""

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
    """The configuration of a run; a folder can only be resumed with an equal one.

    Attributes:
        kind: "data", "bag" (recordings read directly) or "live" (through a running node).
        data: the requested data: files, split, ...
        settings: every setting of the package.
        convention: convention of the scores.
        evidence: whether results have evidence.
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
    """Part i of n of the first `limit` samples."""
    chosen = list(samples[:limit])
    return chosen if shard is None else chosen[shard[0] - 1 :: shard[1]]


class Run:
    """The folder of a run.

    Several processes may work on different parts of one run at a time.
    """

    def __init__(
        self, folder: Path, config: RunConfig, shard: tuple[int, int] | None = None
    ) -> None:
        """Opens the folder. Only `describe` and `record` write to it, so that a command that fails
        earlier, such as for a wrong model, leaves no files that block the next one.

        Raises:
            ConfigError: the folder holds a run of another configuration, or foreign files.
            RecordingError: it cannot be read.
        """
        self.folder, self.config, self._shard = folder, config, shard
        self._check()

    def _check(self) -> None:
        """Raises: ConfigError, RecordingError."""
        path = self.folder / CONFIG
        if not path.exists():
            found = [name for name in (ENVIRONMENT, SUMMARY) if (self.folder / name).exists()]
            found += sorted(file.name for file in self.folder.glob("results*.jsonl"))
            if found:
                raise ConfigError(
                    f"{self.folder}: holds {', '.join(found)} of something that is no run (there "
                    f"is no {CONFIG}); nothing is replaced: choose another folder with --out"
                )
            return
        there: Any = read_json(path)
        form = there.get("format") if isinstance(there, dict) else type(there).__name__
        if form != FORMAT:
            raise ConfigError(
                f"{path}: expected the format {FORMAT!r}, got {form!r}; the folder holds no run, "
                "and nothing is replaced: choose another folder with --out"
            )
        if self._answered():  # else the folder can be overwritten
            _check_same(path, there, self.config.to_json())

    def _is_same(self) -> bool:
        """Whether the folder's results are of this configuration; they may all have failed."""
        path = self.folder / CONFIG
        return path.exists() and _flat(read_json(path)) == _flat(self.config.to_json())

    def _answered(self) -> bool:
        """Whether a sample has an answer, so that the run is worth being kept."""
        return any(result.outcome != "failed" for result in self.results())

    def _begin(self) -> bool:
        """Writes the configuration of a run without answers; returns whether it existed."""
        self._check()
        if self._is_same():
            return True
        for failures in self.folder.glob("results*.jsonl"):  # of the other configuration
            failures.unlink()
        write_json(self.folder / CONFIG, self.config.to_json())
        return False

    def remaining(self, samples: Sequence[Sample], *, keep_failed: bool = False) -> list[Sample]:
        """The samples without a result, or with a failed one. Raises: RecordingError.

        Args:
            samples: samples of the run.
            keep_failed: whether failed ones count as done; those with a wrong annotation always do.
        """
        done = {r.id: r.outcome for r in self.results()} if self._is_same() else {}
        return [
            sample
            for sample in samples
            if sample.id not in done
            or (done[sample.id] == "failed" and not keep_failed and not sample.problem)
        ]

    def results(self) -> list[Result]:
        """The results so far, of all parts. Raises: RecordingError."""
        if not any(self.folder.glob("results*.jsonl")):
            return []
        return read_results(self.folder)

    def describe(self, environment: dict[str, Any]) -> None:
        """Starts the run: stores its environment, unless an earlier part has stored it.

        Raises:
            ConfigError: the earlier part had another configuration or used other weights.
            RecordingError: the folder cannot be written.
        """
        begun = self._begin()
        path = self.folder / ENVIRONMENT
        if not begun or not path.exists():
            write_json(path, environment)
            return
        earlier = read_json(path)["model"]["sha256"]
        if earlier != environment["model"]["sha256"]:
            raise ConfigError(
                f"{self.folder}: the run began with other weights (SHA-256 {earlier[:12]}..., now "
                f"{environment['model']['sha256'][:12]}...); choose another folder with --out"
            )

    def record(self, results: Iterable[Result], each: Callable[[Result], None]) -> None:
        """Writes each result, then calls `each`. Raises: ConfigError, RecordingError."""
        self._begin()
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
    """Raises a ConfigError that lists the differences."""
    before, after = _flat(old), _flat(new)
    different = [
        f"{name} {before.get(name)!r} there, {after.get(name)!r} now"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
    if different:
        raise ConfigError(
            f"{path}: the folder holds another run ({'; '.join(different[:3])}); choose another "
            "folder with --out, or repeat that run's arguments to resume it"
        )


def _flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[f"{before}{name}"] = list(value) if isinstance(value, tuple) else value
    return found
