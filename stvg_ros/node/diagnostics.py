# SPDX-License-Identifier: Apache-2.0

"""Health of the node on /diagnostics, for rqt_runtime_monitor and aggregators."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType

from stvg_ros.errors import InactiveError, StvgError
from stvg_ros.identity.tube_memory import TubeMemory
from stvg_ros.node.cameras import Camera, Cameras
from stvg_ros.node.gpu_memory import gpu_memory_bytes
from stvg_ros.node.guarded_executor import Faults
from stvg_ros.node.managed_node import ManagedNode
from stvg_ros.node.standing_queries import StandingQueries
from stvg_ros.proposals.external import ExternalProposer
from stvg_ros.runtime.grounding_queue import GroundingQueue

STALE_S = 2.0  # longest time without an image before a warning


def status(name: str, level: bytes, message: str, values: Mapping[str, object]) -> Any:
    """A `diagnostic_msgs/DiagnosticStatus`; numbers with three decimals."""
    shown = {key: f"{v:.3f}" if isinstance(v, float) else str(v) for key, v in values.items()}
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        values=[KeyValue(key=key, value=value) for key, value in shown.items()],
    )


class CameraHealth:
    """Counts of one camera since the last report."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._looked = time.monotonic()
        self._received = camera.received
        self._errors = camera.errors

    def status(self, name: str, now_ns: int) -> Any:
        """The camera's status; `now_ns` is the node's clock."""
        camera, now = self._camera, time.monotonic()
        counts = camera.window.counts
        frames, seconds, size = camera.window.fill
        rate_hz = (camera.received - self._received) / max(now - self._looked, 1e-3)
        new_errors = camera.errors - self._errors
        self._looked, self._received, self._errors = now, camera.received, camera.errors
        values: dict[str, object] = {
            "image rate [Hz]": rate_hz,
            "images received": camera.received,
            "images stored": counts["stored"] + counts["restarted"],
            "images thinned out": counts["thinned"],
            "images late": counts["late"],
            "images refused": camera.errors,
            "window cleared": counts["restarted"],
            "window [frames]": frames,
            "window [s]": seconds,
            "window [MB]": size / 1e6,
        }
        silent_s = now - camera.last_received
        if camera.received:
            values["since last image [s]"] = silent_s
            values["age of last stamp [s]"] = (now_ns - camera.last_stamp_ns) / 1e9
            values["stamps"] = "times of arrival" if camera.stamps.unstamped else "of the camera"
        if camera.depth is not None:
            values["images with depth"] = camera.depth.attached
            values["depths refused"] = camera.depth.errors
        if camera.detections is not None:
            values["detections refused"] = camera.detections.errors
        if not camera.running:
            return status(name, DiagnosticStatus.OK, "inactive", values)
        if new_errors:
            text = f"{new_errors} images refused: {camera.last_error}"
            return status(name, DiagnosticStatus.ERROR, text, values)
        if not camera.received or silent_s > STALE_S:
            text = "no images; `stvg-ros doctor` looks for the reason"
            return status(name, DiagnosticStatus.WARN, text, values)
        if camera.stamps.unstamped:
            text = (
                "images come without stamps of their own, and get their times of arrival; "
                "detections, depth and TF match them only if the driver stamps its images"
            )
            return status(name, DiagnosticStatus.WARN, text, values)
        return status(name, DiagnosticStatus.OK, "images come", values)


def worker_status(
    name: str,
    worker: Callable[[], GroundingQueue],
    standing: int,
    remembered: Mapping[str, object] | None = None,
) -> Any:
    """The queue's status: length, answer counts, seconds of the last grounding, memory."""
    values: dict[str, object] = {"standing queries": standing, **(remembered or {})}
    memory = gpu_memory_bytes()
    if memory is not None:
        values["GPU memory of this process [MB]"] = memory[0] / 1e6
        values["GPU memory in all [MB]"] = memory[1] / 1e6
    try:
        running = worker()
    except InactiveError as error:
        return status(name, DiagnosticStatus.OK, str(error), values)
    except StvgError as error:
        return status(name, DiagnosticStatus.ERROR, str(error), values)
    values["commands waiting"] = running.waiting
    values["candidate tubes"] = running.candidates
    source = running.proposer
    if isinstance(source, ExternalProposer):
        counts = source.counts
        values["detections received"] = counts.messages
        values["detections matched"] = counts.matched
        values["detected boxes"] = counts.boxes
        values["detected boxes dropped"] = counts.dropped
        values["ids of detections"] = counts.ids
    # Each is copied in one step: the queue's thread changes them.
    answered, timings_s = running.counts(), dict(running.timings_s)
    values.update({f"answers {kind}": count for kind, count in answered.items()})
    values.update({f"last {stage} [s]": float(s) for stage, s in timings_s.items()})
    return status(name, DiagnosticStatus.OK, "grounding" if running.busy else "ready", values)


def memory_values(memory: TubeMemory) -> dict[str, object]:
    """What is remembered of the time before the windows."""
    tubes, images, nbytes = memory.fill
    return {
        "remembered tubes": tubes,
        "remembered images": images,
        "remembered [MB]": nbytes / 1e6,
    }


def fault_status(name: str, faults: Faults) -> Any:
    """Unexpected errors of callbacks, which are bugs of this package."""
    values = {"unexpected errors": faults.count}
    if not faults.count:
        return status(name, DiagnosticStatus.OK, "no unexpected error", values)
    return status(name, DiagnosticStatus.WARN, f"unexpected error: {faults.last}", values)


class Diagnostics:
    """Publishes the health of all parts periodically. Thread contract: the executor's thread."""

    def __init__(
        self,
        node: ManagedNode,
        cameras: Cameras,
        worker: Callable[[], GroundingQueue],
        standing: StandingQueries,
        period_s: float,
        memory: TubeMemory,
    ) -> None:
        self._memory = memory
        self._node = node
        self._worker = worker
        self._standing = standing
        self._cameras = {camera.name: CameraHealth(camera) for camera in cameras}
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self._timer = None
        if period_s > 0:
            # A steady clock: diagnostics continue while a recording is paused.
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = node.create_timer(period_s, self.publish, clock=steady)

    def publish(self) -> None:
        """Publishes the current health."""
        now = self._node.get_clock().now()
        name = self._node.get_fully_qualified_name()
        message = DiagnosticArray()
        message.header.stamp = now.to_msg()
        message.status = [
            health.status(f"{name}: camera {camera}".rstrip(), now.nanoseconds)
            for camera, health in self._cameras.items()
        ]
        message.status.append(fault_status(f"{name}: callbacks", self._node.faults))
        remembered = memory_values(self._memory)
        message.status.append(
            worker_status(f"{name}: worker", self._worker, len(self._standing), remembered)
        )
        for item in message.status:
            item.hardware_id = name
        self._publisher.publish(message)

    def close(self) -> None:
        """Stops publishing."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)
