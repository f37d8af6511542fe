# SPDX-License-Identifier: Apache-2.0

"""Print every answer of a grounding node, whoever asked, until Ctrl-C.

ros2 launch stvg_ros grounding.launch.py image:=/camera/image_raw
python examples/subscribe_to_tubes.py
"""

from __future__ import annotations

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from stvg_ros.msg import Tube


class TubePrinter(Node):
    """Subscribes to `~/tube` of the grounding node."""

    def __init__(self) -> None:
        """Transient local: the last answer arrives even if it was published earlier."""
        super().__init__("tube_printer")
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(Tube, "/grounding/tube", self._on_tube, latched)

    def _on_tube(self, tube: Tube) -> None:
        if tube.status == Tube.FOUND:
            centre = [((box.x_min + box.x_max) / 2, (box.y_min + box.y_max) / 2)
                      for box in tube.boxes]  # fmt: skip
            way = f"from {centre[0][0]:.0f},{centre[0][1]:.0f} to "
            way += f"{centre[-1][0]:.0f},{centre[-1][1]:.0f} px in {tube.header.frame_id}"
            print(f"found: {tube.query}, {len(tube.boxes)} boxes, {way}", flush=True)
        elif tube.status == Tube.NOT_FOUND:
            print(f"not found: {tube.query}", flush=True)
        else:
            print(f"failed: {tube.query} ({tube.error})", flush=True)


def main() -> None:
    """Spins the node."""
    rclpy.init()
    try:
        rclpy.spin(TubePrinter())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
