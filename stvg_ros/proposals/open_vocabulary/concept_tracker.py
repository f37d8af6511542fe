# SPDX-License-Identifier: Apache-2.0

"""Detects and tracks all objects of a phrase, image by image: SAM 3.

Dimensions: m x m the model's low resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoInferenceSession

from stvg_ros.proposals.detector_checkpoint import DetectorCheckpoint, load, tokenizer_of
from stvg_ros.proposals.open_vocabulary.mask_operations import use_own_operations
from stvg_ros.proposals.open_vocabulary.mask_tracker import MaskObservation, box_of

CLASSES = {"sam3_video": "Sam3VideoModel"}
SETTING = "proposals.detector"
_TOKENS = 32  # the length that the text part was trained with


@dataclass(frozen=True, eq=False)
class ConceptObservations:
    """The objects of a phrase in one image.

    Attributes:
        seen: by the object's number; without the objects that the model suppresses here.
        scores: of their detections.
        removed: numbers of all objects that the model has taken back so far.
    """

    seen: dict[int, MaskObservation]
    scores: dict[int, float]
    removed: frozenset[int]


class ConceptTracker:
    """Finds the objects of one phrase at a time. Not thread-safe."""

    def __init__(self, loaded: DetectorCheckpoint) -> None:
        """Prepares a checkpoint.

        Raises:
            ModelError: it has no tokenizer.
        """
        use_own_operations()
        self._loaded = loaded
        self._tokenizer = tokenizer_of(loaded, SETTING)
        config = loaded.model.config
        size = config.image_size
        self._edges = (size, size) if isinstance(size, int) else tuple(size)
        tracker = config.tracker_config
        # The range of the memory attention and the pointers; older outputs are never read again.
        self._reach = max(tracker.num_maskmem, tracker.max_object_pointers_in_encoder) + 1
        self._session: Any = None

    @classmethod
    def load(cls, path: str, device: str) -> ConceptTracker:
        """Loads a checkpoint.

        Raises:
            ModelError, ConfigError: see `detector_checkpoint.load`; or it has no tokenizer.
        """
        return cls(load(path, SETTING, CLASSES, device))

    @property
    def checkpoint(self) -> DetectorCheckpoint:
        """The weights with preprocessing."""
        return self._loaded

    @property
    def edges(self) -> tuple[int, int]:
        """Height and width of the resized image."""
        height, width = self._edges
        return height, width

    def begin(self, phrase: str, max_objects: int) -> None:
        """Starts a video: all objects of `phrase`, at most `max_objects` at a time."""
        self._loaded.model.max_num_objects = max_objects
        self._session = self.session_of(phrase)

    def session_of(self, phrase: str) -> Any:
        """A session of the library for a phrase, without images."""
        device = self._loaded.device
        session = Sam3VideoInferenceSession(
            inference_device=device,
            inference_state_device=device,
            video_storage_device=device,
            dtype=torch.float32,
        )
        number = session.add_prompt(phrase)
        text = self._tokenizer(
            phrase, return_tensors="pt", padding="max_length", max_length=_TOKENS, truncation=True
        ).to(device)
        session.prompt_input_ids[number] = text["input_ids"]
        session.prompt_attention_masks[number] = text["attention_mask"]
        return session

    def step(self, image: NDArray[np.uint8], frame: int) -> ConceptObservations:
        """The objects in the next image `(h, w, 3)`; `frame` counts from 0."""
        session = self._session
        pixels = self._loaded.pixels(image, *self.edges)
        output = self._loaded.model(session, frame=pixels, frame_idx=frame)
        session.processed_frames[frame] = None  # only the count of earlier frames is read
        self._forget(frame)
        removed = frozenset(output.removed_obj_ids)
        hidden = removed | set(output.suppressed_obj_ids)
        seen = {}
        for number, logits in output.obj_id_to_mask.items():
            if number not in hidden:
                mask = (logits[0].float() > 0).cpu().numpy()
                seen[int(number)] = MaskObservation(mask, box_of(mask))
        scores = {int(number): float(score) for number, score in output.obj_id_to_score.items()}
        return ConceptObservations(seen, scores, removed)

    def _forget(self, frame: int) -> None:
        for outputs in self._session.output_dict_per_obj.values():
            recent = outputs["non_cond_frame_outputs"]
            for earlier in [each for each in recent if frame - each > self._reach]:
                del recent[earlier]
