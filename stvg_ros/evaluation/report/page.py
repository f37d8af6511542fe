"""The HTML page of a report. It has no scripts and loads nothing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from stvg_ros.evaluation.records import Result
from stvg_ros.evaluation.report.pictures import Picture, curve, found_rows, truth_rows
from stvg_ros.evaluation.summary import ALL
from stvg_ros.visualization import svg

STYLE = Path(__file__).with_name("report.css")
ANSWER = "answer"
ROWS = {
    ANSWER: "answer",
    "whole_window": "its track, whole window",
    "best_track": "best track, whole window",
    "best_track_true_span": "best track, true span",
}
OUTCOMES = {"found": "found", "not_found": "not found", "failed": "failed"}


def page(
    name: str,
    results: Sequence[Result],
    summary: Mapping[str, Any],
    facts: Mapping[str, Mapping[str, Any]],
    drawn: Mapping[str, Sequence[Picture]],
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
        _sample(place, result, drawn.get(result.id, ()), reasons.get(result.id, ""))
        for place, result in enumerate(results, start=1)
    ]
    body = [
        _header(name, results, summary, facts),
        *_section("Accuracy", _accuracy(summary)),
        *_section("Time to answer", _latency(results, summary)),
        *_section("Failures", _failures(summary)),
        *_section("Samples, worst first", [_LEGEND, '<ol class="samples">', *samples, "</ol>"]),
        *_section("The run", _facts(summary, facts)),
    ]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
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


def _section(title: str, content: Sequence[str]) -> list[str]:
    """A titled section; nothing when it would be empty."""
    return [f"<section>\n<h2>{title}</h2>", *content, "</section>"] if content else []


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


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
        f"<header>\n<h1>{escape(name)}</h1>\n<p>{_count(len(results), 'sample')} in "
        f"{_count(sources, 'recording')}{by}: {about}</p>\n{unfinished}</header>"
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _table(
    head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, kind: str = "plain"
) -> str:
    """A table whose first column names the rows; cells are HTML."""
    titles = "".join(f'<th scope="col">{title}</th>' for title in head)
    lines = [
        f'<tr><th scope="row">{row[0]}</th>' + "".join(f"<td>{c}</td>" for c in row[1:]) + "</tr>"
        for row in rows
    ]
    return (
        f'<div class="wide"><table class="{kind}">\n<caption>{caption}</caption>\n'
        f"<thead><tr>{titles}</tr></thead>\n<tbody>\n"
        + "\n".join(lines)
        + "\n</tbody></table></div>"
    )


def _all_first(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The groups, that of all samples first where there are several."""
    return sorted(summary["groups"], key=lambda group: bool(group["name"] != ALL))


def _accuracy(summary: Mapping[str, Any]) -> list[str]:
    content = []
    for group in _all_first(summary):
        if group["scores"]:
            rows = [
                [ROWS[name], *(_mean(metric, values) for metric, values in means.items())]
                for name, means in group["scores"].items()
            ]
            absent = group["samples"] - group["present"]
            also = f", {absent} more without one" if absent else ""
            caption = (
                f"<b>{escape(group['name'])}</b> {_count(group['present'], 'sample')} with a "
                f"target{also}"
            )
            content.append(_table(["", *group["scores"][ANSWER]], rows, caption, "means"))
        if group["absent"]:
            content.append(_absent(group["name"], group["absent"]))
    if any(group["scores"] for group in summary["groups"]):
        content.append(
            f'<p class="note">Percent with 95 % bootstrap intervals, counted as '
            f"<i>{escape(summary['convention'])}</i> does; what failed scores 0. "
            "<i>Its track, whole window</i> is the answer's own track without its span. The two "
            "rows of the <i>best track</i> are oracles: they choose among the candidate tubes by "
            "the truth, and the last one knows the true span too.</p>"
        )
    return content


def _mean(metric: str, values: Mapping[str, float]) -> str:
    """A cell with mean, interval and a bar of both."""
    mean, low, high = values["mean"], values["low"], values["high"]
    bounds = f"{_percent(low)} to {_percent(high)}"
    bar = svg.interval(mean, low, high, f"{metric} {_percent(mean)}, interval {bounds}")
    return f"<b>{_percent(mean)}</b><small>{bounds}</small>{bar}"


