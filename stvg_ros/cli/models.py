# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros models ...`: fetches weights of parts, and verifies a checkpoint's folder."""

from __future__ import annotations

import argparse

from stvg_ros.body.keypoint_weights import fetched_weights

# What can be fetched, with the function that brings it and returns its file.
_PARTS = {"body": fetched_weights}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    fetch = actions.add_parser("fetch", help="download what is not there yet")
    fetch.add_argument("part", choices=tuple(_PARTS), help="body: keypoints of people")
    verify = actions.add_parser(
        "verify", help="compare a checkpoint with the library's own processor and forward pass"
    )
    verify.add_argument("folder", help="local folder or hub id of a model, detector or tracker")
    verify.add_argument("--device", default="auto", help="auto (default), cpu, cuda, balanced, ...")


def run(given: argparse.Namespace) -> int:
    """Downloads and prints the file, or prints findings; 0 if none is bad."""
    if given.action == "fetch":
        print(_PARTS[given.part]())
        return 0
    from stvg_ros.cli.detector_verification import verified_part
    from stvg_ros.cli.model_verification import verified
    from stvg_ros.doctor.findings import write_findings

    findings = verified_part(given.folder, given.device) or verified(given.folder, given.device)
    return 0 if write_findings(findings) else 1
