# SPDX-License-Identifier: Apache-2.0

"""Metrics of one replica (prometheus_client), exported together with those of other replicas."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

BUCKETS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
STALE_S = 30.0  # a replica without metrics for longer has ended


class Board(Protocol):
    """Store in which the replicas of one model publish their metrics."""

    def publish(self, replica: str, text: str) -> None: ...

    def texts(self) -> Mapping[str, str]: ...

    def remove(self, replica: str) -> None: ...


class LocalBoard:
    """The board of a single replica."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def publish(self, replica: str, text: str) -> None:
        """Stores a replica's metrics, replacing its earlier ones."""
        self._texts[replica] = text

    def texts(self) -> Mapping[str, str]:
        """The stored metrics by replica."""
        return dict(self._texts)

    def remove(self, replica: str) -> None:
        """Removes a replica's metrics."""
        self._texts.pop(replica, None)


class ReplicaMetrics:
    """Requests by outcome, bytes, and durations of commands.

    Thread contract: the event loop's thread counts; any thread may call `publish` and `text`.
    """

    def __init__(
        self, replica: str, gauges: Mapping[str, Callable[[], float]], board: Board | None = None
    ) -> None:
        """Registers the metrics.

        Args:
            replica: label of every value.
            gauges: by name, a function that returns the current value.
            board: shared with the other replicas.
        """
        self._replica = replica
        self._board = board or LocalBoard()
        self._registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self._registry, "namespace": "stvg"}
        self._requests = Counter(
            "requests", "Answered requests", ("replica", "path", "outcome"), **own
        )
        label = ("replica",)
        self._received = Counter("received_bytes", "Bodies", label, **own).labels(replica)
        self._frames = Counter("frames", "Images received", label, **own).labels(replica)
        self._seconds = Histogram(
            "command_seconds", "Command to answer", label, buckets=BUCKETS_S, **own
        ).labels(replica)
        self._published = Gauge("published_timestamp_seconds", "When", label, **own).labels(replica)
        for name, value in gauges.items():
            Gauge(name, name.replace("_", " "), label, **own).labels(replica).set_function(value)

    def request(self, path: str, outcome: str) -> None:
        """Counts an answered request; the outcome is a status or an error code's name."""
        self._requests.labels(self._replica, path, outcome).inc()

    def received(self, nbytes: int) -> None:
        """Counts the bytes of a body."""
        self._received.inc(nbytes)

    def decoded(self, frames: int) -> None:
        """Counts frames that were sent with an image."""
        self._frames.inc(frames)

    def command(self, seconds: float) -> None:
        """Counts a command from its receipt to its answer."""
        self._seconds.observe(seconds)

    def publish(self) -> None:
        """Publishes the current metrics to the other replicas."""
        self._published.set(time.time())
        self._board.publish(self._replica, generate_latest(self._registry).decode())

    def close(self) -> None:
        """Removes the published metrics."""
        self._board.remove(self._replica)

    def text(self) -> str:
        """The metrics of all replicas in the text format of Prometheus."""
        self.publish()
        merged = CollectorRegistry()
        merged.register(_Merged(self._board.texts()))
        return generate_latest(merged).decode()


class _Merged:
    """One family for each metric, with the samples of all running replicas."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for _, text in sorted(self._texts.items()):
            published = list(text_string_to_metric_families(text))
            if _age_s(published) > STALE_S:
                continue
            for family in published:
                if family.name in families:
                    families[family.name].samples.extend(family.samples)
                else:
                    families[family.name] = family
        return iter(families.values())


def _age_s(published: list[Metric]) -> float:
    stamps = [
        sample.value
        for family in published
        if family.name == "stvg_published_timestamp_seconds"
        for sample in family.samples
    ]
    return time.time() - max(stamps, default=0.0)
