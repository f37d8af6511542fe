# SPDX-License-Identifier: Apache-2.0

"""Reads recordings of Rerun, and receives streams as a viewer does, without a window.

The receiver is Rerun's own server (`rerun --save FILE`), so what is read back came over gRPC.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import warnings
from pathlib import Path

import pytest

rerun = pytest.importorskip("rerun", reason="rerun-sdk is missing: run `make libraries`")
TIMEOUT_S = 60.0


def chunks(path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a stream's file has no table of contents
        return list(rerun.chunk.RrdReader(path).stream().to_chunks())


def rows(path: Path, entity: str, column: str) -> list[tuple[int, object]]:
    """Time in ns (-1 for static values) and content of one column of an entity, in order."""
    found = []
    for chunk in chunks(path):
        batch = chunk.to_record_batch()
        if chunk.entity_path != entity or column not in batch.schema.names:
            continue
        times = [-1] * chunk.num_rows
        if not chunk.is_static:
            times = batch.column("time").cast("int64").to_pylist()
        found += zip(times, batch.column(column).to_pylist(), strict=True)
    return sorted(found, key=lambda row: row[0])


def entities(path: Path) -> set[str]:
    return {chunk.entity_path for chunk in chunks(path)}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


class Receiver:
    """A server that writes what it receives to a file; a context."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        import rerun_cli

        self.file, self.port = folder / "received.rrd", port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        program = str(Path(rerun_cli.__file__).parent / "rerun")
        home = {**os.environ, "HOME": str(folder)}
        subprocess.run([program, "analytics", "disable"], env=home, check=True, capture_output=True)
        given = ["--save", str(self.file), "--port", str(self.port), "--bind", "127.0.0.1"]
        self._process = subprocess.Popen(
            [program, *given], env=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._until(self._listens)

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *given: object) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:  # what `until` waited for is in the file
            self._process.kill()
            self._process.wait()

    def until(self, entity: str, column: str, count: int = 1) -> None:
        """Waits until so many rows have arrived."""

        def arrived() -> bool:
            try:
                return len(rows(self.file, entity, column)) >= count
            except Exception:  # the end of the file is being written
                return False

        self._until(arrived)

    def _until(self, condition) -> None:
        end = time.monotonic() + TIMEOUT_S
        while not condition():
            assert self._process.poll() is None, "the receiver ended"
            assert time.monotonic() < end, "nothing was received in time"
            time.sleep(0.05)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True
