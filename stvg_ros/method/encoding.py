# SPDX-License-Identifier: Apache-2.0

"""Visual tokens of frames as they come, so that a command finds the vision tower's work done."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence

from stvg_ros.method.interfaces import Mllm, VisualTokens, joined_slots
from stvg_ros.types import Frame

Slot = tuple[Frame, ...]  # a frame, or the frames that share a temporal slot
Key = tuple[tuple["weakref.ref[Frame]", ...], int]


class Encoder:
    """Encodes sampled frames, and keeps the slots that were encoded ahead while their frames live.

    A slot is found again by the identity of its frames, so a kept slot is never another frame's;
    and what is kept is bounded by the windows that hold the frames.

    Thread contract: one thread uses it, the one that grounds.
    """

    def __init__(self, mllm: Mllm) -> None:
        self._mllm = mllm
        self._kept: dict[Key, VisualTokens] = {}

    @property
    def kept(self) -> int:
        """How many slots are kept."""
        return len(self._kept)

    @property
    def nbytes(self) -> int:
        """Memory of the kept slots, on the model's device."""
        return sum(tokens.nbytes for tokens in self._kept.values())

    def forget(self) -> None:
        """Lets go of the slots whose frames are gone."""
        self._kept = {key: kept for key, kept in self._kept.items() if all(ref() for ref in key[0])}

    def prepare(self, frames: Sequence[Frame], total: int) -> bool:
        """Encodes the oldest complete slot of `frames` that is not kept; False if all are.

        Args:
            frames: what a command would sample now.
            total: frames of a full sample.
        """
        self.forget()
        for slot in self._slots(frames):
            key = _key(slot, total)
            if len(slot) == self._mllm.frames_per_slot and key not in self._kept:
                self._kept[key] = self._encoded(slot, total)
                return True
        return False

    def encode(self, frames: Sequence[Frame], total: int = 0) -> VisualTokens:
        """The visual tokens of `frames`.

        Args:
            frames: the sampled frames.
            total: as in `prepare` when `frames` may have been prepared: then each slot is encoded
                on its own, ahead or now, with the same numbers. 0 encodes all at once.
        """
        self.forget()
        if total == 0:
            return self._mllm.encode([frame.image for frame in frames])
        return joined_slots(
            [
                self._kept.get(_key(slot, total)) or self._encoded(slot, total)
                for slot in self._slots(frames)
            ]
        )

    def _slots(self, frames: Sequence[Frame]) -> Iterator[Slot]:
        size = self._mllm.frames_per_slot
        return (tuple(frames[at : at + size]) for at in range(0, len(frames), size))

    def _encoded(self, slot: Slot, total: int) -> VisualTokens:
        return self._mllm.encode([frame.image for frame in slot], total)


def _key(slot: Slot, total: int) -> Key:
    return tuple(weakref.ref(frame) for frame in slot), total
