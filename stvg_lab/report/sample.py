# SPDX-License-Identifier: Apache-2.0

"""One sample in the report: sentence, scores, spans, pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

from stvg_lab.report import svg
from stvg_lab.report.fragments import OUTCOMES, percent
from stvg_lab.report.pictures import ReportPicture, curve, found_rows, truth_rows
from stvg_lab.runs.records import Result

ANSWER = "answer"


def sample_item(place: int, result: Result, drawn: Sequence[ReportPicture], reason: str) -> str:
    """One sample: sentence, scores, spans, pictures."""
    scores = result.scores.get(ANSWER)
    numbers = (
        "".join(
            f"<div><dt>{name}</dt><dd>{percent(value)}</dd></div>"
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


def _image(picture: ReportPicture) -> str:
    data = b64encode(picture.jpeg).decode()
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(picture.about)}">'
