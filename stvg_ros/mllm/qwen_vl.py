"""Qwen2-VL and Qwen2.5-VL: frame groups share tokens, three-axis rotary positions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.core.interfaces import VisualTokens
from stvg_ros.mllm.preprocess import PatchVideo, read_config


class QwenVl:
    """A `Family` on `Qwen2VLForConditionalGeneration` or `Qwen2_5_VLForConditionalGeneration`."""

    placeholder = "<|video_pad|>"

    def __init__(self, model: Any, folder: Path) -> None:
        self._model = model
        self._layout = PatchVideo.from_config(read_config(folder))
        self.visual_id = int(model.config.video_token_id)

    @property
    def language_model(self) -> Any:
        """The decoder."""
        return self._model.model.language_model

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> VisualTokens:
        """Patches through the vision tower, `(M, D)` by slot, row and column."""
        patches, (slots, rows, columns), frames = self._layout.patches(images)
        tower = self._model.model.visual
        grid = torch.tensor([[slots, rows, columns]], device=tower.device)
        output = self._model.model.get_video_features(patches.to(tower.device), grid)
        merge = self._layout.merge
        return VisualTokens(
            features=output.pooler_output[0],
            grid=(slots, rows // merge, columns // merge),
            slots=frames,
        )

    def video_text(self, grid: tuple[int, int, int]) -> str:
        """One placeholder for every visual token."""
        return self.placeholder * (grid[0] * grid[1] * grid[2])

    def scattered(
        self, ids: torch.Tensor, embeds: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Visual features in place of the placeholders' embeddings."""
        mask = (ids == self.visual_id)[..., None].expand_as(embeds)
        return embeds.masked_scatter(mask, features.to(embeds.dtype))

    def positions(self, ids: torch.Tensor, grid: tuple[int, int, int]) -> torch.Tensor:
        """The library's rope index, `(3, 1, N)`."""
        merge = self._layout.merge
        patches = torch.tensor([[grid[0], grid[1] * merge, grid[2] * merge]], device=ids.device)
        kinds = (ids == self.visual_id).int() * 2
        positions, _ = self._model.model.get_rope_index(ids, kinds, video_grid_thw=patches)
        assert isinstance(positions, torch.Tensor)
        return positions
