# SPDX-License-Identifier: Apache-2.0

"""The time from a command to the first target is measured on a node that follows a person."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")

from stvg_lab.live.follow_latency import main, played, to_and_fro
from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.queries import split_scene
from stvg_ros.errors import RecordingError, StvgError
from stvg_ros.io.video import write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered people, 10 images a second."""
    frames = tuple(scene_frames(split_scene("test", 7)))
    path = tmp_path_factory.mktemp("follow") / "people.mp4"
    write_video(path, [each.image for each in frames], [each.stamp_ns for each in frames])
    return path


def test_images_are_thinned_and_cut(video: Path) -> None:
    assert len(played(video, 0.0, 2.0, 10.0)) == 20
    assert len(played(video, 1.0, 2.0, 5.0)) == 5
    with pytest.raises(StvgError, match="--start 1000: expected a time within"):
        played(video, 1000.0, 1001.0, 10.0)
    with pytest.raises(RecordingError):
        played(Path(__file__), 0.0, 1.0, 10.0)


@pytest.mark.parametrize(("count", "order"), [(1, "0000000"), (2, "0101010"), (4, "0123210")])
def test_nobody_jumps_where_the_images_begin_anew(count: int, order: str) -> None:
    images = [np.full((1, 1, 3), number, np.uint8) for number in range(count)]
    shown = islice(to_and_fro(images), 7)
    assert "".join(str(image[0, 0, 0]) for image in shown) == order


def test_a_video_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "--video" in capsys.readouterr().err


@pytest.mark.slow
def test_the_times_of_a_node(video: Path) -> None:
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    words = ["--video", str(video), "--end", "8", "--commands", "2", "--query", "the person"]
    words += ["--ros-args", "-p", "proposals.people_detector:=embedded"]  # people are rendered
    words += ["-p", "presence.enabled:=false"]
    done = subprocess.run(
        [sys.executable, *safe, "-m", "stvg_lab.live.follow_latency", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"command to the first target [\d.]+ s median", done.stdout), done.stdout
