"""Visual tokens of frames as they come, so that a command finds the vision tower's work done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stvg_ros.core.interfaces import Mllm, VisualTokens, joined_slots
from stvg_ros.types import Clip, Frame

Slot = tuple[Frame, ...]  # a frame, or the frames that share a temporal slot


class Encoder:
    """Encodes sampled frames; slots that were encoded ahead are kept while the window has them.

    A slot is found again by the identity of its frames, so a kept slot is never another frame's.
    What is kept is bounded by the clip: the slots of one sample, at most.

    Thread contract: one thread uses it, the one that grounds.
    """

    def __init__(self, mllm: Mllm) -> None:
        self._mllm = mllm
        self._kept: dict[tuple[Slot, int], VisualTokens] = {}

    @property
    def kept(self) -> int:
        """How many slots are kept."""
        return len(self._kept)

    def prepare(self, clip: Clip, frames: Sequence[Frame], total: int) -> bool:
        """Encodes the oldest complete slot of `frames` that is not kept; False if all are.

        Args:
            clip: the window; slots with frames that left it are forgotten.
            frames: what a command for this window would sample.
            total: frames of a full sample.
        """
        inside = set(clip.frames)
        self._kept = {key: value for key, value in self._kept.items() if inside.issuperset(key[0])}
        for slot in self._slots(frames):
            if len(slot) == self._mllm.frames_per_slot and (slot, total) not in self._kept:
                self._kept[slot, total] = self._encoded(slot, total)
                return True
        return False

    def encode(self, frames: Sequence[Frame], total: int = 0) -> VisualTokens:
        """The visual tokens of `frames`.

        Args:
            frames: the sampled frames.
            total: as in `prepare` when `frames` may have been prepared: then each slot is encoded
                on its own, ahead or now, with the same numbers. 0 encodes all at once.
        """
        if total == 0:
            return self._mllm.encode([frame.image for frame in frames])
        slots = self._slots(frames)
        return joined_slots([self._kept.get((s, total)) or self._encoded(s, total) for s in slots])

    def _slots(self, frames: Sequence[Frame]) -> Iterator[Slot]:
        size = self._mllm.frames_per_slot
        return (tuple(frames[at : at + size]) for at in range(0, len(frames), size))

    def _encoded(self, slot: Slot, total: int) -> VisualTokens:
        return self._mllm.encode([frame.image for frame in slot], total)
