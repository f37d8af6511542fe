# SPDX-License-Identifier: Apache-2.0

"""Renders `report.html.jinja` from the results of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from stvg_lab.report import svg
from stvg_lab.report.pictures import ReportPicture
from stvg_lab.report.sample import sample_item
from stvg_lab.report.texts import OUTCOMES, flat, percent, quantity
from stvg_lab.runs.losses import HEAD, loss_rows
from stvg_lab.runs.records import Result
from stvg_lab.runs.summary import ALL

GENERATOR = '<meta name="generator" content="stvg_ros report">'
FOLDER = Path(__file__).parent
ANSWER_NAMES = {
    "answer": "answer",
    "whole_window": "its track, whole window",
    "own_track_true_span": "its track, true span",
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
    """The HTML file as text.

    Args:
        name: name of the run.
        results: results in the order of the list.
        summary: summary of the run, as in `summary.json`.
        facts: the run's configuration and environment, by title.
        drawn: pictures of samples by id.
        reasons: why samples that should have pictures have none.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"percent": percent, "quantity": quantity}
    # The group of all samples is first if there are several.
    first, *others = sorted(summary["groups"], key=lambda group: bool(group["name"] != ALL))
    counts = [(label, sum(r.outcome == key for r in results)) for key, label in OUTCOMES.items()]
    model = facts.get("environment", {}).get("model", {}).get("path", "")
    return environment.get_template("report.html.jinja").render(
        name=name,
        generator=Markup(GENERATOR),
        style=Markup((FOLDER / "report.css").read_text("utf-8")),
        interval=svg.interval,
        answer_names=ANSWER_NAMES,
        sources=len({result.source for result in results}),
        model=Path(model).name,
        outcomes=[f"{count} {label}" for label, count in counts if count],
        missing=summary["planned"] - summary["done"],
        convention=summary["convention"],
        first=first,
        loss_head=["", *HEAD],
        loss_rows=loss_rows(first["losses"]),
        other_groups=others,
        scored_groups=[group for group in others if group["scores"]],
        latency=_latency(results, first["latency_s"]),
        failures=_failures(summary),
        samples=[
            sample_item(place, result, drawn.get(result.id, ()), reasons.get(result.id, ""))
            for place, result in enumerate(results, start=1)
        ],
        images=[(f"Images {outcome}", count) for outcome, count in first["images"].items()],
        facts=[(title.capitalize(), flat(values)) for title, values in facts.items()],
    )


def _latency(
    results: Sequence[Result], times: Mapping[str, Mapping[str, float]]
) -> dict[str, Any] | None:
    """Figures and histogram of the waiting time; for a live run the whole latency."""
    name = "latency" if "latency" in times else "ground"
    if name not in times:
        return None
    what = "command to answer" if name == "latency" else "grounding, without reading images"
    labels = {"median": "Median", "p90": "90 % within", "max": "Slowest"}
    values_s = [r.timings_s[name] for r in results if name in r.timings_s]
    return {
        "what": what,
        "figures": [(label, f"{times[name][key]:.2f} s") for key, label in labels.items()],
        "chart": svg.histogram(values_s, "seconds", f"Histogram of seconds: {what}"),
        "stages": [
            (key.removeprefix("stage "), f"{values['median']:.3f} s")
            for key, values in times.items()
            if key.startswith("stage ")
        ],
    }


def _failures(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Code, number and first message of each kind."""
    first = {item["code"]: item["message"] for item in reversed(summary["failures"])}
    return [
        (code or "unknown", str(count), first[code])
        for code, count in summary["failure_counts"].items()
    ]
