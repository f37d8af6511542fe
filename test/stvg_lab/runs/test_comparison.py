# SPDX-License-Identifier: Apache-2.0

import json
from pathlib import Path

import numpy as np
import pytest

from stvg_lab.runs.comparison import PERMUTATIONS, compare, paired
from stvg_lab.runs.records import Result, ResultFile, write_json
from stvg_lab.runs.scores import Score
from stvg_ros.cli.main import main
from stvg_ros.errors import ConfigError, RecordingError
from stvg_ros.io.recording import Source


def write_run(
    folder: Path, scores: dict[str, float], *, refused: dict[str, bool] | None = None,
    convention: str = "frames", top_k: int = 7, weights: str = "a" * 64,
    source: str = "",
) -> Path:  # fmt: skip
    config = {"convention": convention, "settings": {"span.top_k": top_k, "model.path": "x"}}
    write_json(folder / "config.json", config)
    write_json(folder / "environment.json", {"model": {"sha256": weights}})
    with ResultFile(folder / "results.jsonl") as file:
        for name, v_iou in scores.items():
            both = {"answer": Score(0.5, v_iou, 1.0), "answer@paper": Score(0.5, 1.0, 1.0)}
            group = "even" if int(name) % 2 == 0 else "odd"
            file.add(Result(name, group, "x", Source(source or name), "found", scores=both))
        for name, right in (refused or {}).items():
            outcome = "not_found" if right else "found"
            file.add(Result(name, "even", "x", Source(source or name), outcome))
    return folder


def test_paired_test_by_hand() -> None:
    # Ten samples, all better by 0.1: of 1,024 sign patterns two are as extreme.
    first = np.linspace(0, 0.5, 10)[:, None]
    (gap,) = paired(first, first + 0.1)
    assert (gap.second - gap.first, gap.low, gap.high) == pytest.approx((0.1, 0.1, 0.1))
    assert gap.p == pytest.approx(2 / 1024, abs=0.0015)
    (same,) = paired(first, first)
    assert (same.low, same.high, same.p) == (0.0, 0.0, 1.0)
    with pytest.raises(ValueError, match=r"expected two arrays \(n, k\), got \(0, 1\)"):
        paired(first[:0], first[:0])


def test_noise_is_no_difference_and_pairing_sees_a_small_one() -> None:
    rng = np.random.default_rng(0)
    hard = rng.random((200, 1))
    (noise,) = paired(hard, hard + rng.normal(0, 0.05, hard.shape))
    assert noise.p > 0.05 and noise.low < 0 < noise.high
    # Far less than the spread of the samples, but nearly the same for each of them.
    (better,) = paired(hard, hard + 0.02 + rng.normal(0, 0.05, hard.shape))
    assert better.p < 0.001 and better.low > 0
    assert paired(hard, hard + 0.01) == paired(hard, hard + 0.01)


