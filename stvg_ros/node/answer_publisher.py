# SPDX-License-Identifier: Apache-2.0

"""Publishers of an answer: tube, evidence, target pose, markers and annotated image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import Image
from visualization_msgs.msg import MarkerArray

from stvg_ros import msg
from stvg_ros.config import Config
from stvg_ros.node.cameras import Camera, Cameras, topic
from stvg_ros.node.conversions import answer_message, evidence_message, tube_message
from stvg_ros.node.image_conversions import image_message
from stvg_ros.node.markers import (
    annotations_type,
    image_annotations,
    keypoint_marker,
    markers,
)
from stvg_ros.node.positions import target_pose
from stvg_ros.node.qos import LATCHED
from stvg_ros.types import Evidence, Frame, Grounding, Status, Tube, TubeBox
from stvg_ros.visualization.drawing import annotate_frame, keypoints_at


def shown_box(tube: Tube, evidence: Evidence | None) -> tuple[TubeBox, NDArray[np.float32] | None]:
    """The newest box of a tube with keypoints `(17, 3)`; without any, the newest one and None."""
    if evidence is not None and evidence.keypoints:
        for box in reversed(tube.boxes):
            keypoints = keypoints_at(evidence, tube.track_id, box.stamp_ns)
            if keypoints is not None:
                return box, keypoints
    return tube.boxes[-1], None


class AnswerPublisher:
    """The publishers of tubes, evidence, poses and their visualisation.

    Thread contract: `publish` may be called from any thread, `close` from the executor's.
    """

    def __init__(self, node: Node, cameras: Cameras, config: Callable[[], Config]) -> None:
        self._node = node
        self._cameras = cameras
        self._config = config
        self._tubes = node.create_publisher(msg.Tube, "~/tube", LATCHED)
        self._answers = node.create_publisher(msg.Answer, "~/answer", LATCHED)
        self._evidence = node.create_publisher(msg.Evidence, "~/evidence", LATCHED)
        self._poses = node.create_publisher(PoseStamped, "~/target_pose", LATCHED)
        self._markers = node.create_publisher(MarkerArray, "~/markers", LATCHED)
        self._annotated = {
            camera.name: node.create_publisher(Image, topic(camera.name, "annotated_image"), 1)
            for camera in cameras
        }
        kind = annotations_type()
        self._annotations = {
            camera.name: node.create_publisher(kind, topic(camera.name, "image_annotations"), 1)
            for camera in cameras
            if kind is not None
        }

    def publish(self, grounding: Grounding) -> None:
        """Publishes an answer on all topics that have subscribers."""
        best = grounding.best
        if best.status is Status.FAILED:
            self._node.get_logger().error(f"{best.query.id}: {best.error}")
        if best.warning:
            self._node.get_logger().warning(f"{best.query.id}: {best.warning}")
        if grounding.evidence is not None:
            self._evidence.publish(evidence_message(grounding.evidence, best))
        # The best tube is published last: late subscribers receive the last message.
        for tube in reversed(grounding.tubes):
            self._tubes.publish(tube_message(tube))
        if grounding.number is not None:
            self._answers.publish(answer_message(grounding))
        pose = target_pose(best)
        if pose is not None:
            self._poses.publish(pose)
        shown = markers(best)
        if best.boxes:
            box, keypoints = shown_box(best, grounding.evidence)
            frame = self._cameras[best.camera].window.frame(box.stamp_ns)
            if keypoints is not None and frame is not None and frame.depth is not None:
                eye = frame.depth.intrinsics
                lines = keypoint_marker(keypoints, box, eye, best.frame_id)
                shown.markers += [] if lines is None else [lines]
            if self._config().image.annotate:
                self._annotate(best, self._cameras[best.camera], box, keypoints, frame)
        self._markers.publish(shown)

    def _annotate(
        self,
        tube: Tube,
        camera: Camera,
        box: TubeBox,
        keypoints: NDArray[np.float32] | None,
        frame: Frame | None,
    ) -> None:
        """Publishes a box of the tube on its image, with the keypoints if there are some."""
        if camera.name in self._annotations:
            self._annotations[camera.name].publish(image_annotations(tube, box, keypoints))
        publisher = self._annotated[camera.name]
        if frame is not None and publisher.get_subscription_count():
            image = annotate_frame(frame, tube, box, keypoints)
            publisher.publish(image_message(image, frame.stamp_ns, frame.frame_id))

    def publish_preliminary(self, grounding: Grounding) -> None:
        """Publishes an answer before tuning: tubes only, no pose, as it is not final."""
        for tube in reversed(grounding.tubes):
            self._tubes.publish(tube_message(tube))

    def close(self) -> None:
        """Destroys the publishers."""
        for publisher in (
            self._tubes,
            self._answers,
            self._evidence,
            self._poses,
            self._markers,
            *self._annotated.values(),
            *self._annotations.values(),
        ):
            self._node.destroy_publisher(publisher)
