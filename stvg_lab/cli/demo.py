# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros demo`: runs camera, node and client as separate processes on ROS 2."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stvg_lab.live.processes import Child
from stvg_lab.runs.scores import FrameTube
from stvg_ros.cli.options import (
    add_model_arguments,
    at_least,
    check_ros,
    flat_settings,
    reading_progress,
    whole,
)
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.io.outputs import check_outputs, claim_outputs, output
from stvg_ros.setting import Value
from stvg_ros.types import Frame, Status

IMAGE_TOPIC = "/grounding/image"
# Contents of --out: files that change during the demo, the recording, the drawings at the end.
CHANGING = ("tube.json", "node.log", "client.log", "player.log")
BAG, PICTURES = "bag", ("contact_sheet.png", "annotated.mp4")
VIDEO_S = 10.0  # duration of the played part of a video
VIDEO_LONG_SIDE_PX = 960

Step = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--seed", type=whole(0), default=7, help="which scene is rendered")
    parser.add_argument(
        "--split", choices=("test", "test-hard"), default="test", help="of the rendered scene"
    )
    parser.add_argument("--video", type=Path, help="a video file instead of a rendered scene")
    parser.add_argument("--query", default="", help="the command (default: one for the scene)")
    parser.add_argument(
        "--start", type=at_least(0), default=0.0, help=f"first of the video's {VIDEO_S:g} seconds"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="folder for bag, logs and results"
    )
    parser.add_argument(
        "--rate", type=at_least(0, above=True), default=1.0, help="times the recorded pace"
    )
    parser.add_argument(
        "--timeout", type=at_least(0, above=True), default=300.0,
        help="longest wait in seconds for the model, and again for the answer",
    )  # fmt: skip
    add_model_arguments(parser)


@dataclass(frozen=True, eq=False)
class Material:
    """Input of the demo: frames from `start_ns` on, the command, the truth if it is known."""

    frames: tuple[Frame, ...]
    query: str
    about: str
    truth: FrameTube | None


def run(given: argparse.Namespace) -> int:
    """Runs the demo; 0 if the node answered without a failure."""
    values = flat_settings(given)
    if given.video is None:
        values.setdefault("proposals.source", "people_detector")
        values.setdefault("proposals.people_detector", "embedded")  # detects rendered people
    config = Config.from_flat(values)
    query = " ".join(given.query.split())
    if given.video is not None and not query:
        raise ConfigError("--query: say what to find in the video, such as 'the person who waves'")
    check_ros()
    out = given.out.resolve()
    check_outputs("demo", [out / name for name in (*CHANGING, BAG, *PICTURES)])
    claim_outputs("demo", [out / name for name in CHANGING])
    begin_s = time.monotonic()

    def step(text: str) -> None:
        print(f"[{time.monotonic() - begin_s:6.1f} s] {text}", flush=True)

    if given.video is not None:
        from stvg_ros.build import embedded_limits

        for limit in embedded_limits(config).values():
            step(f"note: {limit}")
    start_ns = time.time_ns()
    step("preparing the camera images")
    if given.video is None:
        material = _scene(given.split, given.seed, query, start_ns)
    else:
        material, lost = _video(given.video, given.start, query, start_ns)
        for sentence in lost:
            step(f"note: {sentence}")
    bag = _bag(out, material)
    step(f"{material.about}: {len(material.frames)} images in {bag}")
    answer = _loop(given, values, material, bag, step)
    return _report(out, material, answer, step)


def _scene(split: str, seed: int, query: str, start_ns: int) -> Material:
    from stvg_lab.rendered.clips import scene_frames, scene_truth
    from stvg_lab.rendered.hard.hard_queries import hard_queries
    from stvg_lab.rendered.hard.hard_scene import HardScene
    from stvg_lab.rendered.queries import SceneQuery, scene_queries, split_seed
    from stvg_lab.rendered.scene import STAND, Scene

    try:
        number = split_seed(split, seed)
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    scene: Scene | HardScene
    queries: Sequence[SceneQuery]
    if split == "test-hard":
        scene = HardScene.from_seed(number)
        queries = [one for one in hard_queries(scene, split, seed) if not one.of_things]
    else:
        scene = Scene.from_seed(number)
        queries = scene_queries(scene)
    frames = tuple(scene_frames(scene, start_ns))
    about = f"rendered scene {seed}"
    if query:
        return Material(frames, query, about, None)
    asked = [
        item
        for item in queries
        if item.kind == "command" and item.target is not None and item.act != STAND
    ]
    asked = asked or [item for item in queries if item.target is not None]
    chosen = asked[int(np.random.default_rng(seed).integers(len(asked)))]
    return Material(frames, chosen.text, about, scene_truth(scene, chosen))


