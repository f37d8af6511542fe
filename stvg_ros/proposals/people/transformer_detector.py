# SPDX-License-Identifier: Apache-2.0

"""Candidate tubes of people: a real-time DETR on each image, linked by ByteTrack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.boxes import Boxes, clipped
from stvg_ros.checkpoints.devices import device_of
from stvg_ros.errors import ModelError
from stvg_ros.proposals.detector_checkpoint import DetectorCheckpoint, load
from stvg_ros.proposals.people.byte_track import Track
from stvg_ros.proposals.people.camera_motion import Image, Offset
from stvg_ros.proposals.people.hog_detector import NOBODY, Detections, detections
from stvg_ros.proposals.people.single_target_tracker import FrameObservation, PeopleFollower
from stvg_ros.proposals.people.streaming import StreamingTubes
from stvg_ros.proposals.settings import ProposalConfig
from stvg_ros.types import Frame

CLASSES = {
    "rt_detr": "RTDetrForObjectDetection",
    "rt_detr_v2": "RTDetrV2ForObjectDetection",
    "d_fine": "DFineForObjectDetection",
    "deimv2": "Deimv2ForObjectDetection",
    "lw_detr": "LwDetrForObjectDetection",
    "rf_detr": "RfDetrForObjectDetection",
}
WINDOWED = ("lw_detr", "rf_detr")  # their images are cut into windows
STRIDE = 32  # of the coarsest level of the others
FOLDER = Path(__file__).parent / "embedded"  # of stvg_lab/training/train_detector.py
_LEAST_SEEN = 0.3  # of a tube's searched images
_NEW = 0.7  # score from which on a box begins a track
_NEW_OF_EMBEDDED = 0.45  # the same: on val-hard one tube in 25 more, and 5 points of gt_vIoU
_EVERY_ON_CPU = 3  # images; a checkpoint takes some 0.2 s for one on a core
_SAME_IOU = 0.6  # boxes with a larger overlap are one person


class PictureDetector(Protocol):
    """People in single pictures.

    Attributes:
        name: what logs and answers call it.
        new_track_score: score from which on a box begins a track, where no setting says so.
        smoothing_s: seconds over which boxes are averaged, where they jitter; 0 is none.
        every: every n-th image is searched, where no setting says so.
    """

    name: str
    new_track_score: float
    smoothing_s: float
    every: int

    def __call__(self, image: Image) -> tuple[Boxes, NDArray[np.float32]]:
        """Boxes `(N, 4)` in the image's pixels and scores `(N,)`, best first."""
        ...