def test_runs_are_compared_on_shared_samples_and_groups(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", {str(n): 0.2 for n in range(10)}, refused={"x": False})
    scores = {str(n): 0.2 + 0.2 * (n % 2) for n in range(2, 14)}
    two = write_run(tmp_path / "b", scores, refused={"x": True}, top_k=5, weights="b" * 64)
    found = compare(one, two)
    assert list(found.groups) == ["even", "odd", "all"]
    assert found.samples == {"even": 5, "odd": 4, "all": 9}
    assert found.only == (2, 4)
    odd = found.groups["odd"]["m_vIoU"]
    assert (odd.first, odd.second) == pytest.approx((0.2, 0.4))
    assert found.groups["odd"]["vIoU@0.3"].second == 1.0
    assert found.groups["even"]["m_vIoU"].p == 1.0
    assert (found.groups["even"]["refused"].first, found.groups["even"]["refused"].second) == (0, 1)
    assert found.settings == (
        ("span.top_k", 7, 5), ("SHA-256 of the weights", "a" * 12, "b" * 12),
    )  # fmt: skip


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write_run(tmp_path / "a", {str(n): 0.2 for n in range(0, 20, 2)})
    two = write_run(tmp_path / "b", {str(n): 0.4 for n in range(0, 18, 2)}, top_k=5)
    path = tmp_path / "c.json"
    assert main(["compare", str(one), str(two), "--json", str(path)]) == 0
    said = capsys.readouterr().out
    assert "even: 9 samples in both" in said
    assert "+20.0 [+20.0, +20.0]" in said
    assert "1 samples that only A has are left out" in said
    assert "span.top_k: 7 in A, 5 in B" in said
    assert json.loads(path.read_text())["groups"]["even"]["m_vIoU"]["first"] == pytest.approx(0.2)
    assert main(["compare", str(one), str(tmp_path)]) == 1
    assert "config.json: cannot be read" in capsys.readouterr().err


def test_conventions_must_agree(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", {"0": 0.2})
    two = write_run(tmp_path / "b", {"0": 0.4}, convention="paper")
    with pytest.raises(ConfigError, match="conventions frames and paper; name one"):
        compare(one, two)
    assert compare(one, two, "paper").groups["even"]["m_vIoU"].first == 1.0
    other = write_run(tmp_path / "c", {"1": 0.4})
    with pytest.raises(RecordingError, match="no sample in common"):
        compare(one, other)


@pytest.mark.parametrize("queries", [1, 2, 5, 10])
@pytest.mark.parametrize("recordings", [10, 30])
def test_sentences_about_one_recording_are_no_independent_samples(
    queries: int, recordings: int
) -> None:
    """No difference but the recording's: about 5 % of the tests may find one."""
    rng = np.random.default_rng(queries)
    about = np.repeat(np.arange(recordings), queries)
    wrong = outside = 0
    for _ in range(120):
        shared = rng.normal(0, 0.1, recordings)[about]
        gaps = (shared + rng.normal(0, 0.03, len(about)))[:, None]
        (found,) = paired(np.zeros_like(gaps), gaps, about.tolist())
        wrong += found.p < 0.05
        outside += not found.low <= 0 <= found.high
    assert wrong <= 14
    assert outside <= 20  # the bootstrap of ten recordings is somewhat narrow


def test_recordings_of_different_length_count_by_their_samples() -> None:
    first, gaps = np.zeros((5, 1)), np.array([[0.2], [0.2], [0.2], [0.2], [-0.3]])
    (found,) = paired(first, gaps, ["a", "a", "a", "a", "b"])
    assert found.second == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((-0.3, 0.2))
    assert found.p == pytest.approx(1.0, abs=0.01)  # all of four sign patterns are as large
    with pytest.raises(ValueError, match="expected 5 recordings, got 1"):
        paired(first, gaps, ["a"])


@pytest.mark.parametrize("count", [1, 2, 9])
def test_one_recording_has_no_interval(
    tmp_path: Path, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(2 * n) for n in range(count)]
    one = write_run(tmp_path / "a", dict.fromkeys(names, 0.2), source="run1")
    two = write_run(tmp_path / "b", dict.fromkeys(names, 0.4), source="run1")
    path = tmp_path / "c.json"
    assert main(["compare", str(one), str(two), "--json", str(path)]) == 0
    assert "+20.0 [one recording]" in capsys.readouterr().out
    found = json.loads(path.read_text())["groups"]["even"]["m_vIoU"]
    assert (found["low"], found["high"], found["p"]) == (None, None, 1.0)


@pytest.mark.parametrize("count", [20, 40, 100])
def test_a_p_value_is_never_zero(count: int) -> None:
    (found,) = paired(np.zeros((count, 1)), np.ones((count, 1)), [str(n) for n in range(count)])
    assert found.p == pytest.approx(1 / (1 + PERMUTATIONS), rel=0.2)
    assert found.p >= 1 / (1 + PERMUTATIONS)
