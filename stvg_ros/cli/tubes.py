# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros tubes VIDEO`: lists the candidate tubes of a video."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from stvg_ros.cli.options import add_model_arguments, at_least, config_of, whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("video", type=Path, help="a video file, or a rosbag2 bag")
    parser.add_argument("--topic", help="image topic of the bag (default: its only camera)")
    parser.add_argument(
        "--query", default="the person", help="the objects that open_vocabulary detects"
    )
    parser.add_argument("--start", type=at_least(0), default=0.0, help="from this second")
    parser.add_argument("--end", type=at_least(0, above=True), help="up to this second")
    parser.add_argument("--out", type=Path, help="PNG file of frames with the tubes")
    parser.add_argument("--json", type=Path, help="JSON file with the tubes' boxes and stamps")
    parser.add_argument("--columns", type=whole(1), default=3, help="frames per row")
    parser.add_argument("--rows", type=whole(1), default=2, help="frames per column")
    add_model_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Prints a table of the tubes and their run time; 0 even if there are none."""
    config = config_of(given)
    from stvg_ros.build import build_proposer, embedded_limits
    from stvg_ros.io.clip import file_clip
    from stvg_ros.io.outputs import check_outputs, output, write_json_output
    from stvg_ros.io.read_report import ReadReport
    from stvg_ros.io.tube_json import tubes_to_json
    from stvg_ros.method.query import RuleSplitter

    check_outputs("tubes", [path for path in (given.out, given.json) if path is not None])
    report = ReadReport()
    clip = file_clip(
        given.video, start_s=given.start, end_s=given.end,
        long_side_px=config.window.long_side_px, max_rate_hz=config.window.max_rate_hz,
        topic=given.topic, report=report,
    )  # fmt: skip
    for sentence in report.sentences:
        print(f"stvg-ros tubes: {sentence}", file=sys.stderr)
    limit = embedded_limits(config).get("proposals.people_detector")
    if limit:
        print(f"note: {limit}", file=sys.stderr)
    proposer = build_proposer(config.proposals)
    begin = time.perf_counter()
    for frame in clip.frames:
        proposer.observe(frame)
    observed = time.perf_counter()
    tubes = proposer.propose(clip, RuleSplitter().split(given.query))
    done = time.perf_counter()
    times_s = (clip.stamps_ns - clip.stamps_ns[0]) / 1e9
    print(f"{'tube':>4} {'from [s]':>9} {'to [s]':>8} {'boxes':>6} {'detected':>9} {'score':>6}")
    for tube in tubes:
        frames = np.flatnonzero(tube.present)
        detected = 1 - tube.interpolated[frames].mean()
        print(
            f"{tube.track_id:>4} {times_s[frames[0]]:>9.1f} {times_s[frames[-1]]:>8.1f} "
            f"{len(frames):>6} {detected:>9.0%} {tube.score:>6.2f}"
        )
    print(
        f"{len(tubes)} tubes on {len(clip)} images by '{proposer.name}': "
        f"{(observed - begin) / len(clip) * 1e3:.1f} ms per image on arrival, "
        f"{done - observed:.2f} s per command"
    )
    if given.json is not None:
        write_json_output("tubes", given.json, tubes_to_json(clip, tubes, proposer.name))
    if given.out is not None:
        from stvg_ros.visualization.contact_sheet import write_png
        from stvg_ros.visualization.tube_sheet import tube_sheet

        with output("tubes", given.out) as path:
            write_png(path, tube_sheet(clip, tubes, given.columns, given.rows))
    return 0