class PeopleDetector:
    """Detects people by a real-time DETR; see `PictureDetector`. Not thread-safe."""

    smoothing_s = 0.0

    def __init__(self, path: str, device: str, box_threshold: float) -> None:
        """Loads a checkpoint.

        Raises:
            ModelError, ConfigError: see `load`; or it has no class "person".
        """
        setting = "proposals.people_detector"
        self.name = "embedded" if path == str(FOLDER) else path
        self.new_track_score = _NEW_OF_EMBEDDED if self.name == "embedded" else _NEW
        self._loaded = load(path, setting, CLASSES, device)
        self._box_threshold = box_threshold
        slow = self._loaded.device.type == "cpu" and self.name != "embedded"
        self.every = _EVERY_ON_CPU if slow else 1
        names = {
            str(name).lower(): int(at) for at, name in self._loaded.model.config.id2label.items()
        }
        if "person" not in names:
            raise ModelError(
                f"{setting} {path!r}: expected a class 'person' among its classes, got "
                f"{sorted(names)[:10]}"
            )
        self._person = names["person"]
        if self._loaded.model.config.model_type not in WINDOWED and any(
            edge % STRIDE for edge in self.size
        ):
            raise ModelError(
                f"{setting} {path!r}: its preprocessor_config.json resizes images to "
                f"{self.size[0]} x {self.size[1]}; expected multiples of {STRIDE}, since the model "
                "halves an image five times; change height and width in the file"
            )

    @property
    def checkpoint(self) -> DetectorCheckpoint:
        """The weights with preprocessing."""
        return self._loaded

    @property
    def person(self) -> int:
        """Number of the class of people."""
        return self._person

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the resized image."""
        size = self._loaded.preprocessing.size
        return size.get("height", 640), size.get("width", 640)

    @torch.no_grad()
    def __call__(self, image: Image) -> tuple[Boxes, NDArray[np.float32]]:
        """Boxes `(N, 4)` in the image's pixels and scores `(N,)`, best first."""
        height, width = image.shape[:2]
        pixels = self._loaded.pixels(image, *self.size)
        output = self._loaded.model(pixel_values=pixels.to(self._loaded.device))
        scores = output.logits[0, :, self._person].float().sigmoid().cpu().numpy()
        centre, sides = output.pred_boxes[0].float().cpu().split(2, dim=1)
        limit = np.array([width, height], np.float32)
        low, size_px = (centre - sides / 2).numpy() * limit, sides.numpy() * limit
        # These models are trained to use one query per object, but some people get two.
        order = np.array(
            cv2.dnn.NMSBoxes(
                np.concatenate([low, size_px], axis=1).tolist(),
                scores.tolist(),
                self._box_threshold,
                _SAME_IOU,
            ),
            np.int64,
        ).ravel()
        boxes = np.concatenate([low, low + size_px], axis=1)[order]
        return clipped(boxes, width, height), scores[order]


class PeopleProposer(StreamingTubes):
    """Tubes of people from detections on each image; see `StreamingTubes`."""

    def __init__(self, config: ProposalConfig, detect: PictureDetector) -> None:
        super().__init__(config)
        self._detect = detect

    @classmethod
    def load(cls, config: ProposalConfig) -> PeopleProposer:
        """Loads the detector.

        Raises:
            ModelError, ConfigError: see `PeopleDetector`.
        """
        if config.people_detector in ("auto", "ssdlite"):
            from stvg_ros.proposals.people.ssdlite import SsdliteDetector

            return cls(config, SsdliteDetector(device_of(config.device, "proposals.device")))
        path = str(FOLDER) if config.people_detector == "embedded" else config.people_detector
        return cls(config, PeopleDetector(path, config.device, config.box_threshold))

    @property
    def name(self) -> str:
        """Name of this source in logs and reports."""
        return f"people_detector {self._detect.name}"

    def renewed(self) -> PeopleProposer:
        """The same source with the same detector, without its observations."""
        return PeopleProposer(self._config, self._detect)

    def _smoothing(self, rate_hz: float) -> int:
        return round(self._detect.smoothing_s * rate_hz)

    @property
    def new_track_score(self) -> float:
        """Minimum score of a detection that starts a track."""
        asked = self._config.new_track_threshold
        return self._detect.new_track_score if asked is None else asked

    @property
    def _every(self) -> int:
        asked = self._config.people_every
        return self._detect.every if asked is None else asked

    def _people(self, image: Image, count: int) -> tuple[Boxes, NDArray[np.float32]] | None:
        return None if count % self._every else self._detect(image)

    def _seen(
        self, observed: Sequence[FrameObservation], images: Sequence[Image | None], origin: Offset
    ) -> list[Detections]:
        move = np.tile(origin, 2)
        return [
            detections(item.copy, boxes + move, scores, item.offset - origin)
            for item in observed
            for boxes, scores in (item.shapes or NOBODY,)
        ]

    def _is_object(self, track: Track, frame_count: int) -> bool:
        """Whether a track is long."""
        return track.last - track.first + 1 >= min(self._config.min_frames, frame_count)

    @property
    def _least_seen(self) -> float:
        return _LEAST_SEEN / self._every

    def _follower(
        self, past: Sequence[FrameObservation], frame: Frame, box_xyxy_px: NDArray[np.float32]
    ) -> PeopleFollower:
        return PeopleFollower(self._observation, frame, box_xyxy_px, self.new_track_score)
