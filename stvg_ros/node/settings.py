# SPDX-License-Identifier: Apache-2.0

"""Settings of the node: cameras, images, depth, diagnostics, following."""

from __future__ import annotations

import re
from dataclasses import dataclass

from stvg_ros.errors import ConfigError
from stvg_ros.setting import Group, setting
from stvg_ros.types import MAX_NAME_CHARACTERS


@dataclass(frozen=True)
class NodeConfig(Group):
    """The node as a whole (node only)."""

    group_name = ""
    autostart: bool = setting(
        True, "configure and activate at startup; false leaves this to a lifecycle manager"
    )
    cameras: str = setting(
        "",
        "camera names, separated by commas, with topics ~/NAME/image; '' is one camera at ~/image",
    )

    @property
    def camera_names(self) -> tuple[str, ...]:
        """The names in `cameras`, or one empty name for the only camera."""
        return tuple(name.strip() for name in self.cameras.split(",")) if self.cameras else ("",)

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.camera_names
        if self.cameras and not all(re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) for name in names):
            raise ConfigError(
                f"cameras: expected names of letters, digits and _, separated by commas, "
                f"got {self.cameras!r}"
            )
        if any(len(name) > MAX_NAME_CHARACTERS for name in names):
            raise ConfigError(
                f"cameras: expected names of at most {MAX_NAME_CHARACTERS} characters, "
                f"got one of {max(map(len, names))}"
            )
        if len(set(names)) < len(names):
            raise ConfigError(f"cameras: expected each name once, got {self.cameras!r}")


@dataclass(frozen=True)
class ImageConfig(Group):
    """Subscription of camera images (node only)."""

    group_name = "image"
    transport: str = setting(
        "raw", "message type of ~/image: Image or CompressedImage", choices=("raw", "compressed")
    )
    qos: str = setting(
        "sensor_data",
        "QoS profile of the image subscription",
        choices=("sensor_data", "reliable", "system_default"),
    )
    annotate: bool = setting(
        True, "publish ~/annotated_image when it has a subscriber", dynamic=True
    )


@dataclass(frozen=True)
class DiagnosticsConfig(Group):
    """Health on /diagnostics (node only)."""

    group_name = "diagnostics"
    period_s: float = setting(
        1.0, "period of /diagnostics; 0 is off", unit="s", minimum=0.0, maximum=3600.0
    )


@dataclass(frozen=True)
class DepthConfig(Group):
    """Aligned depth, for positions in space (node only)."""

    group_name = "depth"
    enabled: bool = setting(
        False, "use ~/depth (16UC1 in mm or 32FC1 in m, aligned to ~/image) and ~/camera_info"
    )
    slop_s: float = setting(
        0.05,
        "maximum difference between the stamps of image, depth and camera_info",
        unit="s",
        minimum=0.0001,
        maximum=10.0,
    )
    queue_size: int = setting(
        10, "queue length of the synchroniser, per topic", minimum=1, maximum=1000
    )
    target_frame: str = setting(
        "", "frame of additional positions, such as map (needs tf2); '' is none"
    )


@dataclass(frozen=True)
class RerunConfig(Group):
    """Live stream to the viewer Rerun (node only)."""

    group_name = "rerun"
    address: str = setting(
        "",
        "HOST:PORT of a viewer that receives the images, candidate tubes, scores and answers "
        "(needs rerun-sdk); '' is none",
    )


@dataclass(frozen=True)
class FollowConfig(Group):
    """Following the target after a tube is found (node only)."""

    group_name = "follow"
    enabled: bool = setting(
        False, "publish the target's box on ~/target continuously; ~/follow switches it at run time"
    )
    lost_s: float = setting(
        1.5,
        "a target that is not seen for this long is lost",
        unit="s",
        minimum=0.05,
        maximum=3600.0,
        dynamic=True,
    )
    search_s: float = setting(
        60.0,
        "how long a lost target is searched among the tubes of all cameras; 0 does not search",
        unit="s",
        minimum=0.0,
        maximum=86400.0,
        dynamic=True,
    )
    search_every_s: float = setting(
        0.5,
        "pause between two searches",
        unit="s",
        minimum=0.0,
        maximum=60.0,
        dynamic=True,
    )
