# SPDX-License-Identifier: Apache-2.0

"""Progress of an evaluation: a bar on a terminal, ten lines in a log, failures in both."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from stvg_lab.runs.records import Result

_LINES = 10  # of a whole run, in a log
_FAILURES = 10  # that are printed individually


class EvaluationProgress(AbstractContextManager["EvaluationProgress"]):
    """Reports progress; called with each result."""

    def __init__(self, total: int, done: int = 0, stream: TextIO | None = None) -> None:
        """Starts the display.

        Args:
            total: samples of the run.
            done: how many of them already have a result.
            stream: output stream; None for the standard error.
        """
        from tqdm import tqdm

        self._stream = sys.stderr if stream is None else stream
        self._total, self._done, self._failures = total, done, 0
        self._bar = tqdm(
            total=total, initial=done, desc="evaluating", unit="sample", file=self._stream,
            disable=None,
        )  # fmt: skip

    def __call__(self, result: Result) -> None:
        """Counts a result."""
        before, self._done = self._done, self._done + 1
        if result.outcome == "failed":
            self._failures += 1
            if self._failures <= _FAILURES:
                self._bar.write(f"{result.id}: {result.error}", file=self._stream)
        self._bar.set_postfix_str(f"{self._failures} failed" if self._failures else "")
        self._bar.update()
        tenth = _LINES * self._done // self._total
        if self._bar.disable and tenth > _LINES * before // self._total:
            failed = f", {self._failures} failed" if self._failures else ""
            print(f"{self._done} of {self._total} samples{failed}", file=self._stream, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._bar.close()
