# SPDX-License-Identifier: Apache-2.0

"""The visual tokens of an image in every layer of a multimodal language model.

Dimensions: M visual tokens of h x w in one slot, D size of a layer's states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.config import Config
from stvg_ros.method.visual_tokens import Crop, VisualTokens
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.loading import load
from stvg_ros.proposals.weak_image_map import WeakImageMap

TOWER_OUTPUT = "T_v"  # of the vision tower, the input of the language model


@dataclass(frozen=True, eq=False)
class TokenMaps:
    """The tokens of one image.

    Attributes:
        maps: by layer, `(D, h, w)` on the picture.
        crop: see `VisualTokens`.
    """

    maps: Mapping[str, NDArray[np.float32]]
    crop: Crop | None


class VisualLayers:
    """Runs a model on images, and keeps the tokens of every layer as long as the image exists.

    The layers are those of a vision tower with `blocks` in the order of its tokens (Qwen2-VL and
    Qwen3-VL), `TOWER_OUTPUT`, and those of the language model. One thread uses it at a time.
    """

    def __init__(self, mllm: HfMllm, *, tower_only: bool = False) -> None:
        """Takes a loaded model.

        Args:
            mllm: the model.
            tower_only: without the layers of the language model, which does not run.
        """
        self._mllm = mllm
        self._known: WeakImageMap[TokenMaps] = WeakImageMap()
        model = mllm.checkpoint.model
        visual = getattr(model.model, "visual", None)
        ordered = visual is not None and not hasattr(visual, "window_size")
        self._tower = list(getattr(visual, "blocks", ())) if ordered else []
        self._language = [] if tower_only else list(model.get_decoder().layers)

    @classmethod
    def of(cls, config: Config, *, tower_only: bool = False) -> VisualLayers:
        """Loads the configured model.

        Raises:
            StvgError: it cannot be loaded.
        """
        return cls(HfMllm(load(config.model), config.attention), tower_only=tower_only)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._mllm.name

    @property
    def names(self) -> tuple[str, ...]:
        """The layers, from the pixels on."""
        before = (f"vision {at + 1}" for at in range(len(self._tower)))
        after = (f"language {at + 1}" for at in range(len(self._language)))
        return (*before, TOWER_OUTPUT, *after)

    def __call__(self, image: NDArray[np.uint8]) -> TokenMaps:
        """The tokens of an image `(h, w, 3)`, which is all frames of one slot."""
        known = self._known.get(image)
        if known is None:
            known = self._computed(image)
            self._known.put(image, known)
        return known

    @torch.no_grad()
    def _computed(self, image: NDArray[np.uint8]) -> TokenMaps:
        with _outputs(self._tower) as tower:
            visual = self._mllm.encode([image] * self._mllm.frames_per_slot)
        states = dict(zip(self.names, [_merged(one, visual) for one in tower], strict=False))
        states[TOWER_OUTPUT] = visual.features
        if self._language:
            with _outputs(self._language) as language:
                columns = self._mllm.prefill(visual).columns
            for at, one in enumerate(language):
                states[f"language {at + 1}"] = one[0, columns]
        maps = {
            name: visual.on_picture(one.float().cpu().T)[:, 0].numpy()
            for name, one in states.items()
        }
        return TokenMaps(maps, visual.crop)


@contextmanager
def _outputs(layers: list[Any]) -> Iterator[list[torch.Tensor]]:
    """Collects the output of each layer."""
    found: list[torch.Tensor] = []

    def keep(module: Any, given: Any, output: Any) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def _merged(patches: torch.Tensor, visual: VisualTokens) -> torch.Tensor:
    """Means of the patches that become one token, `(N, D)` to `(M, D)`."""
    return patches.reshape(len(visual.features), -1, patches.shape[-1]).mean(dim=1)
