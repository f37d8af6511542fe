# SPDX-License-Identifier: Apache-2.0

"""The defaults and calibrated weights of one model, from its `stvg.json`."""

from __future__ import annotations

from dataclasses import dataclass

# Numbers of a layer and of a head in it.
Heads = tuple[tuple[int, int], ...]
# What heads are selected for: to find the target's tube, and its time.
HEAD_USES = ("grounding", "temporal")
# What the attention in a frame is compared with.
LEVELS_ABOVE = CLIP, NEUTRAL = ("clip", "neutral")


@dataclass(frozen=True)
class MllmSettings:
    """Defaults of one model; used where the configuration is None.

    Attributes:
        first_layer: first layer of the attention band.
        last_layer: last layer of the band, included; None is the top layer.
        step: "plain" or "rms", see `ReattentionConfig.step`.
        learning_rate: 8 in the paper, with plain steps.
        split: how the query is split, "mllm" or "rules".
        plain_words: whether the model knows few words, and is asked in those of
            `commands.plain_words`; used if `SplitConfig.plain_words` is None.
        frame_count: T, the number of frames.
        presence_threshold: added to `PresenceConfig.threshold`, in nats.
        presence_margin_weight: weight of the least log p(yes) - log p(no) in the evidence for a
            present target, see `method.presence`.
        presence_track_weight: weight of the best track's score in the evidence for a present
            target, see `method.presence`; used if `PresenceConfig.track_weight` is None.
        aspect_ratio: width / height of the pictures that it was trained on (Qwen2-VL only):
            others are padded to it. 0 takes pictures of any shape.
        rendered_only: whether the model knows rendered scenes only.
        rendered_sources: what `evidence.sources: auto` means for pictures of rendered scenes, if
            the model knows these only.
        grounding_heads: heads that attend to the target's tube, found by calibration; see
            `AttentionConfig.heads`.
        temporal_heads: heads that attend to the target's time.
        painted_ids_weight: weight of the log-odds of painted ids, found by calibration.
        stated_interval_weight: of the log-odds of a stated interval.
        second_look: at how many tubes a second look is taken; used if `EvidenceConfig.second_look`
            is None.
        second_look_weight: of the margin of a second look, between tubes.
        reattention_gate: used if `ReattentionConfig.gate` is None.
        presence_look_weight: of the margin of a second look, for presence.
        presence_look_threshold: margin of a second look that says nothing about presence, in nats.
        presence_match_threshold: nats above `presence_threshold` from which on a tube by itself is
            one of several that are asked for.
        presence_body_weight: of the least log-odds of the measured words, for presence.
        attention_weight: nats by which the logarithm of S_obj counts for a tube beside other
            sources.
        body_weight: weight of the nats of measured words for a tube.
        frame_weight: weight of the nats of measured words in a frame's log-odds.
        level_above: what the attention in a frame is compared with: "clip", the least and the most
            of the same tube; or "neutral", the neutral prompt, as the logarithm of the relative
            attention, which is high throughout where something lasts the whole clip. See
            `evidence.frame_levels`.
        level_weight: of the attention's level in a frame above `level_inside`, in nats.
        level_inside: the level that is as often outside of the span as inside.
        look_level_weight: as `level_weight`, of the logarithm of a second look's attention.
        look_level_inside: as `level_inside`.
    """

    first_layer: int = 0
    last_layer: int | None = None
    step: str = "plain"
    learning_rate: float = 8.0
    split: str = "mllm"
    plain_words: bool = False
    frame_count: int = 20
    presence_threshold: float = 0.0
    presence_margin_weight: float = 1.0
    presence_track_weight: float = 0.0
    rendered_only: bool = False
    rendered_sources: str = "attention"
    aspect_ratio: float = 0.0
    grounding_heads: Heads = ()
    temporal_heads: Heads = ()
    painted_ids_weight: float = 1.0
    stated_interval_weight: float = 1.0
    second_look: int = 0
    second_look_weight: float = 1.0
    reattention_gate: float = 1000.0
    presence_look_weight: float = 1.0
    presence_look_threshold: float = 0.0
    presence_match_threshold: float = 0.0
    presence_body_weight: float = 1.0
    # Fitted to the val split with the model in the package; `stvg-ros calibrate --evidence`.
    attention_weight: float = 6.0
    body_weight: float = 1.0
    frame_weight: float = 0.35
    level_above: str = "clip"
    level_weight: float = 6.6
    level_inside: float = 0.43
    look_level_weight: float = 0.0
    look_level_inside: float = 0.5

    def __post_init__(self) -> None:
        if self.level_above not in LEVELS_ABOVE:
            raise ValueError(
                f"level_above: expected one of {LEVELS_ABOVE}, got {self.level_above!r}"
            )

    @property
    def calibrated(self) -> bool:
        """Whether `stvg-ros calibrate` set the evidence for a present target."""
        return bool(self.presence_threshold or self.presence_track_weight)
