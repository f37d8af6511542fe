# SPDX-License-Identifier: Apache-2.0

"""Where answers lose: candidate tubes, refusals, choice of the person, time; by kind of sentence.

A perfect answer has a vIoU of 1. What is missing is divided into four parts, in this order: what
no choice among the candidates could reach (the best track in the true span); targets that were
answered with "not found"; the step from the best to the chosen track, in the true span; and the
step from the true to the answered span.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stvg_lab.runs.records import Choice, Result
from stvg_lab.runs.scores import NO_SCORE, Score
from stvg_ros.types import Grounding, SplitQuery, Status

# What a sentence says of its target: its looks or place, what it does, or both.
ATTRIBUTE, ACTION, BOTH, UNSPLIT = "attribute", "action", "both", "not split"
KINDS = (ATTRIBUTE, ACTION, BOTH, UNSPLIT)
ALL = "all"
HEAD = (
    "samples", "vIoU", "tubes", "refused", "choice", "time", "right person (chance)", "found tIoU",
)  # fmt: skip


def kind_of(split: SplitQuery | None) -> str:
    """The kind of a sentence, one of `KINDS`."""
    if split is None or split.method == "none" or len(split.fallbacks) > 1:
        return UNSPLIT
    return {(): BOTH, ("action",): ATTRIBUTE, ("attribute",): ACTION}[split.fallbacks]


def choice_of(grounding: Grounding, best_track_id: int | None) -> Choice | None:
    """The model's first choice among several candidates, also where the answer is "not found".

    Args:
        grounding: an answer with its candidates.
        best_track_id: the candidate that overlaps the target most; None if none does.

    Returns:
        None if there is nothing to choose: no candidate overlaps the target, or there is only one.
    """
    evidence = grounding.evidence
    if best_track_id is None or evidence is None or len(evidence.track_scores) < 2:
        return None
    scores = evidence.track_scores
    if grounding.best.status is Status.FOUND:
        chosen = grounding.best.track_id
    elif evidence.findings:  # of several sources, whose log-odds add
        chosen = max(
            scores, key=lambda track: sum(one.tubes.get(track, 0.0) for one in evidence.findings)
        )
    else:
        chosen = max(scores, key=scores.__getitem__)
    return Choice(chosen == best_track_id, len(scores))


def losses(results: Sequence[Result]) -> list[dict[str, Any]]:
    """The losses of each kind of sentence, and of all, with two kinds or more.

    Only present targets count whose candidates are known; failed samples have none.

    Returns:
        For each kind `kind`, `samples`, `v_iou` and its losses `tubes`, `refused`, `choice` and
        `time`, which add up to 1 with it (in the convention "frames"); `choices` between several
        candidates, with the share of `right` ones and that of a `chance` choice, None without
        any; and `t_iou` of the answers that were found, None without one.
    """
    known = [one for one in results if "best_track_true_span" in one.scores]
    kinds = [kind for kind in KINDS if any(one.kind == kind for one in known)]
    lines = [_losses(kind, [one for one in known if one.kind == kind]) for kind in kinds]
    return [*lines, _losses(ALL, known)] if len(lines) > 1 else lines


def _losses(kind: str, results: Sequence[Result]) -> dict[str, Any]:
    def mean(name: str, chosen: Sequence[Result]) -> float:
        scores = [one.scores.get(name, NO_SCORE).v_iou for one in chosen]
        return float(np.sum(scores)) / len(results)

    found = [one for one in results if one.outcome == "found"]
    refused = [one for one in results if one.outcome != "found"]
    best, answer = "best_track_true_span", "answer"
    choices = [one.choice for one in results if one.choice is not None]
    return {
        "kind": kind,
        "samples": len(results),
        "v_iou": mean(answer, results),
        "tubes": 1 - mean(best, results),
        "refused": mean(best, refused),
        "choice": mean(best, found) - mean("own_track_true_span", found),
        "time": mean("own_track_true_span", found) - mean(answer, found),
        "choices": len(choices),
        "right": _mean([one.right for one in choices]),
        "chance": _mean([1 / one.candidates for one in choices]),
        "t_iou": _mean([_score(one).t_iou for one in found]),
    }


def _score(result: Result) -> Score:
    return result.scores.get("answer", NO_SCORE)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def loss_rows(lines: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Losses as cells in percent, below `HEAD`."""
    return [
        (
            line["kind"],
            str(line["samples"]),
            *(_percent(line[name]) for name in ("v_iou", "tubes", "refused", "choice", "time")),
            f"{_percent(line['right'])} of {line['choices']} (chance {_percent(line['chance'])})"
            if line["choices"]
            else "-",
            _percent(line["t_iou"]),
        )
        for line in lines
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"


def loss_table(lines: Sequence[dict[str, Any]]) -> list[str]:
    """The losses as lines of text; none without any."""
    if not lines:
        return []
    rows = [("", *HEAD), *loss_rows(lines)]
    return [
        "where the vIoU is lost, percent:",
        *(
            f"{row[0]:<12}"
            + "".join(
                f"{cell:>{max(9, len(head) + 4)}}" for cell, head in zip(row[1:], HEAD, strict=True)
            )
            for row in rows
        ),
    ]
