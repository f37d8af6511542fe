# SPDX-License-Identifier: Apache-2.0

"""Sends one command to the grounding node and writes the answer as JSON.

Prints "ready" when the node is ready, sends the command after a line on standard input, prints
"sent", and "answered" after the answer. Exits with code 1 if the node reports a failure.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from stvg_lab.live.ros_program import run_program, without_ros_arguments
from stvg_ros.body.keypoints import COUNT
from stvg_ros.errors import ErrorCode
from stvg_ros.io.tube_json import evidence_to_json, tube_to_json
from stvg_ros.msg import Evidence as EvidenceMessage
from stvg_ros.msg import Tube as TubeMessage
from stvg_ros.types import Evidence, Query, SplitQuery, Status, Tube, TubeBox


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def tube_of(message: Any) -> Tube:
    """The tube in a `stvg_ros/msg/Tube`."""
    return Tube(
        query=Query(message.query, id=message.query_id),
        status=Status(message.status),
        split=SplitQuery(
            message.query, message.attribute, message.action, message.split_method,
            tuple(message.split_fallbacks),
        ),
        boxes=tuple(
            TubeBox(
                _ns(box.stamp), (box.x_min, box.y_min, box.x_max, box.y_max), box.score,
                box.interpolated,
            )
            for box in message.boxes
        ),
        start_ns=_ns(message.start),
        end_ns=_ns(message.end),
        confidence=message.confidence,
        decided=message.decided,
        calibrated=message.calibrated,
        warning=message.warning,
        rank=message.rank,
        track_id=message.track_id,
        consistency=message.consistency,
        dropped_steps=message.dropped_steps,
        width_px=message.image_width,
        height_px=message.image_height,
        frame_id=message.header.frame_id,
        stamp_ns=_ns(message.header.stamp),
        model=message.model,
        candidates=message.candidates,
        error_code=ErrorCode(message.error_code),
        error=message.error,
        timings_s={item.stage: item.duration_s for item in message.timings},
    )  # fmt: skip


def evidence_of(message: Any) -> Evidence:
    """The evidence in a `stvg_ros/msg/Evidence`."""
    grid = (message.slots, message.rows, message.columns)
    slot_of = list(message.slot_of_frame)
    boxes = np.array(message.track_boxes, np.float32).reshape(-1, len(slot_of), 4)
    points = np.array(message.track_keypoints, np.float32).reshape(-1, len(slot_of), COUNT, 3)
    tracks = [int(track) for track in message.track_ids]
    return Evidence(
        stamps_ns=np.array([_ns(stamp) for stamp in message.stamps], np.int64),
        slots=tuple(
            tuple(k for k, slot in enumerate(slot_of) if slot == s) for s in range(message.slots)
        ),
        spatial=np.array(message.spatial, np.float32).reshape(grid),
        temporal=np.array(message.temporal, np.float32).reshape(grid),
        frame_scores=np.array(message.frame_scores, np.float32),
        track_scores=dict(zip(tracks, map(float, message.track_scores), strict=True)),
        grounding_token=message.grounding_token,
        track_boxes=dict(zip(tracks, boxes, strict=True)),
        keypoints=dict(zip(tracks, points, strict=True)) if len(points) else {},
    )


class DemoClient(Node):
    """Waits for the node, sends the command, stores the answer. Used by the spinning thread."""

    def __init__(self, target: str) -> None:
        super().__init__("demo_client")
        kept = QoSProfile(
            depth=5, reliability=ReliabilityPolicy.RELIABLE,
            durability=DurabilityPolicy.TRANSIENT_LOCAL,
        )  # fmt: skip
        self.ready = False
        self.sent = False
        self.failure = ""
        self.tube: Tube | None = None
        self.evidence: Evidence | None = None
        self._commands = self.create_publisher(String, f"{target}/command", 10)
        self.create_subscription(String, f"{target}/status", self._on_status, kept)
        # A volatile subscription receives no answer to an earlier command.
        self.create_subscription(TubeMessage, f"{target}/tube", self._on_tube, 10)
        self.create_subscription(EvidenceMessage, f"{target}/evidence", self._on_evidence, 10)

    def _on_status(self, message: Any) -> None:
        if message.data.startswith("ready") and not self.ready:
            self.ready = True
            print("ready", flush=True)
        if message.data.startswith("failed"):
            self.failure = message.data

    def _on_tube(self, message: Any) -> None:
        if self.sent and self.tube is None:
            self.tube = tube_of(message)

    def _on_evidence(self, message: Any) -> None:
        if self.sent:
            self.evidence = evidence_of(message)

    def send(self, text: str) -> None:
        """Publishes the command."""
        self.sent = True
        self._commands.publish(String(data=text))
        print("sent", flush=True)

    @property
    def heard(self) -> bool:
        """Whether the node subscribes to the commands."""
        return bool(self._commands.get_subscription_count())


def ask(client: DemoClient, text: str, out: Path) -> int:
    """Sends the command after a line of standard input, and writes the answer; the exit code."""
    go = threading.Event()

    def wait_for_a_line() -> None:
        sys.stdin.readline()
        go.set()

    threading.Thread(target=wait_for_a_line, daemon=True).start()
    late = math.inf
    clock = client.get_clock()
    while client.tube is None or (client.evidence is None and clock.now().nanoseconds < late):
        rclpy.spin_once(client, timeout_sec=0.05)
        if client.failure:
            print(f"the node reports: {client.failure}", flush=True)
            return 1
        if go.is_set() and client.heard and not client.sent:
            client.send(text)
        if client.tube is not None and late == math.inf:
            late = clock.now().nanoseconds + 1e9  # a failed command has no evidence
    evidence = client.evidence
    answer = {
        "tube": tube_to_json(client.tube),
        "evidence": None if evidence is None else evidence_to_json(evidence),
    }
    out.write_text(json.dumps(answer))
    print("answered", flush=True)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 if an answer was received and written."""
    parser = argparse.ArgumentParser(prog="demo_client", description=__doc__)
    parser.add_argument("--query", required=True, help="the command")
    parser.add_argument("--node", default="/grounding", help="full name of the grounding node")
    parser.add_argument("--out", required=True, type=Path, help="JSON file to write")
    asked = sys.argv[1:] if arguments is None else list(arguments)
    given = parser.parse_args(without_ros_arguments(asked))
    return run_program(
        "demo_client",
        asked,
        lambda: DemoClient(given.node),
        lambda client: ask(client, given.query, given.out),
    )


if __name__ == "__main__":
    sys.exit(main())
