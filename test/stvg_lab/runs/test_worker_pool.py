# SPDX-License-Identifier: Apache-2.0

"""`evaluate --workers`: two workers, here or on a cluster, also when one or its node dies."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from paths import ROOT
from recordings import annotate, entry, square_bag

pytest.importorskip("ray", reason="Ray is missing: pip install -r requirements/serving.txt")
from mortal_grounder import Made, broken
from ray.cluster_utils import Cluster

from stvg_lab.runs import evaluation_worker
from stvg_lab.runs.records import read_results, result_to_json
from stvg_lab.runs.worker_pool import gpu_share
from stvg_ros.cli.main import main

SETTINGS = ["--set", "window.duration_s=2", "--set", "window.max_rate_hz=0"]
RECORDINGS = 3


def material(folder: Path, *words: str) -> list[Path]:
    """Annotation files of three recordings with two sentences each; the second adds `words`."""
    files = []
    for number in range(RECORDINGS):
        square_bag(folder / f"run{number}")
        entries = [entry("a", 1, 13), entry("b", 2, 14)]
        if number == 1:
            entries[1] = replace(entries[1], query=" ".join([entries[1].query, *words]))
        files.append(annotate(folder / f"run{number}.json", f"run{number}", *entries))
    return files


def evaluate(out: Path, files: list[Path], *more: object) -> int:
    words = ["evaluate", "--annotations", *files, "--out", out, *SETTINGS, *more]
    return main([str(word) for word in words])


def results(out: Path) -> dict[str, dict]:
    """The results by sample, without what was timed."""
    found = {}
    for result in read_results(out):
        values = result_to_json(result)
        del values["timings_s"]
        found[result.id] = values
    return found


def summary(out: Path) -> dict:
    values = json.loads((out / "summary.json").read_text())
    for group in values["groups"]:
        del group["latency_s"]
    return values


@pytest.fixture(autouse=True)
def _workers_find_the_grounder(monkeypatch):
    """Worker processes import `mortal_grounder`, too."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "test" / "support"))


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The folder in which the grounders of all processes leave their files."""
    folder = tmp_path / "toy"
    folder.mkdir()
    monkeypatch.setattr(evaluation_worker, "evaluation_grounder", Made(str(folder)))
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_workers_give_what_one_process_gives_also_if_one_is_killed(tmp_path, toy, capsys):
    files = material(tmp_path, "die")
    together, alone = tmp_path / "together", tmp_path / "alone"
    assert evaluate(together, files, "--workers", 2) == 0
    assert (toy / "grave").exists()
    said = capsys.readouterr()
    assert "6 of 6 samples done" in said.out
    assert "6 of 6 samples" in said.err and "failed" not in said.err
    written = (together / "results.jsonl").read_text().splitlines()
    assert len(written) == 6  # no sample twice in the file
    processes = {path.name.partition(".")[0] for path in toy.glob("*.*")}
    assert len(processes) >= 2
    assert evaluate(alone, files) == 0
    assert results(together) == results(alone)
    assert summary(together) == summary(alone)
    # A stopped run goes on: here, the last two lines are missing.
    (together / "results.jsonl").write_text("\n".join(written[:-2]) + "\n")
    assert evaluate(together, files, "--workers", 2) == 0
    assert "4 of 6 samples are done, resuming" in capsys.readouterr().out
    assert results(together) == results(alone)


@pytest.fixture
def cluster(_workers_find_the_grounder, monkeypatch) -> Iterator[Cluster]:
    """A cluster of two nodes on this machine; each states a GPU, so that each has one worker."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_enable_metrics_collection", "0")
    node = {
        "num_cpus": 1,
        "num_gpus": 1,
        "include_dashboard": False,
        "node_ip_address": "127.0.0.1",
    }
    nodes = Cluster(initialize_head=True, head_node_args=node)
    nodes.add_node(num_cpus=1, num_gpus=1, node_ip_address="127.0.0.1")
    yield nodes
    nodes.shutdown()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_workers_of_a_cluster_give_the_same_also_if_one_is_killed(tmp_path, toy, cluster, capsys):
    files = material(tmp_path, "die")
    assert evaluate(tmp_path / "cluster", files, "--workers", 2, "--ray", cluster.address) == 0
    assert (toy / "grave").exists()
    assert "6 of 6 samples done" in capsys.readouterr().out
    assert evaluate(tmp_path / "alone", files) == 0
    assert results(tmp_path / "cluster") == results(tmp_path / "alone")
    assert summary(tmp_path / "cluster") == summary(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_node_of_the_cluster_dies_at_work_and_the_other_does_its_samples(
    tmp_path, toy, cluster, monkeypatch, capsys
):
    files = material(tmp_path)
    (doomed,) = cluster.worker_nodes
    made = Made(str(toy), doomed.node_id)
    monkeypatch.setattr(evaluation_worker, "evaluation_grounder", made)
    os.mkfifo(toy / "at_work")

    def remove_when_at_work() -> None:
        (toy / "at_work").read_text()  # waits for the worker
        cluster.remove_node(doomed, allow_graceful=False)

    end = threading.Thread(target=remove_when_at_work, daemon=True)
    end.start()
    # No machine is left for the GPU of a third worker, which is not waited for.
    assert evaluate(tmp_path / "cluster", files, "--workers", 2, "--ray", cluster.address) == 0
    end.join()
    assert "6 of 6 samples done" in capsys.readouterr().out
    assert len({path.name.partition(".")[0] for path in toy.glob("*.*")}) == 1
    monkeypatch.setattr(evaluation_worker, "evaluation_grounder", Made(str(toy)))
    assert evaluate(tmp_path / "alone", files) == 0
    assert results(tmp_path / "cluster") == results(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sample_that_kills_every_worker_fails_and_the_others_are_done(tmp_path, toy, capsys):
    files = material(tmp_path, "die", "always")
    assert evaluate(tmp_path / "out", files, "--workers", 2) == 0
    found = results(tmp_path / "out")
    assert [key for key, values in found.items() if values["outcome"] == "failed"] == ["run1/b"]
    assert "2 worker processes died at this sample" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_workers_that_cannot_start_say_why(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluation_worker, "evaluation_grounder", broken)
    assert evaluate(tmp_path / "out", material(tmp_path), "--workers", 2) == 1
    assert "a worker cannot start: RuntimeError: no such weights" in capsys.readouterr().err
    assert not (tmp_path / "out" / "config.json").exists()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--ray", "10.0.0.5:6379"), "--ray: expected --workers N"),
        (("--workers", "2", "--shard", "1/2"), "nor --shard"),
        (("--workers", "2", "--rrd", "a.rrd"), "neither --rrd"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, capsys, more, reason):
    assert evaluate(tmp_path / "out", [tmp_path / "none.json"], *more) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gpus", "workers", "share"),
    [(0, 4, 0.0), (4, 4, 1.0), (8, 2, 1.0), (1, 2, 0.5), (1, 3, 0.3333), (2, 3, 0.5), (4, 6, 0.5)],
)
def test_workers_share_the_gpus(gpus, workers, share):
    assert gpu_share(gpus, workers) == share
