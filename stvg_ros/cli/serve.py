# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros serve`: serves the model on this machine to robots, with Ray Serve."""

from __future__ import annotations

import argparse
import importlib.util
import signal
import sys
import threading

from stvg_ros.cli.options import add_model_arguments, at_least, flat_settings, whole
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.extras import install_command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=whole(1), default=8000, help="port (default 8000)")
    parser.add_argument(
        "--token-file", default="", help="file with a client name and its token on each line"
    )
    parser.add_argument("--certificate", default="", help="TLS certificate (PEM)")
    parser.add_argument("--key", default="", help="its private key (PEM)")
    parser.add_argument("--replicas", type=whole(1), default=1, help="copies of the model")
    parser.add_argument(
        "--gpus", type=at_least(0), default=None,
        help="GPUs of each replica; may be a fraction such as 0.5 (default: 1 if there is one)",
    )  # fmt: skip
    parser.add_argument(
        "--cpus", type=whole(1), default=1,
        help="CPU cores of each replica, and threads of its model (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--max-queue", type=whole(1), default=None,
        help="maximum number of waiting commands in a replica; as --set serving.max_queue=N",
    )  # fmt: skip
    add_model_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Serves until SIGINT or SIGTERM."""
    settings = flat_settings(given)
    if given.max_queue is not None:
        settings["serving.max_queue"] = given.max_queue
    Config.from_flat(settings)
    from stvg_ros.serving.authentication import check_listening, read_tokens

    check_listening(given.host, given.token_file, given.certificate, given.key)
    if given.token_file:
        read_tokens(given.token_file)
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            f"Ray Serve is not installed; {install_command('serving')}, or make serving"
        )
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())
    from stvg_ros.serving import ray_environment

    ray_environment.prepare(given.host)
    from stvg_ros.build import build_local
    from stvg_ros.serving.server import Listening, Server, application

    app = application(
        build_local,
        settings,
        given.token_file,
        num_replicas=given.replicas,
        ray_actor_options={"num_gpus": _gpus(given.gpus), "num_cpus": given.cpus},
    )
    listening = Listening(given.host, given.port, given.certificate, given.key)
    print("starting Ray Serve and loading the model", flush=True)
    with Server(app, listening):
        scheme = "https" if given.certificate else "http"
        print(f"serving at {scheme}://{given.host}:{given.port}", flush=True)
        asked.wait()
    print("stopped", file=sys.stderr)
    return 0


def _gpus(wanted: float | None) -> float:
    if wanted is not None:
        return wanted
    import torch

    return 1.0 if torch.cuda.is_available() else 0.0
