# SPDX-License-Identifier: Apache-2.0

"""The protocols between the stages; M = S * h * w visual tokens, S temporal slots of h x w."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.visual_tokens import Crop, VisualTokens
from stvg_ros.types import CandidateTube, Clip, Frame, Grounding, Query, SplitQuery

if TYPE_CHECKING:
    from stvg_ros.config import Config
    from stvg_ros.proposals.settings import ProposalConfig


@dataclass(frozen=True, eq=False)
class AttentionRows:
    """Attention of one question to a prefilled video.

    Attributes:
        rows: `(R, S, h, w)` float32, detached: attention of the R candidate tokens to the
            picture's visual tokens, averaged over heads and the layer band (method, section 1).
        tokens: labels of the R candidates, in prompt order.
        heads: rows of the same shape, averaged over selected heads, by their use (`HEAD_USES`);
            empty for a model without a table of heads.
    """

    rows: torch.Tensor
    tokens: tuple[str, ...]
    heads: Mapping[str, torch.Tensor] = field(default_factory=dict, kw_only=True)

    def on_host(self) -> AttentionRows:
        """The rows in host memory; synchronises with the device."""
        heads = {use: rows.cpu() for use, rows in self.heads.items()}
        return AttentionRows(self.rows.cpu(), self.tokens, heads=heads)

    def of_heads(self, use: str) -> AttentionRows:
        """The rows of the heads that were selected for a use; the mean if none were."""
        return AttentionRows(self.heads.get(use, self.rows), self.tokens)


@dataclass(frozen=True, eq=False)
class Reading(AttentionRows):
    """Attention of one question and the log-probabilities of its answer; no text is generated.

    Attributes:
        log_p_yes: 0-d float32, log-probability that the answer starts with a form of "yes".
        log_p_no: the same for "no". Both carry gradients to the prefix's offset.
    """

    log_p_yes: torch.Tensor
    log_p_no: torch.Tensor

    @property
    def margin(self) -> torch.Tensor:
        """log p(yes) - log p(no), 0-d float32."""
        return self.log_p_yes - self.log_p_no

    def without_answer(self) -> AttentionRows:
        """The rows without the answer's graph, which would keep the pass in memory."""
        return AttentionRows(self.rows, self.tokens, heads=self.heads)


@dataclass(frozen=True)
class ModelLimits:
    """What limits an answer of a model, besides its general accuracy.

    Attributes:
        sentences: each names one limit, and its remedy if there is one.
        trained_pictures: whether the pictures are of the kind that it was trained on; only then
            is its confidence calibrated.
        unknown_words: of the command.
    """

    sentences: tuple[str, ...] = ()
    trained_pictures: bool = True
    unknown_words: tuple[str, ...] = ()

    def of_crop(self, crop: Crop | None) -> ModelLimits:
        """The same for a model that sees a part of the images."""
        if crop is None:
            return self
        width, height = (round(100 * (crop[axis + 2] - crop[axis])) for axis in (0, 1))
        said = f"the model sees the middle of the images only ({width} % x {height} %)"
        return replace(self, sentences=(*self.sentences, said))


class Prefix(Protocol):
    """Keys and values of system and visual tokens after one pass through the language model."""

    @property
    def visual(self) -> VisualTokens: ...


# T_v of a pass over the video, and V `(M, D)` that is added to it.
Pass = tuple[VisualTokens, torch.Tensor | None]


class Mllm(Protocol):
    """A multimodal language model for the method. One thread uses it at a time."""

    @property
    def name(self) -> str:
        """The model's name in the tube message."""
        ...

    @property
    def settings(self) -> MllmSettings:
        """Defaults of this model."""
        ...

    @property
    def frames_per_slot(self) -> int:
        """Number of frames that share a temporal slot."""
        ...

    def limits(self, texts: Sequence[str], image: NDArray[np.uint8]) -> ModelLimits:
        """What limits an answer to these texts about pictures like this one `(h, w, 3)`."""
        ...

    def encode(self, images: Sequence[NDArray[np.uint8]], total: int = 0) -> VisualTokens:
        """Runs the vision tower over T `(h, w, 3)` RGB images. No gradient.

        Args:
            images: frames, slot by slot.
            total: frames of the whole video if `images` are a part of it, or 0. Slots are
                independent, but a model may choose the image size by the video's length.
        """
        ...

    def prefill(self, visual: VisualTokens, offset: torch.Tensor | None = None) -> Prefix:
        """One pass over system and visual tokens, T_v + `offset` `(M, D)`.

        The gradient graph is kept if gradients are enabled and `offset` requires them.
        """
        ...

    def ask(self, prefix: Prefix, questions: Sequence[str]) -> tuple[Reading, ...]:
        """Evaluates each question on the shared prefix; questions do not attend to one another."""
        ...

    def option_log_p(
        self, prefix: Prefix, question: str, options: Sequence[str]
    ) -> torch.Tensor | None:
        """Log-probabilities `(K,)` float32 that the answer is each of K options.

        They are read after the question, and no text is generated; no gradient. None if the
        model does not know the words of an option.
        """
        ...

    def attention_rows(self, passes: Sequence[Pass], question: str) -> tuple[AttentionRows, ...]:
        """The rows of one question for several passes, without gradient or answer.

        All passes have the same grid. They share a batch as far as memory allows, and layers
        above the attention band do not run.
        """
        ...

    def saving_memory(self) -> AbstractContextManager[None]:
        """Inside the context, passes use as little memory as possible, and take longer."""
        ...

    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        """Greedy text-only completion, for splitting the query."""
        ...


