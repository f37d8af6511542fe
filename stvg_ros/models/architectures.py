# SPDX-License-Identifier: Apache-2.0

"""Language models under the families: which ones shared keys and packed questions are exact for."""

from __future__ import annotations

from typing import Any

from stvg_ros.errors import ModelError

# Each is tested against eager attention over the whole unshared prompt.
PROVEN = (
    "cosmos3_edge_text", "glm4v_text", "lfm2", "lfm3", "llama", "mistral", "molmo2_text", "qwen2",
    "qwen2_5_vl_text", "qwen2_vl_text", "qwen3", "qwen3_5_moe_text", "qwen3_5_text",
    "qwen3_vl_moe_text", "qwen3_vl_text",
)  # fmt: skip
# Those whose other layers are proven as well: questions continue from copies of their states.
RECURRENT = {
    "qwen3_5_moe_text": ("linear_attention",),
    "qwen3_5_text": ("linear_attention",),
    "lfm2": ("conv",),
    "lfm3": ("conv", "sliding_attention"),
}


def is_recurrent(text: Any) -> bool:
    """Whether some layers of a language model have a state instead of attention."""
    kinds = set(getattr(text, "layer_types", None) or ())
    return bool(kinds & {"linear_attention", "conv"})


def check_architecture(text: Any, source: str) -> None:
    """Refuses language models that would run, but wrongly.

    Args:
        text: the configuration of the language model.
        source: the checkpoint, for error messages.

    Raises:
        ModelError: another architecture, or layers that do not attend to the whole prompt.
    """
    kind = str(text.model_type)
    fit = {"full_attention", *RECURRENT.get(kind, ())}
    others = set(getattr(text, "layer_types", None) or ()) - fit
    if kind == "mistral" and text.sliding_window is not None:
        others.add("sliding_attention")
    if others:
        raise ModelError(
            f"{source}: its language model ({kind}) has layers of {', '.join(sorted(others))}; "
            "expected full attention in all layers: the mask of packed questions would replace a "
            f"window, and states of layers are copied for {', '.join(RECURRENT)} only; use another "
            "checkpoint"
        )
    if kind not in PROVEN:
        raise ModelError(
            f"{source}: its language model is {kind}; expected one of {', '.join(PROVEN)}, for "
            "which sharing a prompt is known to be exact; use another checkpoint"
        )
