# SPDX-License-Identifier: Apache-2.0

"""Tracks masks of objects through a video with SAM 2 and EdgeTAM.

Each object has its own session, so that it may start at any frame; the image features of a frame
are computed once for all objects. Dimensions: m x m the model's low resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.models.sam2_video.modeling_sam2_video import (
    Sam2VideoInferenceCache,
    Sam2VideoInferenceSession,
)

from stvg_ros.proposals.detector_checkpoint import DetectorCheckpoint, load

CLASSES = {"sam2_video": "Sam2VideoModel", "edgetam_video": "EdgeTamVideoModel"}
Mask = NDArray[np.bool_]
_ID = 1


@dataclass(frozen=True, eq=False)
class MaskObservation:
    """An object in a frame.

    Attributes:
        mask: `(m, m)`, covers the whole image.
        box_xyxy: `(4,)` normalised box around the mask, or None if nothing is visible.
    """

    mask: Mask
    box_xyxy: NDArray[np.float32] | None


@dataclass(eq=False)
class Object:
    """A tracked object, in one direction of time."""

    session: Any
    reverse: bool


class MaskTracker:
    """Tracks objects from a box in one frame to the next frames. Not thread-safe.

    `set_image` sets the frame for `start` and `step`.
    """

    def __init__(self, loaded: DetectorCheckpoint) -> None:
        self._loaded = loaded
        config = loaded.model.config
        size = config.image_size
        self._edges = (size, size) if isinstance(size, int) else tuple(size)
        # The range of the memory attention and the pointers; older outputs are never read again.
        self._reach = max(config.num_maskmem, config.max_object_pointers_in_encoder) + 1
        self._cache = Sam2VideoInferenceCache(loaded.device, loaded.device)
        self._pixels: torch.Tensor | None = None
        self._frame = -1

    @classmethod
    def load(cls, path: str, device: str) -> MaskTracker:
        """Loads a checkpoint.

        Raises:
            ModelError, ConfigError: see `detector_checkpoint.load`.
        """
        return cls(load(path, "proposals.tracker", CLASSES, device))

    @property
    def checkpoint(self) -> DetectorCheckpoint:
        """The weights with preprocessing."""
        return self._loaded

    @property
    def edges(self) -> tuple[int, int]:
        """Height and width of the resized image."""
        height, width = self._edges
        return height, width

    def twin(self) -> MaskTracker:
        """Another tracker with the same weights, for another thread."""
        return MaskTracker(self._loaded)

    def set_image(self, image: NDArray[np.uint8], frame: int) -> None:
        """Sets the image `(h, w, 3)` of the current frame."""
        pixels = self._loaded.pixels(image, *self._edges)
        self._pixels, self._frame = pixels[0].to(self._loaded.device), frame
        self._cache.clear_all()

    @torch.no_grad()
    def start(
        self, box_xyxy: NDArray[np.float32], *, reverse: bool = False
    ) -> tuple[Object, MaskObservation]:
        """A new object at a normalised box in the current frame."""
        device = self._loaded.device
        session = Sam2VideoInferenceSession(
            inference_device=device, inference_state_device=device, dtype=torch.float32
        )
        session.cache = self._cache
        index = session.obj_id_to_idx(_ID)
        scale = torch.tensor([self._edges[1], self._edges[0]], dtype=torch.float32)
        corners = torch.tensor(box_xyxy, dtype=torch.float32).reshape(1, 1, 2, 2) * scale
        # Labels 2 and 3 are a box's first and second corner.
        labels = torch.tensor([[[2, 3]]], dtype=torch.int32)
        session.add_point_inputs(
            index, self._frame, {"point_coords": corners, "point_labels": labels}
        )
        session.obj_with_new_inputs = [_ID]
        item = Object(session, reverse)
        return item, self._run(item)

    @torch.no_grad()
    def step(self, item: Object) -> MaskObservation:
        """The object in the current frame, the next one in the object's direction of time."""
        return self._run(item)

    def _run(self, item: Object) -> MaskObservation:
        session = item.session
        # The session's frame count bounds the outputs that it reads; only the pixels of the
        # current frame are needed.
        session.processed_frames = dict.fromkeys(range(self._frame + self._reach + 1))
        session.processed_frames[self._frame] = self._pixels
        output = self._loaded.model(session, frame_idx=self._frame, reverse=item.reverse)
        session.processed_frames = {}
        self._forget(session)
        appears = float(output.object_score_logits.float().max()) > 0
        mask = (output.pred_masks[0, 0].float() > 0).cpu().numpy()
        if not appears:
            mask = np.zeros_like(mask)
        return MaskObservation(mask, box_of(mask))

    def _forget(self, session: Any) -> None:
        (outputs,) = session.output_dict_per_obj.values()
        recent = outputs["non_cond_frame_outputs"]
        for frame in [f for f in recent if abs(f - self._frame) > self._reach]:
            del recent[frame]
        for output in [*outputs["cond_frame_outputs"].values(), *recent.values()]:
            output.pop("high_res_masks", None)
            output.pop("pred_masks", None)


def box_of(mask: Mask) -> NDArray[np.float32] | None:
    """The normalised box `(4,)` around a mask, or None for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    height, width = mask.shape
    corners = (
        columns[0] / width,
        rows[0] / height,
        (columns[-1] + 1) / width,
        (rows[-1] + 1) / height,
    )
    return np.array(corners, np.float32)


def mask_iou(first: Mask, second: Mask) -> float:
    """IoU of two masks; 0 if both are empty."""
    union = int((first | second).sum())
    return int((first & second).sum()) / union if union else 0.0