class Splitter(Protocol):
    """Decomposes Q into attribute and action sub-queries (paper, section 4.2)."""

    def split(self, text: str) -> SplitQuery: ...


@dataclass(frozen=True)
class TargetObservation:
    """Position of a followed object in a frame.

    Attributes:
        box_xyxy_px: in pixels of the camera's image.
        seen: whether it was detected there; False if the position is only predicted.
    """

    box_xyxy_px: tuple[float, float, float, float]
    seen: bool


class Follower(Protocol):
    """Follows one object from frame to frame. One thread uses it."""

    @property
    def most_replayed(self) -> int:
        """Maximum number of frames since the tube's end to process at the start."""
        ...

    def update(self, frame: Frame) -> TargetObservation | None:
        """Position of the object in a later frame; None if the source does not know it (yet).

        Raises:
            ProposalError: the source itself failed.
        """
        ...


class Proposer(Protocol):
    """A source of candidate tubes; `BaseProposer` has defaults for the optional methods.

    One thread calls `propose`; any thread may call the others.
    """

    @property
    def name(self) -> str: ...

    @property
    def can_follow(self) -> bool:
        """Whether it has a `follower`."""
        ...

    @property
    def proposes_anytime(self) -> bool:
        """Whether any thread may call `propose`, which costs little: frames are searched once."""
        ...

    def observe(self, frame: Frame) -> None:
        """Processes a frame on arrival, so that a later `propose` has less to do."""
        ...

    def renewed(self) -> Proposer:
        """The same source without stored frames; itself if it stores none."""
        ...

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """Candidate tubes over every frame of the clip; empty if nothing is detected.

        Raises:
            ProposalError: the source itself failed.
        """
        ...

    def follower(self, frame: Frame, box_xyxy_px: NDArray[np.float32]) -> Follower:
        """A follower of the object at a box `(4,)` of a frame.

        Raises:
            ProposalError: this source cannot follow.
        """
        ...

    def reconfigure(self, config: ProposalConfig) -> None:
        """Uses other dynamic settings from now on."""
        ...


class StageCallback(Protocol):
    """Called at the start of each stage, with its name and the share of work done, 0 to 1.

    Within a stage it is called again with the same arguments, between steps and between the
    layers of a model, so that a cancelled grounding ends soon. It must be cheap.

    Raises:
        CanceledError, DeadlineError, ReplacedError: the grounding must stop.
    """

    def __call__(self, stage: str, progress: float, /) -> None: ...


class Grounder(Protocol):
    """The interface between a node, a bag or a data set and the method.

    One thread calls `ground`, `prefetch`, `forget` and `close`; any thread may call `observe` and
    `reconfigure`. `BaseGrounder` has defaults for the optional methods.
    """

    @property
    def proposer(self) -> Proposer | None:
        """The source of candidate tubes, if it is in this process."""
        ...

    @property
    def candidates(self) -> str:
        """What that source is and why it was chosen; empty if it is elsewhere."""
        ...

    @property
    def prepared_bytes(self) -> int:
        """Memory of prefetched results, on the model's device."""
        ...

    def observe(self, frame: Frame) -> None:
        """Receives a frame that has entered a window."""
        ...

    def prefetch(self, clip: Clip) -> bool:
        """Computes one part of what a command for `clip` needs; False if nothing is left."""
        ...

    def forget(self) -> None:
        """Releases results for frames that no longer exist."""
        ...

    def reconfigure(self, config: Config) -> None:
        """Uses other dynamic settings from the next command on."""
        ...

    def for_recording(self) -> Grounder:
        """The same models without stored frames, for images of another recording."""
        ...

    def close(self) -> None:
        """Ends threads and connections."""
        ...

    def ground(
        self,
        clip: Clip,
        query: Query,
        checkpoint: StageCallback,
        preliminary: Callable[[Grounding], None] | None = None,
    ) -> Grounding:
        """Finds the tubes that the query describes; an absent target is an answer, not an error.

        Args:
            clip: the window.
            query: what to find.
            checkpoint: called at the start of stages, and within them.
            preliminary: called with the answer before tuning; None for no such answer.

        Raises:
            StvgError: with the error code of the answer.
        """
        ...
