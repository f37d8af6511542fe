# SPDX-License-Identifier: Apache-2.0

"""The preset that fits a machine, the parameter files, and their counted memory."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml
from paths import ROOT

from stvg_lab.benchmark.released_memory import CHECKPOINTS, cases, count
from stvg_ros.checkpoints.machine import Machine, board_name
from stvg_ros.cli.main import main
from stvg_ros.config import Config
from stvg_ros.doctor.preset_choice import preset_finding
from stvg_ros.errors import ModelError
from stvg_ros.models.counted_memory import counted, counts
from stvg_ros.models.presets import PRESETS

GB = 1e9
BOARD = "NVIDIA Jetson Orin NX Engineering Reference Developer Kit"


THOR = "NVIDIA Jetson AGX Thor Developer Kit"


def board(free_gb: float, name: str = BOARD) -> Machine:
    return Machine(free_gb * GB, free_gb * GB, shared=True, board=name)


@pytest.mark.parametrize(
    ("machine", "level", "begins"),
    [
        (Machine(8 * GB), "ok", "laptop_cpu.yaml: no GPU here"),
        (Machine(8 * GB, board=BOARD), "ok", f"laptop_cpu.yaml: {BOARD}, but this torch finds no"),
        (board(115, THOR), "ok", "jetson_thor.yaml"),
        (board(20, THOR), "note", "no preset fits 20.0 GB free"),
        (board(60, "another board"), "ok", "jetson_thor.yaml"),
        (board(60), "ok", "jetson_orin_64gb.yaml"),
        (board(12), "ok", "jetson_orin_16gb.yaml"),
        (board(5.5), "ok", "jetson_orin_8gb.yaml"),
        (board(1), "note", "no preset fits 1.0 GB free, shared by CPU and GPU"),
        (Machine(60 * GB, 25 * GB), "ok", "gpu_24gb.yaml"),
        (Machine(60 * GB, 10 * GB), "note", "no preset fits 10.0 GB free, on the GPU"),
    ],
)
def test_the_largest_that_fits(machine, level, begins):
    finding = preset_finding(machine)
    assert finding.level == level
    assert finding.text.startswith(begins)
    assert finding.remedy


def test_the_reason_has_the_need_the_free_memory_and_the_next_larger_one():
    text = preset_finding(board(12)).text
    small, large = (next(p for p in PRESETS if p.name == f"jetson_orin_{n}gb") for n in (16, 64))
    assert f"about {small.needed / GB:.1f} GB ({small.count.peak / GB:.1f} GB counted)" in text
    assert "of 12.0 GB free, shared by CPU and GPU" in text
    assert f"jetson_orin_64gb.yaml needs about {large.needed / GB:.1f} GB" in text


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_is_its_parameter_file(preset):
    text = (ROOT / "config" / f"{preset.name}.yaml").read_text(encoding="utf-8")
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    config = Config.from_flat(values)
    wanted = preset.count.settings
    assert {name: config.flat()[name] for name in wanted} == wanted
    assert config.sampling.frames == preset.frames
    assert config.window.long_side_px == preset.long_side_px
    assert config.window.max_bytes == preset.window_bytes


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_leaves_memory_to_the_system(preset):
    """At least 1.5 GB of a board, assumed for Linux, drivers and cameras without a desktop."""
    left = preset.memory_gb * GB - preset.needed
    assert left > (1.5 * GB if preset.shared else 0)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_the_memory_of_a_machine_is_in_its_name(preset):
    named = re.search(r"_(\d+)gb", preset.name)
    assert preset.memory_gb == (int(named[1]) if named else 128)  # Jetson Thor


def test_memory_beside_the_counted_peak():
    ten = replace(counts()[0], peak=10 * 10**9)
    assert ten.needed_on_gpu == pytest.approx(11.5 * GB, abs=0.1, rel=0)
    assert ten.needed_on_cpu == pytest.approx(12 * GB, abs=0.1, rel=0)
    for preset in PRESETS:
        beside = preset.needed - preset.count.needed_on_gpu
        window = GB + preset.window_bytes if preset.shared else 0
        assert beside == pytest.approx(window, abs=0.1, rel=0)


def test_presets_come_from_the_largest_to_the_smallest():
    for shared in (True, False):
        needs = [preset.needed for preset in PRESETS if preset.shared == shared]
        assert needs == sorted(needs, reverse=True)


def test_each_case_was_counted():
    for case in cases():
        found = counted(*(getattr(case, name) for name in case.__dataclass_fields__))
        assert found.peak > found.weights > 0
    assert len(counts()) == len(list(cases()))


def test_the_smallest_case_is_counted_again():
    smallest = min(cases(), key=lambda case: counted(*vars(case).values()).peak)
    assert count(smallest) == counted(*vars(smallest).values())


def test_fewer_bits_need_less():
    for checkpoint in CHECKPOINTS:
        peaks = [counted(checkpoint, bits, True, 20, 640).peak for bits in ("bfloat16", "4bit")]
        whole = counted(checkpoint, "bfloat16", False, 20, 640).peak
        assert peaks == sorted(peaks, reverse=True)
        assert whole > peaks[0]


def test_what_was_not_counted_is_named():
    with pytest.raises(ModelError, match="no/such, 4bit, 20 frames of 640 px: not counted"):
        counted("no/such", "4bit", True, 20, 640)


def test_bench_writes_the_counts(tmp_path, monkeypatch, capsys):
    known = counts()[0]
    monkeypatch.setattr("stvg_lab.benchmark.released_memory.cases", lambda: [known])
    monkeypatch.setattr("stvg_lab.benchmark.released_memory.count", lambda case: replace(case))
    file = tmp_path / "counts.json"
    assert main(["bench", "--memory", "--counts", str(file)]) == 0
    assert json.loads(file.read_text()) == [known.__dict__]
    assert f"{known.peak / GB:.2f}" in capsys.readouterr().out
    assert main(["bench", "--counts", str(file)]) == 2
    assert "--counts: expected --memory" in capsys.readouterr().err


def test_the_name_of_a_board(tmp_path):
    file = tmp_path / "model"
    file.write_bytes(BOARD.encode() + b"\0")
    assert board_name(file) == BOARD
    assert board_name(tmp_path / "none") == ""


def test_the_doctor_names_the_preset(capsys, monkeypatch):
    monkeypatch.setattr("stvg_ros.cli.doctor.this_machine", lambda: board(12))
    assert main(["doctor", "--device", "cpu", "--machine"]) == 0
    out = capsys.readouterr().out
    assert "preset      jetson_orin_16gb.yaml" in out
    assert "-> params_file:=jetson_orin_16gb.yaml" in out
