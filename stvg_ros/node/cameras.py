# SPDX-License-Identifier: Apache-2.0

"""Camera subscriptions: stores image messages in one window per camera."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage, Image

from stvg_ros.config import Config
from stvg_ros.errors import (
    CommandError,
    ImageError,
    NoImagesError,
    StaleImagesError,
    StvgError,
    said,
)
from stvg_ros.node.conversions import stamp_ns
from stvg_ros.node.depth_feed import DepthFeed
from stvg_ros.node.detections import DetectionFeed
from stvg_ros.node.image_conversions import compressed_frame, image_frame
from stvg_ros.node.qos import CAMERA
from stvg_ros.runtime.camera_search import CameraViews
from stvg_ros.runtime.frame_bus import FrameBus, FrameListener
from stvg_ros.stamps import HeaderStamps
from stvg_ros.types import Clip
from stvg_ros.window import FrameOutcome, Window


def topic(camera: str, name: str) -> str:
    """The private topic `name` of a camera: `~/image`, or `~/front/image` for a named camera."""
    return f"~/{camera}/{name}" if camera else f"~/{name}"


class Camera:
    """One camera's subscription and window.

    Thread contract: the executor's thread calls all methods; any thread may use `window`.
    """

    def __init__(self, node: Node, name: str, config: Callable[[], Config]) -> None:
        """Creates the window; `start` subscribes to images.

        Args:
            node: subscribes.
            name: of the camera, or "" for a single unnamed camera.
            config: returns the current configuration.
        """
        self._node = node
        self._config = config
        self._subscription: Any = None
        self._raw = config().image.transport == "raw"
        self.name = name
        self.window = Window(config().window)
        self.received = 0
        self.last_received = 0.0  # monotonic seconds
        self.last_stored = 0.0  # monotonic seconds
        self.last_stamp_ns = 0
        self.stamps = HeaderStamps()
        self.errors = 0
        self.last_error = ""
        self.callback_times_s: deque[float] = deque(maxlen=10_000)
        self.listeners = FrameBus()
        self.detections: DetectionFeed | None = None
        self.depth: DepthFeed | None = None
        if config().depth.enabled:
            self.depth = DepthFeed(node, topic(name, ""), config(), self.window)
            self.listeners.add(self.depth)

    @property
    def running(self) -> bool:
        """Whether images are received."""
        return self._subscription is not None

    @property
    def age_s(self) -> float:
        """Seconds since the newest image in the window arrived."""
        return time.monotonic() - self.last_stored

    def clip(self) -> Clip:
        """The content of the window, if it is recent.

        Raises:
            NoImagesError: no image has arrived yet.
            StaleImagesError: the newest image is too old.
        """
        clip, config = self.window.snapshot(), self._config().window
        limit_s = config.max_age_s
        if limit_s and config.max_rate_hz:
            limit_s = max(limit_s, 2 / config.max_rate_hz)
        if limit_s and self.age_s > limit_s:
            raise StaleImagesError(
                f"the newest image on {topic(self.name, 'image')} came {self.age_s:.1f} s ago; "
                f"expected at most window.max_age_s = {limit_s:g} s; check the camera, or set "
                "window.max_age_s to 0 to ask about a recording that has ended"
            )
        return clip

    def start(self) -> None:
        """Subscribes to images."""
        self.stamps = HeaderStamps()
        if self.depth is not None:
            self.depth.start()
        self._subscription = self._node.create_subscription(
            Image if self._raw else CompressedImage,
            topic(self.name, "image"),
            self._on_image,
            CAMERA[self._config().image.qos],
        )

    def stop(self) -> None:
        """Unsubscribes and clears the window."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        if self.depth is not None:
            self.depth.stop()
        self.window.clear()

    def _on_image(self, message: Any) -> None:
        begin = time.perf_counter()
        self.received += 1
        self.last_received = time.monotonic()
        try:
            self._store(message)
        except Exception as error:
            self.errors += 1
            self.last_error = said(error)
            self._node.get_logger().error(
                f"image refused ({self.errors} so far): {self.last_error}",
                throttle_duration_sec=2.0,
            )
        self.callback_times_s.append(time.perf_counter() - begin)

    def _stamp_ns(self, message: Any) -> int:
        """The image's stamp, or its time of arrival where the camera does not stamp.

        Raises:
            ImageError: it has no stamp, though the camera stamps its images.
        """
        header_ns = stamp_ns(message.header.stamp)
        # A simulated clock that nobody publishes stays at zero, which is no time.
        arrival_ns = self._node.get_clock().now().nanoseconds or time.time_ns()
        time_ns = self.stamps.stamp_ns(header_ns, arrival_ns)
        if time_ns < 0:
            raise ImageError(
                f"header.stamp: expected a time above 0 s as of the images before, got "
                f"{header_ns / 1e9:g} s; the driver must stamp all of its images or none"
            )
        return time_ns

    def _store(self, message: Any) -> None:
        self.last_stamp_ns = self._stamp_ns(message)
        if not self.window.wanted(self.last_stamp_ns):
            return
        long_side_px = self._config().window.long_side_px
        convert = image_frame if self._raw else compressed_frame
        frame = convert(message, long_side_px)
        frame = replace(frame, stamp_ns=self.last_stamp_ns, stream=self.name)
        outcome = self.window.add(frame)
        if outcome is FrameOutcome.RESTARTED:
            self._node.get_logger().warning(
                f"{self.name or 'camera'}: the image stamps jumped back or the image size "
                "changed: window cleared",
                throttle_duration_sec=2.0,
            )
            self.listeners.window_restarted(self.name)
        if outcome in (FrameOutcome.STORED, FrameOutcome.RESTARTED):
            self.last_stored = time.monotonic()
            self.listeners.frame_stored(self.name, frame)


