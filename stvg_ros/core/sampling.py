"""Which buffered frames the model sees: the asked window, then T uniform samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import WindowError
from stvg_ros.types import Clip


def cut(clip: Clip, start_ns: int | None, end_ns: int | None) -> Clip:
    """The frames of the clip from `start_ns` to `end_ns`, both included; None is open.

    Raises:
        WindowError: no buffered frame lies in the window.
    """
    low = clip.frames[0].stamp_ns if start_ns is None else start_ns
    high = clip.frames[-1].stamp_ns if end_ns is None else end_ns
    frames = tuple(frame for frame in clip.frames if low <= frame.stamp_ns <= high)
    if not frames:
        raise WindowError(
            f"the window {low / 1e9:.3f} s to {high / 1e9:.3f} s holds no image; buffered are "
            f"{clip.frames[0].stamp_ns / 1e9:.3f} s to {clip.frames[-1].stamp_ns / 1e9:.3f} s; "
            "ask for a window inside, or raise window.duration_s"
        )
    return Clip(frames)


def uniform_indices(count: int, wanted: int) -> NDArray[np.int64]:
    """At most `wanted` indices into `count` frames, the centres of equal parts, `(T,)`.

    Raises:
        ValueError: `count` or `wanted` is below 1.
    """
    if count < 1 or wanted < 1:
        raise ValueError(f"expected 1 or more frames, got count={count}, wanted={wanted}")
    if count <= wanted:
        return np.arange(count, dtype=np.int64)
    return np.floor((np.arange(wanted) + 0.5) * count / wanted).astype(np.int64)
