# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros models ...`: lists, fetches and verifies checkpoints."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from stvg_ros.body.keypoint_weights import cached_weights, fetched_weights
from stvg_ros.doctor.findings import Finding, write_findings
from stvg_ros.errors import ConfigError

# Weights of parts that pip brings, with the function that fetches them and returns their file.
_PARTS = {"body": fetched_weights}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="which released checkpoints this machine can run")
    fetch = actions.add_parser("fetch", help="download what is not there yet, for use offline")
    fetch.add_argument(
        "what", help="body: keypoints of people; or the hub id of a model, detector or tracker"
    )
    fetch.add_argument("--to", type=Path, help="folder (default: the cache of the hub)")
    verify = actions.add_parser(
        "verify", help="compare a checkpoint with the library's own processor and forward pass"
    )
    verify.add_argument("folder", help="local folder or hub id of a model, detector or tracker")
    verify.add_argument("--device", default="auto", help="auto (default), cpu, cuda, balanced, ...")
    verify.add_argument(
        "--offline", action="store_true",
        help="forbid connections meanwhile, to prove that none is needed",
    )  # fmt: skip


def run(given: argparse.Namespace) -> int:
    """Prints the list, the fetched file or folder, or findings; 0 if none is bad."""
    if given.action == "list":
        _print_list()
        return 0
    if given.action == "fetch":
        print(_fetched(given.what, given.to))
        return 0
    if not given.offline:
        return 0 if write_findings(_verified(given.folder, given.device)) else 1
    from stvg_ros.checkpoints.forbidden_network import forbidden_network

    with forbidden_network() as attempts:
        fine = write_findings(_verified(given.folder, given.device))
        fine = write_findings([_offline(attempts)]) and fine
    return 0 if fine else 1


def _print_list() -> None:
    from stvg_ros.checkpoints.hub_fetch import in_cache
    from stvg_ros.checkpoints.machine import this_machine
    from stvg_ros.cli.model_list import listing
    from stvg_ros.proposals.choice import CPU, GPU
    from stvg_ros.proposals.hub_download import cached as whole

    parts = {name: whole(name) for name in dict.fromkeys((*CPU, *GPU))}
    parts["body"] = cached_weights().is_file()
    for line in listing(this_machine(), in_cache, parts):
        print(line)


def _fetched(what: str, folder: Path | None) -> Path:
    """Raises: ConfigError: neither a part nor a hub id; ModelError: it cannot be fetched."""
    if what in _PARTS:
        if folder is not None:
            raise ConfigError(f"--to: {what} goes to the user's cache ({cached_weights()})")
        return _PARTS[what]()
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", what):
        raise ConfigError(
            f"fetch: expected {', '.join(_PARTS)}, or a hub id such as "
            f"Qwen/Qwen2.5-VL-3B-Instruct, got {what[:256]!r}"
        )
    from stvg_ros.cli.model_fetching import fetched_checkpoint

    return fetched_checkpoint(what, folder)


def _verified(path: str, device: str) -> Iterator[Finding]:
    from stvg_ros.checkpoints.files import CheckpointFiles
    from stvg_ros.cli.detector_verification import verified_part
    from stvg_ros.cli.model_fetching import hash_finding
    from stvg_ros.cli.model_verification import verified
    from stvg_ros.errors import StvgError

    try:
        config = CheckpointFiles.of(path, "FOLDER").path("config.json")
    except StvgError:
        config = None  # what follows says why
    if config is not None:
        yield hash_finding(Path(config).parent)
    yield from verified_part(path, device) or verified(path, device)


def _offline(attempts: list[str]) -> Finding:
    if not attempts:
        return Finding("ok", "offline", "everything ran with connections forbidden; none was tried")
    text = f"{len(attempts)} connections were tried: {', '.join(dict.fromkeys(attempts))}"
    return Finding("bad", "offline", text, "fetch it into a folder and give that")
