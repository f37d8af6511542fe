# SPDX-License-Identifier: Apache-2.0

"""Settings of the method, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass

from stvg_ros.setting import Group, setting

ALWAYS = 1000.0  # nats above which no margin is


@dataclass(frozen=True)
class SamplingConfig(Group):
    """Selection of the window's frames for the model."""

    group_name = "sampling"
    frames: int | None = setting(
        None,
        "T, number of uniformly sampled frames; 0 is the model's default (20 in the paper)",
        sentinel=0,
        minimum=1,
        maximum=512,
        dynamic=True,
    )
    prefetch: bool = setting(
        False,
        "encode frames when they arrive, while no command runs: commands about the whole window "
        "are answered sooner, on frames of a fixed time grid of window.duration_s / T",
        dynamic=True,
    )


@dataclass(frozen=True)
class SplitConfig(Group):
    """Reading of commands, and decomposition of the query (paper, section 4.2)."""

    group_name = "split"
    method: str | None = setting(
        None,
        "how commands are read: by the MLLM, an OpenAI-compatible endpoint, a parser (spaCy), "
        "rules, or not at all; auto is the MLLM, and for the embedded model the parser if it is "
        "installed, otherwise the rules",
        choices=("auto", "mllm", "endpoint", "parser", "rules", "none"),
        sentinel="auto",
    )
    plain_words: str | None = setting(
        None,
        "always: the model is asked in the few words that it learned, where these say all of the "
        "command (`commands.plain_words`); auto is the model's default. What is measured on "
        "bodies and what answers say keep the user's words",
        choices=("auto", "always", "never"),
        sentinel="auto",
        dynamic=True,
    )
    endpoint_url: str = setting("", "base URL of the endpoint, such as http://host:8000/v1")
    endpoint_model: str = setting("", "model name sent to the endpoint")
    endpoint_token_file: str = setting(
        "",
        "file with the endpoint's bearer token; empty is the environment variable "
        "STVG_ENDPOINT_TOKEN",
    )
    endpoint_timeout_s: float = setting(
        10.0, "time-out of the endpoint", unit="s", minimum=0.1, maximum=600.0
    )


@dataclass(frozen=True)
class AttentionConfig(Group):
    """Grounding token and relative attention (paper, section 4.1)."""

    group_name = "attention"
    first_layer: int | None = setting(
        None,
        "first layer of the averaged band; -1 is the model's default",
        sentinel=-1,
        minimum=0,
        maximum=999,
    )
    last_layer: int | None = setting(
        None,
        "last layer of the band, included; -1 is the model's default",
        sentinel=-1,
        minimum=0,
        maximum=999,
    )
    selection: str = setting(
        "activation",
        "attention row: of the candidate token with the highest visual activation, the mean of all "
        "candidates, or a fixed candidate",
        choices=("activation", "mean", "fixed"),
        dynamic=True,
    )
    index: int = setting(
        -1,
        "fixed: index of the candidate, counted from the final punctuation of the question; -1 is "
        "the last",
        minimum=-100,
        maximum=100,
        dynamic=True,
    )
    heads: str = setting(
        "mean",
        "mean: the average over all heads of the band (the paper's); selected: over the few heads "
        "that `stvg-ros calibrate --heads` found for this model, some for the tube and some for "
        "the time",
        choices=("mean", "selected"),
        dynamic=True,
    )
    rank_relative: bool = setting(
        True, "rank candidates by relative instead of raw attention", dynamic=True
    )
    relative: bool = setting(True, "divide by the attention of the neutral prompt", dynamic=True)


@dataclass(frozen=True)
class ReattentionConfig(Group):
    """Logit-guided re-attention, LRA (paper, section 4.3)."""

    group_name = "reattention"
    spatial: bool = setting(True, "tune V_s on the attribute sub-query", dynamic=True)
    temporal: bool = setting(True, "tune V_t on the action sub-query", dynamic=True)
    loss: str = setting(
        "paper",
        "-exp(p_yes - p_no) of the paper, or the released code's contrast with the neutral prompt",
        choices=("paper", "code"),
        dynamic=True,
    )
    epochs: int = setting(1, "N_ep, gradient steps", minimum=1, maximum=100, dynamic=True)
    temporal_epochs: int | None = setting(
        None,
        "N_ep of V_t; 0 is epochs",
        sentinel=0,
        minimum=1,
        maximum=100,
        dynamic=True,
    )
    step: str | None = setting(
        None,
        "plain: V - learning_rate * gradient (the paper's); rms: the strongest token moves by "
        "learning_rate times the RMS of the visual tokens; auto is the model's default",
        choices=("auto", "plain", "rms"),
        sentinel="auto",
        dynamic=True,
    )
    learning_rate: float | None = setting(
        None,
        "step size; 0 is the model's default (8 with plain steps)",
        sentinel=0.0,
        minimum=0.0,
        maximum=1e6,
        dynamic=True,
    )
    temporal_learning_rate: float | None = setting(
        None,
        "step size of V_t; 0 is learning_rate",
        sentinel=0.0,
        minimum=0.0,
        maximum=1e6,
        dynamic=True,
    )

    gate: float | None = setting(
        None,
        "a branch is tuned only if log p(yes) - log p(no) of its sub-query is below this; 1000 "
        "tunes always (the paper), -1000 never; -2000 is the model's default",
        unit="nat",
        sentinel=-2 * ALWAYS,
        minimum=-ALWAYS,
        maximum=ALWAYS,
        dynamic=True,
    )


