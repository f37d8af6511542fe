# SPDX-License-Identifier: Apache-2.0

"""The rows of the ablation: parts of the method one by one, whole methods, and controls."""

from __future__ import annotations

from dataclasses import dataclass

from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.settings import ALWAYS
from stvg_ros.setting import Value

_BASE: dict[str, Value] = {
    "evidence.sources": "attention",
    "attention.selection": "mean",
    "reattention.spatial": False,
    "reattention.temporal": False,
    "assembling.enabled": False,
    "span.method": "top_k",
    "presence.enabled": False,
    "evidence.second_look": 0,
    "reattention.gate": ALWAYS,
    "split.plain_words": "never",
}
_SELECTION: dict[str, Value] = {**_BASE, "attention.selection": "activation"}
_BOTH: dict[str, Value] = {
    **_SELECTION, "reattention.spatial": True, "reattention.temporal": True,
}  # fmt: skip
_TAS: dict[str, Value] = {**_BOTH, "assembling.enabled": True}
_ADAPTIVE: dict[str, Value] = {
    **_TAS, "span.method": "adaptive", "span.without_action": "window",
}  # fmt: skip
_PRESENT: dict[str, Value] = {**_ADAPTIVE, "span.without_action": "presence"}


_OVER = "+ presence span"


@dataclass(frozen=True)
class AblationRow:
    """A row of the table: settings and model.

    Attributes:
        over: name of the row from which it differs in one setting; "" for none.
        model: "own", "random direction" or "negated gradient" (re-attention moves that way
            instead), or "untrained" (random weights of the same shape).
    """

    name: str
    values: dict[str, Value]
    over: str
    model: str = "own"


# The rows of the paper's ablation, then the additions of this package.
ROWS = (
    AblationRow("mean of the tokens", _BASE, ""),
    AblationRow("+ token selection", _SELECTION, "mean of the tokens"),
    AblationRow(
        "+ spatial prompt", {**_SELECTION, "reattention.spatial": True}, "+ token selection"
    ),
    AblationRow(
        "+ temporal prompt", {**_SELECTION, "reattention.temporal": True}, "+ token selection"
    ),
    AblationRow("+ both prompts", _BOTH, "+ token selection"),
    AblationRow("+ TAS", _TAS, "+ both prompts"),
    AblationRow("+ adaptive span", _ADAPTIVE, "+ TAS"),
    AblationRow("+ presence span", _PRESENT, "+ adaptive span"),
    AblationRow("+ absence", {**_PRESENT, "presence.enabled": True}, "+ presence span"),
)
# The settings of config/fast.yaml: one pass over the video, and no gradient.
FAST: dict[str, Value] = {
    "reattention.spatial": False,
    "reattention.temporal": False,
    "assembling.enabled": False,
    "evidence.second_look": 0,
}
GATE_NATS = 0.0  # of the row with a gate: a branch whose answer is "yes" is not tuned
LOOKED = 2  # tubes of the row with a second look
# Whole methods; the first is the paper's, with all of its steps.
METHODS = (
    AblationRow("paper", _TAS, ""),
    AblationRow(
        "says it",
        {**_PRESENT, **FAST, "evidence.sources": "stated"},
        "paper",
    ),
    AblationRow("default", {}, "paper"),
    AblationRow("default, never refuses", {"presence.enabled": False}, "paper"),
    AblationRow("fast", FAST, "paper"),
)
# A row for each source of evidence besides the paper's and each other way to ask, over this
# package's own span.
SOURCES = (
    AblationRow("+ stated interval", {**_PRESENT, "evidence.stated_interval": True}, _OVER),
    AblationRow("+ painted ids", {**_PRESENT, "evidence.painted_ids": True}, _OVER),
    AblationRow("+ second look", {**_PRESENT, "evidence.second_look": LOOKED}, _OVER),
    AblationRow("+ plain words", {**_PRESENT, "split.plain_words": "always"}, _OVER),
    AblationRow("+ gate", {**_PRESENT, "reattention.gate": GATE_NATS}, _OVER),
)
HEAD_ROWS = (AblationRow("+ selected heads", {**_PRESENT, "attention.heads": "selected"}, _OVER),)
# What is measured on bodies, where there are keypoints.
BODY_ROWS = (
    AblationRow("+ body", {**_ADAPTIVE, "evidence.sources": "both"}, "+ adaptive span"),
    AblationRow("body alone", {**_ADAPTIVE, "evidence.sources": "body"}, "+ body"),
)
CONTROLS = (
    AblationRow("both prompts, random direction", _BOTH, "+ both prompts", "random direction"),
    AblationRow("both prompts, negated gradient", _BOTH, "+ both prompts", "negated gradient"),
    AblationRow("adaptive span, untrained model", _ADAPTIVE, "+ adaptive span", "untrained"),
)
MODELS = ("own", *(row.model for row in CONTROLS))


def rows_of(own: MllmSettings, body: bool) -> tuple[AblationRow, ...]:
    """The rows that a model can fill.

    Args:
        own: its settings; without a table of heads there is no row of selected ones.
        body: whether there are keypoints.
    """
    heads = HEAD_ROWS if own.grounding_heads or own.temporal_heads else ()
    return (*ROWS, *(BODY_ROWS if body else ()), *SOURCES, *heads, *METHODS)
