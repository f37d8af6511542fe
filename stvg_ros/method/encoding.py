# SPDX-License-Identifier: Apache-2.0

"""Encodes frames on arrival, so that a command does not wait for the vision tower."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from stvg_ros.images import resized
from stvg_ros.method.interfaces import Mllm
from stvg_ros.method.interruption import check_interruption
from stvg_ros.method.visual_tokens import VisualTokens, joined_slots
from stvg_ros.types import Frame

Slot = tuple[Frame, ...]  # a frame, or the frames that share a temporal slot
Size = tuple[int, int]  # width and height of the images that the model sees
Key = tuple[tuple[int, ...], int, Size]


@dataclass(frozen=True, eq=False)
class _KeptSlot:
    """The tokens of a slot; weak references to its images detect ids that were reused as keys."""

    images: tuple[weakref.ref[NDArray[Any]], ...]
    tokens: VisualTokens

    def is_of(self, slot: Slot) -> bool:
        return all(ref() is frame.image for ref, frame in zip(self.images, slot, strict=True))


class Encoder:
    """Encodes sampled frames, and caches prefetched slots as long as their images exist.

    The cache is keyed by the identity of the images and is bounded by the windows that hold the
    frames. A frame that receives its depth later has the same image.

    All frames are encoded at the size of the newest one: after a change of `window.long_side_px`,
    a window holds images of two sizes for a while.

    Thread contract: only the grounding thread uses it.
    """

    def __init__(self, mllm: Mllm) -> None:
        self._mllm = mllm
        self._kept: dict[Key, _KeptSlot] = {}

    @property
    def kept(self) -> int:
        """Number of cached slots."""
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Memory of the cached slots, on the model's device."""
        return sum(kept.tokens.nbytes for kept in self._kept.values())

    def forget(self) -> None:
        """Releases the slots whose images no longer exist."""
        self._kept = {
            key: kept
            for key, kept in self._kept.items()
            if all(ref() is not None for ref in kept.images)
        }

    def clear(self) -> None:
        """Releases all slots."""
        self._kept.clear()

    def prefetch(self, frames: Sequence[Frame], total: int) -> bool:
        """Encodes the oldest complete slot of `frames` that is not cached; False if all are.

        Args:
            frames: the frames that a command would sample now.
            total: frames of a full sample.
        """
        self.forget()
        if not frames:
            return False
        size = _size_of(frames)
        for slot in self._slots(frames):
            if len(slot) == self._mllm.frames_per_slot and self._found(slot, total, size) is None:
                refs = tuple(weakref.ref(frame.image) for frame in slot)
                tokens = self._encoded(slot, total, size)
                self._kept[_key(slot, total, size)] = _KeptSlot(refs, tokens)
                return True
        return False

    def encode(self, frames: Sequence[Frame], total: int = 0) -> VisualTokens:
        """The visual tokens of `frames`, with their times.

        Args:
            frames: the sampled frames.
            total: as in `prefetch` if `frames` may have been prefetched: then each slot is encoded
                on its own, earlier or now, with identical results. 0 encodes all at once.
        """
        self.forget()
        size = _size_of(frames)
        if total == 0:
            tokens = self._encoded(frames, 0, size)
        else:
            parts = []
            for slot in self._slots(frames):
                check_interruption()
                parts.append(self._found(slot, total, size) or self._encoded(slot, total, size))
            tokens = joined_slots(parts)
        begin_ns = frames[0].stamp_ns
        return replace(tokens, times_s=tuple((frame.stamp_ns - begin_ns) / 1e9 for frame in frames))

    def _slots(self, frames: Sequence[Frame]) -> Iterator[Slot]:
        size = self._mllm.frames_per_slot
        return (tuple(frames[at : at + size]) for at in range(0, len(frames), size))

    def _found(self, slot: Slot, total: int, size: Size) -> VisualTokens | None:
        kept = self._kept.get(_key(slot, total, size))
        return kept.tokens if kept is not None and kept.is_of(slot) else None

    def _encoded(self, frames: Sequence[Frame], total: int, size: Size) -> VisualTokens:
        return self._mllm.encode([resized(frame.image, *size) for frame in frames], total)


def _size_of(frames: Sequence[Frame]) -> Size:
    height, width = frames[-1].image.shape[:2]
    return width, height


def _key(slot: Slot, total: int, size: Size) -> Key:
    return tuple(id(frame.image) for frame in slot), total, size
