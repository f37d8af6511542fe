# SPDX-License-Identifier: Apache-2.0

"""BlazePose (arXiv 2006.10204) through LiteRT: one person at a time, from the person's box."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from stvg_ros.body.keypoint_weights import pose_network
from stvg_ros.body.keypoints import COUNT, Keypoints
from stvg_ros.boxes import Boxes
from stvg_ros.errors import ModelError

INPUT_PX = 256
_MARGIN = 1.25  # side of the crop, in longer sides of the box
_WIDE = 1.2  # width of a box in heights, from which the person may lie
_POINTS, _VALUES = 39, 5  # x, y, z in crop pixels, visibility and presence as logits
# BlazePose's numbers of COCO's points.
_OF_COCO = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
PACKAGE = "ai-edge-litert"


def runtime_installed() -> bool:
    """Whether LiteRT can be imported."""
    from importlib.util import find_spec

    return find_spec("ai_edge_litert") is not None


class BlazePose:
    """The keypoints of BlazePose's "full" network, or of a `.task` file of the user's."""

    name = "blazepose"

    def __init__(self, path: Path | None = None, threads: int = 1) -> None:
        """Loads the network.

        Args:
            path: a `.tflite` or `.task` file; None is the file of `stvg-ros models fetch body`.
            threads: of the processor.

        Raises:
            ModelError: the file or the runtime is missing, or the file is no such network.
        """
        content = pose_network(path)
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise ModelError(
                f"body.estimator 'blazepose': {PACKAGE} is missing ({error}); "
                "pip install --no-deps -r requirements/body.txt"
            ) from error
        try:
            self._interpreter = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
            (taken,) = self._interpreter.get_input_details()
            sizes = [tuple(one["shape"]) for one in self._interpreter.get_output_details()]
            self._landmarks = sizes.index((1, _POINTS * _VALUES))
            self._score = sizes.index((1, 1))
            if tuple(taken["shape"]) != (1, INPUT_PX, INPUT_PX, 3):
                raise ValueError(f"its input is {tuple(taken['shape'])}")
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"body.estimator: expected a network of BlazePose ({error!s:.200}); use "
                "'blazepose' or a pose_landmarker .task file"
            ) from error
        self._input = taken["index"]
        self._outputs = [one["index"] for one in self._interpreter.get_output_details()]

    def __call__(self, image: NDArray[np.uint8], boxes_xyxy_px: Boxes) -> Keypoints:
        """See `KeypointEstimator`. 16 to 22 ms a box on one core, thrice for a wide one."""
        if not len(boxes_xyxy_px):
            return Keypoints.nobody()
        points = np.empty((len(boxes_xyxy_px), COUNT, 2), np.float32)
        visibility = np.empty((len(boxes_xyxy_px), COUNT), np.float32)
        for row, box in enumerate(boxes_xyxy_px):
            crop, corner, scale = person_crop(image, box)
            wide = box[2] - box[0] > _WIDE * (box[3] - box[1])
            landmarks, person = self._best_turned(crop) if wide else self.landmarks(crop)
            chosen = landmarks[list(_OF_COCO)]
            points[row] = corner + chosen[:, :2] * scale
            visibility[row] = person * _sigmoid(chosen[:, 3:].min(axis=1))
        return Keypoints(points, visibility)

    def _best_turned(self, crop: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """The landmarks of the crop as it is, or turned by 90 degrees to either side.

        The network knows people who are upright in its input (arXiv 2006.10204, section 2.2).
        """
        best, most = self.landmarks(crop)
        for quarters in (1, 3):
            found, person = self.landmarks(np.ascontiguousarray(np.rot90(crop, quarters)))
            if person > most:
                x, y = found[:, 0].copy(), found[:, 1].copy()
                found[:, 0], found[:, 1] = (INPUT_PX - y, x) if quarters == 1 else (y, INPUT_PX - x)
                best, most = found, person
        return best, most

    def landmarks(self, crop: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """The network's own output for a crop `(256, 256, 3)` in 0..1.

        Returns:
            Landmarks `(39, 5)`: x, y, z in crop pixels, visibility and presence as logits; and the
            probability that there is a person.
        """
        self._interpreter.set_tensor(self._input, crop[None])
        self._interpreter.invoke()
        found = self._interpreter.get_tensor(self._outputs[self._landmarks])
        score = self._interpreter.get_tensor(self._outputs[self._score])
        return np.asarray(found, np.float32).reshape(_POINTS, _VALUES), float(score.item())


def person_crop(
    image: NDArray[np.uint8], box_xyxy_px: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """The square around a person, black beyond the image.

    Returns:
        `(256, 256, 3)` in 0..1; the corner `(2,)` of the square and the size of a crop pixel, both
        in pixels of the image.
    """
    x1, y1, x2, y2 = (float(value) for value in box_xyxy_px)
    side = max(_MARGIN * max(x2 - x1, y2 - y1), 2.0)
    corner = np.array([(x1 + x2 - side) / 2, (y1 + y2 - side) / 2], np.float32)
    scale = side / INPUT_PX
    # Pixel i of either picture has its centre at i + 0.5.
    move = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    move[:, 2] += scale / 2 - 0.5
    crop = cv2.warpAffine(
        image, move, (INPUT_PX, INPUT_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    return crop.astype(np.float32) / np.float32(255), corner, scale


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -40, 40))), np.float32)
