# SPDX-License-Identifier: Apache-2.0

"""The table of a run, computed only from its results; their order does not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from stvg_lab.runs.conventions import CONVENTIONS
from stvg_lab.runs.losses import loss_table, losses
from stvg_lab.runs.records import FORMAT, ODD_IMAGES, Result
from stvg_lab.runs.scores import METRICS, NO_SCORE, REFERENCES, Interval, auroc, summarised
from stvg_ros.io.recording import Source

ALL = "all"
SHOWN = 10  # list items in the printed table


def summary(
    results: Iterable[Result], *, convention: str, planned: int, seed: int = 0
) -> dict[str, Any]:
    """The content of `summary.json`.

    Args:
        results: results of the run.
        convention: name of the convention of the scores.
        planned: total number of samples of the run.
        seed: seed of the bootstrap.
    """
    ordered = sorted(results, key=lambda result: result.id)
    names = list(dict.fromkeys(result.group for result in ordered))
    groups = [_group(name, [r for r in ordered if r.group == name], seed) for name in names]
    if len(groups) > 1:
        groups.append(_group(ALL, ordered, seed))
    failures = [result for result in ordered if result.outcome == "failed"]
    return {
        "format": FORMAT,
        "convention": convention,
        "planned": planned,
        "done": len(ordered),
        "groups": groups,
        "odd_images": {result.id: odd for result in ordered if (odd := _odd(result.images))},
        "failure_counts": dict(Counter(result.error_code for result in failures).most_common()),
        "failures": [
            {"id": result.id, "code": result.error_code, "message": result.error}
            for result in failures
        ],
    }


def _group(name: str, results: Sequence[Result], seed: int) -> dict[str, Any]:
    present = [result for result in results if result.scores]
    absent = [result for result in results if not result.scores]
    known = {score for result in present for score in result.scores}
    wanted = [score for score in ("answer", *REFERENCES) if score in known]
    others = [f"answer@{other}" for other in CONVENTIONS if f"answer@{other}" in known]
    return {
        "name": name,
        "samples": len(results),
        "recordings": len({result.source for result in results}),
        "present": len(present),
        "outcomes": dict(Counter(result.outcome for result in results)),
        "scores": {score: _means(present, score, seed) for score in wanted},
        "conventions": {
            other.partition("@")[2]: {
                metric: values["mean"] for metric, values in _means(present, other, seed).items()
            }
            for other in others
        },
        "losses": losses(present),
        "absent": _absent(present, absent) if absent else None,
        "latency_s": _latency(results),
        "cost": _cost(results),
        "images": _images(results),
    }


def _images(results: Sequence[Result]) -> dict[str, int]:
    """Sums by name over the sources, each at its last command.

    A count of 0 is kept: it shows that nothing was dropped.
    """
    sources: dict[Source, Counter[str]] = {}
    for result in results:
        counts = sources.setdefault(result.source, Counter())
        for name, count in result.images.items():
            counts[name] = max(counts[name], count)
    total: Counter[str] = Counter()
    for counts in sources.values():
        total.update(counts)
    return dict(sorted(total.items()))


def _odd(images: Mapping[str, int]) -> dict[str, int]:
    return {name: images[name] for name in ODD_IMAGES if images.get(name)}


def _means(present: Sequence[Result], name: str, seed: int) -> dict[str, dict[str, float | None]]:
    """Means with 95 % intervals over recordings; a sample without this score counts 0."""
    means: dict[str, Interval] = summarised(
        [result.scores.get(name, NO_SCORE) for result in present],
        [result.source for result in present],
        seed=seed,
    )
    return {metric: vars(interval).copy() for metric, interval in means.items()}


def _absent(present: Sequence[Result], absent: Sequence[Result]) -> dict[str, Any]:
    """Separation of absent and present targets; a failure counts as wrong."""

    def confidences(results: Sequence[Result]) -> list[float]:
        return [result.tubes[0].confidence for result in results if result.tubes]

    separation = auroc(confidences(present), confidences(absent))
    refused = sum(result.outcome == "not_found" for result in absent)
    return {
        "samples": len(absent),
        "refused": refused / len(absent),
        "auroc": separation if np.isfinite(separation) else None,
    }


def _latency(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Median, 90th percentile and maximum of the timings by name; stages as "stage NAME"."""
    values: dict[str, list[float]] = {}
    for result in results:
        for name, seconds in result.timings_s.items():
            values.setdefault(name, []).append(seconds)
        for name, seconds in (result.tubes[0].timings_s if result.tubes else {}).items():
            values.setdefault(f"stage {name}", []).append(seconds)
    return {
        name: dict(
            zip(("median", "p90", "max"), np.percentile(times, [50, 90, 100]).tolist(), strict=True)
        )
        for name, times in values.items()
    }


