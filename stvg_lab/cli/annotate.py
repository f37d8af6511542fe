# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros annotate`: a local web page to mark sentences, spans and boxes in a recording."""

from __future__ import annotations

import argparse
import signal
import webbrowser
from contextlib import closing
from functools import partial
from pathlib import Path

from stvg_ros.cli.options import whole
from stvg_ros.errors import RecordingError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recording", type=Path, help="a video file or a rosbag2 recording")
    parser.add_argument(
        "--out", type=Path, required=True,
        help="the annotation file (JSON); an existing file is edited",
    )  # fmt: skip
    parser.add_argument("--topic", help="image topic of the bag (default: its only one)")
    parser.add_argument("--port", type=whole(0), default=0, help="port (default: any free one)")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")


def run(given: argparse.Namespace) -> int:
    """Serves the page until Ctrl+C."""
    from stvg_lab.annotator.jpeg_frames import JpegFrames, open_recording
    from stvg_lab.annotator.page_server import AnnotationServer
    from stvg_lab.annotator.session import Session

    if not given.out.resolve().parent.is_dir():
        raise RecordingError(f"{given.out}: its folder does not exist; make it, or choose another")
    with closing(JpegFrames(partial(open_recording, given.recording, given.topic))) as frames:
        session = Session(frames.recording, given.recording, given.out)
        with AnnotationServer(frames, session, given.port) as server:
            print(f"{len(frames.recording.stamps_ns)} frames of {given.recording}")
            print(f"Annotate at {server.address}", flush=True)
            print("Only this machine can open it; Ctrl+C ends it.", flush=True)
            if given.open:
                webbrowser.open(server.address)
            # A shell ignores SIGINT for processes that it starts in the background.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print()
    return 0
