# SPDX-License-Identifier: Apache-2.0

import io

import pytest

from stvg_lab.runs.progress import EvaluationProgress
from stvg_lab.runs.records import Result
from stvg_ros.io.recording import Source


def lines(total: int, done: int = 0, failures: int = 0) -> list[str]:
    stream = io.StringIO()
    with EvaluationProgress(total, done, stream) as progress:
        for number in range(done, total):
            outcome = "failed" if number - done < failures else "found"
            error = "no images" if outcome == "failed" else ""
            progress(Result(f"s{number}", "g", "q", Source("a"), outcome, error=error))
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("total", [10, 11, 19, 20, 100, 1160, 10303])
def test_a_log_gets_ten_lines_whatever_the_number_of_samples(total: int) -> None:
    said = lines(total)
    assert len(said) == 10
    assert said[-1] == f"{total} of {total} samples"


@pytest.mark.parametrize("total", [1, 2, 9])
def test_small_runs_get_a_line_a_sample(total: int) -> None:
    assert len(lines(total)) == total


def test_a_run_that_goes_on_says_what_is_left() -> None:
    assert lines(10, 8) == ["9 of 10 samples", "10 of 10 samples"]


def test_failures_are_told_and_many_are_counted() -> None:
    said = lines(100, failures=30)
    assert said.count("s3: no images") == 1
    assert sum(line.endswith(": no images") for line in said) == 10
    assert said[-1] == "100 of 100 samples, 30 failed"
