# SPDX-License-Identifier: Apache-2.0

"""The commands and the node on every checkpoint of published files, and on every family's class."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
import tiny_models
import torch
from published import rehearsed
from ros_tools import context, start
from sensor_msgs.msg import Image
from tiny_datasets import write_scene

from stvg_ros import msg
from stvg_ros.build import build_grounder
from stvg_ros.cli.main import main
from stvg_ros.io.clip import file_clip
from stvg_ros.models.families import FAMILIES
from stvg_ros.node.conversions import time_message
from stvg_ros.types import Frame

__all__ = ["context", "start"]  # fixtures

torch.set_num_threads(1)
FRAMES = 4
SHORT = [
    "--end", "1", "--device", "cpu", "--set", f"sampling.frames={FRAMES}",
    "--set", "window.max_rate_hz=5", "--set", "evidence.sources=attention",
]  # fmt: skip
WALKER = "the person in red who walks to the left"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "scene.mp4"
    write_scene(path, 7)
    return path


def image_message(frame: Frame) -> Image:
    height, width = frame.image.shape[:2]
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.header.stamp = time_message(frame.stamp_ns)
    message.data.frombytes(frame.image.tobytes())
    return message


def grounded(video: Path, folder: Path, out: Path, title: str) -> None:
    """Runs `stvg-ros ground`: all stages, with a tube and evidence of the model."""
    arguments = ["ground", str(video), WALKER, "--model", str(folder), "--out", str(out)]
    assert main([*arguments, *SHORT, "--set", "presence.enabled=false"]) == 0
    answer = json.loads((out / "tube.json").read_text())
    tube, evidence = answer["tubes"][0], answer["evidence"]  # random weights may read "all"
    assert (tube["status"], tube["model"]) == ("found", folder.name), tube
    stages = {"split", "propose", "encode", "forward pass", "reversed pass", "re-attend", "attend"}
    assert stages <= set(tube["timings_s"])
    assert math.isfinite(tube["score"]) and tube["boxes"]
    assert len(evidence["stamps_ns"]) == FRAMES
    assert all(map(math.isfinite, evidence["margins"]))
    crops = "the model sees the middle of the images only (75 % x 100 %)"
    assert (crops in tube["warning"]) == (title == "LLaVA-NeXT-Video")


def tubes_listed(video: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs `stvg-ros tubes`."""
    capsys.readouterr()
    assert main(["tubes", str(video), "--model", str(folder), *SHORT]) == 0
    assert "tube" in capsys.readouterr().out


def test_ground_and_tubes_on_published_files(
    folder: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    grounded(video, folder, tmp_path, FAMILIES[kind].title)
    tubes_listed(video, folder, capsys)


PUBLISHED = [
    "qwen2_5_vl", "qwen2_vl", "qwen3_vl", "v5_saved_processor", "llava_next_video_32k",
    "qwen3_5_moe",
]  # fmt: skip
# All of them take a minute: STVG_ROS_ALL_FOLDERS=1 pytest test/rehearsal/test_commands.py -k node
EVERY = [("published", name) for name in PUBLISHED] + [("class", kind) for kind in FAMILIES]
NODE_ON = EVERY if os.environ.get("STVG_ROS_ALL_FOLDERS") else EVERY[:1]


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize(("files", "name"), NODE_ON)
def test_the_node_and_the_doctor(
    files: str,
    name: str,
    video: Path,
    start: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Over DDS: images and a command in, a tube of the model out."""
    folder = tmp_path / name
    if files == "published":
        rehearsed(name, folder)
    else:
        tiny_models.save(name, FAMILIES[name].class_name, folder)
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    values = {"model.path": str(folder), "model.device": "cpu", "sampling.frames": FRAMES}
    values |= {"presence.enabled": False, "evidence.sources": "attention"}
    node = start(build_grounder, **values)
    for frame in file_clip(video, start_s=0, end_s=1, long_side_px=640, max_rate_hz=5).frames:
        message = image_message(frame)
        before = sum(node.node.window.counts.values())
        node.client.images.publish(message)
        node.until(lambda before=before: sum(node.node.window.counts.values()) > before)
    tube = node.say(WALKER)
    assert (tube.status, tube.model) == (msg.Tube.FOUND, folder.name), tube.error
    assert {"forward pass", "re-attend"} <= {item.stage for item in tube.timings}
    camera = node.client.create_timer(0.1, lambda: node.client.images.publish(message))
    code = main(["doctor", "--model", str(folder), "--device", "cpu", "--seconds", "0.5"])
    camera.destroy()
    printed = capfd.readouterr().out
    assert not code, printed
    assert f"{folder}: {FAMILIES[kind].title}" in printed


@pytest.mark.parametrize("kind", FAMILIES)
def test_ground_and_tubes_on_the_class_of_each_family(
    kind: str, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tiny_models.save(kind, FAMILIES[kind].class_name, tmp_path / "model")
    grounded(video, folder, tmp_path, FAMILIES[kind].title)
    tubes_listed(video, folder, capsys)
