# SPDX-License-Identifier: Apache-2.0

"""Fetches a small checkpoint from the hub, and gives up within seconds where it does not answer."""

from __future__ import annotations

import logging
import threading
from functools import cache

_LOG = logging.getLogger(__name__)
CONTACT_S = 4.0  # longest wait for the hub's first answer
DOWNLOAD_S = 90.0  # longest wait for the files after it
FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


def cached(hub_id: str) -> bool:
    """Whether all files of a repository are in the local cache of the hub."""
    from huggingface_hub import try_to_load_from_cache

    return all(isinstance(try_to_load_from_cache(hub_id, name), str) for name in FILES)


@cache
def fetched(hub_id: str, endpoint: str | None = None) -> str:
    """Fetches a repository into the cache of the hub; asked once per process.

    A download that takes too long goes on in the background, for the next start.

    Args:
        hub_id: "owner/name".
        endpoint: address of the hub; None for that of `HF_ENDPOINT`.

    Returns:
        Why it could not be fetched; empty if it is in the cache now.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE forbids to fetch it"
    _LOG.info("fetching %s from the hub, for at most %g s", hub_id, CONTACT_S + DOWNLOAD_S)
    download = _Download(hub_id, endpoint)
    thread = threading.Thread(target=download.run, name="hub", daemon=True)
    thread.start()
    if not download.answered.wait(CONTACT_S) or download.silent:
        return f"the hub gave no answer within {CONTACT_S:g} s"
    thread.join(DOWNLOAD_S)
    if thread.is_alive():
        return f"the hub did not send it within {DOWNLOAD_S:g} s"
    return download.problem


class _Download:
    """One download; `answered` is set when the hub has answered, or cannot be reached."""

    def __init__(self, hub_id: str, endpoint: str | None) -> None:
        self._hub_id, self._endpoint = hub_id, endpoint
        self.answered = threading.Event()
        self.problem = ""
        self.silent = False

    def run(self) -> None:
        """Asks for the repository, then for its files."""
        from huggingface_hub import HfApi, snapshot_download

        from stvg_ros.checkpoints.files import first_line

        try:
            HfApi(self._endpoint).model_info(self._hub_id, timeout=CONTACT_S)
            self.answered.set()
            snapshot_download(
                self._hub_id, allow_patterns=list(FILES), endpoint=self._endpoint,
                etag_timeout=CONTACT_S,
            )  # fmt: skip
        except Exception as error:  # the library and its transport raise errors of many kinds
            name = type(error).__name__
            self.silent = "Timeout" in name and not self.answered.is_set()
            self.problem = f"it cannot be fetched ({name}: {first_line(error)})"
        self.answered.set()
