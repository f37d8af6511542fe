"""`stvg-ros bench`: seconds per stage of a grounding, and what a 1080p camera costs the node."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile

import numpy as np

from stvg_ros.cli.options import add_model_arguments, config_of, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--seed", type=whole(0), default=0, help="which scene is rendered")
    parser.add_argument("--repeats", type=whole(1), default=5, help="groundings (default 5)")
    add_model_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Prints the median and the slowest time of every stage."""
    config = config_of(given)
    from stvg_ros.build import build_grounder
    from stvg_ros.evaluation.clips import scene_frames
    from stvg_ros.evaluation.synthetic.queries import scene_queries, split_seed
    from stvg_ros.evaluation.synthetic.scene import Scene
    from stvg_ros.types import Clip, Query

    scene = Scene.from_seed(split_seed("test", given.seed))
    clip = Clip(tuple(scene_frames(scene)))
    query = Query(next(q.text for q in scene_queries(scene) if q.target is not None))
    grounder = build_grounder(config)
    grounder.ground(clip, query, lambda stage, share: None)  # the first run loads and compiles
    times: dict[str, list[float]] = {}
    for _ in range(given.repeats):
        best = grounder.ground(clip, query, lambda stage, share: None).best
        for stage, seconds in (*best.timings_s.items(), ("total", sum(best.timings_s.values()))):
            times.setdefault(stage, []).append(seconds)
    print(
        f"{len(clip)} frames of {clip.size_px[0]} x {clip.size_px[1]}, {given.repeats} groundings"
    )
    print(f"{'stage':<12}{'median':>10}{'slowest':>10}")
    for stage, seconds_of in times.items():
        print(f"{stage:<12}{np.median(seconds_of):8.3f} s{max(seconds_of):8.3f} s", flush=True)
    if importlib.util.find_spec("rclpy") is None:
        print("no ROS 2 here, so the node is not measured")
        return 0
    # Away from a checkout, whose ./stvg_ros would hide the installed package.
    domain = {**os.environ, "ROS_DOMAIN_ID": str(1 + os.getpid() % 100)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "stvg_ros.node.image_bench"]
        return subprocess.run(command, cwd=folder, env=domain, check=False).returncode
