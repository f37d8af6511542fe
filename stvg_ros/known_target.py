# SPDX-License-Identifier: Apache-2.0

"""A target that has a name: where it was seen last."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownTarget:
    """A target that a name was bound to.

    Attributes:
        name: the name, such as "Morgan".
        box_xyxy_px: its last known box, in pixels of the camera's image.
        stamp_ns: stamp of the image with this box.
        camera: name of the camera of this image; "" if there is only one.
    """

    name: str
    box_xyxy_px: tuple[float, float, float, float]
    stamp_ns: int
    camera: str = ""