@dataclass(frozen=True)
class AssemblingConfig(Group):
    """Temporal-augmented assembling, TAS (paper, section 4.4)."""

    group_name = "assembling"
    enabled: bool = setting(
        True, "average the spatial map with that of the reversed frame order", dynamic=True
    )


@dataclass(frozen=True)
class SpanConfig(Group):
    """From frame scores to a time span."""

    group_name = "span"
    method: str = setting(
        "adaptive",
        "adaptive: threshold on S_frame; top_k: first to last of the K best (paper); "
        "contiguous: grow from the peak to a fixed length (released code); change_points: the run "
        "that rises most clearly above the rest; window: all",
        choices=("adaptive", "top_k", "contiguous", "change_points", "window"),
        dynamic=True,
    )
    without_action: str = setting(
        "presence",
        "adaptive and change_points: span of a query that names no action; presence: from the "
        "first to the last frame of the chosen candidate tube; window: all",
        choices=("presence", "window"),
        dynamic=True,
    )
    top_k: int = setting(
        7, "K of 20 frames for top_k, scaled to T", minimum=1, maximum=20, dynamic=True
    )
    length: int = setting(
        11, "frames of 20 for contiguous, scaled to T", minimum=1, maximum=20, dynamic=True
    )
    threshold: float = setting(
        0.2,
        "adaptive: threshold between the minimum (0) and the peak (1) of S_frame",
        minimum=0.0,
        maximum=1.0,
        dynamic=True,
    )


@dataclass(frozen=True)
class PresenceConfig(Group):
    """Presence of the target."""

    group_name = "presence"
    enabled: bool = setting(
        True, "answer 'not found' when the evidence is below the threshold", dynamic=True
    )
    threshold: float = setting(
        0.0,
        "minimum evidence of a present target: log p(yes) - log p(no) before tuning, plus "
        "track_weight times the logarithm of the best track's score; added to the model's default",
        unit="nat",
        minimum=-1000.0,
        maximum=1000.0,
        dynamic=True,
    )
    share: float = setting(
        0.5,
        "commands for several and counts: a tube whose score is below this share of the best one's "
        "does not match",
        minimum=0.0,
        maximum=1.0,
        dynamic=True,
    )
    track_weight: float | None = setting(
        None,
        "weight of the best track's score; -1 is the model's default, found by calibration",
        sentinel=-1.0,
        minimum=0.0,
        maximum=1000.0,
        dynamic=True,
    )


@dataclass(frozen=True)
class EvidenceConfig(Group):
    """Sources of evidence for tubes and frames."""

    group_name = "evidence"
    sources: str = setting(
        "auto",
        "what decides between tubes: the model's attention, what is measured on bodies, or both; "
        "auto: both where there are keypoints; for a model of rendered scenes what the model's "
        "rendered_sources says on these (body for a command with words that attention alone does "
        "not know and bodies measure), and body on other pictures. Attention decides where "
        "nothing of the command is measured. stated: neither, but what the model states "
        "(painted_ids and stated_interval, which need not be set); without re-attention",
        choices=("auto", "attention", "body", "both", "stated"),
        dynamic=True,
    )
    painted_ids: bool = setting(
        False,
        "also ask the model which of the numbers has the target that are drawn on the candidates; "
        "one more pass over the images, which stated_interval shares",
        dynamic=True,
    )
    stated_interval: bool = setting(
        False,
        "also ask the model for the numbers of the first and the last image, drawn in their "
        "corner, in which the action is seen; one more pass, which painted_ids shares",
        dynamic=True,
    )
    second_look: int | None = setting(
        None,
        "also ask the model about the images cut to each of so many best tubes (of all, for a "
        "command for several, a count and a relation); a pass each. The answers count between "
        "these, and for whether the target is there. 0 asks about none; -1 is the model's default",
        sentinel=-1,
        minimum=0,
        maximum=20,
        dynamic=True,
    )
    keypoints: bool = setting(
        False,
        "put the keypoints of the candidate tubes into ~/evidence, and draw them: in "
        "~/annotated_image, ~/image_annotations, ~/markers and the contact sheet. Each of the T "
        "sampled frames is measured, 20 ms a person",
        dynamic=True,
    )


@dataclass(frozen=True)
class ConditionConfig(Group):
    """Negated parts and relations of a command; the defaults are from `calibrate --conditions`."""

    group_name = "conditions"
    negation_weight: float = setting(
        1.0,
        "share of its score that a tube loses if it certainly is what the target must not be; 0 "
        "ignores negations",
        minimum=0.0,
        maximum=1.0,
        dynamic=True,
    )
    relation_weight: float = setting(
        0.8,
        "share of its score that a tube loses if the relation to the other target never holds; 0 "
        "ignores relations",
        minimum=0.0,
        maximum=1.0,
        dynamic=True,
    )
