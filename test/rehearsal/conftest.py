# SPDX-License-Identifier: Apache-2.0

"""Before any import of transformers, which imports torchvision where it is installed."""

import importlib.util
from pathlib import Path

import published
import pytest
from torchvision_transforms import import_torchvision

if importlib.util.find_spec("torchvision") is not None:
    import_torchvision()

NAMES = [
    "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "v5_saved_processor", "llava_next_video_32k",
    "qwen3_5_moe",
]  # fmt: skip


@pytest.fixture(scope="session", params=NAMES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint with the published files of a released model."""
    return published.rehearsed(request.param, tmp_path_factory.mktemp("rehearsed") / request.param)
