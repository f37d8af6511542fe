# SPDX-License-Identifier: Apache-2.0

"""The example "serve_and_ask.py": pictures in a tar, over HTTP."""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import pytest
from paths import ROOT
from serving_tools import serve, toy

__all__ = ["serve", "toy"]  # fixtures


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("e", ROOT / "examples" / "serve_and_ask.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(4):
        cv2.imwrite(str(folder / f"{index:04d}.jpg"), np.full((48, 64, 3), 90 + index, np.uint8))
    return str(folder)


def test_ask_a_server(example, frames, serve, capsys):
    server = serve()
    example.main(frames, "the person in red", server.address)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("found, confidence 0.")
    assert second == "0.00 s to 0.60 s, 4 boxes"


@pytest.mark.slow
def test_serve_and_ask_with_ray(example, frames, capsys):
    example.main(frames, "the person in red")
    assert "by Qwen2-VL (embedded, rendered scenes only)" in capsys.readouterr().out
