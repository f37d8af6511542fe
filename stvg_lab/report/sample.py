# SPDX-License-Identifier: Apache-2.0

"""One sample in the report: sentence, scores, spans, pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stvg_lab.report import svg
from stvg_lab.report.pictures import ReportPicture, curve, found_rows, truth_rows
from stvg_lab.report.texts import OUTCOMES, percent
from stvg_lab.runs.records import Result

ANSWER = "answer"


def sample_item(
    place: int, result: Result, drawn: Sequence[ReportPicture], reason: str
) -> dict[str, Any]:
    """Texts and charts of a sample, by the names of `report.html.jinja`."""
    scores = result.scores.get(ANSWER)
    shown: tuple[tuple[str, str], ...] = (("target", "absent"),)
    if scores:
        named = {"vIoU": scores.v_iou, "tIoU": scores.t_iou, "gt_vIoU": scores.gt_v_iou}
        shown = tuple((name, percent(value)) for name, value in named.items())
    about = [result.group, _where(result), OUTCOMES[result.outcome]]
    if result.tubes:
        about.append(f"confidence {result.tubes[0].confidence:.2f}")
    if "ground" in result.timings_s:
        about.append(f"{result.timings_s['ground']:.2f} s")
    return {
        "id": result.id,
        "place": place,
        "query": result.query,
        "wrong": result.outcome == "failed" or (not result.scores and result.outcome == "found"),
        "scores": shown,
        "about": about,
        "error": f"{result.error_code}: {result.error}" if result.error else "",
        "spans": _spans(result) if len(result.stamps_ns) > 1 else None,
        "pictures": [(b64encode(one.jpeg).decode(), one.about) for one in drawn],
        "reason": reason,
    }


def _where(result: Result) -> str:
    """The recording's name, short."""
    name = Path(result.source.member or result.source.path).name
    return f"{name} {result.source.topic}".strip()


def _spans(result: Result) -> dict[str, Any]:
    """Chart of the two spans, one above the other, with the seconds below."""
    times_s = (result.stamps_ns - result.stamps_ns[0]) / 1e9
    rows = []
    words = []
    for name, span in (("true", truth_rows(result)), ("found", found_rows(result))):
        edges = (float(times_s[span[0]]), float(times_s[span[-1]])) if len(span) else None
        rows.append((name, edges))
        label = "predicted" if name == "found" else name
        words.append(f"{label} {edges[0]:.1f} to {edges[1]:.1f} s" if edges else f"{label} none")
    length_s, text = float(times_s[-1]), ", ".join(words)
    chart = svg.time_line(length_s, rows, text, curve(result))
    return {"chart": chart, "words": text, "length_s": length_s}
