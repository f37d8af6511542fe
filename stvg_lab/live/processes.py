# SPDX-License-Identifier: Apache-2.0

"""Child processes in their own session, always terminated."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from stvg_ros.errors import StvgError


class ProcessError(StvgError):
    """A child process exited early or timed out."""


class Child:
    """A Python module that runs as its own process, with its output in a log file.

    A context manager, which ends the process at its exit: with SIGINT, later with SIGKILL.
    Thread contract: one thread uses it; a reader thread fills the log and the queue of lines.
    """

    def __init__(
        self, name: str, module: str, arguments: Sequence[str], *, folder: Path,
        environment: Mapping[str, str],
    ) -> None:  # fmt: skip
        self.name = name
        self.log = folder / f"{name}.log"
        self._lines: queue.Queue[str] = queue.Queue()
        # Started in the folder: in a checkout, ./stvg_ros would shadow the installed package.
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", module, *arguments],
            cwd=folder, env=dict(environment), text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self.log.open("w") as log:
            for line in self._process.stdout:
                log.write(line)
                log.flush()
                self._lines.put(line.strip())

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.end()

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def tell(self, line: str) -> None:
        """Writes a line to its standard input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self.failure("has ended") from None

    def wait_for(self, line: str, timeout_s: float, others: Sequence[Child] = ()) -> None:
        """Waits until the process prints `line`; `others` must keep running.

        Raises:
            ProcessError: one of the processes exited, or the time-out elapsed.
        """
        end_s = time.monotonic() + timeout_s
        while True:
            try:
                if self._lines.get(timeout=0.1) == line:
                    return
                continue
            except queue.Empty:
                pass
            for child in (self, *others):
                if child.exit_code is not None and self._lines.empty():
                    raise child.failure(f"ended with exit code {child.exit_code}")
            if time.monotonic() > end_s:
                raise self.failure(f"did not report '{line}' within {timeout_s:g} s", *others)

    def wait(self, timeout_s: float, others: Sequence[Child] = ()) -> int:
        """Waits for the exit code. Raises: ProcessError as `wait_for`."""
        end_s = time.monotonic() + timeout_s
        while self.exit_code is None:
            for child in others:
                if child.exit_code is not None:
                    raise child.failure(f"ended with exit code {child.exit_code}")
            if time.monotonic() > end_s:
                raise self.failure(f"did not end within {timeout_s:g} s", *others)
            time.sleep(0.05)
        return self.exit_code

    def failure(self, what: str, *others: Child) -> ProcessError:
        """An error with the last lines of the logs."""
        self._reader.join(timeout=1.0)
        text = f"the process '{self.name}' {what}"
        for child in (self, *others):
            lines = child.log.read_text().splitlines()[-12:] if child.log.exists() else []
            shown = "\n".join(f"  {line}" for line in lines) or "  (nothing)"
            text += f"\nlast lines of {child.log}:\n{shown}"
        return ProcessError(text)

    def end(self) -> None:
        """Ends the process and its children; does nothing after its exit."""
        steps = ((signal.SIGINT, 8.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))
        for number, patience_s in steps:
            if self._process.poll() is not None:
                break
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(patience_s)
            except (subprocess.TimeoutExpired, ProcessLookupError):
                continue
        self._reader.join(timeout=1.0)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not (pipe is self._process.stdout and self._reader.is_alive()):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
