# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros mcp`: tools for agents (Model Context Protocol) that ask a running node."""

from __future__ import annotations

import argparse
import importlib.util
import sys

from stvg_ros.cli.options import at_least, check_ros, whole
from stvg_ros.errors import ConfigError
from stvg_ros.extras import install_command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--node", default="/grounding", help="full name of the node to ask")
    parser.add_argument(
        "--http", type=whole(1), metavar="PORT",
        help="serve http://HOST:PORT/mcp (default: standard input and output)",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="127.0.0.1", help="loopback address of --http (default 127.0.0.1)"
    )
    parser.add_argument(
        "--timeout", type=at_least(1), default=120.0,
        help="seconds for an answer of the node (default 120)",
    )  # fmt: skip


def run(given: argparse.Namespace) -> int:
    """Serves until the agent closes the input, or SIGINT."""
    from stvg_ros.serving.authentication import is_loopback

    if given.http is not None and not is_loopback(given.host):
        raise ConfigError(
            f"--host: expected a loopback address such as 127.0.0.1, got {given.host!r}; whoever "
            "reaches the server moves the robot: use an SSH tunnel from other machines"
        )
    if importlib.util.find_spec("mcp") is None:
        raise ConfigError(f"the MCP SDK is not installed; {install_command('agents')}")
    check_ros()
    from stvg_ros.agents.program import serve

    if given.http is not None:
        print(f"serving at http://{given.host}:{given.http}/mcp", file=sys.stderr, flush=True)
    serve(given.node, given.timeout, given.host, given.http)
    return 0
