"""LLaVA-OneVision: square frames, pooled tokens, one newline token after the video."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.core.interfaces import VisualTokens
from stvg_ros.mllm.preprocess import pixels, read_config

_FRAMES_AT_ONCE = 8  # bounds the memory of the vision tower


class LlavaOnevision:
    """A `Family` on `LlavaOnevisionForConditionalGeneration`."""

    placeholder = "<video>"

    def __init__(self, model: Any, folder: Path) -> None:
        self._model = model
        self._pixels = pixels(read_config(folder))
        self.visual_id = int(model.config.video_token_id)

    @property
    def language_model(self) -> Any:
        """The decoder."""
        return self._model.model.language_model

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> VisualTokens:
        """Frames in chunks through the vision tower, `(M, D)` without the newline token."""
        vision = self._model.config.vision_config
        weight = self._model.get_input_embeddings().weight
        parts = []
        for begin in range(0, len(images), _FRAMES_AT_ONCE):
            frames = np.stack(
                [
                    self._pixels.scaled(image, vision.image_size, vision.image_size)
                    for image in images[begin : begin + _FRAMES_AT_ONCE]
                ]
            )
            video = torch.from_numpy(frames)[None].to(weight.device, weight.dtype)
            output = self._model.model.get_video_features(
                video,
                vision_feature_layer=self._model.config.vision_feature_layer,
                vision_feature_select_strategy=self._model.config.vision_feature_select_strategy,
            )
            parts.append(output.pooler_output[0, :-1])
        side = math.ceil(vision.image_size // vision.patch_size / 2)
        return VisualTokens(
            features=torch.cat(parts),
            grid=(len(images), side, side),
            slots=tuple((index,) for index in range(len(images))),
        )

    def video_text(self, grid: tuple[int, int, int]) -> str:
        """One placeholder for every visual token, and one for the newline."""
        return self.placeholder * (grid[0] * grid[1] * grid[2] + 1)

    def scattered(
        self, ids: torch.Tensor, embeds: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Visual features and the newline in place of the placeholders' embeddings."""
        newline = self._model.model.image_newline[None].to(features.dtype)
        mask = (ids == self.visual_id)[..., None].expand_as(embeds)
        return embeds.masked_scatter(mask, torch.cat([features, newline]).to(embeds.dtype))

    def positions(self, ids: torch.Tensor, grid: tuple[int, int, int]) -> torch.Tensor:
        """Plain positions, `(1, 1, N)`."""
        return torch.arange(ids.shape[1], device=ids.device)[None, None]
