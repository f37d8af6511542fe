# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros identity` on a small scene: its figures, an interrupted run, and its errors."""

from __future__ import annotations

import json

import pytest

from stvg_lab.identity import measurement, track_rows
from stvg_lab.rendered import reappearances
from stvg_ros.cli.main import main

KEYS = {
    "seed", "count", "streams", "descriptor", "rank1_distinct", "rank1_shared", "hota",
    "id_switches", "losses", "found_again", "silent_swaps",
}  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Scenes of some seconds; the indices that were asked for."""
    asked = []

    def scene(index, **more):
        asked.append(index)
        size = {"duration_s": 24.0, "losses": 1, "width": 320, "height": 240, "fps": 3.0}
        return reappearances.reappearance_scene(index, **{**more, **size, "target": 0})

    monkeypatch.setattr(reappearances, "identity_scene", scene)
    return asked


def identity(*words):
    return main(["identity", "--descriptor", "garments", *words])


def test_the_figures_of_a_scene_and_a_stream_in_two_runs(small, tmp_path, capsys, monkeypatch):
    for module in (measurement, track_rows):
        monkeypatch.setattr(module, "library_installed", lambda: False)
    path = tmp_path / "identity.json"
    assert identity("--seed", "1", "--count", "1", "--streams", "0", "--json", str(path)) == 0
    first = json.loads(path.read_text())
    assert set(first) > KEYS
    assert (first["count"], first["streams"], first["losses"]) == (1, 0, None)
    assert first["id_switches"]["ByteTrack"] is None
    said = capsys.readouterr().out
    assert "ByteTrack is not compared: the library 'trackers' is not installed; pip install" in said
    small.clear()
    again = ["--count", "1", "--streams", "1", "--json", str(path), "--resume"]
    assert identity("--seed", "1", *again) == 0
    assert small == [1]  # the stream only
    whole = json.loads(path.read_text())
    assert whole["hota"] == first["hota"]
    assert whole["losses"]["total"] == 1
    assert {"total", "low", "high", "samples"} == set(whole["found_again"])
    assert identity("--seed", "2", *again) == 2
    assert "is of another run: expected {'seed': 2" in capsys.readouterr().err


def test_nothing_to_go_on_with(tmp_path, capsys):
    path = tmp_path / "none.json"
    assert identity("--resume", "--json", str(path)) == 2
    assert f"--json FILE that an interrupted run has written, got {path}" in capsys.readouterr().err
    assert identity("--resume") == 2


def test_a_seed_beyond_the_split(capsys):
    assert identity("--seed", "10000000") == 2
    assert "--seed: index: expected 0 to 9999999" in capsys.readouterr().err
