# SPDX-License-Identifier: Apache-2.0

"""The interface of a family module to the code that all families share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.preprocess import Images


@dataclass(frozen=True, eq=False)
class Layout:
    """Layout of the visual tokens in the prompt.

    Attributes:
        placeholder: the text that the chat template writes for a video.
        text: what replaces it, up to a special token; one visual token string a visual token.
        token_id: id of the visual token.
        tail: `(K, D)` embeddings of K more visual tokens after the grid's, or None.
        slot_times: positions of the slots in time, if the family tells them by positions.
        after: text of the video behind `text`; its tokens depend on the question.
    """

    placeholder: str
    text: str
    token_id: int
    tail: Tensor | None = None
    slot_times: tuple[int, ...] = ()
    after: str = ""

    def equals(self, other: Layout) -> bool:
        """Whether passes with these layouts have the same prompt and positions."""
        return (self.text, self.slot_times) == (other.text, other.slot_times)


class Encode(Protocol):
    """Runs the vision tower, without gradient."""

    def __call__(
        self, model: Any, preprocessing: ImagePreprocessing, images: Images, total: int
    ) -> VisualTokens: ...


@dataclass(frozen=True)
class Family:
    """One family.

    Attributes:
        encode: maps images, a part of a video of `total` frames, to visual tokens.
        layout: maps tokenizer, model and visual tokens to the layout in the prompt.
        positions: maps model, ids `(1, N)` and visual tokens to the position ids of the prefix,
            `(A, 1, N)` or `(1, N)`, and the position of the token that follows.
        deep: `VisualTokens.deep` is passed to the language model.
        pairs: `ImagePreprocessing.pair` frames share a slot.
        template: the library's chat template for videos, where it replaces the checkpoint's.
        start: maps the tokenizer to text that begins each prompt, where the template lacks it.
        mask: maps model and ids `(1, N)` of the prefix to its mask `(1, 1, N, N)`, True where a
            token attends to another; None for causal attention.
        medium: what the frames are in a message of the chat template, "video" or "image"; the
            placeholder of one image stands for all.
        markup: options of the checkpoint's processor, of true or false, that `layout` takes as
            keyword arguments.
    """

    encode: Encode
    layout: Callable[..., Layout]
    positions: Callable[[Any, Tensor, VisualTokens], tuple[Tensor, int]]
    deep: bool = False
    pairs: bool = False
    template: str = ""
    start: Callable[[Any], str] | None = None
    mask: Callable[[Any, Tensor], Tensor] | None = None
    medium: str = "video"
    markup: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A loaded checkpoint: frozen weights, in eval mode, on their device.

    Attributes:
        unused: names of weights in its files that the model does not have.
        markup: those of `Family.markup` that its files give.
    """

    name: str
    path: str
    model: Any
    tokenizer: Any
    preprocessing: ImagePreprocessing
    family: Family
    settings: MllmSettings
    unused: tuple[str, ...] = ()
    markup: Mapping[str, bool] = field(default_factory=dict)

    def layout(self, visual: VisualTokens) -> Layout:
        """The layout of a video in the prompt."""
        return self.family.layout(self.tokenizer, self.model, visual, **self.markup)
