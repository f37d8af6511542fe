# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros models ...`: brings the weights of parts that are not in this package."""

from __future__ import annotations

import argparse

from stvg_ros.body.weights import fetched_weights

# What can be fetched, with the function that brings it and returns its file.
_PARTS = {"body": fetched_weights}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's arguments."""
    parser.add_argument("action", choices=("fetch",), help="download what is not there yet")
    parser.add_argument("part", choices=tuple(_PARTS), help="body: keypoints of people")


def run(given: argparse.Namespace) -> int:
    """Downloads into the user's cache and prints the file."""
    print(_PARTS[given.part]())
    return 0
