# SPDX-License-Identifier: Apache-2.0

"""The parts of a prompt against the whole one, and the tokens of a question that are candidates."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_models

from stvg_ros.errors import ModelError
from stvg_ros.models.chat_template import rendered, turn, written
from stvg_ros.models.family import Layout
from stvg_ros.models.prompt import Prompt

VIDEO = {"type": "video"}

PLACEHOLDER = "<|vision_start|><|video_pad|><|vision_end|>"
TOKENS = "<|vision_start|><|video_pad|><|video_pad|><|vision_end|>"
LAYOUT = Layout(PLACEHOLDER, TOKENS, 0)
END = ("<|im_end|>", "\n", "<|im_start|>", "assistant", "\n")


def tokenizer(template: str = tiny_models.CHAT, begin: str | None = None) -> Any:
    made = tiny_models.build_tokenizer("qwen2_vl")
    made.chat_template = template.replace("VIDEO", PLACEHOLDER)
    if begin is not None:
        made.bos_token = begin
    return made


@pytest.mark.parametrize(
    ("question", "end"),
    [
        ("Is there a man in red in this video?", ("?",)),
        ("Is there a man in red in this video?!", ("[UNK]",)),
        ("Is there a man in red in this video?!?", ("?",)),
        ("Is there a man in red.", (".",)),
        ("a man:", (":",)),
        ("  a man ;  ", ("[UNK]",)),
        ("Is there a man in red in this video", ()),
        ("man", ()),
    ],
)
@pytest.mark.parametrize("between", ["", "\n", " man \n\n"])
def test_a_question_has_the_ids_of_the_whole_prompt(
    question: str, end: tuple[str, ...], between: str
) -> None:
    made = tokenizer(tiny_models.CHAT.replace("VIDEO", f"VIDEO{between}"))
    prompt = Prompt(made, "folder")
    suffix = prompt.suffix(LAYOUT, question)
    whole = rendered(made, [turn("user", VIDEO, written(question.strip()))])
    wanted = made(whole.replace(PLACEHOLDER, TOKENS))["input_ids"]
    assert [*prompt.prefix_ids(LAYOUT)[0].tolist(), *suffix.ids] == wanted
    assert suffix.labels == (*end, *END)
    assert suffix.candidates == tuple(range(len(suffix.ids) - len(END) - len(end), len(suffix.ids)))


def test_an_empty_thought_is_no_candidate() -> None:
    template = tiny_models.CHAT.replace("assistant\n", "assistant\n<think>\n\n</think>\n\n")
    suffix = Prompt(tokenizer(template), "folder").suffix(LAYOUT, "a man?")
    assert suffix.labels == ("?", *END)
    assert len(suffix.ids) > suffix.candidates[-1] + 1


@pytest.mark.parametrize("word", ["/nothink", " /no_think", "\n\nnow answer.\n"])
@pytest.mark.parametrize(
    ("end", "closed"),
    [("", ""), ("", "<think></think>"), ("\n<think>", "\n<think>\n\n</think>\n"), ("\n", "\n")],
)
def test_a_word_against_thoughts_is_no_candidate(word: str, end: str, closed: str) -> None:
    """As in the template of GLM-4.5V and GLM-4.6V."""
    off = "{% if enable_thinking is defined and not enable_thinking %}"
    template = tiny_models.CHAT.replace(
        "<|im_end|>\n{% endfor", f"{off}{{{{ {word!r} }}}}{{% endif %}}<|im_end|>\n{{% endfor"
    ).replace(
        "assistant\n",
        f"assistant{off}{{{{ {closed!r} }}}}{{% else %}}{{{{ {end!r} }}}}{{% endif %}}",
    )
    suffix = Prompt(tokenizer(template), "folder").suffix(LAYOUT, "a man?")
    role = END if closed.startswith("\n") else END[:-1]
    assert suffix.labels == ("?", *role)
    made = tokenizer(template)
    whole = rendered(made, [turn("user", VIDEO, written("a man?"))])
    assert word in whole
    wanted = made(whole.replace(PLACEHOLDER, TOKENS))["input_ids"]
    assert wanted[-len(suffix.ids) :] == list(suffix.ids)


def test_the_answer_follows_the_end_of_the_prompt() -> None:
    prompt = Prompt(tokenizer(), "folder")
    before, between, after = prompt.parts(PLACEHOLDER)
    assert (before, between) == ("<|im_start|>user\n", "")
    assert after == "<|im_end|>\n<|im_start|>assistant\n"
    assert prompt.answer_start == f"Is there anything?{after}"


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[0]['content'][1]['text'] }} VIDEO",  # the question first
        "{{ messages[0]['content'][1]['text'] }}",
        "VIDEO",
        "",
        "VIDEO VIDEO {{ messages[0]['content'][1]['text'] }}",
        "VIDEO {{ messages[0]['content'][1]['text'] }} VIDEO",
    ],
)
def test_a_template_of_another_order_is_refused_with_its_text(template: str) -> None:
    with pytest.raises(ModelError, match="folder: the chat template gives .* and the question aft"):
        Prompt(tokenizer(template), "folder").parts(PLACEHOLDER)


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="folder: the tokenizer gives no offsets"):
        Prompt(Slow(), "folder")


def begun(special: bool) -> Any:
    """A tokenizer that begins each text with <s>, with a template that writes it too, or not."""
    made = tokenizer(("<s>" if special else "") + tiny_models.CHAT, "<s>")
    first = made.convert_tokens_to_ids("<s>")
    call = type(made).__call__

    class Begins(type(made)):  # type: ignore[misc]
        def __call__(self, text: str, add_special_tokens: bool = True, **named: Any) -> Any:
            coded = call(self, text, add_special_tokens=False, **named)
            if add_special_tokens:
                coded["input_ids"] = [first, *coded["input_ids"]]
            return coded

    made.__class__ = Begins
    return made, first


@pytest.mark.parametrize("special", [True, False])
def test_a_prompt_begins_once(special: bool) -> None:
    made, first = begun(special)
    prompt = Prompt(made, "folder")
    for ids in (prompt.prefix_ids(LAYOUT), prompt.chat("be brief", "a man")):
        assert ids[0].tolist().count(first) == 1
        assert int(ids[0, 0]) == first
    whole = rendered(made, [turn("user", VIDEO, written("a man?"))])
    wanted = made(whole.replace(PLACEHOLDER, TOKENS), add_special_tokens=not special)["input_ids"]
    suffix = prompt.suffix(LAYOUT, "a man?")
    assert [*prompt.prefix_ids(LAYOUT)[0].tolist(), *suffix.ids] == wanted
    assert suffix.labels == ("?", *END)


def test_the_last_token_of_the_visual_block() -> None:
    made, _ = begun(special=False)
    tail = Prompt(made, "folder").prefix_tail(LAYOUT)
    assert tail == made.convert_tokens_to_ids("<|vision_end|>")


TURNS = "{% for m in messages %}{{ m['role'] }}: {{ m['content'][-1]['text'] }}\n{% endfor %}"
LAST = "VIDEO{{ messages[-1]['content'][-1]['text'] }}"
REFUSES = "{% if messages[0]['role'] == 'system' %}{{ nothing.of.it }}{% endif %}"
TWICE = "{{ messages[0]['content'][0]['text'] }}"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (f"VIDEO{TURNS}", f"{PLACEHOLDER}system: red man\nuser: a video\n"),
        (f"{REFUSES}VIDEO{TURNS}", f"{PLACEHOLDER}user: red man\na video\n"),
        (LAST, f"{PLACEHOLDER}red man\na video"),  # it leaves out the system role
        (f"VIDEO{{% if messages|length > 1 %}}{TWICE}{{% endif %}}{TURNS}",
         f"{PLACEHOLDER}user: red man\na video\n"),
    ],
)  # fmt: skip
def test_a_text_prompt_holds_both_texts_once(template: str, text: str) -> None:
    made = tokenizer(template)
    ids = Prompt(made, "folder").chat("red man", "a video")
    assert ids.tolist() == [made(text)["input_ids"]]
