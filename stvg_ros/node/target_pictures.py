# SPDX-License-Identifier: Apache-2.0

"""Publishes pictures of who was found on `~/target_image`."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node
from sensor_msgs.msg import CompressedImage

from stvg_ros.crops import best_picture
from stvg_ros.node.conversions import picture_message
from stvg_ros.node.qos import LATCHED
from stvg_ros.types import Grounding, Picture, Status
from stvg_ros.window import Window


class TargetPictures:
    """The topic `~/target_image`: the best crop of each target that was found, or found again.

    Thread contract: any thread may call `answered` and `publish`, the executor's `close`.
    """

    def __init__(self, node: Node, window: Callable[[str], Window]) -> None:
        """Creates the publisher.

        Args:
            node: publishes.
            window: the window of a camera, whose images are cut.
        """
        self._node = node
        self._window = window
        self._publisher = node.create_publisher(CompressedImage, "~/target_image", LATCHED)

    def answered(self, grounding: Grounding) -> None:
        """Publishes the picture of the best tube of an answer."""
        best = grounding.best
        if best.status is not Status.FOUND:
            return
        picture = best.picture
        if picture is None and best.boxes:
            fill, _, _ = self._window(best.camera).fill
            frames = self._window(best.camera).snapshot().frames if fill else ()
            picture = best_picture({frame.stamp_ns: frame for frame in frames}, best.boxes)
        self.publish(picture, best.frame_id)

    def publish(self, picture: Picture | None, frame_id: str) -> None:
        """Publishes a picture, if there is one."""
        if picture is not None:
            self._publisher.publish(picture_message(picture, frame_id))

    def close(self) -> None:
        """Destroys the publisher."""
        self._node.destroy_publisher(self._publisher)
