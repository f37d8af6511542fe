# SPDX-License-Identifier: Apache-2.0

"""The Ray Serve side: replicas, and a server on this machine. The only module that imports Ray."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray import serve
from ray.serve.config import HTTPOptions, RequestRouterConfig
from starlette.requests import Request
from starlette.responses import Response

from stvg_ros.config import Config
from stvg_ros.errors import StvgError
from stvg_ros.serving.app import App
from stvg_ros.serving.replica_commands import Build
from stvg_ros.setting import Value

# By the header x-session-id: a session's requests reach the replica that has its frames.
_ROUTER = "ray.serve.experimental.consistent_hash_router:ConsistentHashRouter"
# For Ray Serve's processes, where the environment does not say otherwise.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "stvg_ros.serving.proxy:middlewares",
    # Ray's own 15 lets a replica starve beside anything else.
    "RAY_worker_niceness": "0",
    # A busy machine takes longer than Serve's 5 s to start a proxy, which is killed then.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120",
}


@serve.deployment(
    # Frames and commands alike; commands have a queue of their own, which says when it is full.
    max_ongoing_requests=1000,
    max_queued_requests=1000,
    health_check_period_s=5.0,
    request_router_config=RequestRouterConfig(request_router_class=_ROUTER),
    logging_config={"enable_access_log": False},
)
class GroundingReplica:
    """One model with its sessions and its queue."""

    def __init__(self, build: Build, settings: Mapping[str, Value], token_file: str) -> None:
        """Loads the model; `build` is named by reference, so the package must be installed."""
        replica = serve.get_replica_context().replica_id.unique_id
        self._app = App(Config.from_flat(settings), build, token_file, replica)

    async def __call__(self, request: Request) -> Response:
        """Answers a request."""
        return await self._app.handle(request)

    def check_health(self) -> None:
        """Called by Ray Serve, which replaces a replica that raises."""
        self._app.check()

    def __del__(self) -> None:
        """Called by Ray Serve as the replica ends."""
        app = getattr(self, "_app", None)  # absent where loading failed
        if app is not None:
            app.close()


@dataclass(frozen=True)
class Listening:
    """Where a server listens, and with which certificate."""

    host: str = "127.0.0.1"
    port: int = 8000
    certificate: str = ""
    key: str = ""


def application(
    build: Build, settings: Mapping[str, Value], token_file: str = "", **options: Any
) -> serve.Application:
    """The Serve application of one model.

    Args:
        build: makes a replica's grounder.
        settings: settings by name, where they differ from their defaults.
        token_file: clients and tokens, at the same path on every machine of the cluster.
        options: of the deployment, such as `num_replicas` and `ray_actor_options`.

    Raises:
        ConfigError: a setting is refused; told here, before replicas start and fail.
    """
    config = Config.from_flat(settings)
    # A replica that is replaced answers the commands that it has; a replica that dies does not.
    options.setdefault("graceful_shutdown_timeout_s", config.serving.command_timeout_s)
    deployment: Any = GroundingReplica  # the decorator's result
    return deployment.options(**options).bind(build, dict(settings), token_file)


class Server:
    """Ray and Serve on this machine, with one application; a context manager.

    Thread contract: one thread uses it.
    """

    def __init__(self, app: serve.Application, listening: Listening, **ray_options: Any) -> None:
        """Starts everything and returns when the model is loaded.

        Args:
            app: what to serve.
            listening: where.
            ray_options: of `ray.init`.

        Raises:
            StvgError: a replica cannot start, or the address is taken.
        """
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        options = {"include_dashboard": False, "log_to_driver": False, **ray_options}
        try:
            ray.init(address="local", configure_logging=False, **options)
            serve.start(
                proxy_location="HeadOnly",
                http_options=HTTPOptions(
                    host=listening.host,
                    port=listening.port,
                    ssl_certfile=listening.certificate or None,
                    ssl_keyfile=listening.key or None,
                    keep_alive_timeout_s=65,
                ),
            )
            serve.run(app, name="stvg", route_prefix="/")
        except Exception as error:
            self.close()
            raise StvgError(f"the server cannot start: {error}") from error

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the replicas and Ray."""
        if ray.is_initialized():
            serve.shutdown()
            ray.shutdown()
