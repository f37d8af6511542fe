# SPDX-License-Identifier: Apache-2.0

"""The demo's own part: a video, or a hard scene, as the camera."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import pytest

from stvg_lab.cli.demo import Material, _scene, _video
from stvg_lab.rendered.hard.hard_queries import hard_queries
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.queries import split_seed
from stvg_ros.cli.main import main
from stvg_ros.errors import RecordingError
from stvg_ros.io.video import write_video

BEGIN_NS = 10**18


def recorded(path: Path, count: int = 40, size: tuple[int, int] = (128, 72)) -> Path:
    rng = np.random.default_rng(2)
    pictures = (rng.integers(0, 255, (size[1], size[0], 3), np.uint8) for _ in range(count))
    write_video(path, pictures, [i * 10**8 for i in range(count)])
    return path


def read(path: Path, start_s: float = 0.0) -> tuple[Material, tuple[str, ...]]:
    return _video(path, start_s, "the person in red", BEGIN_NS)


def test_a_video_is_played_from_its_start_as_a_camera(tmp_path: Path) -> None:
    material, lost = read(recorded(tmp_path / "a.mp4"), 1.0)
    assert lost == ()
    stamps = [frame.stamp_ns for frame in material.frames]
    assert stamps[0] == BEGIN_NS
    assert stamps[-1] == BEGIN_NS + 29 * 10**8
    assert (material.frames[0].source_width_px, material.frames[0].source_height_px) == (128, 72)
    assert material.truth is None


def test_a_hard_scene_is_played_with_a_sentence_about_a_person() -> None:
    material = _scene("test-hard", 3, "", BEGIN_NS)
    scene = HardScene.from_seed(split_seed("test-hard", 3))
    queries = {one.text: one for one in hard_queries(scene, "test-hard", 3)}
    assert material.frames[0].stamp_ns == BEGIN_NS
    assert len(material.frames) == scene.frame_count
    query = queries[material.query]
    assert not query.of_things and query.target is not None
    assert material.truth is not None
    np.testing.assert_array_equal(material.truth.boxes_xyxy_px, scene.boxes_xyxy_px[query.target])


def test_what_a_damaged_video_lost_is_said(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a.mp4")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    at = packets[20].pos
    assert at is not None
    data[at : at + 400] = bytes(400)
    path.write_bytes(data)
    material, lost = read(path)
    assert 20 <= len(material.frames) < 40
    assert any("lost" in sentence for sentence in lost)


def test_a_video_that_ends_before_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no frames from 9 s"):
        read(recorded(tmp_path / "a.mp4"), 9.0)


def test_without_ros_it_says_so_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "rclpy", None)
    assert main(["demo", "--out", str(tmp_path / "out")]) == 2
    assert "rclpy is not installed here; source the workspace" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
