# SPDX-License-Identifier: Apache-2.0

"""Which frames of a session may be encoded before a command asks for them."""

from __future__ import annotations

from collections.abc import Iterable

from stvg_ros.types import Clip, Frame


def windows(frames: Iterable[Frame], duration_s: float) -> list[Clip]:
    """What commands for the whole window of each camera would mean now.

    A session does not name its cameras: they differ in their coordinate frame or size.

    Args:
        frames: in the order in which they entered the windows; a camera's stamp that is not later
            than the one before it is a jump back in time, which clears that window.
        duration_s: how far back a window reaches.
    """
    cameras: dict[tuple[str, int, int], list[Frame]] = {}
    for frame in frames:
        name = frame.frame_id, frame.source_width_px, frame.source_height_px
        window = cameras.setdefault(name, [])
        if window and frame.stamp_ns <= window[-1].stamp_ns:
            window.clear()
        window.append(frame)
    return [_newest(window, int(duration_s * 1e9)) for window in cameras.values()]


def _newest(frames: list[Frame], duration_ns: int) -> Clip:
    oldest_ns = frames[-1].stamp_ns - duration_ns
    return Clip(tuple(frame for frame in frames if frame.stamp_ns >= oldest_ns))
