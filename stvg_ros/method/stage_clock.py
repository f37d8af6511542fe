# SPDX-License-Identifier: Apache-2.0

"""The stages of a grounding, and the time of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from stvg_ros.method.interfaces import StageCallback
from stvg_ros.method.interruption import interruptible

STAGES = (
    "split", "propose", "encode", "measure", "forward pass", "reversed pass", "re-attend",
    "attend", "assemble", "score",
)  # fmt: skip


@dataclass
class Clock:
    """Measures stage times; calls the checkpoint at the start of a stage and between its steps."""

    checkpoint: StageCallback
    timings_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures one stage."""
        progress = STAGES.index(name) / len(STAGES)
        self.checkpoint(name, progress)
        begin = time.perf_counter()
        with interruptible(lambda: self.checkpoint(name, progress)):
            yield
        self.timings_s[name] = time.perf_counter() - begin
