# SPDX-License-Identifier: Apache-2.0

"""Makes torchvision importable beside a torch that its compiled operators do not fit.

Wheels of torchvision are built for the CUDA builds of torch. The video processors of transformers
use its transforms only, which are plain torch; two operators have to have a name all the same.
"""

from __future__ import annotations

import sys

import torch

_fragments: list[torch.library.Library] = []  # definitions end with their object


def import_torchvision() -> None:
    """Imports torchvision, with placeholders for its operators where they cannot be loaded.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import torchvision
    except RuntimeError:  # operator torchvision::nms does not exist
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        fragment = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            fragment.define(f"{name}(Tensor boxes, Tensor scores, float iou_threshold) -> Tensor")
        _fragments.append(fragment)
        import torchvision  # noqa: F401
