# SPDX-License-Identifier: Apache-2.0

"""Rows and answers of a tiny model by the library's eager forward over the whole prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers.masking_utils import create_causal_mask

from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.attention_band import attending_layers, mapped_layers
from stvg_ros.models.attention_capture import NAME
from stvg_ros.models.hf_common import HfMllm

QUESTIONS = ("Is there a man in red in this video?", "Describe this video in details.")


def images(count: int, height: int = 16, width: int = 24) -> list[Any]:
    random = np.random.default_rng(count)
    return [random.integers(0, 256, (height, width, 3)).astype(np.uint8) for _ in range(count)]


@dataclass(frozen=True, eq=False)
class LibraryPass:
    """What the library's eager forward over the whole prompt gives.

    Attributes:
        positions: of all tokens.
        heads: `(H, R, M)` rows of each layer that attends to the whole prompt, by its number.
        log_p: `(vocabulary,)` of the token after the prompt.
    """

    positions: torch.Tensor
    heads: dict[int, torch.Tensor]
    log_p: torch.Tensor


def reference(
    mllm: HfMllm, visual: VisualTokens, question: str, offset: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Positions, mean rows, yes and no by the library's eager forward over the whole prompt."""
    found = library_pass(mllm, visual, question, offset)
    rows = torch.stack(list(found.heads.values())).mean((0, 1))
    yes, no = (found.log_p[ids].logsumexp(0) for ids in (mllm._yes, mllm._no))
    return found.positions, rows, yes, no


def library_pass(
    mllm: HfMllm,
    visual: VisualTokens,
    question: str,
    offset: torch.Tensor | None = None,
    said: tuple[int, ...] = (),
) -> LibraryPass:
    """The library's eager forward over the whole prompt and `said`, the answer's first tokens."""
    model, prompt = mllm._model, mllm.prompt
    layout = mllm._checkpoint.layout(visual)
    before, between, after = prompt.parts(layout.placeholder)
    whole = before + layout.text + layout.after + between + question + after
    ids = torch.tensor([mllm._checkpoint.tokenizer(whole)["input_ids"]])
    suffix = prompt.suffix(layout, question)
    prefix_ids = prompt.prefix_ids(layout)
    assert ids[0].tolist() == prefix_ids[0].tolist() + list(suffix.ids)
    ids = torch.cat([ids, torch.tensor([said], dtype=ids.dtype)], dim=1)

    at = (ids[0] == layout.token_id).nonzero()[:, 0]
    features = visual.features if offset is None else visual.features + offset
    if layout.tail is not None:
        features = torch.cat([features, layout.tail])
    embedded = model.get_input_embeddings()(ids).index_copy(1, at, features[None])
    named: dict[str, Any] = {}
    if hasattr(model.model, "get_rope_index"):
        slots, rows, columns = visual.grid
        merge = getattr(model.config.vision_config, "spatial_merge_size", 4)
        grid = [slots, rows * merge, columns * merge]
        sizes = {"target_sizes_videos": torch.tensor([grid[1:]] * slots)}
        canvas = hasattr(model.config, "newline_id")  # MiniCPM-V 4.7
        named["position_ids"], _ = model.model.get_rope_index(
            ids,
            mm_token_type_ids=(ids == layout.token_id).int() * 2,
            **(sizes if canvas else {"video_grid_thw": torch.tensor([grid])}),
        )
    if visual.deep:
        named["visual_pos_masks"] = ids == layout.token_id
        named["deepstack_visual_embeds"] = list(visual.deep)
    text = model.get_decoder()
    text.config._attn_implementation = "eager"
    if hasattr(model.config, "frame_start_token_id"):  # Molmo2: frames attend to one another
        words = ["<im_patch>", "<frame_start>", "<frame_end>", "<im_start>", "<im_end>", "<im_col>"]
        seen = torch.isin(
            ids, torch.tensor(mllm._checkpoint.tokenizer.convert_tokens_to_ids(words))
        )
        named["attention_mask"] = create_causal_mask(
            text.config, embedded, attention_mask=None, past_key_values=None,
            block_sequence_ids=torch.where(seen, 0, -1),
        )  # fmt: skip
    try:
        out = text(inputs_embeds=embedded, output_attentions=True, use_cache=False, **named)
    finally:
        text.config._attn_implementation = NAME
    attending = set(attending_layers(text.config))
    asked = torch.tensor(suffix.candidates) + prefix_ids.shape[1]
    columns = at[: len(visual.features)]
    return LibraryPass(
        named.get("position_ids", torch.arange(ids.shape[1])[None]),
        {
            layer: maps[0][:, asked][..., columns]
            for layer, maps in zip(mapped_layers(text.config), out.attentions, strict=True)
            if layer in attending
        },
        model.lm_head(out.last_hidden_state[0, -1]).log_softmax(-1),
    )
