# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros bench`: cost of a grounding, compared with a slow schedule and the FLOP floor."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from stvg_ros.cli.options import add_model_arguments, config_of, whole
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from stvg_ros.models.hf_common import HfMllm

SHAPES = ("none", "small", "0.5b", "2b", "3b", "7b")
GRID = (8, 9)  # tokens of a slot: 720 for 20 frames, as in the paper
CHART = "scaling.png"
FRAMES = (10, 20, 40, 80)
WINDOW_GRID = (19, 34)  # of a window's images of 960 x 540
CARD = 24e9  # bytes
HOWS = ("whole", "recomputed", "4 bits", "4 bits recomputed")
GRIDS = ((4, 5), (6, 6), (8, 9), (11, 13), (16, 18))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--seed", type=whole(0), default=0, help="which scene is rendered")
    parser.add_argument("--repeats", type=whole(1), default=5, help="groundings (default 5)")
    parser.add_argument(
        "--shape", choices=SHAPES, default="small",
        help="language model of the side by side, at random weights (default small)",
    )  # fmt: skip
    parser.add_argument("--frames", type=whole(1), default=20, help="frames T of the side by side")
    parser.add_argument(
        "--decode", type=whole(1), default=5, help="tokens that the slow schedule generates"
    )
    parser.add_argument(
        "--scaling", action="store_true", help="also draw seconds over frames and resolution"
    )
    parser.add_argument(
        "--memory", action="store_true",
        help="only count the bytes of --shape with a released vision tower; needs no GPU",
    )  # fmt: skip
    parser.add_argument(
        "--counts", type=Path, metavar="FILE",
        help="with --memory: only count released checkpoints at the sizes of the presets, and "
        "write the bytes as JSON (stvg_ros/models/counted_memory.json)",
    )  # fmt: skip
    parser.add_argument(
        "--split", action="store_true",
        help="only the cost of splitting commands by the MLLM: --shape, or with none the model",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("out/bench"), help="folder of the chart (out/bench)"
    )
    add_model_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Prints the tables, one part after another."""
    if given.counts is not None:
        if not given.memory:
            raise ConfigError("--counts: expected --memory with it")
        write_counts(given.counts)
        return 0
    if given.memory:
        print_memory("7b" if given.shape == "none" else given.shape, given.frames)
        return 0
    config = config_of(given)
    if given.split:
        print_splits(config, given.shape)
        return 0
    if given.scaling:
        from stvg_ros.io.outputs import check_outputs

        check_outputs("bench", [given.out / CHART])
    print_stages(config, given.seed, given.repeats)
    if given.shape != "none":
        mllm = random_model(given.shape, config)
        print_side_by_side(mllm, given.frames, given.decode)
        print_split_costs(mllm)
        if given.scaling:
            draw_scaling(mllm, given.out)
    if importlib.util.find_spec("rclpy") is None:
        print("ROS 2 is not installed, so the node is not measured")
        return 0
    # Outside a checkout, whose ./stvg_ros would hide the installed package.
    domain = {**os.environ, "ROS_DOMAIN_ID": str(1 + os.getpid() % 100)}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "stvg_lab.live.camera_load"]
        return subprocess.run(command, cwd=folder, env=domain, check=False).returncode


def print_stages(config: Config, seed: int, repeats: int) -> None:
    """Time, arithmetic and memory of the configured model on a rendered scene."""
    from stvg_lab.benchmark.measuring import matmul_rate
    from stvg_lab.benchmark.stages import stages
    from stvg_lab.rendered.clips import scene_frames
    from stvg_lab.rendered.queries import scene_queries, split_seed
    from stvg_lab.rendered.scene import Scene
    from stvg_ros.build import build_local
    from stvg_ros.types import Clip, Query

    scene = Scene.from_seed(split_seed("test", seed))
    clip = Clip(tuple(scene_frames(scene)))
    query = Query(next(q.text for q in scene_queries(scene) if q.target is not None))
    device, dtype = placed(config)
    rows, held = stages(build_local(config), clip, query, repeats, device)
    rate = matmul_rate(device, dtype, 1024)
    print(f"{len(clip)} frames of {clip.size_px[0]} x {clip.size_px[1]}, {repeats} groundings")
    print(
        f"{'stage':<14}{'median':>10}{'slowest':>10}{'GFLOP':>10}{'floor':>12}{'ratio':>8}"
        f"{'tokens':>8}"
    )
    for row in rows:
        floor_s = row.flops / rate
        ratio = f"{row.median_s / floor_s:8.1f}" if row.flops else f"{'-':>8}"
        print(
            f"{row.name:<14}{row.median_s:8.3f} s{row.slowest_s:8.3f} s{row.flops / 1e9:10.3f}"
            f"{floor_s:10.4f} s{ratio}{row.tokens or '-':>8}"
        )
    print(f"floor: products at {rate / 1e9:.0f} GFLOP/s here; {held / 2**20:.0f} MiB held\n")


def print_side_by_side(mllm: HfMllm, frames: int, decode: int) -> None:
    """This package's schedule and the slow one on the same weights."""
    import torch

    from stvg_lab.benchmark.measuring import matmul_rate
    from stvg_lab.benchmark.side_by_side import side_by_side

    found = side_by_side(mllm, frames, GRID, decode)
    model = mllm.checkpoint.model
    rate = matmul_rate(model.device, model.dtype, model.config.text_config.hidden_size)
    layers, width = len(model.get_decoder().layers), model.config.text_config.hidden_size
    print(
        f"{mllm.name}: {layers} layers of width {width}, {model.dtype} on {model.device}; "
        f"{frames} frames, {found.visual_tokens} visual tokens"
    )
    columns = ("prefills", "backward", "decodes", "passes", "TFLOP", "time", "held", "attention")
    print(f"{'':<14}" + "".join(f"{name:>10}" for name in columns))
    for name, side in (("this package", found.ours), ("slow schedule", found.slow)):
        print(
            f"{name:<14}{side.prefills:10}{side.backward:10}{side.decodes:10}"
            f"{side.flops / found.pass_flops:10.1f}{side.flops / 1e12:10.3f}"
            f"{side.seconds:8.2f} s{side.peak_bytes / 2**20:6.0f} MiB"
            f"{side.map_bytes / 2**20:6.1f} MiB"
        )
    ours, slow = found.ours, found.slow
    print(
        f"{slow.seconds / ours.seconds:.1f} times faster, {slow.flops / ours.flops:.1f} times less "
        f"arithmetic; maps differ by {found.difference:.1e} of their peak\n"
        f"passes: arithmetic over that of one prefill; held: memory above weights and video; "
        f"attention: rows x N of a layer here, N x N of all layers there; on a CPU the time is "
        f"what this process computed, over its {torch.get_num_threads()} threads\n"
        f"floor {ours.flops / rate:.2f} s at {rate / 1e9:.0f} GFLOP/s, so this package takes "
        f"{ours.seconds * rate / ours.flops:.1f} times the floor\n"
    )


