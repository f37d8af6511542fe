# SPDX-License-Identifier: Apache-2.0

"""The HTML page of a report. It has no scripts and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from stvg_lab.report import svg
from stvg_lab.report.fragments import OUTCOMES, figures, flat, percent, quantity, section, table
from stvg_lab.report.pictures import ReportPicture
from stvg_lab.report.sample import ANSWER, sample_item
from stvg_lab.runs.records import Result
from stvg_lab.runs.summary import ALL

GENERATOR = '<meta name="generator" content="stvg_ros report">'
STYLE = Path(__file__).with_name("report.css")
ROWS = {
    ANSWER: "answer",
    "whole_window": "its track, whole window",
    "best_track": "best track, whole window",
    "best_track_true_span": "best track, true span",
}


def page(
    name: str,
    results: Sequence[Result],
    summary: Mapping[str, Any],
    facts: Mapping[str, Mapping[str, Any]],
    drawn: Mapping[str, Sequence[ReportPicture]],
    reasons: Mapping[str, str],
) -> str:
    """The whole file.

    Args:
        name: of the run.
        results: in the order in which they are listed.
        summary: of the run, as in `summary.json`.
        facts: the run's configuration and environment, each under its title.
        drawn: pictures of samples by id.
        reasons: why samples that should have pictures have none.
    """
    samples = [
        sample_item(place, result, drawn.get(result.id, ()), reasons.get(result.id, ""))
        for place, result in enumerate(results, start=1)
    ]
    body = [
        _header(name, results, summary, facts),
        *section("Accuracy", _accuracy(summary)),
        *section("Time to answer", _latency(results, summary)),
        *section("Failures", _failures(summary)),
        *section("Samples, worst first", [_LEGEND, '<ol class="samples">', *samples, "</ol>"]),
        *section("The run", _facts(summary, facts)),
    ]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n' + GENERATOR,
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{escape(name)}: evaluation</title>\n<link rel="icon" href="data:,">',
            f"<style>\n{STYLE.read_text('utf-8')}</style>\n</head>\n<body>\n<main>",
            *body,
            "</main>\n</body>\n</html>\n",
        ]
    )


_LEGEND = (
    '<p class="legend"><span class="key true"></span>true'
    '<span class="key found"></span>predicted'
    '<span class="key curve"></span>frame score'
    "<span>vIoU, tIoU and gt_vIoU in percent</span></p>"
)


def _header(
    name: str,
    results: Sequence[Result],
    summary: Mapping[str, Any],
    facts: Mapping[str, Mapping[str, Any]],
) -> str:
    counts = [(label, sum(r.outcome == key for r in results)) for key, label in OUTCOMES.items()]
    about = ", ".join(f"{count} {label}" for label, count in counts if count)
    sources = len({result.source for result in results})
    missing = summary["planned"] - summary["done"]
    model = facts.get("environment", {}).get("model", {}).get("path", "")
    by = f" with the model {escape(Path(model).name)}" if model else ""
    unfinished = f'<p class="error">Not finished: {missing} more to do.</p>' if missing > 0 else ""
    return (
        f"<header>\n<h1>{escape(name)}</h1>\n<p>{quantity(len(results), 'sample')} in "
        f"{quantity(sources, 'recording')}{by}: {about}</p>\n{unfinished}</header>"
    )


def _all_first(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The groups, that of all samples first where there are several."""
    return sorted(summary["groups"], key=lambda group: bool(group["name"] != ALL))


def _accuracy(summary: Mapping[str, Any]) -> list[str]:
    """The table of all samples, a line for each group, and folded the tables of the groups."""
    first, *groups = _all_first(summary)
    content = _group(first)
    scored = [group for group in groups if group["scores"]]
    if scored:
        rows = [[escape(group["name"]), *_means(group["scores"][ANSWER])] for group in scored]
        content.append(
            table(["", *scored[0]["scores"][ANSWER]], rows, "Answers by group", "means answers")
        )
        tables = "".join(line for group in groups for line in _group(group))
        content.append(f"<details><summary>Tables of the groups</summary>{tables}</details>")
    if first["scores"]:
        content.append(
            f'<p class="note">Percent with 95 % bootstrap intervals, counted as '
            f"<i>{escape(summary['convention'])}</i> does; what failed scores 0. "
            "<i>Its track, whole window</i> is the answer's own track without its span. The two "
            "rows of the <i>best track</i> are oracles: they choose among the candidate tubes by "
            "the truth, and the last one knows the true span too.</p>"
        )
    return content


