# SPDX-License-Identifier: Apache-2.0

"""Training clips: their process ends with its trainer; those of a file are the same each time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from stvg_lab.training.clip_pool import ARRAYS, KeptPool

TRAINER = (
    "from stvg_lab.training.clip_pool import Pool; pool = Pool(8, 0);"
    "print(pool._process.pid, flush=True); input()"
)


def runs(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
def test_a_killed_trainer_leaves_no_process(tmp_path: Path) -> None:
    # Away from the checkout, whose ./stvg_ros would hide the installed package.
    with subprocess.Popen(
        [sys.executable, "-c", TRAINER], cwd=tmp_path, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as trainer:  # fmt: skip
        assert trainer.stdout is not None
        renderer = int(trainer.stdout.readline())
        assert runs(renderer)
        trainer.kill()
    end = time.monotonic() + 120
    while runs(renderer) and time.monotonic() < end:
        time.sleep(0.1)
    assert not runs(renderer)


@pytest.mark.slow
def test_clips_are_rendered_to_a_file_once(tmp_path: Path) -> None:
    file = tmp_path / "kept" / "clips.safetensors"
    first = KeptPool(file, 4, 0)
    written = file.stat().st_mtime_ns
    again = KeptPool(file, 9, 1)  # of a file neither size nor seed is asked
    assert file.stat().st_mtime_ns == written
    assert {name: tuple(a.shape[1:]) for name, a in first.arrays.items()} == {
        name: shape for name, (shape, _) in ARRAYS.items()
    }
    assert int(first.count[0]) == int(again.count[0]) == 3
    for name, array in load_file(file).items():
        assert torch.equal(first.arrays[name], array)
        assert torch.equal(again.arrays[name], array)
        assert array.dtype is ARRAYS[name][1]
    assert (first.arrays["shirts"] >= 0).any(1).all()  # every clip has a person
    drawn = first.draw(np.random.default_rng(0), 50)
    assert set(drawn.tolist()) == {0, 1, 2}
    assert drawn.tolist() == again.draw(np.random.default_rng(0), 50).tolist()
