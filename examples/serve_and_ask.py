# SPDX-License-Identifier: Apache-2.0

"""Serve the model, and ask it over HTTP with nothing but the standard library.

python examples/serve_and_ask.py frames/ "the person who waves"
python examples/serve_and_ask.py frames/ "the person who waves" http://gpu-box:8000

`frames/` holds JPEG or PNG files, in the order of their names, at 5 Hz. Without an address the
example starts `stvg-ros serve` on this machine, with the embedded model, and stops it afterwards.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

PORT = 8765


@contextmanager
def server() -> Iterator[str]:
    """Runs `stvg-ros serve` until the block ends; gives its address."""
    command = [sys.executable, "-m", "stvg_ros.cli.main", "serve", "--port", str(PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("serving at"):
                    yield line.split()[-1]
                    return
            raise SystemExit("the server has not started")
        finally:
            process.terminate()


def ask(address: str, folder: str, sentence: str) -> dict[str, Any]:
    """Sends the pictures of a folder as a tar; the answer."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w") as archive:
        archive.add(folder, arcname="frames")
    request = Request(
        f"{address}/v1/ground?{urlencode({'query': sentence, 'rate_hz': 5})}",
        data=body.getvalue(),
        headers={"Content-Type": "application/x-tar"},
    )
    with urlopen(request, timeout=300) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def main(folder: str, sentence: str, address: str = "") -> None:
    """Prints the best tube."""
    if not address:
        with server() as here:
            return main(folder, sentence, here)
    tube = ask(address, folder, sentence)["tubes"][0]
    print(f"{tube['status']}, confidence {tube['confidence']:.2f}, by {tube['model']}")
    if tube["boxes"]:
        print(f"{tube['start_s']:.2f} s to {tube['end_s']:.2f} s, {len(tube['boxes'])} boxes")
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