def _group(group: Mapping[str, Any]) -> list[str]:
    """A group's answer and references, and how it told absent targets."""
    content = []
    if group["scores"]:
        rows = [[ROWS[name], *_means(means)] for name, means in group["scores"].items()]
        absent = group["samples"] - group["present"]
        also = f", {absent} more without one" if absent else ""
        caption = (
            f"<b>{escape(group['name'])}</b> {quantity(group['present'], 'sample')} with a "
            f"target{also}"
        )
        content.append(table(["", *group["scores"][ANSWER]], rows, caption, "means"))
    if group["absent"]:
        content.append(_absent(group["name"], group["absent"]))
    return content


def _means(means: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [_mean(metric, values) for metric, values in means.items()]


def _mean(metric: str, values: Mapping[str, float]) -> str:
    """A cell with mean, interval and a bar of both."""
    mean, low, high = values["mean"], values["low"], values["high"]
    bounds = f"{percent(low)} to {percent(high)}"
    bar = svg.interval(mean, low, high, f"{metric} {percent(mean)}, interval {bounds}")
    return f"<b>{percent(mean)}</b><small>{bounds}</small>{bar}"


def _absent(name: str, told: Mapping[str, Any]) -> str:
    known = "" if told["auroc"] is None else f"; AUROC of the confidence {told['auroc']:.2f}"
    return (
        f'<p class="absent"><b>{escape(name)}</b> {quantity(told["samples"], "sample")} without a '
        f"target, of which {percent(told['refused'])} % were not found, as is right{known}</p>"
    )


def _latency(results: Sequence[Result], summary: Mapping[str, Any]) -> list[str]:
    """Figures and histogram of what a user waits for; of a live run all of it."""
    times = _all_first(summary)[0]["latency_s"]
    name = "latency" if "latency" in times else "ground"
    if name not in times:
        return []
    what = "command to answer" if name == "latency" else "grounding, without reading images"
    labels = {"median": "Median", "p90": "90 % within", "max": "Slowest"}
    pairs = [(label, f"{times[name][key]:.2f} s") for key, label in labels.items()]
    values_s = [r.timings_s[name] for r in results if name in r.timings_s]
    chart = svg.histogram(values_s, "seconds", f"Histogram of seconds: {what}")
    stages = {
        key.removeprefix("stage "): f"{values['median']:.3f} s"
        for key, values in times.items()
        if key.startswith("stage ")
    }
    rows = [[escape(stage), seconds] for stage, seconds in stages.items()]
    return [
        figures(pairs),
        '<div class="columns">',
        f"<figure>{chart}<figcaption>Samples by seconds: {what}</figcaption></figure>",
        *([table(["stage", "median"], rows, "Stages of a grounding")] if rows else []),
        "</div>",
    ]


def _failures(summary: Mapping[str, Any]) -> list[str]:
    first = {item["code"]: item["message"] for item in reversed(summary["failures"])}
    rows = [
        [escape(code or "unknown"), str(count), escape(first[code])]
        for code, count in summary["failure_counts"].items()
    ]
    return [table(["code", "samples", "first message"], rows, "Each scores 0")] if rows else []


def _facts(summary: Mapping[str, Any], facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Images and, folded, what the run saved about itself."""
    counted = _all_first(summary)[0]["images"]
    content = [figures([(f"Images {name}", str(count)) for name, count in counted.items()])]
    for title, values in facts.items():
        rows = [[escape(name), escape(value)] for name, value in flat(values)]
        listed = table(["", ""], rows)
        content.append(
            f"<details><summary>{escape(title.capitalize())}</summary>{listed}</details>"
        )
    return content if counted or facts else []
