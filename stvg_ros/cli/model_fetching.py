# SPDX-License-Identifier: Apache-2.0

"""Fetches a checkpoint for use without a network, and verifies the hashes of its files."""

from __future__ import annotations

import json
from pathlib import Path

from stvg_ros.checkpoints.hub_fetch import HubCheckpoint, damaged, fetched, hub_hashes, listed
from stvg_ros.doctor.findings import Finding
from stvg_ros.errors import ModelError


def fetched_checkpoint(hub_id: str, folder: Path | None, endpoint: str | None = None) -> Path:
    """The folder of a checkpoint, downloaded if it is not there yet, with verified hashes.

    A family that is not supported is refused before its weights are downloaded.

    Args:
        hub_id: "owner/name".
        folder: where to; None for the cache of the hub.
        endpoint: address of the hub; None for that of `HF_ENDPOINT`.

    Raises:
        ModelError: it cannot be fetched, would not be used, or is damaged.
    """
    found = listed(hub_id, endpoint)
    _check_kind(found, fetched(found, folder, "config.json"))
    where = fetched(found, folder)
    if wrong := damaged(where, hub_hashes(where)):
        raise ModelError(
            f"{where}: {', '.join(wrong)}: the content does not have the hub's hash; remove the "
            "file and fetch again"
        )
    return where


def hash_finding(folder: Path) -> Finding:
    """Whether the files of a folder are those of the hub, by their hashes."""
    hashes = hub_hashes(folder)
    if not hashes:
        return Finding(
            "note", "hashes", "the hub's hashes of these files are not known here",
            "`stvg-ros models fetch ID --to FOLDER` keeps them beside the files",
        )  # fmt: skip
    if wrong := damaged(folder, hashes):
        text = f"not as on the hub: {', '.join(wrong)}"
        return Finding("bad", "hashes", text, "remove the file and fetch again")
    return Finding("ok", "hashes", f"{len(hashes)} files have the hub's hashes")


def _check_kind(found: HubCheckpoint, folder: Path) -> None:
    """Raises: ModelError: neither a supported model nor a supported detector or tracker."""
    from stvg_ros.cli.detector_verification import is_part
    from stvg_ros.models.families import FAMILIES, unsupported
    from stvg_ros.models.quantized_formats import INSTEAD, PRODUCER_FILE, format_of, method_of

    values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = str(values.get("model_type"))
    if kind not in FAMILIES and not is_part(kind):
        raise ModelError(f"{found.hub_id!r}: {unsupported(kind)}; nothing else was fetched")
    method = method_of(values) or ("modelopt" if PRODUCER_FILE in found.names else None)
    if method is not None and format_of(method).bytes_per_weight is None:
        raise ModelError(
            f"{found.hub_id!r}: weights quantized by {method!r} are not read; {INSTEAD}"
        )
