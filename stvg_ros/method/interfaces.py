# SPDX-License-Identifier: Apache-2.0

"""The protocols between the stages; M = S * h * w visual tokens, S temporal slots of h x w."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_ros.types import (
    CandidateTube,
    Clip,
    ExternalDetections,
    Frame,
    Grounding,
    Query,
    SplitQuery,
)

if TYPE_CHECKING:
    from stvg_ros.config import Config
    from stvg_ros.proposals.settings import ProposalConfig


@dataclass(frozen=True, eq=False)
class VisualTokens:
    """T_v: the visual tokens of the sampled frames, before the language model.

    Attributes:
        features: `(M, D)`, slot by slot, row by row, column by column.
        grid: `(S, h, w)`. A family that merges frame pairs has S = T / 2, others S = T.
        slots: for each slot, the indices of the sampled frames that it covers.
        deep: features that enter deeper layers (Qwen3-VL's deepstack), each `(M, D)`.
    """

    features: torch.Tensor
    grid: tuple[int, int, int]
    slots: tuple[tuple[int, ...], ...]
    deep: tuple[torch.Tensor, ...] = ()

    def __post_init__(self) -> None:
        slots, rows, columns = self.grid
        if self.features.ndim != 2 or len(self.features) != slots * rows * columns:
            raise ValueError(
                f"VisualTokens.features: expected ({slots * rows * columns}, D) for the grid "
                f"{self.grid}, got {tuple(self.features.shape)}"
            )
        if len(self.slots) != slots:
            raise ValueError(f"VisualTokens.slots: expected {slots}, got {len(self.slots)}")

    @property
    def nbytes(self) -> int:
        """Memory of the features."""
        return sum(tensor.nbytes for tensor in (self.features, *self.deep))

    def reversed(self) -> VisualTokens:
        """The tokens in the reversed order of slots (paper, section 4.4); `slots` follow."""
        return replace(
            self,
            features=reversed_slots(self.features, self.grid),
            deep=tuple(reversed_slots(deep, self.grid) for deep in self.deep),
            slots=self.slots[::-1],
        )


def reversed_slots(tokens: torch.Tensor, grid: tuple[int, int, int]) -> torch.Tensor:
    """`(M, ...)` tokens with the order of their slots reversed, each slot's inside kept."""
    return tokens.reshape(grid[0], -1, *tokens.shape[1:]).flip(0).reshape(tokens.shape)


def joined_slots(parts: Sequence[VisualTokens]) -> VisualTokens:
    """One video of slots that were encoded one by one, in their order."""
    first = parts[0]
    slots: list[tuple[int, ...]] = []
    for part in parts:
        begin = sum(map(len, slots))
        slots += [tuple(begin + frame for frame in slot) for slot in part.slots]
    return VisualTokens(
        torch.cat([part.features for part in parts]),
        (len(slots), *first.grid[1:]),
        tuple(slots),
        tuple(torch.cat(level) for level in zip(*(part.deep for part in parts), strict=True)),
    )


@dataclass(frozen=True, eq=False)
class AttentionRows:
    """Where one question looks in a prefilled video.

    Attributes:
        rows: `(R, S, h, w)` float32, detached: attention of the R candidate tokens to the
            visual tokens, averaged over heads and the layer band (method, section 1).
        tokens: labels of the R candidates, in prompt order.
    """

    rows: torch.Tensor
    tokens: tuple[str, ...]

    def on_host(self) -> AttentionRows:
        """The rows in the host's memory, once the device has found them."""
        return AttentionRows(self.rows.cpu(), self.tokens)


@dataclass(frozen=True, eq=False)
class Reading(AttentionRows):
    """Where one question looks, and how it would be answered; no answer is generated.

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
        """The rows alone, without the answer's graph, which would keep the pass in memory."""
        return AttentionRows(self.rows, self.tokens)


@dataclass(frozen=True)
class MllmSettings:
    """What suits one model; used where the configuration says None.

    Attributes:
        first_layer: first layer of the attention band.
        last_layer: last layer of the band, included; None is the top layer.
        step: "plain" or "rms", see `ReattentionConfig.step`.
        learning_rate: 8 in the paper, with plain steps.
        split: who splits the query, "mllm" or "rules".
        frame_count: how many frames T the model likes best.
        presence_threshold: added to `PresenceConfig.threshold`, in nats.
        presence_track_weight: weight of the best track's score in the evidence that a target is
            there, see `core.presence`; used where `PresenceConfig.track_weight` is None.
    """

    first_layer: int = 0
    last_layer: int | None = None
    step: str = "plain"
    learning_rate: float = 8.0
    split: str = "mllm"
    frame_count: int = 20
    presence_threshold: float = 0.0
    presence_track_weight: float = 0.0


class Prefix(Protocol):
    """System tokens and visual tokens, run once through the language model (keys and values)."""

    @property
    def visual(self) -> VisualTokens: ...


# T_v of a pass over the video, and V `(M, D)` that is added to it.
Pass = tuple[VisualTokens, torch.Tensor | None]


class Mllm(Protocol):
    """A multimodal language model as the method needs it. One thread uses it at a time."""

    @property
    def name(self) -> str:
        """What the tube message names as its model."""
        ...

    @property
    def settings(self) -> MllmSettings:
        """What suits this model."""
        ...

    @property
    def frames_per_slot(self) -> int:
        """How many frames share a temporal slot."""
        ...

    def encode(self, images: Sequence[NDArray[np.uint8]], total: int = 0) -> VisualTokens:
        """Runs the vision tower over T `(h, w, 3)` RGB images. No gradient.

        Args:
            images: frames, slot by slot.
            total: frames of the whole video when `images` are a part of it, or 0. Slots do not
                depend on one another, but a model may size its images by the video's length.
        """
        ...

    def prefill(self, visual: VisualTokens, offset: torch.Tensor | None = None) -> Prefix:
        """One pass over system and visual tokens, T_v + `offset` `(M, D)`.

        The gradient graph is kept when gradients are enabled and `offset` requires them.
        """
        ...

    def ask(self, prefix: Prefix, questions: Sequence[str]) -> tuple[Reading, ...]:
        """Reads each question on the shared prefix; the questions do not see one another."""
        ...

    def attention_rows(self, passes: Sequence[Pass], question: str) -> tuple[AttentionRows, ...]:
        """The rows of one question for several passes, without gradient or answer.

        The passes have one grid. They share a batch as far as memory allows, and layers above
        the attention band do not run.
        """
        ...

    def saving_memory(self) -> AbstractContextManager[None]:
        """While the context lasts, passes take longer and hold as little as they can."""
        ...

    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        """Greedy text-only completion, for splitting the query."""
        ...


class Splitter(Protocol):
    """Decomposes Q into attribute and action sub-queries (paper, section 4.2)."""

    def split(self, text: str) -> SplitQuery: ...


@dataclass(frozen=True)
class TargetObservation:
    """Where a followed object is in a frame.

    Attributes:
        box_xyxy_px: in pixels of the camera's image.
        seen: whether it was seen there; False for a place that is only predicted.
    """

    box_xyxy_px: tuple[float, float, float, float]
    seen: bool


class Follower(Protocol):
    """Follows one object from frame to frame. One thread uses it."""

    @property
    def most_replayed(self) -> int:
        """How many of the frames since the tube's end are worth their cost at the begin."""
        ...

    def update(self, frame: Frame) -> TargetObservation | None:
        """Where the object is in a later frame; None when the source does not know (yet).

        Raises:
            ProposalError: the source itself failed.
        """
        ...


class Proposer(Protocol):
    """A source of candidate tubes; `BaseProposer` has the methods that most leave empty.

    One thread calls `propose`; any thread may call the others.
    """

    @property
    def name(self) -> str: ...

    @property
    def can_follow(self) -> bool:
        """Whether it has a `follower`."""
        ...

    def observe(self, frame: Frame) -> None:
        """Does for a frame that has just arrived what a later `propose` would have to do."""
        ...

    def renewed(self) -> Proposer:
        """The same source without any memory of frames; itself where it has none."""
        ...

    def propose(self, clip: Clip, query: SplitQuery) -> tuple[CandidateTube, ...]:
        """Candidate tubes over every frame of the clip; empty when nothing is seen.

        Raises:
            ProposalError: the source itself failed.
        """
        ...

    def follower(self, frame: Frame, box_xyxy_px: NDArray[np.float32]) -> Follower:
        """Follows what is at a box `(4,)` of a frame.

        Raises:
            ProposalError: it cannot.
        """
        ...

    def reconfigure(self, config: ProposalConfig) -> None:
        """Uses other dynamic settings from now on."""
        ...


class DetectionSink(Protocol):
    """A source that is told what a detector of another node sees. Any thread may call it."""

    def received(self, stamp_ns: int) -> None:
        """Tells of a message, whether its stamp is that of an image or not."""
        ...

    def put(self, frame: Frame, detected: ExternalDetections) -> None:
        """Gives a frame its detections."""
        ...


class StageCallback(Protocol):
    """Called as each stage begins, with its name and the share of work done, 0 to 1.

    Within a stage it is called again with the same arguments, between steps and between the
    layers of a model, so that a grounding ends soon after it is cancelled. It must be cheap.

    Raises:
        CanceledError, DeadlineError, ReplacedError: the grounding is to stop here.
    """

    def __call__(self, stage: str, progress: float, /) -> None: ...


class Grounder(Protocol):
    """The boundary between a node, a bag or a data set and the method.

    One thread calls `ground`, `prefetch`, `forget` and `close`; any thread may call `observe` and
    `reconfigure`. `BaseGrounder` has the methods that some leave empty.
    """

    @property
    def proposer(self) -> Proposer | None:
        """The source of candidate tubes, where it is in this process."""
        ...

    @property
    def prepared_bytes(self) -> int:
        """Memory of what `prefetch` has computed, on the model's device."""
        ...

    def observe(self, frame: Frame) -> None:
        """Receives a frame that has entered a window."""
        ...

    def prefetch(self, clip: Clip) -> bool:
        """Computes a piece of what a command for `clip` needs; False when all is there."""
        ...

    def forget(self) -> None:
        """Releases what was computed for frames that nobody holds any more."""
        ...

    def reconfigure(self, config: Config) -> None:
        """Uses other dynamic settings from the next command on."""
        ...

    def for_recording(self) -> Grounder:
        """The same models without any memory of frames, for images of another recording."""
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
        """Finds the tubes that the query describes; an absent target is an answer, no error.

        Args:
            clip: the window.
            query: what to find.
            checkpoint: called as stages begin, and within them.
            preliminary: called with the answer before tuning, if that is wanted too.

        Raises:
            StvgError: with the error code that the answer is to carry.
        """
        ...
