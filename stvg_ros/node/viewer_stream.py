# SPDX-License-Identifier: Apache-2.0

"""Sends the images of the cameras and all answers to the viewer Rerun, while the node runs."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable

from rclpy.node import Node

from stvg_ros.errors import ConfigError, StvgError, said
from stvg_ros.node.cameras import Cameras
from stvg_ros.node.settings import RerunConfig
from stvg_ros.types import Frame, Grounding
from stvg_ros.visualization.rerun_recording import (
    RerunRecording,
    check_rerun,
    check_viewer,
    frame_scale,
    viewer_address,
)

SETTING = "rerun.address"
MOST_WAITING = 16  # images and answers
RETRY_S = 5.0
CLOSE_S = 2.0
Work = Callable[[RerunRecording], None]


class ViewerStream:
    """A live recording in a viewer; a `FrameListener`.

    Nothing waits for the viewer: what comes while none listens, or while it is slow, is dropped. A
    viewer that starts later is found within seconds.

    Thread contract: any thread may call `answered` and `frame_stored`; one thread calls `close`.
    The recording is used by a thread of its own.
    """

    def __init__(self, node: Node, config: RerunConfig) -> None:
        """Starts the thread.

        Args:
            node: logs, and names the recording.
            config: with an address.

        Raises:
            ConfigError: rerun-sdk is not installed, or the address is none.
        """
        check_rerun(SETTING)
        viewer_address(config.address, SETTING)
        self._node = node
        self._address = config.address
        self._origin_ns: int | None = None
        self._scales: dict[str, tuple[float, float]] = {}
        self._recording: RerunRecording | None = None
        self._tried_s = -RETRY_S
        self._waiting: queue.Queue[Work | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="rerun", daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, node: Node, cameras: Cameras, config: RerunConfig) -> ViewerStream | None:
        """The stream of these cameras; None without an address. Raises: as the constructor."""
        if not config.address:
            return None
        stream = cls(node, config)
        cameras.add_listener(stream)
        return stream

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """See `FrameListener`."""
        origin_ns = self._origin_ns = frame.stamp_ns if self._origin_ns is None else self._origin_ns
        self._scales[camera] = frame_scale(frame)
        self._put(lambda recording: recording.add_image(frame, origin_ns, camera))

    def window_restarted(self, camera: str) -> None:
        """See `FrameListener`; images of both time lines are shown by their stamps."""

    def answered(self, grounding: Grounding) -> None:
        """Sends an answer about images that were sent."""
        origin_ns, camera = self._origin_ns, grounding.best.camera
        if origin_ns is not None and camera in self._scales:
            scale = self._scales[camera]
            self._put(lambda recording: recording.add_answer(grounding, scale, origin_ns, camera))

    def close(self) -> None:
        """Ends the stream, within seconds also without a viewer."""
        self._put(None)
        self._thread.join(CLOSE_S)

    def _put(self, work: Work | None) -> None:
        """Queues work, or the end; drops the oldest if there is too much."""
        while True:
            try:
                self._waiting.put_nowait(work)
                return
            except queue.Full:
                with contextlib.suppress(queue.Empty):
                    self._waiting.get_nowait()

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            try:
                recording = self._recording or self._connected()
                if recording is not None:
                    work(recording)
            except Exception as error:
                self._node.get_logger().error(
                    f"{SETTING}: {said(error)}", throttle_duration_sec=10.0
                )
        if self._recording is not None:
            with contextlib.suppress(StvgError):  # the viewer may have ended before
                self._recording.close()

    def _connected(self) -> RerunRecording | None:
        """The recording, if a viewer listens."""
        if time.monotonic() < self._tried_s + RETRY_S:
            return None
        self._tried_s = time.monotonic()
        try:
            check_viewer(self._address, SETTING)
        except ConfigError as error:
            self._node.get_logger().warning(f"{error}", throttle_duration_sec=60.0)
            return None
        name = self._node.get_fully_qualified_name()
        self._recording = RerunRecording(name, viewer=self._address)
        return self._recording
