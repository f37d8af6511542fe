# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros ground VIDEO QUERY`: one command on a file, without ROS."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from stvg_ros.cli.options import add_model_arguments, at_least, config_of, reading_progress
from stvg_ros.cli.recording_follower import FollowedBox, follow_table, followed, later_frames
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.types import Clip, Grounding, Query, Status

NAME = "stvg_ros ground"  # of a recording in the viewer Rerun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("video", type=Path, help="a video file, or a rosbag2 bag")
    parser.add_argument("--topic", help="image topic of the bag (default: its only camera)")
    parser.add_argument("query", help="what to find: 'the person in red who waves'")
    parser.add_argument(
        "--start", type=at_least(0), help="from this second (default: the last window.duration_s)"
    )
    parser.add_argument("--end", type=at_least(0, above=True), help="up to this second")
    parser.add_argument(
        "--follow", action="store_true",
        help="also follow the found target through the images after --end",
    )  # fmt: skip
    parser.add_argument("--targets", type=int, default=1, help="maximum number of tubes")
    parser.add_argument("--out", type=Path, help="folder for --sheet, --video and tube.json")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--sheet", action="store_true", help="write OUT/contact_sheet.png")
    parser.add_argument("--video", action="store_true", dest="movie", help="write annotated.mp4")
    parser.add_argument(
        "--picture", action="store_true", help="write OUT/target.jpg, and add it to the JSON"
    )
    parser.add_argument("--rrd", type=Path, help="write a recording for the viewer Rerun")
    parser.add_argument("--rerun", metavar="HOST:PORT", help="send the same to a running viewer")
    add_model_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Grounds the query; 0 for an answer (found or not), 1 for a failure."""
    config = config_of(given)
    query = Query(given.query, max_targets=given.targets, picture=given.picture)
    _check(given)
    from stvg_ros.build import build_grounder, embedded_limits
    from stvg_ros.io.tube_json import evidence_to_json, tube_to_json

    clip = _clip(given, config)
    limit = embedded_limits(config).get("proposals.people_detector")
    if limit:
        print(f"note: {limit}", file=sys.stderr)
    grounder = build_grounder(config)

    def show(stage: str, progress: float) -> None:
        if sys.stderr.isatty():
            print(f"\r{progress:4.0%} {stage:<12}", end="", file=sys.stderr, flush=True)

    grounding = grounder.ground(clip, query, show)
    if sys.stderr.isatty():
        print("\r" + " " * 20 + "\r", end="", file=sys.stderr)
    answer = {
        "tubes": [tube_to_json(tube) for tube in grounding.tubes],
        "evidence": evidence_to_json(grounding.evidence) if grounding.evidence else None,
        "text": grounding.text,
        "number": grounding.number,
    }
    later: list[FollowedBox] | None = None
    if given.follow and grounding.best.status is Status.FOUND:
        frames = later_frames(given.video, given.topic, given.end, config.window)
        lost_s = config.follow.lost_s
        later = list(followed(grounder.proposer, clip, grounding.best, frames, lost_s))
        answer["followed"] = [each.json() for each in later]
    _print(given, clip, grounding, answer, later)
    _write(given, clip, grounding, json.dumps(answer))
    return 1 if grounding.best.status == Status.FAILED else 0


def _check(given: argparse.Namespace) -> None:
    """Checks what will be written or sent. Raises: ConfigError, RecordingError."""
    from stvg_ros.io.outputs import check_outputs

    if given.follow and given.end is None:
        raise ConfigError("--follow: expected --end, after which the target is followed")
    if (given.sheet or given.movie or given.picture) and given.out is None:
        given.out = Path("out")
    if given.rrd is not None:
        from stvg_ros.visualization.rerun_recording import check_rerun

        check_rerun("--rrd")
        check_outputs("ground", [given.rrd])
    if given.rerun is not None:
        from stvg_ros.visualization.rerun_recording import check_viewer

        check_viewer(given.rerun, "--rerun")
    if given.out is not None:
        drawn = {
            "contact_sheet.png": given.sheet,
            "annotated.mp4": given.movie,
            "target.jpg": given.picture,
        }
        names = ["tube.json", *(name for name, wanted in drawn.items() if wanted)]
        check_outputs("ground", [given.out / name for name in names])


def _clip(given: argparse.Namespace, config: Config) -> Clip:
    """The searched part; says what was lost of it. Raises: RecordingError."""
    from stvg_ros.io.clip import file_clip
    from stvg_ros.io.read_report import ReadReport

    window, report = config.window, ReadReport()
    # Without --start and --end, the last seconds are searched, as on a robot.
    whole = given.start is not None or given.end is not None
    with reading_progress(given.end) as progress:
        clip = file_clip(
            given.video, start_s=given.start or 0.0, end_s=given.end,
            long_side_px=window.long_side_px, max_rate_hz=window.max_rate_hz,
            last_s=math.inf if whole else window.duration_s, topic=given.topic, report=report,
            progress=progress,
        )  # fmt: skip
    for sentence in report.sentences:
        print(f"stvg-ros ground: {sentence}", file=sys.stderr)
    return clip


def _print(
    given: argparse.Namespace, clip: Clip, grounding: Grounding, answer: dict[str, Any],
    later: list[FollowedBox] | None,
) -> None:  # fmt: skip
    """Prints the answer as JSON or tables."""
    from stvg_ros.io.tube_json import table

    if given.json:
        if grounding.best.warning:
            print(f"note: {grounding.best.warning}", file=sys.stderr)
        print(json.dumps(answer))
        return
    origin_ns = clip.frames[0].stamp_ns
    if grounding.text:
        print(f"answer      {grounding.text}\n")
    print("\n\n".join(table(tube, origin_ns) for tube in grounding.tubes))
    if later is not None:
        print(f"\n{follow_table(later, origin_ns)}")


def _write(given: argparse.Namespace, clip: Clip, grounding: Grounding, answer: str) -> None:
    """Writes what `--out`, `--sheet`, `--picture` and `--video` ask for; `answer` is JSON."""
    from stvg_ros.io.outputs import output, write_output

    if given.out is not None:
        write_output("ground", given.out / "tube.json", answer)
    if given.sheet:
        from stvg_ros.visualization.contact_sheet import contact_sheet, write_png

        with output("ground", given.out / "contact_sheet.png") as path:
            write_png(path, contact_sheet(clip, grounding.best, grounding.evidence))
    if grounding.best.picture is not None:
        write_output("ground", given.out / "target.jpg", grounding.best.picture.jpeg)
    if given.movie:
        from stvg_ros.visualization.movie import write_movie

        with output("ground", given.out / "annotated.mp4") as path:
            write_movie(path, clip, grounding.best)
    if given.rrd is not None:
        from stvg_ros.visualization.rerun_recording import RerunRecording

        with output("ground", given.rrd) as path, RerunRecording(NAME, file=path) as file:
            file.add(clip, grounding)
    if given.rerun is not None:
        from stvg_ros.visualization.rerun_recording import RerunRecording

        with RerunRecording(NAME, viewer=given.rerun) as stream:
            stream.add(clip, grounding)
