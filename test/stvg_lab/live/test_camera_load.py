# SPDX-License-Identifier: Apache-2.0

"""The load of a camera is measured without a failing command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")


@pytest.mark.slow
def test_commands_wait_for_the_model_and_for_the_first_image():
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    done = subprocess.run(
        [sys.executable, *safe, "-m", "stvg_lab.live.camera_load", "--seconds", "1"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr, done.stderr
    assert "image callback" in done.stdout
    assert "no answer at rest" not in done.stdout
