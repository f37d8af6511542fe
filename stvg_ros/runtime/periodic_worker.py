# SPDX-License-Identifier: Apache-2.0

"""A thread that does work between commands, at intervals that the work itself chooses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Does one step; returns the seconds until the next one, or None for not before `wake`.
Step = Callable[[], "float | None"]
_PAUSE_S = 1.0  # after a step that failed


class PeriodicWorker:
    """Calls a step repeatedly in a thread of its own.

    If a step fails, its error is reported and the thread continues after a pause.

    Thread contract: any thread may call the public methods; the step runs in this thread.
    """

    def __init__(self, name: str, step: Step, report: Callable[[Exception], None]) -> None:
        """Starts the thread, with the first step at once.

        Args:
            name: of the thread.
            step: the work.
            report: receives the exceptions of steps.
        """
        self._step = step
        self._report = report
        self._changed = threading.Condition()
        self._woken = True
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Calls the step soon."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Ends the thread after the current step."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        pause_s: float | None = 0.0
        while True:
            end_s = None if pause_s is None else time.monotonic() + pause_s
            with self._changed:
                while not (self._woken or self._stopping):
                    left_s = None if end_s is None else end_s - time.monotonic()
                    if left_s is not None and left_s <= 0:
                        break
                    self._changed.wait(left_s)
                if self._stopping:
                    return
                self._woken = False
            try:
                pause_s = self._step()
            except Exception as error:
                self._report(error)
                pause_s = _PAUSE_S
