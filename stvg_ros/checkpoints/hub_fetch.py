# SPDX-License-Identifier: Apache-2.0

"""Fetches a checkpoint from the hub for use without a network, and knows the hub's hashes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stvg_ros.checkpoints.files import CONFIG, first_line
from stvg_ros.errors import ModelError

CONTACT_S = 10.0  # longest wait for the hub's first answer
_SUFFIXES = (".json", ".jinja", ".txt", ".model")
_WEIGHTS = re.compile(r"model[\w.-]*\.safetensors")
_INDEX = "model.safetensors.index.json"  # which file holds which weight
_CHUNK = 2**20


@dataclass(frozen=True)
class HubCheckpoint:
    """A checkpoint as the hub lists it.

    Attributes:
        hub_id: "owner/name".
        revision: commit of the listed files.
        names: files that a model of transformers needs; no pickles, no other formats.
        bytes: of these files.
        endpoint: address of the hub; None for that of `HF_ENDPOINT`.
    """

    hub_id: str
    revision: str
    names: tuple[str, ...]
    bytes: int
    endpoint: str | None = None


def listed(hub_id: str, endpoint: str | None = None) -> HubCheckpoint:
    """Asks the hub for the files of a checkpoint.

    Raises:
        ModelError: the hub does not answer, or has no such checkpoint with safetensors.
    """
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        raise ModelError(f"{hub_id!r}: HF_HUB_OFFLINE forbids to fetch it; unset it for `fetch`")
    try:
        info = HfApi(endpoint).model_info(hub_id, files_metadata=True, timeout=CONTACT_S)
    except Exception as error:  # the library and its transport raise errors of many kinds
        raise _refused(hub_id, endpoint or constants.ENDPOINT, error) from error
    files = [item for item in info.siblings or () if _is_wanted(item.rfilename)]
    names = tuple(item.rfilename for item in files)
    if CONFIG not in names or not any(name.endswith(".safetensors") for name in names):
        raise ModelError(
            f"{hub_id!r}: expected a checkpoint of the library transformers, with {CONFIG} and "
            f"model*.safetensors; the hub lists {', '.join(sorted(names)) or 'none of its files'}"
        )
    return HubCheckpoint(
        hub_id, str(info.sha), names, sum(item.size or 0 for item in files), endpoint
    )


def fetched(checkpoint: HubCheckpoint, folder: Path | None, only: str = "") -> Path:
    """Downloads what is not there yet.

    Args:
        checkpoint: what to fetch.
        folder: is created; None for the cache of the hub.
        only: one file; empty for all of them.

    Returns:
        The folder of the files.

    Raises:
        ModelError: the disk is too small, cannot be written, or the hub stops sending.
    """
    from huggingface_hub import constants, snapshot_download

    place = Path(constants.HF_HUB_CACHE) if folder is None else folder
    if not only:
        _check_space(place, checkpoint)
    try:
        path = snapshot_download(
            checkpoint.hub_id, revision=checkpoint.revision, local_dir=folder,
            allow_patterns=[only] if only else list(checkpoint.names),
            endpoint=checkpoint.endpoint, etag_timeout=CONTACT_S,
        )  # fmt: skip
    except Exception as error:  # as in `listed`
        raise ModelError(
            f"{checkpoint.hub_id!r}: not all of it came ({type(error).__name__}: "
            f"{first_line(error)}); run the same command again, it continues where it stopped"
        ) from error
    return Path(path)


def in_cache(hub_id: str) -> bool:
    """Whether a checkpoint with all its weights is in the cache of the hub."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(hub_id, CONFIG)
    if not isinstance(config, str):
        return False
    folder = Path(config).parent
    index = folder / _INDEX
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    return all((folder / name).is_file() for name in set(shards))


def hub_hashes(folder: Path) -> dict[str, str]:
    """The hub's hash of each file that was fetched with the hub's library.

    The cache of the hub names files by their hash; a folder of `--local-dir` has notes about them.
    The hash is SHA-256 for large files, else git's SHA-1 of the blob. Empty for a folder that came
    in another way.
    """
    found: dict[str, str] = {}
    notes = folder / ".cache" / "huggingface" / "download"
    for file in sorted(folder.iterdir()):
        if file.is_symlink() and file.resolve().parent.name == "blobs":
            found[file.name] = file.resolve().name
        elif (note := notes / f"{file.name}.metadata").is_file():
            found[file.name] = (note.read_text(encoding="utf-8").splitlines() + ["", ""])[1]
    return {name: text for name, text in found.items() if re.fullmatch("[0-9a-f]{40,64}", text)}


def damaged(folder: Path, hashes: dict[str, str]) -> list[str]:
    """Names of the files whose content has another hash, or that are gone."""
    return [name for name, wanted in hashes.items() if _hash(folder / name, wanted) != wanted]


def _hash(file: Path, like: str) -> str:
    if not file.is_file():
        return ""
    if len(like) == hashlib.sha256().digest_size * 2:
        digest: Any = hashlib.sha256()
    else:
        digest = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return str(digest.hexdigest())


def _is_wanted(name: str) -> bool:
    if "/" in name:  # other formats, or other programs' own layouts
        return False
    return name.endswith(_SUFFIXES) or _WEIGHTS.fullmatch(name) is not None


def _check_space(place: Path, checkpoint: HubCheckpoint) -> None:
    """Raises: ModelError."""
    existing = next(path for path in (place, *place.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < checkpoint.bytes:
        raise ModelError(
            f"{checkpoint.hub_id!r}: {checkpoint.bytes / 1e9:.1f} GB, but {free / 1e9:.1f} GB are "
            f"free at {existing}; free some, or give another --to FOLDER"
        )


def _refused(hub_id: str, endpoint: str, error: Exception) -> ModelError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        problem = "its owner has to grant access; ask for it on its page, then `hf auth login`"
    elif isinstance(error, RepositoryNotFoundError):
        problem = "the hub has no such repository, or it needs `hf auth login`; check the name"
    else:
        problem = (
            f"the hub at {endpoint} does not answer within {CONTACT_S:g} s "
            f"({type(error).__name__}: {first_line(error)}); check the network, HF_ENDPOINT and "
            "the proxy, or fetch it on another machine and copy the folder"
        )
    return ModelError(f"{hub_id!r}: {problem}")
