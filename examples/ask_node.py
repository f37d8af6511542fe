# SPDX-License-Identifier: Apache-2.0

"""Ask a running grounding node and wait for the answer.

ros2 launch stvg_ros grounding.launch.py image:=/camera/image_raw
python examples/ask_node.py "the person in red who jumps"
"""

from __future__ import annotations

import sys

import rclpy

from stvg_ros.msg import Tube
from stvg_ros.srv import GroundQuery

STATUS = {Tube.FOUND: "found", Tube.NOT_FOUND: "not found", Tube.FAILED: "failed"}


def main(sentence: str) -> int:
    """Prints the answer of the service `~/ground_query`; 1 when there is none."""
    rclpy.init()
    node = rclpy.create_node("ask_node")
    client = node.create_client(GroundQuery, "/grounding/ground_query")
    try:
        if not client.wait_for_service(timeout_sec=30.0):
            print("/grounding/ground_query: no such service; is the node running?")
            return 1
        # For feedback between the stages, or to cancel, use the action ~/ground instead.
        answer = client.call_async(GroundQuery.Request(text=sentence))
        rclpy.spin_until_future_complete(node, answer)
        tube = answer.result().tube
        print(f"{STATUS[tube.status]}: {tube.query} {tube.error}".rstrip())
        for box in tube.boxes[-1:]:
            corners = map(round, (box.x_min, box.y_min, box.x_max, box.y_max))
            print(f"last seen at {box.stamp.sec}.{box.stamp.nanosec:09d} s in", *corners)
        return 0
    finally:
        node.destroy_node()
        rclpy.shutdown()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
