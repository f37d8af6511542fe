# SPDX-License-Identifier: Apache-2.0

"""Runs of an evaluation, made by hand, for the tests of reports."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from recordings import SIZE, box_at, stamp

from stvg_lab.runs.records import Result, ResultFile, write_json
from stvg_lab.runs.scores import FrameTube, Score
from stvg_ros.io.recording import Source
from stvg_ros.types import Evidence, Query, Status, Tube, TubeBox

COUNT = 30
STAMPS = np.array([stamp(number) for number in range(COUNT)], np.int64)
TIMINGS_S = {"forward pass": 0.5, "score": 0.1}


def truth(first: int, last: int) -> FrameTube:
    boxes = np.array([box_at(number) for number in range(COUNT)], np.float32)
    span = np.zeros(COUNT, np.bool_)
    span[first : last + 1] = True
    return FrameTube(boxes, span.copy(), span)


def tube(first: int, last: int) -> Tube:
    """Boxes at every other frame, as a window keeps them."""
    boxes = tuple(TubeBox(stamp(n), box_at(n), 1.0) for n in range(first, last + 1, 2))
    return Tube(
        Query("the square"), Status.FOUND, boxes=boxes, start_ns=stamp(first), end_ns=stamp(last),
        confidence=0.75, width_px=SIZE[0], height_px=SIZE[1], timings_s=TIMINGS_S,
    )  # fmt: skip


def evidence() -> Evidence:
    sampled = STAMPS[::10]
    maps = np.zeros((3, 6, 8), np.float32)
    maps[:, 2, 3] = 1.0
    scores = np.array([0.1, 0.9, np.nan], np.float32)
    return Evidence(sampled, ((0,), (1,), (2,)), maps, maps, scores, {0: 1.0}, "yes")


def found(bag: Path, name: str = "good", v_iou: float = 0.6) -> Result:
    score = Score(0.8, v_iou, 0.7)
    return Result(
        name, "kitchen", "the square <that> moves", Source(str(bag), topic="/camera/image"),
        "found", SIZE, STAMPS, truth(10, 19), (tube(8, 20),), evidence(),
        {"answer": score, "whole_window": Score(0.3, 0.2, 0.7)},
        {"read": 30, "stored": 15}, {"read": 0.2, "ground": 1.5},
    )  # fmt: skip


def failed(bag: Path, name: str = "broken") -> Result:
    return Result(
        name, "office", "the dog", Source(str(bag)), "failed", scores={"answer": Score(0, 0, 0)},
        error_code="NO_IMAGES", error="cut.mcap: cannot be read & repaired",
    )  # fmt: skip


def absent(bag: Path, name: str, outcome: str) -> Result:
    answer = replace(tube(0, 4), status=Status[outcome.upper()], confidence=0.2)
    return replace(
        found(bag, name), group="office", outcome=outcome, truth=None, scores={}, tubes=(answer,),
    )  # fmt: skip


def run_of(folder: Path, *results: Result) -> Path:
    with ResultFile(folder / "results.jsonl") as file:
        for result in results:
            file.add(result)
    write_json(folder / "config.json", {"convention": "frames", "settings": {"a.b": 1}})
    write_json(folder / "environment.json", {"model": {"path": "models/tiny"}})
    return folder
