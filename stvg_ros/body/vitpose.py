# SPDX-License-Identifier: Apache-2.0

"""ViTPose of the library transformers (arXiv 2204.12484): all people of an image in one batch."""

from __future__ import annotations

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from stvg_ros.body.keypoints import COUNT, Keypoints
from stvg_ros.boxes import Boxes
from stvg_ros.checkpoints.devices import device_of
from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.checkpoints.image_preprocessing import processor_values
from stvg_ros.checkpoints.weights import loaded_weights
from stvg_ros.errors import ModelError

_SETTING = "body.estimator"
_COCO_EXPERT = 0  # ViTPose+ has an expert for each of its data sets


class VitPose:
    """The 17 keypoints of COCO from a folder or the hub; see `KeypointEstimator`."""

    def __init__(self, path: str, device: str) -> None:
        """Loads a checkpoint.

        Raises:
            ModelError: it is absent, damaged, of another class, or of other keypoints.
            ConfigError: the device cannot be used.
        """
        self.name = path
        self._device = device_of(device, "body.device")
        files = CheckpointFiles.of(path, _SETTING)
        kind = files.config(_SETTING).get("model_type")
        if kind != "vitpose":
            raise ModelError(f"{_SETTING} {path!r}: expected a checkpoint of vitpose, got {kind!r}")
        model = loaded_weights(files, "VitPoseForPoseEstimation", _SETTING, torch.float32).model
        count = model.config.num_labels
        if count != COUNT:
            raise ModelError(
                f"{_SETTING} {path!r}: expected COCO's {COUNT} keypoints, got {count}; use a "
                "checkpoint for COCO"
            )
        self._model = model.eval().requires_grad_(False).to(self._device)
        _, values = processor_values(files) or ("", {})
        given = {name: values[name] for name in ("size", "image_mean", "image_std")
                 if name in values}  # fmt: skip
        self._processor = transformers.VitPoseImageProcessorPil(**given)

    @torch.inference_mode()
    def __call__(self, image: NDArray[np.uint8], boxes_xyxy_px: Boxes) -> Keypoints:
        """See `KeypointEstimator`."""
        if not len(boxes_xyxy_px):
            return Keypoints.nobody()
        boxes = np.asarray(boxes_xyxy_px, np.float32).copy()
        boxes[:, 2:] -= boxes[:, :2]
        taken = self._processor(image, boxes=[boxes.tolist()], return_tensors="pt")
        experts = {}
        if getattr(self._model.config.backbone_config, "num_experts", 1) > 1:
            experts["dataset_index"] = torch.full(
                (len(boxes),), _COCO_EXPERT, device=self._device, dtype=torch.int64
            )
        output = self._model(pixel_values=taken["pixel_values"].to(self._device), **experts)
        output.heatmaps = output.heatmaps.float().cpu()
        (people,) = self._processor.post_process_pose_estimation(output, boxes=[boxes.tolist()])
        points = np.stack([np.asarray(person["keypoints"], np.float32) for person in people])
        scores = np.stack([np.asarray(person["scores"], np.float32) for person in people])
        return Keypoints(points, np.clip(scores.reshape(len(points), COUNT), 0, 1))
