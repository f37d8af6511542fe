# SPDX-License-Identifier: Apache-2.0

"""A grounder whose process is killed at a sample; importable in worker processes."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import ray
from recordings import SquareGrounder


class MortalGrounder(SquareGrounder):
    """Kills its process at a query that says "die", once, or each time with "always".

    Each sample leaves a file `PROCESS.NUMBER` in the folder. On the node `doomed` of a cluster, the
    process opens the FIFO `at_work` of the folder at its first sample and does not go on.
    """

    def __init__(self, folder: str, doomed: str = "") -> None:
        super().__init__(0.5)
        self._folder, self._doomed, self._count = Path(folder), doomed, 0

    def ground(self, clip, query, checkpoint):
        if self._doomed and self._doomed == ray.get_runtime_context().get_node_id():
            (self._folder / "at_work").write_text("reached\n")
            threading.Event().wait()
        if "die" in query.text:
            grave = self._folder / "grave"
            if "always" in query.text or not grave.exists():
                grave.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        self._count += 1
        (self._folder / f"{os.getpid()}.{self._count}").touch()
        return super().ground(clip, query, checkpoint)


@dataclass(frozen=True)
class Made:
    """Makes the grounder in a worker."""

    folder: str
    doomed: str = ""

    def __call__(self, config, job):
        return MortalGrounder(self.folder, self.doomed)


def broken(config, job):
    raise RuntimeError("no such weights")
