# SPDX-License-Identifier: Apache-2.0

"""Molmo2: a time before each frame, one slot a frame; tokens of frames attend to one another.

Dimensions: T frames of h x w tokens, N tokens of the prefix, a x b patches of p x p pixels to a
token.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.errors import ModelError
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.family import Family, Layout
from stvg_ros.models.frame_times import begin_times
from stvg_ros.models.llava_onevision import CHUNK, positions
from stvg_ros.models.preprocess import Images, scaled, slots_of, square_size

FRAMES_PER_SECOND = 2.0  # of frames without times, as in the library
ROW_END = "<im_col>"
_AGAIN = "download the checkpoint's video_preprocessor_config.json again"
FILTERS = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}  # by PIL's number


def patches_of(preprocessing: ImagePreprocessing, images: Images, side: int) -> Tensor:
    """`(T, (side/p)^2, p * p * 3)` float32, row by row.

    Frames are resized without a filter against aliasing, as the library does.

    Raises:
        ModelError: a filter that the library lacks.
    """
    mode = FILTERS.get(preprocessing.resample)
    if mode is None:
        raise ModelError(
            f"resample {preprocessing.resample} of the video processor: expected one of "
            f"{', '.join(map(str, FILTERS))}; {_AGAIN}"
        )
    frames = [torch.from_numpy(image).permute(2, 0, 1) for image in images]
    resized = functional.interpolate(torch.stack(frames).float(), (side, side), mode=mode)
    pixels = scaled(resized.round().clamp(0, 255), preprocessing)
    count, p = side // preprocessing.patch, preprocessing.patch
    cut = pixels.view(len(images), 3, count, p, count, p).permute(0, 2, 4, 3, 5, 1)
    return cut.reshape(len(images), count * count, p * p * 3)


def pooled_patches(frames: int, side: int, pool: tuple[int, int]) -> Tensor:
    """`(T * h * w, a * b)` numbers of the patches of each token, frame after frame.

    Patches that do not fill the tokens lie in their middle; -1 stands for those that are missing.
    """
    numbers = torch.arange(frames * side * side).view(frames, side, side)
    (above, below), (left, right) = ((-side % each // 2, (-side % each + 1) // 2) for each in pool)
    whole = functional.pad(numbers, (left, right, above, below), value=-1)
    rows, columns = whole.shape[1] // pool[0], whole.shape[2] // pool[1]
    cut = whole.view(frames, rows, pool[0], columns, pool[1])
    return cut.transpose(2, 3).reshape(-1, pool[0] * pool[1])


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """T frames to T slots; the model adds features to the visual token's own embedding.

    Raises:
        ModelError: frames that are no square, or a filter that the library lacks.
    """
    default, _ = model.config.vision_config.image_size
    size, width = square_size(preprocessing, default)
    if size != width:
        raise ModelError(f"frames of {width} x {size} px: expected a square; {_AGAIN}")
    side = size // preprocessing.patch
    rows, columns = (-(-side // each) for each in preprocessing.pooling)
    own = model.get_input_embeddings().weight[model.config.image_patch_id]
    features = []
    for start in range(0, len(images), CHUNK):
        some = images[start : start + CHUNK]
        output = model.model.get_video_features(
            patches_of(preprocessing, some, size).to(model.device),
            pooled_patches(len(some), side, preprocessing.pooling).to(model.device),
            torch.tensor([[len(some), rows, columns]]),
        )
        features.append(output.pooler_output[0] + own)
    grid = (len(images), rows, columns)
    return VisualTokens(torch.cat(features), grid, slots_of(len(images), 1))


def layout(
    tokenizer: Any,
    model: Any,
    visual: VisualTokens,
    *,
    use_frame_special_tokens: bool = True,
    video_use_col_tokens: bool = False,
) -> Layout:
    """`0.5 ` and a bracketed run of visual tokens for each frame.

    Args:
        tokenizer: the checkpoint's.
        model: the model.
        visual: the video.
        use_frame_special_tokens: brackets are those of frames, else those of images.
        video_use_col_tokens: each row of tokens ends with a token of its own.
    """
    config = model.config
    bracket = "frame" if use_frame_special_tokens else "image"
    ids = [getattr(config, f"{bracket}_{side}_token_id") for side in ("start", "end")]
    start, patch, end = tokenizer.convert_ids_to_tokens([ids[0], config.image_patch_id, ids[1]])
    _, rows, columns = visual.grid
    row = patch * columns + (ROW_END if video_use_col_tokens else "")
    frame = start + row * rows + end
    text = " ".join(f"{time_s:.1f} {frame}" for time_s in begin_times(visual, FRAMES_PER_SECOND))
    placeholder = getattr(tokenizer, "video_token", "<|video|>")
    return Layout(placeholder, text, config.image_patch_id)


def start_of(tokenizer: Any) -> str:
    """The token before the template's text."""
    return str(tokenizer.bos_token or tokenizer.eos_token)


def mask(model: Any, ids: Tensor) -> Tensor:
    """`(1, 1, N, N)` bool: causal, and all tokens of frames attend to one another."""
    config = model.config
    starts, ends = (
        torch.isin(ids[0], torch.tensor(each, device=ids.device))
        for each in (
            [config.frame_start_token_id, config.image_start_token_id],
            [config.frame_end_token_id, config.image_end_token_id],
        )
    )
    seen = (starts.cumsum(0) > ends.cumsum(0)) | ends
    count = len(seen)
    causal = torch.ones(count, count, dtype=torch.bool, device=ids.device).tril()
    return (causal | (seen[:, None] & seen))[None, None]


FAMILY = Family(
    encode,
    layout,
    positions,
    start=start_of,
    mask=mask,
    markup=("use_frame_special_tokens", "video_use_col_tokens"),
)
