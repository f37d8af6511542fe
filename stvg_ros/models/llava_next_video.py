# SPDX-License-Identifier: Apache-2.0

"""LLaVA-NeXT-Video: one slot a frame, pooled to a square grid of the images' middle square."""

from __future__ import annotations

from typing import Any

import torch

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.llava_onevision import positions, tower
from stvg_ros.models.preprocess import Images, centre_cropped, slots_of, square_size


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots; `spatial_pool_stride` of the checkpoint sets the grid."""
    vision = model.config.vision_config
    crop = None
    if preprocessing.crop:
        images, crop = centre_cropped(images, preprocessing)
        size = preprocessing.crop
    else:
        size = square_size(preprocessing, vision.image_size)
    rows, columns = (side // vision.patch_size // model.config.spatial_pool_stride for side in size)
    features = torch.cat(tower(model, preprocessing, images, size))
    slots = slots_of(len(images), 1)
    return VisualTokens(features, (len(images), rows, columns), slots, crop=crop)


def layout(tokenizer: Any, model: Any, visual: VisualTokens) -> Layout:
    """One run of visual tokens."""
    token_id = model.config.video_token_id
    token = tokenizer.convert_ids_to_tokens(token_id)
    return Layout(token, token * len(visual.features), token_id)


FAMILY = Family(encode, layout, positions)