def _cost(results: Sequence[Result]) -> dict[str, float]:
    """What the model computed for a sample, on average over the answered ones, by name."""
    costs = [result.tubes[0].cost for result in results if result.tubes and result.tubes[0].cost]
    names = dict.fromkeys(name for cost in costs for name in cost)
    return {name: float(np.mean([cost.get(name, 0) for cost in costs])) for name in names}


def summary_table(values: dict[str, Any]) -> str:
    """A summary as text: percent with 95 % intervals, references below each answer."""
    lines = [
        f"convention {values['convention']}; percent, [95 % bootstrap interval over recordings]"
    ]
    for group in values["groups"]:
        outcomes = ", ".join(
            f"{n} {name.replace('_', ' ')}" for name, n in group["outcomes"].items()
        )
        count = group["recordings"]
        about = f"of {count} recording{'s' * (count != 1)}"
        lines += ["", f"{group['name']}: {group['samples']} samples {about} ({outcomes})"]
        lines.append(f"{'':<24}" + "".join(f"{metric:>17}" for metric in METRICS))
        for name, metrics in group["scores"].items():
            cells = "".join(f"{_cell(metrics[metric]):>17}" for metric in METRICS)
            lines.append(f"{name.replace('_', ' '):<24}{cells}")
        for name, means in group["conventions"].items():
            if name != values["convention"]:
                cells = "".join(f"{100 * means[metric]:>17.1f}" for metric in METRICS)
                lines.append(f"{'answer, as ' + name:<24}{cells}")
        lines += loss_table(group["losses"])
        if group["absent"]:
            absent = group["absent"]
            known = "" if absent["auroc"] is None else f", AUROC {absent['auroc']:.2f}"
            share = f"{100 * absent['refused']:.1f} % of {absent['samples']}"
            lines.append(f"absent targets: {share} refused{known}")
        for name in ("latency", "ground"):
            if name in group["latency_s"]:
                times = group["latency_s"][name]
                lines.append(
                    f"{name}: median {times['median']:.2f} s, 90 % {times['p90']:.2f} s, "
                    f"max {times['max']:.2f} s"
                )
        if group["cost"]:
            counts = ", ".join(f"{mean:.1f} {name}" for name, mean in group["cost"].items())
            lines.append(f"model, a sample: {counts}")
        lines.append(f"images: {_listed(group['images']) or 'none'}")
    lines += ["", f"{values['done']} of {values['planned']} samples done"]
    odd = list(values["odd_images"].items())
    if odd:
        lines.append(f"{len(odd)} with odd images:")
        lines += [f"  {name}: {_listed(counts)}" for name, counts in odd[:SHOWN]]
        lines += ["  ... summary.json lists all of them"] if len(odd) > SHOWN else []
    if values["failures"]:
        lines.append(f"{len(values['failures'])} failed, each counts 0:")
        lines += [f"  {n} x {code}" for code, n in values["failure_counts"].items()]
        lines += [f"  {item['id']}: {item['message']}" for item in values["failures"][:SHOWN]]
        if len(values["failures"]) > SHOWN:
            lines.append("  ... summary.json lists all of them")
    return "\n".join(lines)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _cell(interval: dict[str, float | None]) -> str:
    """The mean and its interval; the mean alone for one recording."""
    mean, low, high = interval["mean"], interval["low"], interval["high"]
    assert mean is not None
    if low is None or high is None:
        return f"{100 * mean:.1f} [-]"
    return f"{100 * mean:.1f} [{100 * low:.0f}, {100 * high:.0f}]"
