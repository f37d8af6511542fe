# SPDX-License-Identifier: Apache-2.0

"""The files of a checkpoint: a folder, or a repository of the hub or of its local cache."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

from stvg_ros.errors import ModelError

CONFIG = "config.json"
_ADAPTER = "adapter_config.json"


def first_line(error: BaseException) -> str:
    """The first line of an error's text, shortened; its type if it has no text."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


@dataclass(frozen=True)
class CheckpointFiles:
    """Location of a checkpoint.

    Attributes:
        source: the folder, or the hub id.
        local: whether it is a folder, which needs no network access.
    """

    source: str
    local: bool

    @classmethod
    def of(cls, path: str, setting: str) -> CheckpointFiles:
        """The checkpoint that a setting names.

        Raises:
            ModelError: neither a folder nor a hub id.
        """
        folder = Path(path).expanduser()
        if path and folder.is_dir():
            return cls(str(folder), True)
        if path and folder.is_file():
            raise ModelError(
                f"{setting} {path!r}: a file; expected the folder with config.json and weights, or "
                f"a hub id such as 'owner/name'; {_folder_of(folder)}"
            )
        parts = path.split("/")
        if len(parts) != 2 or not all(parts) or path.startswith((".", "~")):
            raise ModelError(
                f"{setting} {path!r}: no such folder ({folder}); expected a folder with "
                "config.json, or a hub id such as 'owner/name'"
            )
        return cls(path, False)

    def path(self, name: str) -> str | None:
        """The local path of one file, downloaded if necessary; None if the checkpoint lacks it.

        Raises:
            ModelError: the hub cannot be reached, or has no such repository.
        """
        if self.local:
            file = Path(self.source) / name
            return str(file) if file.is_file() else None
        try:
            return hf_hub_download(self.source, name)
        except LocalEntryNotFoundError as error:
            if isinstance(try_to_load_from_cache(self.source, CONFIG), str):
                return None  # fetched earlier, without this file
            raise ModelError(
                f"{self.source!r}: not in the local cache of the hub "
                f"({constants.HF_HUB_CACHE}), and {_obstacle()}; fetch it where there is a network "
                f"(hf download {self.source} --local-dir FOLDER) and give that folder"
            ) from error
        except EntryNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{self.source!r}: cannot be fetched ({first_line(error)}); expected a folder or "
                "a hub id that can be reached; check the name and the network"
            ) from error

    def json(self, name: str) -> dict[str, Any] | None:
        """The content of a JSON file; None if the checkpoint lacks it.

        Raises:
            ModelError: it is not a JSON object, or as for `path`.
        """
        file = self.path(name)
        if file is None:
            return None
        try:
            values = json.loads(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(
                f"{file}: no valid JSON ({first_line(error)}); download the file again"
            ) from error
        if not isinstance(values, dict):
            raise ModelError(f"{file}: expected a JSON object, got {type(values).__name__}")
        return values

    def config(self, setting: str) -> dict[str, Any]:
        """The content of config.json.

        Raises:
            ModelError: there is none, or the checkpoint is a LoRA adapter.
        """
        try:
            values = self.json(CONFIG)
        except ModelError as error:
            raise error if self.local else ModelError(f"{setting} {error}") from error
        adapter = self.json(_ADAPTER) if self.local or values is None else None
        if adapter is not None:
            base = adapter.get("base_model_name_or_path")
            raise ModelError(
                f"{setting} {self.source!r}: an adapter ({_ADAPTER}, made for {base!r}) and no "
                "whole model; merge it into its base model (merge_and_unload and save_pretrained "
                "of the library peft) and give the folder of the result"
            )
        if values is not None:
            return values
        if self.local:
            raise ModelError(
                f"{setting} {self.source!r}: no checkpoint that can be read: no config.json; "
                f"expected the files of a model of the library transformers; check {setting}"
            )
        raise ModelError(
            f"{setting} {self.source!r}: this repository of the hub has no config.json; expected a "
            f"checkpoint of the library transformers; check {setting}"
        )


def _folder_of(file: Path) -> str:
    """The remedy where a file was given in place of its folder."""
    if (file.parent / CONFIG).is_file():
        return f"give {str(file.parent)!r}"
    return f"there is no {CONFIG} beside it: download the whole checkpoint and give its folder"


def _obstacle() -> str:
    """Why the hub was not asked, or did not answer."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids to fetch it"
    return f"{constants.ENDPOINT} cannot be reached from here"