def _video(
    path: Path, start_s: float, query: str, start_ns: int
) -> tuple[Material, tuple[str, ...]]:
    """The played part of a video, and what of it could not be read."""
    from stvg_ros.io.clip import file_clip
    from stvg_ros.io.read_report import ReadReport

    end_s, report = start_s + VIDEO_S, ReadReport()
    with reading_progress(end_s) as progress:
        clip = file_clip(
            path, start_s=start_s, end_s=end_s, long_side_px=VIDEO_LONG_SIDE_PX, max_rate_hz=15.0,
            report=report, progress=progress,
        )  # fmt: skip
    first_ns = clip.frames[0].stamp_ns
    # The scaled image is published as the camera's, so it is the source.
    frames = tuple(
        replace(
            frame,
            stamp_ns=frame.stamp_ns - first_ns + start_ns,
            source_width_px=frame.image.shape[1],
            source_height_px=frame.image.shape[0],
        )
        for frame in clip.frames
    )
    return Material(frames, query, f"{path.name} from {start_s:g} s", None), report.sentences


def _bag(out: Path, material: Material) -> Path:
    """Writes the recording to `out/bag`, and replaces an earlier demo's."""
    from tqdm import tqdm

    from stvg_ros.io.bag import write_bag

    frames = tqdm(material.frames, "writing the bag", leave=False, disable=None, unit="image")
    with output("demo", out / BAG) as bag:
        write_bag(bag, frames, topic="/camera/image")
    return out / BAG


def _parameters(values: dict[str, Value], duration_s: float) -> list[str]:
    """The node's parameters as ROS arguments; the window holds the whole recording.

    Images of a megabyte are sent in fragments: on a busy machine best effort loses most of them,
    so the demo uses reliable transport.
    """
    wanted: dict[str, Value] = {
        "window.duration_s": round(duration_s + 2.0, 3),
        "image.qos": "reliable",
        **values,
    }
    pairs = []
    for name, value in wanted.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        pairs += ["-p", f"{name}:={text}"]
    return ["--ros-args", *pairs]


def _loop(
    given: argparse.Namespace, values: dict[str, Value], material: Material, bag: Path, step: Step
) -> dict[str, Any]:
    """Runs node, player and client until the answer arrives."""
    out = bag.parent
    answer = out / "tube.json"
    answer.unlink(missing_ok=True)
    environment = {
        **os.environ,
        # A separate domain: no interference with other robots on the network.
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 100),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    duration_s = (material.frames[-1].stamp_ns - material.frames[0].stamp_ns) / 1e9
    with ExitStack() as stack:

        def start(name: str, module: str, arguments: list[str]) -> Child:
            child = Child(name, module, arguments, folder=out, environment=environment)
            return stack.enter_context(child)

        step(f"starting the node (log in {out / 'node.log'}) and the commander")
        node = start("node", "stvg_ros.node.main", _parameters(values, duration_s))
        client = start(
            "client", "stvg_lab.live.demo_client",
            ["--query", material.query, "--out", str(answer)],
        )  # fmt: skip
        client.wait_for("ready", given.timeout, [node])
        step(f"the node is ready; playing the bag, {duration_s / given.rate:.1f} s")
        player = start(
            "player", "stvg_lab.live.bag_player",
            [str(bag), "--topic", IMAGE_TOPIC, "--rate", str(given.rate)],
        )  # fmt: skip
        if player.wait(duration_s / given.rate + 60, [node, client]) != 0:
            raise player.failure("could not play the bag")
        step(f'the window is full; command: "{material.query}"')
        client.tell("go")
        client.wait_for("sent", 30, [node])
        sent_s = time.monotonic()
        client.wait_for("answered", given.timeout, [node])
        step(f"answer after {time.monotonic() - sent_s:.2f} s")
    result: dict[str, Any] = json.loads(answer.read_text())
    return result


def _report(out: Path, material: Material, answer: dict[str, Any], step: Step) -> int:
    """Prints the tube and its score, and writes the images."""
    from stvg_lab.runs.conventions import scored
    from stvg_lab.runs.scores import on_clip
    from stvg_ros.io.tube_json import evidence_from_json, table, tube_from_json
    from stvg_ros.types import Clip
    from stvg_ros.visualization.contact_sheet import contact_sheet, write_png
    from stvg_ros.visualization.movie import write_movie

    tube = tube_from_json(answer["tube"])
    evidence = evidence_from_json(answer["evidence"]) if answer["evidence"] else None
    clip = Clip(material.frames)
    stamps_ns = clip.stamps_ns
    print("\n" + table(tube, int(stamps_ns[0])))
    truth = None
    if material.truth is not None and material.truth.span.any():
        truth = (stamps_ns[material.truth.span], material.truth.boxes_xyxy_px[material.truth.span])
        result = scored(on_clip(tube, stamps_ns), material.truth)
        start_s, end_s = (truth[0][[0, -1]] - stamps_ns[0]) / 1e9
        print(
            f"truth       {start_s:.2f} s to {end_s:.2f} s; "
            f"vIoU {result.v_iou:.2f}, tIoU {result.t_iou:.2f}"
        )
    print()
    sheet, movie = (out / name for name in PICTURES)
    with output("demo", sheet) as path:
        write_png(path, contact_sheet(clip, tube, evidence, truth=truth))
    with output("demo", movie) as path:
        write_movie(path, clip, tube)
    step(f"written to {out}: contact_sheet.png, annotated.mp4, tube.json")
    return 1 if tube.status == Status.FAILED else 0
