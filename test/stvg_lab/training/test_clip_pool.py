# SPDX-License-Identifier: Apache-2.0

"""The process that renders training clips ends with its trainer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
    trainer = subprocess.Popen(
        [sys.executable, "-c", TRAINER], cwd=tmp_path, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert trainer.stdout is not None
    renderer = int(trainer.stdout.readline())
    assert runs(renderer)
    trainer.kill()
    trainer.wait()
    end = time.monotonic() + 120
    while runs(renderer) and time.monotonic() < end:
        time.sleep(0.1)
    assert not runs(renderer)
