# SPDX-License-Identifier: Apache-2.0

"""Replays recorded images through the window without delays, to get the node's buffer.

Deterministic; one pass over the images serves all commands about them, and only images that the
window keeps are converted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stvg_ros.errors import ImageError, NoImagesError, RecordingError, StvgError
from stvg_ros.io.recording import SourceImage
from stvg_ros.types import Clip, Frame
from stvg_ros.window import FrameOutcome, Window, WindowConfig


@dataclass(frozen=True, eq=False)
class Moment:
    """The state at a command.

    Attributes:
        clip: the window's frames; None on an error.
        stamps_ns: `(F,)` increasing stamps of all images since the window was last cleared.
        numbers: `(F,)` their numbers in the source.
        images: counts of the images up to the command, by outcome.
        error: why there is no clip.
    """

    clip: Clip | None
    stamps_ns: NDArray[np.int64]
    numbers: NDArray[np.int64]
    images: Mapping[str, int]
    error: StvgError | None = None


@dataclass
class _TimeLine:
    """Stamps and numbers of the images since the window was last cleared."""

    stamps_ns: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    odd: tuple[int, int] | None = None  # stamp and number of an image that the window holds

    def add(self, stamp_ns: int, number: int) -> None:
        self.stamps_ns.append(stamp_ns)
        self.numbers.append(number)

    def clear(self) -> None:
        self.stamps_ns.clear()
        self.numbers.clear()


def replay(
    images: Iterable[SourceImage],
    config: WindowConfig,
    commands_ns: Sequence[int | None],
    frames: tuple[int, int] | None = None,
    stored: Callable[[Frame], None] = lambda frame: None,
) -> Iterator[Moment]:
    """The states at the commands.

    An image that cannot be converted is counted as refused and skipped, as in the node; if a
    source ends with an error, the later commands fail.

    Args:
        images: in the order of the file.
        config: window settings.
        commands_ns: in order: each command follows the last image that is not later; None
            (at the end) follows the last image of all.
        frames: only images with these numbers are used, end excluded; None uses all.
        stored: called with each frame that the window keeps, in order.
    """
    window, line = Window(config), _TimeLine()
    counts: Counter[str] = Counter()
    begin, end = frames or (0, math.inf)
    waiting = list(commands_ns)
    broken: StvgError | None = None
    try:
        for number, image in enumerate(images):
            if number < begin:
                continue
            if number >= end:
                break
            while waiting and waiting[0] is not None and image.stamp_ns > waiting[0]:
                yield _moment(window, line, counts)
                waiting.pop(0)
            if not waiting:
                return
            counts["read"] += 1
            _offer(image, number, window, line, counts, config, stored)
    except RecordingError as error:
        broken = error
    for _ in waiting:
        yield _moment(window, line, counts, broken)


def _offer(
    image: SourceImage, number: int, window: Window, line: _TimeLine, counts: Counter[str],
    config: WindowConfig, stored: Callable[[Frame], None],
) -> None:  # fmt: skip
    """Offers an image to the window, which converts it only if it keeps it."""
    if image.stamp_ns < 0 or image.error:
        counts["refused"] += 1
        return
    newest_ns = line.stamps_ns[-1] if line.stamps_ns else -1
    if not window.wanted(image.stamp_ns):
        if image.stamp_ns > newest_ns:
            line.add(image.stamp_ns, number)
        return
    try:
        frame = image.frame(config.long_side_px)
        added = window.add(frame)
    except ImageError:
        counts["refused"] += 1
        return
    if added is FrameOutcome.ODD:
        line.odd = (image.stamp_ns, number)
        return
    if added is FrameOutcome.RESTARTED:
        line.clear()
    if line.odd is not None and window.frame(line.odd[0]) is not None:
        line.add(*line.odd)
    line.odd = None
    line.add(image.stamp_ns, number)
    if added in (FrameOutcome.STORED, FrameOutcome.RESTARTED):
        stored(frame)


def _moment(
    window: Window, line: _TimeLine, counts: Counter[str], broken: StvgError | None = None
) -> Moment:
    clip: Clip | None = None
    error = broken
    if broken is None:
        try:
            clip = window.snapshot()
        except NoImagesError:
            error = NoImagesError(
                f"no image up to the command: {counts['read']} were read, {counts['refused']} of "
                "them could not be converted; check command_ns and the image topic"
            )
    kept = {name: count for name, count in window.counts.items() if count or name == "stored"}
    stamps_ns, numbers = np.array(line.stamps_ns, np.int64), np.array(line.numbers, np.int64)
    return Moment(clip, stamps_ns, numbers, {**counts, **kept}, error)


def whole_window(config: WindowConfig, duration_s: float, bytes_per_frame: int) -> WindowConfig:
    """A window for a whole part, at the highest rate that fits its bytes.

    Args:
        config: window settings of the node; its rate and bytes remain upper bounds.
        duration_s: duration of the part.
        bytes_per_frame: bytes of one stored image.
    """
    fitting_hz = config.max_bytes / (1.1 * bytes_per_frame * max(duration_s, 1.0))
    rate_hz = config.max_rate_hz if config.max_rate_hz > 0 else math.inf
    return replace(
        config,
        duration_s=min(3600.0, duration_s + 10.0),
        max_rate_hz=min(rate_hz, fitting_hz) if fitting_hz < 1000 else config.max_rate_hz,
    )
