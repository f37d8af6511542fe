# SPDX-License-Identifier: Apache-2.0

"""The files of an evaluation run: one JSON line per sample, written during the run.

docs/evaluation.md shows the layout. A line holds both tubes on the scored frames, so that tables,
reports and comparisons need neither the videos nor the model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from stvg_lab.runs.scores import FrameTube, Score
from stvg_ros.errors import ErrorCode, RecordingError
from stvg_ros.io.outputs import json_text
from stvg_ros.io.recording import Source
from stvg_ros.io.tube_json import evidence_from_json, evidence_to_json, tube_from_json, tube_to_json
from stvg_ros.types import Evidence, Tube

FORMAT = "stvg_ros run 1"
CONFIG, ENVIRONMENT, RESULTS, SUMMARY = (
    "config.json", "environment.json", "results.jsonl", "summary.json",
)  # fmt: skip
# Outcomes of a sample; "failed" ones have an error, and all their scores are 0.
OUTCOMES = ("found", "not_found", "failed")
# Counts of `Result.images` that indicate a fault of the source or the transport.
ODD_IMAGES = ("late", "odd", "restarted", "refused", "lost", "missing", "dropped")


@dataclass(frozen=True)
class Choice:
    """The model's first choice among candidate tubes, refused or not.

    Attributes:
        right: whether it is the best track.
        candidates: number of candidates with a score.
    """

    right: bool
    candidates: int


@dataclass(frozen=True, eq=False)
class Result:
    """The result of one sample.

    Attributes:
        id: unique in the run.
        group: the samples of one row of the table, such as "VidSTG declarative".
        query: the sentence.
        source: location of the images.
        outcome: one of `OUTCOMES`.
        size_px: width and height of the images; (0, 0) if none could be read.
        stamps_ns: `(F,)` stamps of the scored frames.
        truth: the true tube on these frames; None if the target is absent.
        tubes: the answer, best first; empty if the sample failed.
        evidence: the answer's evidence, if the run keeps it.
        scores: by name: "answer" and the references (`scores.REFERENCES`); empty
            if the target is absent.
        images: counts of the source's images up to the command: "read", "stored",
            "thinned", and `ODD_IMAGES`; live runs "published" and "received", of the whole bag
            with its last sample.
        timings_s: "read" and "ground" of the whole sample; live runs also "latency". Seconds
            per stage are in the tubes.
        error_code: name of the `ErrorCode` of a failed sample.
        error: message of a failed sample.
        kind: what the sentence says of its target, one of `losses.KINDS`; "" if the sample failed.
        choice: of a present target, if there was a right one among several candidates.
    """

    id: str
    group: str
    query: str
    source: Source
    outcome: str
    size_px: tuple[int, int] = (0, 0)
    stamps_ns: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    truth: FrameTube | None = None
    tubes: tuple[Tube, ...] = ()
    evidence: Evidence | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    images: Mapping[str, int] = field(default_factory=dict)
    timings_s: Mapping[str, float] = field(default_factory=dict)
    error_code: str = ""
    error: str = ""
    kind: str = ""
    choice: Choice | None = None

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ValueError(f"Result.outcome: expected one of {OUTCOMES}, got {self.outcome!r}")


def result_to_json(result: Result) -> dict[str, Any]:
    """The result as plain values, in the key order of docs/evaluation.md."""
    truth = result.truth
    rows = [] if truth is None else np.flatnonzero(truth.span & truth.present).tolist()
    return {
        "id": result.id,
        "group": result.group,
        "query": result.query,
        "source": vars(result.source).copy(),
        "outcome": result.outcome,
        "error": {"code": result.error_code, "message": result.error} if result.error else None,
        "size_px": list(result.size_px),
        "stamps_ns": result.stamps_ns.tolist(),
        "truth": None
        if truth is None
        else {
            "span": np.flatnonzero(truth.span)[[0, -1]].tolist() if truth.span.any() else None,
            "frames": rows,
            "boxes_xyxy_px": [
                [round(float(edge), 3) for edge in box] for box in truth.boxes_xyxy_px[rows]
            ],
        },
        "tubes": [tube_to_json(tube) for tube in result.tubes],
        "evidence": None if result.evidence is None else evidence_to_json(result.evidence),
        "scores": {name: vars(score).copy() for name, score in result.scores.items()},
        "kind": result.kind,
        "choice": None if result.choice is None else vars(result.choice).copy(),
        "images": dict(result.images),
        "timings_s": dict(result.timings_s),
    }


def result_from_json(values: Mapping[str, Any]) -> Result:
    """The result that `result_to_json` described. Raises: KeyError, ValueError, TypeError."""
    stamps_ns = np.array(values["stamps_ns"], np.int64)
    error = values["error"] or {"code": "", "message": ""}
    width, height = values["size_px"]
    evidence = values["evidence"]
    return Result(
        id=values["id"],
        group=values["group"],
        query=values["query"],
        source=Source(**values["source"]),
        outcome=values["outcome"],
        size_px=(width, height),
        stamps_ns=stamps_ns,
        truth=_truth(values["truth"], len(stamps_ns)),
        tubes=tuple(tube_from_json(item) for item in values["tubes"]),
        evidence=None if evidence is None else evidence_from_json(evidence),
        scores={name: Score(**score) for name, score in values["scores"].items()},
        images=values["images"],
        timings_s=values["timings_s"],
        error_code=error["code"],
        error=error["message"],
        kind=values.get("kind", ""),  # runs of earlier versions have neither
        choice=None if values.get("choice") is None else Choice(**values["choice"]),
    )


def _truth(values: Mapping[str, Any] | None, count: int) -> FrameTube | None:
    if values is None:
        return None
    empty = FrameTube.nothing(count)
    boxes, present, span = empty.boxes_xyxy_px, empty.present.copy(), empty.span.copy()
    if values["span"] is not None:
        first, last = values["span"]
        span[first : last + 1] = True
        boxes[values["frames"]] = values["boxes_xyxy_px"]
        present[values["frames"]] = True
    return FrameTube(boxes, present, span)


class ResultFile:
    """Appends results; each is on disk before `add` returns.

    An incomplete last line of a killed run is removed on opening, so its sample counts as not
    done. One process writes a file at a time; a context manager.
    """

    def __init__(self, path: Path) -> None:
        """Opens or creates the file. Raises: RecordingError."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                _drop_torn_line(path)
            self._file: TextIO = path.open("a", encoding="utf-8")
        except OSError as error:
            raise RecordingError(f"{path}: cannot be written ({error})") from error

    def __enter__(self) -> ResultFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._file.close()

    def add(self, result: Result) -> None:
        """Writes one line and syncs it to disk; numbers that are not finite fail the sample.

        Raises:
            RecordingError: it cannot be written.
        """
        try:
            line = json.dumps(result_to_json(result), allow_nan=False)
        except ValueError:
            line = json.dumps(result_to_json(_not_finite(result)), allow_nan=False)
        try:
            self._file.write(line + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RecordingError(f"{self.path}: cannot be written ({error})") from error


def _not_finite(result: Result) -> Result:
    """The failed result that replaces an answer with numbers that JSON cannot hold."""
    return replace(
        result,
        outcome="failed",
        tubes=(),
        evidence=None,
        scores={name: Score(0.0, 0.0, 0.0) for name in result.scores},
        error_code=ErrorCode.INTERNAL.name,
        error="the answer holds numbers that are not finite",
    )


def _drop_torn_line(path: Path) -> None:
    """Truncates the file after its last complete line."""
    with path.open("rb+") as file:
        data = file.read()
        file.truncate(data.rfind(b"\n") + 1)


def results_name(shard: tuple[int, int] | None) -> str:
    """The file of a run, or of part i of n of it."""
    return RESULTS if shard is None else f"results.{shard[0]}-of-{shard[1]}.jsonl"


def read_results(folder: Path) -> list[Result]:
    """The results of a run, its parts one after another.

    Since failed samples are repeated, the last successful result of an id counts.

    Raises:
        RecordingError: the folder is not a run, or one of its lines is invalid.
    """
    found: dict[str, Result] = {}
    for result in iter_results(folder):
        earlier = found.get(result.id)
        if earlier is None or earlier.outcome == "failed" or result.outcome != "failed":
            found[result.id] = result
    return list(found.values())


def iter_results(folder: Path) -> Iterator[Result]:
    """Every line of a run's files, one at a time. Raises: RecordingError."""
    paths = sorted(folder.glob("results*.jsonl"))
    if not paths:
        raise RecordingError(f"{folder}: no {RESULTS} in it; expected the folder of a run")
    for path in paths:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith("\n"):
                    break  # still being written, or incomplete after a kill
                try:
                    result = result_from_json(json.loads(line))
                except (ValueError, KeyError, TypeError) as error:
                    raise RecordingError(
                        f"{path}, line {number}: not a result ({type(error).__name__}: {error}); "
                        "remove the line and resume the run"
                    ) from error
                yield result


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes a file of the run atomically.

    Raises:
        RecordingError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}.new")  # parts of a run may write at a time
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(json_text(values) + "\n", encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error})") from error


def read_json(path: Path) -> dict[str, Any]:
    """A file of a run. Raises: RecordingError."""
    try:
        values: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RecordingError(
            f"{path}: cannot be read ({error}); expected a file of a run"
        ) from error
    return values
