# SPDX-License-Identifier: Apache-2.0

"""Selects the frames that the model sees: the requested window, then T uniform samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stvg_ros.commands.command import Command
from stvg_ros.config import Config
from stvg_ros.errors import WindowError
from stvg_ros.method.interfaces import Mllm
from stvg_ros.types import Clip, Query


def asked_window(
    query: Query, command: Command | None, clip: Clip
) -> tuple[int | None, int | None]:
    """Start and end that a command requests, in stamps; None is open.

    A span given by the caller takes precedence over the words of the command ("two minutes ago"),
    which are relative to the newest frame.

    Raises:
        WindowError: the words request a time before the oldest frame.
    """
    time = command.time if command is not None else None
    if time is None or query.start_ns is not None or query.end_ns is not None:
        return query.start_ns, query.end_ns
    oldest, newest = clip.frames[0].stamp_ns, clip.frames[-1].stamp_ns
    start_ns = newest - round(time.start_s * 1e9)
    end_ns = newest - round(time.end_s * 1e9)
    if end_ns < oldest:
        raise WindowError(
            f"{time.text!r}: expected a time within the buffered {(newest - oldest) / 1e9:.1f} s, "
            f"got {time.end_s:g} s to {time.start_s:g} s ago; ask sooner, or raise "
            "window.duration_s"
        )
    return start_ns, end_ns


def cut(clip: Clip, start_ns: int | None, end_ns: int | None) -> Clip:
    """The frames of the clip from `start_ns` to `end_ns`, both included; None is open.

    Raises:
        WindowError: no buffered frame lies in the window.
    """
    low = clip.frames[0].stamp_ns if start_ns is None else start_ns
    high = clip.frames[-1].stamp_ns if end_ns is None else end_ns
    inside = (clip.stamps_ns >= low) & (clip.stamps_ns <= high)
    if not inside.any():
        raise WindowError(
            f"the window {low / 1e9:.3f} s to {high / 1e9:.3f} s holds no image; buffered are "
            f"{clip.frames[0].stamp_ns / 1e9:.3f} s to {clip.frames[-1].stamp_ns / 1e9:.3f} s; "
            "ask for a window inside, or raise window.duration_s"
        )
    return clip.part(inside)


def sampled_frames(clip: Clip, config: Config, mllm: Mllm) -> tuple[NDArray[np.int64], int]:
    """The frames that the model sees: indices into the clip, and the frames of a full sample.

    The second number is 0 if the frames are not those that were encoded on arrival: that is
    disabled, or the clip does not fill the time grid.
    """
    asked = config.sampling.frames
    wanted = mllm.settings.frame_count if asked is None else asked
    if config.sampling.prefetch:
        step_ns = int(config.window.duration_s * 1e9) // wanted
        on_grid = grid_indices(clip.stamps_ns, step_ns, wanted, mllm.frames_per_slot)
        if on_grid is not None:
            return on_grid, wanted
    return uniform_indices(len(clip), wanted), 0


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


def grid_indices(
    stamps_ns: NDArray[np.int64], step_ns: int, wanted: int, frames_per_slot: int
) -> NDArray[np.int64] | None:
    """About `wanted` frames on a time grid that does not move with the window, or None.

    The first frame of each cell of `step_ns` is taken, so the choice is known when a frame
    arrives. A slot always holds the same frames: it begins in a cell whose number is a multiple of
    `frames_per_slot`. None if the clip is much shorter or longer than `wanted` cells, for which
    the grid would be too coarse or too fine.

    Args:
        stamps_ns: `(F,)` stamps of the clip.
        step_ns: length of a cell.
        wanted: T.
        frames_per_slot: number of frames that the model merges.
    """
    cells = stamps_ns // step_ns
    taken = np.flatnonzero(np.diff(cells)) + 1
    while len(taken) and cells[taken[0]] % frames_per_slot:
        taken = taken[1:]
    surplus = -(-(len(taken) - wanted) // frames_per_slot) * frames_per_slot
    if surplus > 2 * frames_per_slot or len(taken) < max(1, wanted * 3 // 4):
        return None
    return taken[max(0, surplus) :].astype(np.int64)
