# SPDX-License-Identifier: Apache-2.0

"""A model family of your own: LLaVA-NeXT-Video with a quarter of its visual tokens.

python examples/own_family.py street.mp4 "the person who waves" llava-hf/LLaVA-NeXT-Video-7B-hf

A family says how images become visual tokens, how these stand in the prompt, and which positions
they have. The rest (attention rows, gradients, shared prefix, batches) is the same for all.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from torch.nn import functional

from stvg_ros.build import build_grounder
from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.config import Config
from stvg_ros.io.clip import file_clip
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models import llava_next_video
from stvg_ros.models.families import FAMILIES, FamilyEntry
from stvg_ros.models.family import Family
from stvg_ros.models.llava_onevision import positions
from stvg_ros.models.preprocess import Images
from stvg_ros.types import Query


def encode(
    model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
) -> VisualTokens:
    """The family's own tokens, averaged over 2 x 2 neighbours."""
    full = llava_next_video.encode(model, preprocessing, images, total)
    slots, rows, columns = full.grid
    maps = full.features.reshape(slots, rows, columns, -1).permute(0, 3, 1, 2)  # (S, D, h, w)
    small = functional.avg_pool2d(maps, 2, ceil_mode=True)
    grid = (slots, small.shape[2], small.shape[3])
    return VisualTokens(small.permute(0, 2, 3, 1).flatten(0, 2), grid, full.slots)


FAMILY = Family(encode, llava_next_video.layout, positions)

# The key is `model_type` of the checkpoint's config.json, the class is that of transformers.
FAMILIES["llava_next_video"] = FamilyEntry(
    module=__name__,
    title="LLaVA-NeXT-Video, coarse",
    class_name="LlavaNextVideoForConditionalGeneration",
    tokens="6 x 6 at 336 px",
    pairs=False,
)


def main(video: str, sentence: str, checkpoint: str) -> None:
    """Prints the outcome."""
    grounder = build_grounder(Config.from_flat({"model.path": checkpoint}))
    clip = file_clip(Path(video), start_s=0.0, end_s=10.0, long_side_px=640, max_rate_hz=15.0)
    grounding = grounder.ground(clip, Query(sentence), lambda stage, progress: None)
    print(f"{grounding.best.status.name} by {FAMILIES['llava_next_video'].title}")
    if grounding.evidence is not None:
        print("attention maps of", " x ".join(map(str, grounding.evidence.spatial.shape)))


if __name__ == "__main__":
    main(*sys.argv[1:])
