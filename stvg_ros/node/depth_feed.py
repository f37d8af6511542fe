# SPDX-License-Identifier: Apache-2.0

"""Adds depth to the frames of a window: image, camera_info and aligned depth, matched by stamp."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from stvg_ros.config import Config
from stvg_ros.depth import Depth
from stvg_ros.errors import said
from stvg_ros.node.conversions import stamp_ns, time_message
from stvg_ros.node.image_conversions import depth_metres, intrinsics_of, lens_is_known
from stvg_ros.node.qos import CAMERA
from stvg_ros.types import Frame
from stvg_ros.window import Window

try:
    from message_filters import ApproximateTimeSynchronizer, SimpleFilter
except ImportError:
    from stvg_ros.node.time_synchronizer import ApproximateTimeSynchronizer, SimpleFilter


@dataclasses.dataclass(frozen=True)
class StoredImage:
    """The header of an image message that is stored in the window."""

    header: Header
    width: int
    height: int

    @classmethod
    def of(cls, frame: Frame) -> StoredImage:
        """From a frame: the header has the stamp only, by which messages are matched."""
        stamp = Header(stamp=time_message(frame.stamp_ns))
        return cls(stamp, frame.source_width_px, frame.source_height_px)


class DepthFeed:
    """The subscriptions `depth` and `camera_info` of one camera.

    Images are stored without waiting for their depth: without a depth camera, only the positions
    are missing.

    Thread contract: the executor's thread.
    """

    def __init__(self, node: Node, prefix: str, config: Config, window: Window) -> None:
        """Creates the filters; `start` subscribes.

        Args:
            node: subscribes.
            prefix: of the private topics, such as `~/front/`.
            config: settings of depth and image.
            window: its frames receive the depth.
        """
        self._node = node
        self._prefix = prefix
        self._config = config
        self._window = window
        self._subscriptions: list[Any] = []
        # By the usual names of image_proc: image_rect, image_rect_color, rectified/image.
        topic = node.resolve_topic_name(f"{prefix}image")
        self._rectified = re.search(r"(^|[/_])rect(ified)?([/_]|$)", topic) is not None
        self.attached = 0
        self.on_attached: Callable[[int], None] = lambda stamp_ns: None
        self.errors = 0
        self.last_error = ""
        self.restart()

    def start(self) -> None:
        """Subscribes."""
        qos = CAMERA[self._config.image.qos]
        for kind, name, index in ((Image, "depth", 1), (CameraInfo, "camera_info", 2)):
            self._subscriptions.append(
                self._node.create_subscription(
                    kind,
                    self._prefix + name,
                    # Looked up anew each time: `restart` replaces the filters.
                    lambda message, index=index: self._offer(index, message),
                    qos,
                )
            )

    def stop(self) -> None:
        """Unsubscribes."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        self.restart()

    def restart(self) -> None:
        """Drops unmatched messages, which cannot be matched after a jump of the stamps."""
        self._filters = [SimpleFilter() for _ in range(3)]
        depth = self._config.depth
        joined = ApproximateTimeSynchronizer(self._filters, depth.queue_size, depth.slop_s)
        joined.registerCallback(self._on_set)

    def frame_stored(self, camera: str, frame: Frame) -> None:
        """See `FrameListener`."""
        self._offer(0, StoredImage.of(frame))

    def window_restarted(self, camera: str) -> None:
        """See `FrameListener`."""
        self.restart()

    def _offer(self, index: int, message: Any) -> None:
        try:
            stamp_ns(message.header.stamp)
            self._filters[index].signalMessage(message)
        except Exception as error:
            self._refuse(error)

    def _on_set(self, image: StoredImage, depth: Image, info: CameraInfo) -> None:
        """Attaches a set; never raises, since the synchroniser would keep its lock."""
        try:
            self._attach(image, depth, info)
        except Exception as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        self.errors += 1
        self.last_error = said(error)
        self._node.get_logger().error(
            f"depth refused ({self.errors} so far): {self.last_error}", throttle_duration_sec=2.0
        )

    def _attach(self, image: StoredImage, depth: Image, info: CameraInfo) -> None:
        metres = depth_metres(depth, self._config.window.long_side_px)
        eye = intrinsics_of(info, image.width, image.height, rectified=self._rectified)
        if not self._rectified and not lens_is_known(info):
            self._node.get_logger().warning(
                f"camera_info: distortion_model {info.distortion_model[:40]!r} is not known; "
                "positions are those of a camera without distortion: give a rectified image, or "
                "plumb_bob, rational_polynomial or equidistant",
                throttle_duration_sec=60.0,
            )
        if self._window.attach(stamp_ns(image.header.stamp), Depth(metres, eye)):
            self.attached += 1
            self.on_attached(stamp_ns(image.header.stamp))