def _absent(name: str, told: Mapping[str, Any]) -> str:
    known = "" if told["auroc"] is None else f"; AUROC of the confidence {told['auroc']:.2f}"
    return (
        f'<p class="absent"><b>{escape(name)}</b> {_count(told["samples"], "sample")} without a '
        f"target, of which {_percent(told['refused'])} % were not found, as is right{known}</p>"
    )


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    items = (f"<div><dt>{escape(n)}</dt><dd>{escape(v)}</dd></div>" for n, v in pairs)
    return '<dl class="figures">' + "".join(items) + "</dl>"


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
        _pairs(pairs),
        '<div class="columns">',
        f"<figure>{chart}<figcaption>Samples by seconds: {what}</figcaption></figure>",
        *([_table(["stage", "median"], rows, "Stages of a grounding")] if rows else []),
        "</div>",
    ]


def _failures(summary: Mapping[str, Any]) -> list[str]:
    first = {item["code"]: item["message"] for item in reversed(summary["failures"])}
    rows = [
        [escape(code or "unknown"), str(count), escape(first[code])]
        for code, count in summary["failure_counts"].items()
    ]
    return [_table(["code", "samples", "first message"], rows, "Each scores 0")] if rows else []


def _sample(place: int, result: Result, drawn: Sequence[Picture], reason: str) -> str:
    """One sample: sentence, scores, spans, pictures."""
    scores = result.scores.get(ANSWER)
    numbers = (
        "".join(
            f"<div><dt>{name}</dt><dd>{_percent(value)}</dd></div>"
            for name, value in (
                ("vIoU", scores.v_iou), ("tIoU", scores.t_iou), ("gt_vIoU", scores.gt_v_iou)
            )
        )
        if scores
        else "<div><dt>target</dt><dd>absent</dd></div>"
    )  # fmt: skip
    about = [escape(result.group), escape(_where(result)), OUTCOMES[result.outcome]]
    if result.tubes:
        about.append(f"confidence {result.tubes[0].confidence:.2f}")
    if "ground" in result.timings_s:
        about.append(f"{result.timings_s['ground']:.2f} s")
    wrong = result.outcome == "failed" or (not result.scores and result.outcome == "found")
    kind = "wrong" if wrong else "answered"
    parts = [
        f'<li id="{escape(result.id)}" class="{kind}">',
        f'<div class="title"><span class="place">{place}</span>'
        f"<h3>{escape(result.query)}</h3></div>",
        f'<dl class="scores">{numbers}</dl>',
        f'<p class="about"><code>{escape(result.id)}</code> {" · ".join(about)}</p>',
    ]
    if result.error:
        parts.append(f'<p class="error">{escape(result.error_code)}: {escape(result.error)}</p>')
    if len(result.stamps_ns) > 1:
        parts.append(_spans(result))
    if drawn:
        parts.append('<div class="frames">' + "".join(map(_image, drawn)) + "</div>")
    elif reason:
        parts.append(f'<p class="note">No pictures: {escape(reason)}</p>')
    return "\n".join([*parts, "</li>"])


def _where(result: Result) -> str:
    """The recording's name, short."""
    name = Path(result.source.member or result.source.path).name
    return f"{name} {result.source.topic}".strip()


def _spans(result: Result) -> str:
    """The two spans over one another, and the seconds below."""
    times_s = (result.stamps_ns - result.stamps_ns[0]) / 1e9
    rows = []
    words = []
    for name, span in (("true", truth_rows(result)), ("found", found_rows(result))):
        edges = (float(times_s[span[0]]), float(times_s[span[-1]])) if len(span) else None
        rows.append((name, edges))
        label = "predicted" if name == "found" else name
        words.append(f"{label} {edges[0]:.1f} to {edges[1]:.1f} s" if edges else f"{label} none")
    length_s = float(times_s[-1])
    chart = svg.time_line(length_s, rows, ", ".join(words), curve(result))
    return (
        f'<figure class="spans">{chart}<figcaption><span>0 s</span><span>{", ".join(words)}</span>'
        f"<span>{length_s:.1f} s</span></figcaption></figure>"
    )


def _image(picture: Picture) -> str:
    data = b64encode(picture.jpeg).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(picture.about)}">'


def _facts(summary: Mapping[str, Any], facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Images and, folded, what the run saved about itself."""
    counted = _all_first(summary)[0]["images"]
    content = [_pairs([(f"Images {name}", str(count)) for name, count in counted.items()])]
    for title, values in facts.items():
        rows = [[escape(name), escape(value)] for name, value in flat(values)]
        table = _table(["", ""], rows, escape(title.capitalize()))
        content.append(f"<details><summary>{escape(title.capitalize())}</summary>{table}</details>")
    return content if counted or facts else []


def flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    """Nested values as dotted names and texts."""
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += flat(value, f"{before}{key}.")
        else:
            found.append((before + key, str(value)))
    return found
