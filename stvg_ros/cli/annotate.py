# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""`stvg-ros annotate`: a web page on this machine to mark what sentences mean in a recording."""

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
        help="the annotation file (JSON); when it exists, it is opened and changed",
    )  # fmt: skip
    parser.add_argument("--topic", help="image topic of the bag (default: its only one)")
    parser.add_argument("--port", type=whole(0), default=0, help="port (default: any free one)")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")


def run(given: argparse.Namespace) -> int:
    """Serves the page until Ctrl+C."""
    from stvg_ros.evaluation.annotator.frames import JpegFrames, open_recording
    from stvg_ros.evaluation.annotator.server import AnnotationServer
    from stvg_ros.evaluation.annotator.session import Session

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
            # A shell that starts it in the background has told it to ignore the interrupt.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                print()
    return 0
