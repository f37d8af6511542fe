# SPDX-License-Identifier: Apache-2.0

"""Small recordings and grounders without a model for the tests of the evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from stvg_lab.datasets.annotations import Annotations, Entry, KeyFrame, write_annotations
from stvg_ros.io.bag import write_bag
from stvg_ros.method.base import BaseGrounder
from stvg_ros.types import CandidateTube, Clip, Frame, Grounding, Query, Status, Tube, TubeBox

BEGIN_NS = 1_700_000_000_000_000_003
STEP_NS = 100_000_000
SIZE = (64, 48)


def stamp(number: int) -> int:
    """Stamp of the camera's frame of a number, at 10 Hz."""
    return BEGIN_NS + number * STEP_NS


def box_at(number: float) -> tuple[float, float, float, float]:
    """Where the bright square is in a frame: it goes right by a pixel a frame."""
    return (number, 10.0, number + 16.0, 30.0)


def square_frame(number: int, stamp_ns: int | None = None) -> Frame:
    """A dark image with a bright square."""
    image = np.full((SIZE[1], SIZE[0], 3), 30, np.uint8)
    image[10:30, number : number + 16] = (220, 60, 40)
    return Frame(stamp(number) if stamp_ns is None else stamp_ns, image, *SIZE, "camera")


def square_bag(path: Path, count: int = 30, **options) -> Path:
    """A recording of the square."""
    write_bag(path, map(square_frame, range(count)), topic="/camera/image", **options)
    return path


def entry(name: str, first: int, last: int, command: int | None = None) -> Entry:
    """A true tube of the square from one frame to another."""
    keys = tuple(KeyFrame(stamp(number), box_at(number)) for number in (first, last))
    return Entry(
        name, "the red square that moves right", (stamp(first), stamp(last)), keys,
        None if command is None else stamp(command),
    )  # fmt: skip


def annotate(path: Path, recording: str, *entries: Entry, topic: str = "") -> Path:
    """Writes an annotation file."""
    write_annotations(path, Annotations(tuple(entries), recording, topic, SIZE))
    return path


def raw_bag(path: Path, messages: Iterable[tuple[str, str, int, bytes]], definitions=()) -> Path:
    """A recording of raw messages: topic, type, time, bytes; with types beyond ROS's own."""
    store = get_typestore(Stores.ROS2_JAZZY)
    for types in definitions:
        store.register(types)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {}
        for topic, kind, recorded_ns, data in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=store)
            writer.write(connections[topic], recorded_ns, data)
    return path


class SquareGrounder(BaseGrounder):
    """Finds the bright square from the clip's first frame on, for a share of its frames.

    A query that says "fail" raises, one that says "dog" is not found.
    """

    def __init__(self, share: float = 1.0) -> None:
        self.share = share
        self.clips: list[Clip] = []

    def ground(self, clip: Clip, query: Query, checkpoint) -> Grounding:
        checkpoint("forward pass", 0.0)
        low, high = query.start_ns or 0, query.end_ns or clip.frames[-1].stamp_ns
        frames = [frame for frame in clip.frames if low <= frame.stamp_ns <= high]
        clip = Clip(tuple(frames))
        self.clips.append(clip)
        if "fail" in query.text:
            raise RuntimeError("the toy broke")
        boxes = np.array([self._box(frame) for frame in frames], np.float32)
        everywhere = np.ones(len(frames), np.bool_)
        tracks = (
            CandidateTube(3, boxes, everywhere, ~everywhere),
            CandidateTube(4, np.zeros_like(boxes), everywhere, ~everywhere),
        )
        newest = frames[-1]
        tube = Tube(
            query, Status.NOT_FOUND, confidence=0.2, width_px=newest.source_width_px,
            height_px=newest.source_height_px, stamp_ns=newest.stamp_ns,
            timings_s={"forward pass": 0.5},
        )  # fmt: skip
        if "dog" not in query.text:
            count = max(1, round(len(frames) * self.share))
            kept = zip(frames[:count], boxes.tolist(), strict=False)
            tube = Tube(
                query, Status.FOUND, confidence=0.9, track_id=3,
                boxes=tuple(TubeBox(frame.stamp_ns, tuple(box), 1.0) for frame, box in kept),
                start_ns=frames[0].stamp_ns, end_ns=frames[count - 1].stamp_ns,
                width_px=newest.source_width_px, height_px=newest.source_height_px,
                stamp_ns=newest.stamp_ns, timings_s={"forward pass": 0.5},
            )  # fmt: skip
        return Grounding((tube,), candidates=tracks)

    @staticmethod
    def _box(frame: Frame) -> list[float]:
        rows, columns = np.nonzero(frame.image[..., 0] > 120)
        if not len(rows):
            return [0.0, 0.0, 0.0, 0.0]
        x = frame.source_width_px / frame.image.shape[1]
        y = frame.source_height_px / frame.image.shape[0]
        return [
            columns.min() * x, rows.min() * y, (columns.max() + 1) * x, (rows.max() + 1) * y,
        ]  # fmt: skip
