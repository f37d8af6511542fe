# SPDX-License-Identifier: Apache-2.0

"""Sets Ray's environment variables and token; must run before Ray is imported."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from stvg_ros.errors import ConfigError
from stvg_ros.serving.authentication import is_loopback

# Defaults of Ray Serve's processes; existing environment variables take precedence.
_ALWAYS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "stvg_ros.serving.proxy:middlewares",
    # With Ray's default of 15, a replica starves beside any other program.
    "RAY_worker_niceness": "0",
    # On a busy machine a proxy starts slower than Serve's limit of 5 s, and is killed.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
}
_LOOPBACK = {
    # Ray then uses 127.0.0.1 as the node's address, and its servers listen there.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Ray's metrics are not protected by a token: disabled, without a port.
    "RAY_enable_metrics_collection": "0",
    "AUTOSCALER_METRIC_PORT": "-1",
    "DASHBOARD_METRIC_PORT": "-1",
}


def prepare(host: str) -> None:
    """Sets the environment of a server on this machine; call before Ray is imported.

    Args:
        host: listening address of the server; if it is loopback, Ray listens there too.

    Raises:
        ConfigError: Ray's token cannot be hidden from other users of the machine.
    """
    for name, value in {**_ALWAYS, **(_LOOPBACK if is_loopback(host) else {})}.items():
        os.environ.setdefault(name, value)
    if "RAY_AUTH_TOKEN" not in os.environ:
        _keep_private(Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"))


def _keep_private(path: Path) -> None:
    """Makes Ray's token readable by its owner only; Ray would create it readable by all."""
    path = path.expanduser()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                path.chmod(0o600)
            return
        with os.fdopen(file, "w", encoding="ascii") as token:
            token.write(secrets.token_hex(32))
    except OSError as error:
        raise ConfigError(
            f"Ray's token {path}: cannot be made readable by its owner alone ({error}); name a "
            "file of your own in RAY_AUTH_TOKEN_PATH"
        ) from error
