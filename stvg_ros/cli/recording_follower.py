# SPDX-License-Identifier: Apache-2.0

"""Follows the target of an answer through the rest of a recording, as the node does live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stvg_ros.errors import ConfigError
from stvg_ros.types import Clip, Frame, Tube
from stvg_ros.window import WindowConfig

if TYPE_CHECKING:  # torch takes seconds; `stvg-ros` imports this module for any command
    from stvg_ros.method.interfaces import Proposer, TargetObservation


@dataclass(frozen=True)
class FollowedBox:
    """The target in an image after the answer.

    Attributes:
        stamp_ns: of the image.
        observation: the box, and whether it was seen there.
    """

    stamp_ns: int
    observation: TargetObservation

    def json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "stamp_ns": self.stamp_ns,
            "box_xyxy_px": list(self.observation.box_xyxy_px),
            "seen": self.observation.seen,
        }


def later_frames(
    path: Path, topic: str | None, start_s: float, window: WindowConfig
) -> Iterator[Frame]:
    """The images of a recording from `start_s` on, as the window keeps them; one at a time."""
    from stvg_ros.io.recording import read_frames

    gap_ns = 0.9e9 / window.max_rate_hz if window.max_rate_hz else 0.0
    last_ns = -gap_ns
    side_px = window.long_side_px
    for frame in read_frames(path, topic, start_s=start_s, long_side_px=side_px):
        if frame.stamp_ns - last_ns >= gap_ns:
            last_ns = frame.stamp_ns
            yield frame


def followed(
    proposer: Proposer | None, clip: Clip, tube: Tube, later: Iterable[Frame], lost_s: float
) -> Iterator[FollowedBox]:
    """The target in each later image, until it is lost.

    Args:
        proposer: the source of the tubes.
        clip: the searched images.
        tube: found in the clip.
        later: images after the clip.
        lost_s: a target that is not seen for so long is lost.

    Raises:
        ConfigError: this source cannot follow, or it is on a server.
    """
    if proposer is None or not proposer.can_follow:
        raise ConfigError(
            "--follow: this source of tubes cannot follow; set proposals.source to people_detector "
            "or classical, and backend to local"
        )
    last = tube.boxes[-1]
    frames = [frame for frame in clip.frames if frame.stamp_ns >= last.stamp_ns]
    follower = proposer.follower(frames[0], np.array(last.box_xyxy_px, np.float32))
    seen_ns = last.stamp_ns
    for frame in (*frames[1:], *later):
        observation = follower.update(frame)
        if observation is None:
            continue
        seen_ns = frame.stamp_ns if observation.seen else seen_ns
        if frame.stamp_ns - seen_ns > lost_s * 1e9:
            return
        yield FollowedBox(frame.stamp_ns, observation)


def follow_table(found: list[FollowedBox], origin_ns: int, rows: int = 10) -> str:
    """Times and boxes as text; `origin_ns` is printed as 0 s, at most `rows` are listed."""
    if not found:
        return "followed    not at all: lost at once"
    end_s = (found[-1].stamp_ns - origin_ns) / 1e9
    seen = sum(each.observation.seen for each in found)
    lines = [f"followed    {len(found)} images to {end_s:.2f} s, seen in {seen}"]
    for index in np.linspace(0, len(found) - 1, min(rows, len(found))).round().astype(int):
        each = found[index]
        edges = "".join(f"{edge:8.1f}" for edge in each.observation.box_xyxy_px)
        said = "seen" if each.observation.seen else "predicted"
        lines.append(f"{(each.stamp_ns - origin_ns) / 1e9:8.2f} s{edges}  {said}")
    return "\n".join(lines)