class Cameras:
    """All cameras, by name.

    Thread contract: as for `Camera`; any thread may call `views` and `clips`.
    """

    def __init__(self, node: Node, config: Callable[[], Config]) -> None:
        """Arguments as for `Camera`."""
        names = config().node.camera_names
        self._cameras = {name: Camera(node, name, config) for name in names}

    def __iter__(self) -> Iterator[Camera]:
        return iter(self._cameras.values())

    def __getitem__(self, name: str) -> Camera:
        return self._cameras[name]

    def start(self) -> None:
        """Takes images from now on."""
        for camera in self:
            camera.start()

    def stop(self) -> None:
        """Unsubscribes all cameras and clears their windows."""
        for camera in self:
            camera.stop()

    def add_listener(self, listener: FrameListener) -> None:
        """Passes every image stored from now on to the listener."""
        for camera in self:
            camera.listeners.add(listener)

    def remove_listener(self, listener: FrameListener) -> None:
        """Stops passing images to the listener."""
        for camera in self:
            camera.listeners.remove(listener)

    def reconfigure(self, config: Config) -> None:
        """Applies new bounds to the windows."""
        for camera in self:
            camera.window.reconfigure(config.window)

    def clips(self) -> tuple[Clip, ...]:
        """The windows of the cameras that have images."""
        return tuple(camera.window.snapshot() for camera in self if camera.window.fill[0])

    def views(self, name: str) -> CameraViews:
        """The clip of the named camera; for "", the clips of all cameras that have images.

        Raises:
            CommandError: no camera has this name.
            NoImagesError: no image has arrived yet.
            StaleImagesError: the newest image of every camera is too old.
        """
        if name and name not in self._cameras:
            known = ", ".join(repr(known) for known in self._cameras if known)
            raise CommandError(
                f"camera: expected {known or 'an empty name, there is one unnamed camera'}, "
                f"got {name!r}"
            )
        clips, ages_s, stale = {}, {}, {}
        missing: StvgError | None = None
        for camera in [self[name]] if name else list(self):
            try:
                clips[camera.name], ages_s[camera.name] = camera.clip(), camera.age_s
            except StaleImagesError as error:
                stale[camera.name] = missing = error
            except NoImagesError as error:
                missing = missing or error
        if missing is not None and not clips:
            raise missing
        return CameraViews(clips, ages_s, stale)
