# SPDX-License-Identifier: Apache-2.0

"""The report of a run: one HTML file, with JSON and CSV files next to it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stvg_lab.report.page import GENERATOR, page
from stvg_lab.report.pictures import draw, found_rows, truth_rows
from stvg_lab.report.sample import ANSWER
from stvg_lab.runs.records import CONFIG, ENVIRONMENT, SUMMARY, Result, read_json, read_results
from stvg_lab.runs.scores import REFERENCES
from stvg_lab.runs.summary import summary
from stvg_ros.errors import ConfigError, RecordingError
from stvg_ros.io.outputs import json_text, new_content

FORMAT = "stvg_ros report 1"
MAX_PICTURE_BYTES = 12 * 1024**2
SCORES = ("t_iou", "v_iou", "gt_v_iou")
COLUMNS = (
    "id", "group", "query", "outcome", "error_code", "error", *SCORES, "true_start_s", "true_end_s",
    "found_start_s", "found_end_s", "confidence", *(f"{name}_v_iou" for name in REFERENCES),
    "read_s", "ground_s", "latency_s", "path", "member", "topic",
)  # fmt: skip


def write_report(run_dir: Path, out: Path, *, pictures: int = 20) -> tuple[Path, Path, Path]:
    """Writes `out` and, with its name, a `.json` and a `.csv` file.

    Args:
        run_dir: folder of a run.
        out: the HTML file, which is self-contained.
        pictures: number of samples with pictures, the worst first.

    Returns:
        The three files.

    Raises:
        RecordingError: the folder is not a run or has no results yet, or a file cannot be written.
        ConfigError: one of the files exists and is not a report.
    """
    paths = report_paths(out)
    results = worst_first(read_results(run_dir))
    if not results:
        raise RecordingError(f"{run_dir}: has no results yet; run or resume the evaluation first")
    facts = {
        name.removesuffix(".json"): read_json(run_dir / name)
        for name in (CONFIG, ENVIRONMENT, SUMMARY)
        if (run_dir / name).exists()
    }
    # Computed again, since a resumed run may have more results than its stored summary.
    table = summary(
        results,
        convention=facts.get("config", {}).get("convention", "frames"),
        planned=facts.pop("summary", {}).get("planned", len(results)),
    )
    drawn, reasons = draw(results[:pictures], MAX_PICTURE_BYTES)
    rows = [sample_row(result) for result in results]
    text = page(run_dir.resolve().name, results, table, facts, drawn, reasons)
    lines = io.StringIO(newline="")
    writer = csv.DictWriter(lines, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    values = json_text({**table, "format": FORMAT, "samples": rows})
    for path, content in zip(paths, (text, values + "\n", lines.getvalue()), strict=True):
        with new_content(path) as part:
            # A name of a file may not be in UTF-8.
            part.write_text(content, "utf-8", "backslashreplace", newline="")
    return paths


def report_paths(out: Path) -> tuple[Path, Path, Path]:
    """The paths of the HTML, JSON and CSV files, checked to be writable.

    Raises:
        RecordingError: two of them have the same name.
        ConfigError: one exists and is not a report.
    """
    paths = out, out.with_suffix(".json"), out.with_suffix(".csv")
    if len(set(paths)) < 3:
        raise RecordingError(f"{out}: JSON and CSV get its name; choose one that ends in .html")
    foreign = [
        str(path)
        for path, mark in zip(paths, (GENERATOR, "{", ",".join(COLUMNS)), strict=True)
        if path.exists() and not _is_report(path, mark)
    ]
    if foreign:
        raise ConfigError(
            f"{', '.join(foreign)}: no report; nothing is replaced: move it away, or choose "
            "another --out"
        )
    return paths


def _is_report(path: Path, mark: str) -> bool:
    """Whether a file has the mark of a report in its first lines, and a JSON file its format."""
    try:
        text = path.read_text("utf-8")
        return mark in text[:1000] and (mark != "{" or json.loads(text)["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def worst_first(results: Sequence[Result]) -> list[Result]:
    """Sort key by vIoU; an absent target counts 1 if it was not found, else 0. Failures first."""

    def goodness(result: Result) -> tuple[float, bool, float, float, str]:
        if result.scores:
            score = result.scores[ANSWER]
            values = score.v_iou, score.t_iou, score.gt_v_iou
        else:
            values = (float(result.outcome == "not_found"),) * 3
        return values[0], result.outcome != "failed", *values[1:], result.id

    return sorted(results, key=goodness)


def sample_row(result: Result) -> dict[str, Any]:
    """A sample's values by `COLUMNS`, None if missing. Seconds are relative to its first frame."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row.update(vars(result.source))
    for name in ("id", "group", "query", "outcome", "error_code", "error"):
        row[name] = getattr(result, name)
    for name, score in result.scores.items():
        if name == ANSWER:
            row.update({key: getattr(score, key) for key in SCORES})
        elif name in REFERENCES:
            row[f"{name}_v_iou"] = score.v_iou
    for name, frames in (("true", truth_rows(result)), ("found", found_rows(result))):
        if len(frames):
            start_s, end_s = (result.stamps_ns[frames[[0, -1]]] - result.stamps_ns[0]) / 1e9
            row[f"{name}_start_s"], row[f"{name}_end_s"] = float(start_s), float(end_s)
    if result.tubes:
        row["confidence"] = result.tubes[0].confidence
    for name in ("read", "ground", "latency"):
        row[f"{name}_s"] = result.timings_s.get(name)
    return row