def print_splits(config: Config, shape: str) -> None:
    """The cost of a split by a random model of `shape`, or by the configured model."""
    if shape != "none":
        print_split_costs(random_model(shape, config))
        return
    from stvg_ros.models import load_mllm
    from stvg_ros.models.hf_common import HfMllm

    mllm = load_mllm(config.model, config.attention)
    assert isinstance(mllm, HfMllm)
    print_split_costs(mllm)


def print_split_costs(mllm: HfMllm) -> None:
    """Tokens, arithmetic and time of splitting three sentences by the MLLM."""
    from stvg_lab.benchmark.splitting import SENTENCES, split_costs

    print(
        f"{mllm.name}: commands split by the MLLM; the first includes the examples, kept after it"
    )
    print(f"{'sentence':<64}{'tokens':>8}{'TFLOP':>9}{'time':>10}")
    for sentence, cost in zip(SENTENCES, split_costs(mllm), strict=True):
        flop = cost.flops / 1e12
        print(f"{sentence:<64}{cost.tokens:8}{flop:9.3f}{cost.seconds:8.2f} s")
    print()


def print_memory(shape: str, frames: int) -> None:
    """Counts the memory of a grounding in bfloat16, and compares a count with a measurement."""
    import torch

    from stvg_lab.benchmark.grounding_memory import allocated_peak, memory_use, quantized
    from stvg_lab.benchmark.random_models import TOWERS, random_mllm
    from stvg_lab.benchmark.side_by_side import CountingMllm, grounded, noise

    meta, whole = torch.device("meta"), torch.bfloat16
    print(f"language model {shape} in bfloat16, {frames} frames; GB, above the weights but for the")
    print("first and the last two columns; counted on shapes, not measured")
    columns = ("weights", "tower", "keys", "graph", "tuning", "attend", "peak", "below 24")
    print(f"{'vision tower':<13}{'tokens':>7}  {'how':<17}" + "".join(f"{c:>9}" for c in columns))
    for name, tower in TOWERS.items():
        for grid in (GRID, WINDOW_GRID):
            for how in HOWS:
                mllm = random_mllm(shape, meta, whole, tower, how.endswith("recomputed"))
                use = memory_use(quantized(mllm, 4) if "4" in how else mllm, frames, grid)
                parts = (use.weights, use.tower, use.keys, use.graph, use.tuning, use.attending)
                print(
                    f"{name:<13}{use.visual_tokens:7}  {how:<17}"
                    + "".join(f"{part / 1e9:9.2f}" for part in (*parts, use.peak))
                    + f"{'yes' if use.peak < CARD else 'no':>9}"
                )
    # The same count where it can be measured: the package's small shape in float32 on this CPU.
    counted = memory_use(random_mllm("small", meta, torch.float32), frames, GRID)
    mllm, clip = random_mllm("small", torch.device("cpu"), torch.float32), noise(frames, GRID)
    visual = mllm.encode([frame.image for frame in clip.frames])
    held = allocated_peak(lambda: grounded(CountingMllm(mllm), clip, visual))
    held += visual.features.nbytes
    print(
        f"small in float32: counted {counted.tuning / 1e6:.1f} MB above the weights, allocated "
        f"here {held / 1e6:.1f} MB, ratio {counted.tuning / held:.3f}; the host waits "
        f"{counted.reads} times for the device"
    )


