# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros latency`: the latency that a server adds, compared with the same model locally."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import tempfile
import time
from pathlib import Path

from stvg_ros.cli.options import add_model_arguments, flat_settings, whole
from stvg_ros.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument(
        "--address", default="", help="address of a server (default: starts one on this machine)"
    )
    parser.add_argument(
        "--frames", type=whole(1), default=20, help="frames of 640 x 480 (default 20)"
    )
    parser.add_argument(
        "--repeats", type=whole(1), default=20, help="commands of each kind (default 20)"
    )
    add_model_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Prints the medians of both and of the difference; frames are sent before the command."""
    settings = flat_settings(given)
    Config.from_flat(settings)
    with contextlib.ExitStack() as stack:
        address = given.address or _started(given, stack)
        settings |= {"backend": "remote", "remote.address": address}
        local_s, remote_s, sent = _measured(Config.from_flat(settings), given)
    added_s = [there - here for here, there in zip(local_s, remote_s, strict=True)]
    print(f"{given.frames} frames of 640 x 480, {given.repeats} commands each, alternating")
    for name, seconds in (("here", local_s), ("server", remote_s), ("added", added_s)):
        print(f"{name:<8}{1e3 * statistics.median(seconds):9.1f} ms median")
    print(f"a frame is {sent / 1e3:.1f} kB on the network, sent before the command")
    return 0


def _started(given: argparse.Namespace, stack: contextlib.ExitStack) -> str:
    """Starts a server on this machine, which the stack stops; returns its address."""
    from stvg_lab.live.processes import Child

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    arguments = ["serve", "--port", str(port), "--model", given.model, "--device", given.device]
    arguments += [f"--set={pair}" for pair in given.settings]
    child = Child("serve", "stvg_ros.cli.main", arguments, folder=folder, environment=os.environ)
    stack.enter_context(child)
    address = f"http://127.0.0.1:{port}"
    child.wait_for(f"serving at {address}", 600.0)
    return address


def _measured(config: Config, given: argparse.Namespace) -> tuple[list[float], list[float], float]:
    """Seconds of each local and remote command, and the size of a frame in bytes."""
    from stvg_lab.rendered.clips import scene_frames
    from stvg_lab.rendered.queries import scene_queries, split_seed
    from stvg_lab.rendered.scene import Scene
    from stvg_ros.build import build_local
    from stvg_ros.method.interfaces import Grounder
    from stvg_ros.serving.client import RemoteGrounder
    from stvg_ros.serving.image_codec import encoded
    from stvg_ros.types import Clip, Query

    scene = Scene.from_seed(split_seed("test", 0))
    clip = Clip(tuple(scene_frames(scene))[: given.frames])
    query = Query(next(q.text for q in scene_queries(scene) if q.target is not None))
    there = RemoteGrounder(config)
    both: tuple[Grounder, Grounder] = (build_local(config), there)
    times: tuple[list[float], list[float]] = ([], [])
    try:
        for grounder in both:  # the first command loads, and sends the frames
            grounder.ground(clip, query, lambda stage, share: None)
        for _ in range(given.repeats):
            for grounder, seconds in zip(both, times, strict=True):
                begin = time.perf_counter()
                grounder.ground(clip, query, lambda stage, share: None)
                seconds.append(time.perf_counter() - begin)
    finally:
        there.close()
    quality = config.remote.jpeg_quality
    sizes = [len(encoded(frame.image, quality)) for frame in clip.frames]
    return *times, statistics.mean(sizes)
