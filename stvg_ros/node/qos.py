# SPDX-License-Identifier: Apache-2.0

"""Quality of service: what each topic offers or asks for."""

from __future__ import annotations

from rclpy.qos import (
    DurabilityPolicy,
    QoSProfile,
    ReliabilityPolicy,
    qos_profile_sensor_data,
    qos_profile_system_default,
)

# The last message is kept for those who subscribe later.
LATCHED = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
# Bursts of commands are answered one by one, so none may be lost on the way.
COMMANDS = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
# The same for service calls and goals: the default of 10 loses what comes at once beyond it. A
# client keeps its own answers, with a depth of its own.
REQUESTS = QoSProfile(depth=1000, reliability=ReliabilityPolicy.RELIABLE)
# By the value of the setting image.qos.
CAMERA = {
    "sensor_data": qos_profile_sensor_data,
    "reliable": QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE),
    "system_default": qos_profile_system_default,
}
