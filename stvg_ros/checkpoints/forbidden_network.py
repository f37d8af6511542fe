# SPDX-License-Identifier: Apache-2.0

"""Forbids connections, to prove that a checkpoint is used without a network."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The hook cannot be removed; without a list it does nothing.
_attempts: list[str] | None = None
_installed = False


@contextmanager
def forbidden_network() -> Iterator[list[str]]:
    """No Python code of this process opens a connection inside the context; not reentrant.

    The library of the hub is set to offline, as HF_HUB_OFFLINE=1 does. Connections to sockets of
    files are allowed.

    Yields:
        The refused attempts, as they come.
    """
    global _attempts, _installed
    from huggingface_hub import constants

    if not _installed:
        sys.addaudithook(_refuse)
        _installed = True
    before = constants.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")
    constants.HF_HUB_OFFLINE, os.environ["HF_HUB_OFFLINE"] = True, "1"
    attempts: list[str] = []
    _attempts = attempts
    try:
        yield attempts
    finally:
        _attempts, constants.HF_HUB_OFFLINE = None, before[0]
        os.environ.pop("HF_HUB_OFFLINE")
        if before[1] is not None:
            os.environ["HF_HUB_OFFLINE"] = before[1]


def _refuse(event: str, given: tuple[Any, ...]) -> None:
    """An audit hook (PEP 578)."""
    if _attempts is None:
        return
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        target = str(given[0])
    elif event in ("socket.connect", "socket.sendto") and given[0].family != socket.AF_UNIX:
        target = str(given[1])
    else:
        return
    _attempts.append(target)
    raise PermissionError(f"connections are forbidden here: {target}")
