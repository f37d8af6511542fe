# SPDX-License-Identifier: Apache-2.0

"""Compares two runs sample by sample: paired bootstrap intervals and permutation tests.

Whole recordings are resampled and swapped, since sentences about one are not independent.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stvg_lab.runs.records import CONFIG, ENVIRONMENT, Result, read_json, read_results
from stvg_lab.runs.scores import METRICS, NO_SCORE, Recordings, contributions
from stvg_lab.runs.summary import ALL
from stvg_ros.errors import ConfigError, RecordingError

PERMUTATIONS, BLOCK = 10_000, 500


@dataclass(frozen=True)
class Difference:
    """One metric of two runs over the same samples.

    Attributes:
        first: mean of the first run.
        second: mean of the second run.
        low: lower end of the 95 % interval of the mean difference, second minus first; None if
            all samples are of one recording, which gives no interval.
        high: its upper end.
        p: two-sided p-value of the permutation test: how often a random swap of the runs,
            recording by recording, gives a difference at least as large.
    """

    first: float
    second: float
    low: float | None
    high: float | None
    p: float


@dataclass(frozen=True)
class Comparison:
    """The comparison of two runs.

    Attributes:
        convention: convention of the scores.
        groups: differences by metric, by group.
        samples: number of samples of each group.
        recordings: number of recordings of these samples.
        only: number of samples in the first run only, and in the second only; they are ignored.
        settings: settings that differ: name, first, second.
    """

    convention: str
    groups: Mapping[str, Mapping[str, Difference]]
    samples: Mapping[str, int]
    recordings: Mapping[str, int]
    only: tuple[int, int]
    settings: tuple[tuple[str, Any, Any], ...]


def compare(
    first: Path, second: Path, convention: str | None = None, *, seed: int = 0
) -> Comparison:
    """Compares the runs of two folders on their common samples; a failed one counts 0.

    Args:
        first: folder of a run.
        second: folder of another run of the same data.
        convention: None for the one that both runs used.
        seed: seed of resampling and permutations.

    Raises:
        RecordingError: a folder is not a run, or the runs share no sample.
        ConfigError: the runs used different conventions and none is named.
    """
    configs = [read_json(folder / CONFIG) for folder in (first, second)]
    used = {config["convention"] for config in configs}
    if convention is None and len(used) > 1:
        raise ConfigError(
            f"the runs used the conventions {' and '.join(sorted(used))}; name one of them with "
            "--convention"
        )
    name = "answer" if convention is None else f"answer@{convention}"
    left, right = ({r.id: r for r in read_results(folder)} for folder in (first, second))
    shared = sorted(left.keys() & right.keys())
    if not shared:
        raise RecordingError(f"{first} and {second}: the runs have no sample in common")
    members: dict[str, list[str]] = {}
    for key in shared:
        members.setdefault(left[key].group, []).append(key)
    if len(members) > 1:
        members[ALL] = shared
    groups, samples, recordings = {}, {}, {}
    for group, keys in members.items():
        pairs = [(left[key], right[key]) for key in keys]
        groups[group] = _differences(pairs, name, seed)
        samples[group] = len(pairs)
        recordings[group] = len({pair[0].source for pair in pairs})
    return Comparison(
        convention or used.pop(),
        groups,
        samples,
        recordings,
        (len(left) - len(shared), len(right) - len(shared)),
        _settings(configs, (first, second)),
    )


def _differences(
    pairs: Sequence[tuple[Result, Result]], name: str, seed: int
) -> dict[str, Difference]:
    """By metric; "refused" for absent targets."""
    found: dict[str, Difference] = {}
    present = [pair for pair in pairs if pair[0].scores]
    absent = [pair for pair in pairs if not pair[0].scores]
    if present:
        first, second = (
            np.array([contributions(pair[side].scores.get(name, NO_SCORE)) for pair in present])
            for side in (0, 1)
        )
        sources = [pair[0].source for pair in present]
        found |= dict(zip(METRICS, paired(first, second, sources, seed=seed), strict=True))
    if absent:
        first, second = (
            np.array([[pair[side].outcome == "not_found"] for pair in absent], np.float64)
            for side in (0, 1)
        )
        sources = [pair[0].source for pair in absent]
        found["refused"] = paired(first, second, sources, seed=seed)[0]
    return found


def paired(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    recordings: Sequence[Hashable] | None = None,
    *,
    seed: int = 0,
) -> list[Difference]:
    """Differences of the means of columns; equal arguments give equal results.

    Args:
        first: `(n, k)`, one row per sample.
        second: `(n, k)`, the same samples.
        recordings: `(n,)`, the recording of each sample; None for one recording each.
        seed: seed of resampling and permutations.

    Raises:
        ValueError: other shapes, or no samples.
    """
    if first.shape != second.shape or first.ndim != 2 or not len(first):
        raise ValueError(f"expected two arrays (n, k), got {first.shape} and {second.shape}")
    data = Recordings(np.asarray(second - first, np.float64), recordings)
    sums, counts = data.sums, data.counts
    observed = sums.sum(axis=0) / counts.sum()
    rng = np.random.default_rng(seed)
    ends = data.intervals(rng)
    as_large = np.zeros(sums.shape[1])
    for _ in range(PERMUTATIONS // BLOCK):
        signs = 1.0 - 2.0 * rng.integers(2, size=(BLOCK, len(counts)))
        # Slightly below the observed difference, so that equal ones count in spite of rounding.
        as_large += (np.abs(signs @ sums / counts.sum()) >= np.abs(observed) - 1e-12).sum(axis=0)
    p = (1 + as_large) / (1 + PERMUTATIONS)
    return [
        Difference(float(one), float(two), interval[0], interval[1], float(chance))
        for one, two, interval, chance in zip(
            first.mean(axis=0), second.mean(axis=0), ends, p, strict=True
        )
    ]


def _settings(
    configs: Sequence[dict[str, Any]], folders: tuple[Path, Path]
) -> tuple[tuple[str, Any, Any], ...]:
    """Settings that differ between the runs, and the weights if they differ."""
    one, two = (config["settings"] for config in configs)
    names = sorted({*one, *two})
    found = [(n, one.get(n), two.get(n)) for n in names if one.get(n) != two.get(n)]
    if all((folder / ENVIRONMENT).exists() for folder in folders):
        hashes = [read_json(folder / ENVIRONMENT)["model"]["sha256"][:12] for folder in folders]
        if hashes[0] != hashes[1]:
            found.append(("SHA-256 of the weights", *hashes))
    return tuple(found)


def comparison_table(comparison: Comparison) -> str:
    """The comparison as text; metrics in percent."""
    lines = [f"convention {comparison.convention}; percent; difference is B - A, [95 % interval]"]
    for group, metrics in comparison.groups.items():
        count = comparison.recordings[group]
        about = f"{count} recording{'s' * (count != 1)}"
        lines += ["", f"{group}: {comparison.samples[group]} samples in both, of {about}"]
        lines.append(f"{'':<12}{'A':>8}{'B':>8}{'difference':>24}{'p':>9}")
        for name, item in metrics.items():
            gap = 100 * (item.second - item.first)
            ends = "one recording"
            if item.low is not None and item.high is not None:
                ends = f"{100 * item.low:+.1f}, {100 * item.high:+.1f}"
            interval = f"{gap:+.1f} [{ends}]"
            lines.append(
                f"{name:<12}{100 * item.first:>8.1f}{100 * item.second:>8.1f}{interval:>24}"
                f"{item.p:>9.4f}"
            )
    lines += [""]
    for run, count in zip("AB", comparison.only, strict=True):
        if count:
            lines.append(f"{count} samples that only {run} has are left out")
    lines += [f"{name}: {one} in A, {two} in B" for name, one, two in comparison.settings]
    return "\n".join(lines).rstrip()
