# SPDX-License-Identifier: Apache-2.0

"""A ROS domain for each process of tests: those that run side by side must not hear one another.

Ray stays on loopback.
"""

import gc
import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ or "ROS_DOMAIN_ID" not in os.environ:
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
# Ray reads it when it is imported: 127.0.0.1 is then this machine's address, also for clusters.
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: none of them then keeps one process busy at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """What was imported stays: a test that collects garbage then looks at its own objects only."""
    gc.collect()
    gc.freeze()
