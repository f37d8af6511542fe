# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros identity`: whether people are kept apart and found again, on rendered scenes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_ros.cli.options import whole
from stvg_ros.errors import ConfigError

if TYPE_CHECKING:
    from stvg_lab.identity.measurement import IdentityMeasurement
    from stvg_ros.identity.descriptor import AppearanceDescriptor

_LOSSES, _STREAM_S, _STREAM_HZ = 20, 600.0, 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--seed", type=whole(0), default=0, help="number of the first scene")
    parser.add_argument("--count", type=whole(1), default=20, help="scenes (default 20)")
    parser.add_argument(
        "--streams", type=whole(0), default=1,
        help=f"streams of ten minutes at {_STREAM_HZ:g} Hz with {_LOSSES} losses (default 1)",
    )  # fmt: skip
    parser.add_argument(
        "--descriptor",
        default="auto",
        help="value of identity.descriptor (default auto), or tokens: those of the embedded model",
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with an interrupted run: keep the scenes and streams in the file of --json",
    )


def run(given: argparse.Namespace) -> int:
    """Prints the figures with their intervals."""
    from tqdm import tqdm

    from stvg_lab.identity.lost_and_found import following
    from stvg_lab.identity.measurement import IdentityMeasurement, shown
    from stvg_lab.identity.track_rows import MISSING, library_installed
    from stvg_lab.rendered.queries import IDENTITY, split_seed
    from stvg_lab.rendered.reappearances import identity_scene
    from stvg_ros.io.outputs import check_outputs, write_json_output
    from stvg_ros.proposals.people.transformer_detector import PeopleProposer
    from stvg_ros.proposals.settings import ProposalConfig

    if given.json is not None:
        check_outputs("identity", [given.json])
    try:
        split_seed(IDENTITY, given.seed + max(given.count, given.streams) - 1)
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    if not library_installed():
        print(MISSING)
    descriptor = _descriptor(given.descriptor)
    source = PeopleProposer.load(
        ProposalConfig(source="people_detector", people_detector="embedded")
    )
    measured = IdentityMeasurement(source, descriptor, given.seed)
    about = {"seed": given.seed, "descriptor": descriptor.name}
    if given.resume:
        _restore(measured, given.json, about)

    def write() -> dict[str, Any]:
        table = measured.table()
        counts = {"count": measured.scenes, "streams": measured.streams}
        values = {**about, **counts, **table, "details": measured.details()}
        if given.json is not None:
            write_json_output("identity", given.json, values)
        return table

    done = range(measured.scenes, given.count)
    for index in tqdm(done, desc="scenes", leave=False, disable=None):
        measured.add(identity_scene(given.seed + index))
        write()
    for index in range(measured.streams, given.streams):
        made = identity_scene(
            given.seed + index, duration_s=_STREAM_S, losses=_LOSSES, target=0, fps=_STREAM_HZ
        )
        count = made.scene.frame_count
        with tqdm(total=count, desc=f"stream {index + 1}", leave=False, disable=None) as bar:
            measured.add_stream(following(made, 0, source, descriptor, bar.update))
    print(shown(write()))
    return 0


def _restore(measured: IdentityMeasurement, path: Path | None, about: Mapping[str, object]) -> None:
    """Takes what an interrupted run has measured.

    Raises:
        ConfigError: there is no such file, or it is of another run.
    """
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
        same = all(before[name] == value for name, value in about.items())
        if same:
            measured.restore(before["details"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--resume: expected --json FILE that an interrupted run has written, got {path} "
            f"({type(error).__name__}: {error})"
        ) from error
    if not same:
        found = {name: before[name] for name in about}
        raise ConfigError(f"--resume: {path} is of another run: expected {about}, got {found}")


def _descriptor(name: str) -> AppearanceDescriptor:
    from stvg_ros.config import Config
    from stvg_ros.identity.descriptor_choice import build_descriptor

    if name != "tokens":
        return build_descriptor(Config.from_flat({"identity.descriptor": name}).identity)
    from stvg_lab.identity.token_descriptor import LAYER, TokenDescriptor
    from stvg_lab.identity.visual_layers import VisualLayers

    tower_only = not LAYER.startswith("language")
    return TokenDescriptor(VisualLayers.of(Config(), tower_only=tower_only))
