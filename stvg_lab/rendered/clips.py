# SPDX-License-Identifier: Apache-2.0

"""Rendered scenes as frames and as true tubes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.queries import SceneQuery
from stvg_lab.rendered.render import Drawable, render
from stvg_lab.rendered.scene import Scene
from stvg_lab.runs.scores import FrameTube
from stvg_ros.types import Frame


def scene_frames(scene: Drawable, start_ns: int = 0) -> Iterator[Frame]:
    """The frames of the scene at its own size; the first has the stamp `start_ns`."""
    for index, stamp_ns in enumerate(scene.stamps_ns):
        yield Frame(
            start_ns + int(stamp_ns), render(scene, index), scene.width, scene.height, "camera"
        )


def scene_truth(scene: Scene | HardScene, query: SceneQuery) -> FrameTube:
    """The true tube on the frames of the scene; boxes outside the span as well."""
    count = scene.frame_count
    if query.target is None:
        return FrameTube.nothing(count)
    span = np.zeros(count, np.bool_)
    span[query.start_frame : query.end_frame] = True
    return FrameTube(scene.boxes_xyxy_px[query.target], scene.visible[query.target], span)
