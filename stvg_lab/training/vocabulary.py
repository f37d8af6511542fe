# SPDX-License-Identifier: Apache-2.0

"""The tokenizer of the embedded model: one token per word, special tokens of Qwen2-VL."""

from __future__ import annotations

import re

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from stvg_lab.rendered.hard.templates import TRAINING
from stvg_lab.rendered.queries import vocabulary
from stvg_ros.method.marked_video import MOST_NUMBERS
from stvg_ros.method.painted_ids import which_number
from stvg_ros.method.query import NEUTRAL, question
from stvg_ros.method.stated_interval import ENDS, which_image

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
SYSTEM = "You answer questions about a video."
OTHER_TEXTS = (
    SYSTEM,
    NEUTRAL,
    question(""),
    "yes no system user assistant what which color colour does do is doing wear wearing",
    "people and , . ? ! : ; ' the to of on at with near left right then while before after",
    "woman man boy girl child lady gentleman he she they her their him it",
    "sit stand jump wave walk pick lift move crouch hop turn stay",
)
NUMBERS = tuple(str(number) for number in range(1, MOST_NUMBERS + 1))
NUMBER_TEXTS = (which_number(""), *(which_image("", end) for end in ENDS))
CHAT_TEMPLATE = """\
{%- if messages and messages[0]['role'] != 'system' -%}
<|im_start|>system
SYSTEM_TEXT<|im_end|>
{% endif -%}
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{% if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'video' -%}
<|vision_start|><|video_pad|><|vision_end|>
{%- elif part['type'] == 'image' -%}
<|vision_start|><|image_pad|><|vision_end|>
{%- elif part['type'] == 'text' -%}
{{ part['text'] }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
""".replace("SYSTEM_TEXT", SYSTEM)


def words(hard: bool = False) -> tuple[str, ...]:
    """Every ordinary token, sorted: words, punctuation marks and the newline.

    Args:
        hard: with the words of the hard scenes' sentences, and numbers.
    """
    found = set(vocabulary()) | {"\n"}
    if hard:
        found |= {*TRAINING.words(), "-", *NUMBERS}
    for text in (*OTHER_TEXTS, *(NUMBER_TEXTS if hard else ())):
        found.update(re.findall(r"[a-z]+|[^\sa-z{}]", text.lower()))
    return tuple(sorted(found))


def build_tokenizer(hard: bool = False) -> PreTrainedTokenizerFast:
    """Lower-cases, keeps newlines and punctuation as tokens, maps unknown words to [UNK].

    Args:
        hard: with the words of the hard scenes' sentences, and numbers.
    """
    tokens = ("[UNK]", *SPECIAL, *words(hard))
    model = models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n"), "isolated"),
            pre_tokenizers.Split(Regex(r"[^\S\n]+"), "removed"),
            pre_tokenizers.Split(Regex(r"[^\w\s]"), "isolated"),
        ]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=list(SPECIAL),
        model_max_length=2048,
        padding_side="left",
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
