# SPDX-License-Identifier: Apache-2.0

"""Counts what a model computes for a command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.method.interfaces import AttentionRows, Mllm, ModelLimits, Pass, Prefix, Reading
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.visual_tokens import VisualTokens

COUNTED = ("images", "passes", "gradients", "tokens")


class PassCounter:
    """A model that counts. One thread uses it at a time.

    Attributes:
        mllm: the model.
        counts: of the command that is being grounded: "images" that the vision tower encoded,
            "passes" over the visual tokens of a video, "gradients" (backward passes over them),
            and "tokens" of generated text, which are known when it is done. Questions behind a
            pass are not counted.
    """

    def __init__(self, mllm: Mllm) -> None:
        self.mllm = mllm
        self.counts = dict.fromkeys(COUNTED, 0)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Inside the context, `counts` are those of one command, which keeps them."""
        self.counts, before = dict.fromkeys(COUNTED, 0), self._generated()
        try:
            yield
        finally:
            self.counts["tokens"] = self._generated() - before
            self.counts = dict.fromkeys(COUNTED, 0)  # frames are encoded between commands

    def _generated(self) -> int:
        """Tokens that the model has generated; it counts them itself if it writes text."""
        return int(getattr(self.mllm, "generated", 0))

    def __getattr__(self, name: str) -> Any:
        """Everything else is the model's, such as writing text."""
        if name == "mllm":
            raise AttributeError(name)
        return getattr(self.mllm, name)

    @property
    def name(self) -> str:
        """See `Mllm`."""
        return self.mllm.name

    @property
    def settings(self) -> MllmSettings:
        """See `Mllm`."""
        return self.mllm.settings

    @property
    def frames_per_slot(self) -> int:
        """See `Mllm`."""
        return self.mllm.frames_per_slot

    def limits(self, texts: Sequence[str], image: NDArray[np.uint8]) -> ModelLimits:
        """See `Mllm`."""
        return self.mllm.limits(texts, image)

    def encode(self, images: Sequence[NDArray[np.uint8]], total: int = 0) -> VisualTokens:
        """See `Mllm`."""
        self.counts["images"] += len(images)
        return self.mllm.encode(images, total)

    def prefill(self, visual: VisualTokens, offset: torch.Tensor | None = None) -> Prefix:
        """See `Mllm`."""
        self.counts["passes"] += 1
        if offset is not None and offset.requires_grad:
            counts = self.counts

            def count(gradient: torch.Tensor) -> None:
                counts["gradients"] += 1

            offset.register_hook(count)  # type: ignore[no-untyped-call]
        return self.mllm.prefill(visual, offset)

    def ask(self, prefix: Prefix, questions: Sequence[str]) -> tuple[Reading, ...]:
        """See `Mllm`."""
        return self.mllm.ask(prefix, questions)

    def option_log_p(
        self, prefix: Prefix, question: str, options: Sequence[str]
    ) -> torch.Tensor | None:
        """See `Mllm`."""
        return self.mllm.option_log_p(prefix, question, options)

    def attention_rows(self, passes: Sequence[Pass], question: str) -> tuple[AttentionRows, ...]:
        """See `Mllm`."""
        self.counts["passes"] += len(passes)
        return self.mllm.attention_rows(passes, question)

    def saving_memory(self) -> AbstractContextManager[None]:
        """See `Mllm`."""
        return self.mllm.saving_memory()

    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        """See `Mllm`."""
        return self.mllm.complete(system, prompt, max_new_tokens)
