# SPDX-License-Identifier: Apache-2.0

"""The middleware's memory after large messages, and users' own settings of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
import rclpy
from rcl_interfaces.srv import GetParameters
from rclpy.qos import QoSProfile
from rclpy.utilities import get_rmw_implementation_identifier
from ros_tools import Client, Loop

from stvg_ros.node.middleware import PROFILE, free_messages

PROFILES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
BURST, LENGTH = 60, 1_000_000


def test_fast_dds_is_told_to_free_messages(tmp_path: Path) -> None:
    environment = {"HOME": "/"}
    assert free_messages(environment, tmp_path)
    assert {environment[name] for name in PROFILES} == {str(PROFILE)}
    assert PROFILE.is_file()
    before = dict(environment)
    assert not free_messages(environment, tmp_path)  # of a parent process
    assert environment == before


@pytest.mark.parametrize(
    "own",
    [
        *[{name: "/etc/mine.xml"} for name in PROFILES], {"RMW_FASTRTPS_USE_QOS_FROM_XML": "1"},
        {"RMW_FASTRTPS_USE_QOS_FROM_XML": "0"}, {"RMW_FASTRTPS_PUBLICATION_MODE": "ASYNCHRONOUS"},
    ],
)  # fmt: skip
def test_a_users_own_configuration_is_kept(own: dict[str, str], tmp_path: Path) -> None:
    environment = dict(own)
    assert not free_messages(environment, tmp_path)
    assert environment == own


@pytest.mark.parametrize("name", ["DEFAULT_FASTRTPS_PROFILES.xml", "DEFAULT_FASTDDS_PROFILES.xml"])
def test_a_configuration_in_the_folder_is_kept(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("<dds/>")
    environment: dict[str, str] = {}
    assert not free_messages(environment, tmp_path)
    assert environment == {}


@pytest.mark.skipif(
    "fastrtps" not in get_rmw_implementation_identifier(), reason="the middleware is another one"
)
def test_a_burst_of_large_requests_leaves_no_memory() -> None:
    """Each of 60 requests at once has a name of a megabyte, and each answer."""
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    command = [sys.executable, *safe, "-m", "stvg_ros.node.main", "--ros-args"]
    process = subprocess.Popen(
        [*command, "-p", "autostart:=false"], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    rclpy.init()
    client = Client()
    loop = Loop(client)
    deep = QoSProfile(depth=1000)
    calls = client.create_client(GetParameters, "/grounding/get_parameters", qos_profile=deep)

    def resident_bytes(names: list[str]) -> int:
        futures = [calls.call_async(GetParameters.Request(names=names)) for _ in range(BURST)]
        loop.until(lambda: all(future.done() for future in futures))
        text = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
        (kilobytes,) = (w.split()[1] for w in text.splitlines() if w.startswith("VmRSS"))
        return int(kilobytes) * 1024

    try:
        loop.until(calls.service_is_ready, 300.0)
        before = resident_bytes(["autostart"])
        resident_bytes(["x" * LENGTH])
        after = resident_bytes(["autostart"])
        assert after - before < BURST * LENGTH / 4
    finally:
        loop.close()
        client.ground.destroy()
        client.destroy_node()
        rclpy.shutdown()
        process.kill()
        process.wait()
