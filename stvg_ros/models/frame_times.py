# SPDX-License-Identifier: Apache-2.0

"""The times of the slots, as the prompt or the positions state them.

Reversed slots are those of the video played backwards: time increases from the same beginning, and
the gaps between slots are reversed with them. Evenly spaced slots thus have the same times in both
orders.
"""

from __future__ import annotations

from stvg_ros.method.visual_tokens import VisualTokens


def begin_times(visual: VisualTokens, frames_per_second: float) -> list[float]:
    """Time of each slot's first frame, in seconds since the video's first frame.

    Args:
        visual: the tokens.
        frames_per_second: rate of frames without times, the one that the family assumes itself.
    """
    times = _frame_times(visual, frames_per_second)
    return _played(visual, [times[slot[0]] for slot in visual.slots])


def mean_times(visual: VisualTokens, frames_per_second: float) -> list[float]:
    """Mean time of each slot's first and last frame; arguments and unit as in `begin_times`."""
    times = _frame_times(visual, frames_per_second)
    return _played(visual, [(times[slot[0]] + times[slot[-1]]) / 2 for slot in visual.slots])


def _frame_times(visual: VisualTokens, frames_per_second: float) -> tuple[float, ...]:
    if visual.times_s:
        return visual.times_s
    return tuple(frame / frames_per_second for frame in range(1 + max(map(max, visual.slots))))


def _played(visual: VisualTokens, times: list[float]) -> list[float]:
    """The times in the order of the slots, mirrored for a reversed video."""
    if times[0] <= times[-1]:
        return times
    return [times[0] + times[-1] - time for time in times]
