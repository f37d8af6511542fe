# SPDX-License-Identifier: Apache-2.0

"""Runs the MCP server beside a grounding node, on stdio or HTTP."""

from __future__ import annotations

import anyio
import rclpy
from rclpy.signals import SignalHandlerOptions

from stvg_ros.agents.node_client import NodeClient
from stvg_ros.agents.robot_tools import mcp_server


def serve(target: str, timeout_s: float, host: str, port: int | None) -> None:
    """Serves until the input ends (stdio) or SIGINT.

    Args:
        target: full name of the grounding node.
        timeout_s: time for an answer of the node.
        host: loopback address for HTTP.
        port: of HTTP; None serves on standard input and output, which nothing else may write to.
    """
    # The server handles the signals; rclpy's handler would end the context below it.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    client = NodeClient(target, timeout_s)
    try:
        server = mcp_server(client)
        if port is None:
            anyio.run(server.run_stdio_async)
        else:
            server.run("streamable-http", host=host, port=port)
    finally:
        client.close()
        rclpy.try_shutdown()
