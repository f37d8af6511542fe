# SPDX-License-Identifier: Apache-2.0

"""Quality-of-service profiles of the topics and services."""

from __future__ import annotations

from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
    qos_profile_system_default,
)

# The last message is kept for late subscribers.
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# Commands may arrive in bursts; none may be lost.
COMMANDS = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
# The same for service calls and goals: the default depth of 10 loses further calls of a burst. A
# client's answers are kept at the client, with the client's depth.
REQUESTS = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
# By the value of the setting image.qos.
CAMERA = {
    "sensor_data": qos_profile_sensor_data,
    "reliable": QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE),
    "system_default": qos_profile_system_default,
}
