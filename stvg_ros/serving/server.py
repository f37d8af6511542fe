# SPDX-License-Identifier: Apache-2.0

"""Replicas in Ray Serve, and a server on this machine. Imports Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray import serve
from ray.experimental import internal_kv
from ray.serve.config import HTTPOptions, RequestRouterConfig
from starlette.requests import Request
from starlette.responses import Response

from stvg_ros.config import Config
from stvg_ros.errors import StvgError
from stvg_ros.serving.app import App
from stvg_ros.serving.authentication import is_loopback
from stvg_ros.serving.replica_commands import Build
from stvg_ros.setting import Value

# Routes by the header x-session-id to the replica that has the session's frames.
_ROUTER = "ray.serve.experimental.consistent_hash_router:ConsistentHashRouter"


class ClusterBoard:
    """The metrics of an application's replicas, in the key-value store of Ray's head.

    See `replica_metrics.Board`.
    """

    def __init__(self, app: str) -> None:
        self._namespace = f"stvg_ros/{app}".encode()

    def publish(self, replica: str, text: str) -> None:
        """Stores a replica's metrics, replacing its earlier ones."""
        internal_kv._internal_kv_put(
            replica.encode(), text.encode(), overwrite=True, namespace=self._namespace
        )

    def texts(self) -> Mapping[str, str]:
        """The stored metrics by replica."""
        found = {}
        for key in internal_kv._internal_kv_list(b"", namespace=self._namespace):
            text = internal_kv._internal_kv_get(key, namespace=self._namespace)
            if text is not None:  # else taken down meanwhile
                found[key.decode()] = text.decode()
        return found

    def remove(self, replica: str) -> None:
        """Removes a replica's metrics."""
        internal_kv._internal_kv_del(replica.encode(), namespace=self._namespace)


@serve.deployment(
    name="Grounding",  # in config files
    # Frames and commands alike; commands have a separate queue, which reports when it is full.
    max_ongoing_requests=1000,
    max_queued_requests=1000,
    health_check_period_s=5.0,
    request_router_config=RequestRouterConfig(request_router_class=_ROUTER),
    logging_config={"enable_access_log": False},
)
class GroundingReplica:
    """One model with its sessions and its queue."""

    def __init__(self, build: Build, settings: Mapping[str, Value], token_file: str) -> None:
        """Loads the model; `build` is pickled by reference, so the package must be installed."""
        context = serve.get_replica_context()
        replica, board = context.replica_id.unique_id, ClusterBoard(context.app_name)
        self._app = App(Config.from_flat(settings), build, token_file, replica, board)

    async def __call__(self, request: Request) -> Response:
        """Answers a request."""
        return await self._app.handle(request)

    def check_health(self) -> None:
        """Called by Ray Serve, which replaces a replica that raises."""
        self._app.check()

    def __del__(self) -> None:
        """Called by Ray Serve when the replica ends."""
        app = getattr(self, "_app", None)  # absent where loading failed
        if app is not None:
            app.close()


@dataclass(frozen=True)
class Listening:
    """Listening address and certificate of a server."""

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
        settings: settings that differ from their defaults, by name.
        token_file: clients and tokens, at the same path on every machine of the cluster.
        options: of the deployment, such as `num_replicas` and `ray_actor_options`.

    Raises:
        ConfigError: a setting is refused; raised here, before replicas start and fail.
    """
    config = Config.from_flat(settings)
    # A replica that is replaced answers its commands first; a crashed one does not.
    options.setdefault("graceful_shutdown_timeout_s", config.serving.command_timeout_s)
    deployment: Any = GroundingReplica  # the decorator's result
    return deployment.options(**options).bind(build, dict(settings), token_file)


class Server:
    """Ray and Serve on this machine, with one application; a context manager.

    Thread contract: one thread uses it.
    """

    def __init__(self, app: serve.Application, listening: Listening, **ray_options: Any) -> None:
        """Starts everything and returns when the model is loaded; see `ray_environment`.

        Args:
            app: what to serve.
            listening: address and certificate.
            ray_options: passed to `ray.init`.

        Raises:
            StvgError: a replica cannot start, or the address is taken.
        """
        options = {"include_dashboard": False, "log_to_driver": False, **ray_options}
        if is_loopback(listening.host):
            options.setdefault("_node_ip_address", "127.0.0.1")
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