def write_counts(path: Path) -> None:
    """Counts released checkpoints, prints the counts and writes them."""
    from stvg_lab.benchmark.released_memory import cases, count
    from stvg_ros.io.outputs import new_content

    rows = []
    print("GB, counted on shapes, not measured")
    header = ("frames", "pixels", "weights", "peak")
    print(f"{'checkpoint':<30}{'weights in':<22}" + "".join(f"{name:>9}" for name in header))
    for case in cases():
        found = count(case)
        how = found.weights_in + (", recomputed" if found.recomputed else "")
        print(
            f"{found.checkpoint:<30}{how:<22}{found.frames:>9}{found.long_side_px:>9}"
            f"{found.weights / 1e9:>9.2f}{found.peak / 1e9:>9.2f}",
            flush=True,
        )
        rows.append(json.dumps(asdict(found)))
    with new_content(path) as part:
        part.write_text("[\n" + ",\n".join(rows) + "\n]\n", encoding="utf-8")


def draw_scaling(mllm: HfMllm, folder: Path) -> None:
    """Time over visual tokens, for more frames and for a finer grid."""
    import cv2

    from stvg_lab.benchmark.plot import chart
    from stvg_lab.benchmark.side_by_side import model_seconds
    from stvg_ros.io.outputs import write_output

    lines = []
    for name, points in (
        (f"frames at {GRID[0]} x {GRID[1]} tokens", [(frames, GRID) for frames in FRAMES]),
        ("resolution at 20 frames", [(20, grid) for grid in GRIDS]),
    ):
        line = []
        for frames, grid in points:
            tokens, seconds = model_seconds(mllm, frames, grid)
            label = str(frames) if len({g for _, g in points}) == 1 else f"{grid[0]} x {grid[1]}"
            line.append((float(tokens), seconds, label))
            print(
                f"{frames:4} frames of {grid[0]:2} x {grid[1]:2}: {tokens:6} tokens{seconds:9.2f} s"
            )
        lines.append((name, line))
    first = lines[0][1][1]
    most = max(x for _, line in lines for x, _, _ in line)
    lines.append(("linear in tokens", [(0.0, 0.0, ""), (most, first[1] * most / first[0], "")]))
    device = mllm.checkpoint.model.device
    image = chart(f"{mllm.name} on {device}", "visual tokens", "seconds a grounding", lines)
    file = folder / CHART
    write_output("bench", file, cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    print(f"wrote {file}\n")


def random_model(shape: str, config: Config) -> HfMllm:
    """A model with random weights, on the configured device."""
    from stvg_lab.benchmark.random_models import random_mllm

    return random_mllm(shape, *placed(config))


def placed(config: Config) -> tuple[torch.device, torch.dtype]:
    """Device and precision of the configuration."""
    from stvg_ros.checkpoints.devices import devices_of
    from stvg_ros.models.loading import dtype_of

    device = devices_of(config.model.device, "model.device")[0]
    return device, dtype_of(config.model.dtype, device)
