# SPDX-License-Identifier: Apache-2.0

"""Published chat templates: which file is taken, thoughts that are closed, text-only prompts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from published import material
from transformers import AutoTokenizer

from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.errors import ModelError
from stvg_ros.models.chat_template import choose_template
from stvg_ros.models.family import Layout
from stvg_ros.models.prompt import Prompt
from stvg_ros.models.yes_no_tokens import yes_no_ids

QUESTION = "Is there a man in red in this video?"
QWEN_VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"
LLAVA = [
    "llava_onevision", "llava_next_video_7b", "llava_next_video_7b_32k", "llava_next_video_34b",
    "llava_next_video_7b_qwen2",
]  # fmt: skip


def text_of(name: str) -> str:
    return (material("chat_templates") / f"{name}.jinja").read_text()


@pytest.fixture(scope="module")
def core() -> Any:
    """The real tokenizer of Qwen3-VL."""
    tokenizer = AutoTokenizer.from_pretrained(material("qwen3_vl"))
    tokenizer.add_tokens(["<video>", "<image>"], special_tokens=True)
    return tokenizer


@pytest.fixture
def folder(core: Any, tmp_path: Path) -> Path:
    """No template: neither in the folder nor with the tokenizer."""
    core.chat_template = None
    return tmp_path


def put_json(folder: Path, file: str, template: str) -> None:
    (folder / file).write_text(json.dumps({"chat_template": template}))


def loaded(tokenizer: Any, folder: Path) -> Any:
    choose_template(tokenizer, CheckpointFiles.of(str(folder), "model.path"))
    return tokenizer


def suffix(tokenizer: Any, video: str, question: str = QUESTION) -> Any:
    visual = "<|video_pad|>" if "video_pad" in video else "<video>"
    layout = Layout(video, visual * 3, tokenizer.convert_tokens_to_ids(visual))
    return Prompt(tokenizer, "test").suffix(layout, question)


def test_a_text_only_template_of_the_tokenizer_does_not_hide_that_of_the_processor(
    core: Any, folder: Path
) -> None:
    core.chat_template = text_of("qwen2_text_only")
    with pytest.raises(
        ModelError, match=r"takes a video.*tokenizer_config\.json \(fails: can only concatenate str"
    ):
        loaded(core, folder)
    core.chat_template = text_of("qwen2_text_only")
    put_json(folder, "chat_template.json", text_of("llava_onevision"))
    assert loaded(core, folder).chat_template == text_of("llava_onevision")


def test_files_in_the_order_of_the_library(core: Any, folder: Path) -> None:
    names = [
        "llava_next_video_34b", "llava_next_video_7b", "llava_onevision",
        "llava_next_video_7b_qwen2",
    ]  # fmt: skip
    core.chat_template = own = text_of(names[0])
    assert loaded(core, folder).chat_template == text_of(names[0])
    put_json(folder, "processor_config.json", text_of(names[1]))
    core.chat_template = own
    assert loaded(core, folder).chat_template == text_of(names[1])
    put_json(folder, "chat_template.json", text_of(names[2]))
    core.chat_template = own
    assert loaded(core, folder).chat_template == text_of(names[2])
    (folder / "chat_template.jinja").write_text(text_of(names[3]))
    core.chat_template = own
    assert loaded(core, folder).chat_template == text_of(names[3])


def test_a_file_that_cannot_be_read_or_lacks_the_video_is_passed_over(
    core: Any, folder: Path
) -> None:
    (folder / "chat_template.json").write_text('{"chat_template": "x",}')
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m['content'][-1]['text'] }}{% endfor %}"
    )
    with pytest.raises(ModelError, match=r"jinja \(leaves out the video\).*no valid JSON"):
        loaded(core, folder)
    core.chat_template = {
        "a": text_of("qwen2_text_only"), "default": text_of("llava_onevision"),
    }  # fmt: skip
    (folder / "chat_template.jinja").unlink()
    assert loaded(core, folder).chat_template == text_of("llava_onevision")


@pytest.mark.parametrize("name", LLAVA)
def test_published_templates_give_question_and_text(core: Any, folder: Path, name: str) -> None:
    put_json(folder, "processor_config.json", text_of(name))
    tokenizer = loaded(core, folder)
    prompt = Prompt(tokenizer, name)
    assert QUESTION.split()[1] in tokenizer.decode(suffix(tokenizer, "<video>").ids)
    text = tokenizer.decode(prompt.chat("You are terse.", "Say hello.")[0])
    assert (text.count("You are terse."), text.count("Say hello.")) == (1, 1)


def test_a_thought_is_closed_and_is_no_candidate(core: Any, folder: Path) -> None:
    template = (material("qwen3_5_moe") / "chat_template.jinja").read_text()
    forced = template.replace("enable_thinking is defined and enable_thinking is false", "false")
    assert forced != template
    (folder / "chat_template.jinja").write_text(template)
    plain = (material("v5_saved_processor") / "chat_template.jinja").read_text()
    tokenizer = loaded(core, folder)
    asked = suffix(tokenizer, QWEN_VIDEO)
    text = tokenizer.decode(asked.ids)
    assert text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert asked.labels == ("?", "<|im_end|>", "\n", "<|im_start|>", "assistant", "\n")
    # The answer's first token is that of an answer without any thought.
    ids = yes_no_ids(tokenizer, Prompt(tokenizer, "test").answer_start, "yes", "test")
    (folder / "chat_template.jinja").write_text(forced)
    assert suffix(loaded(core, folder), QWEN_VIDEO) == asked
    (folder / "chat_template.jinja").write_text(plain)
    tokenizer = loaded(core, folder)
    assert ids == yes_no_ids(tokenizer, Prompt(tokenizer, "test").answer_start, "yes", "test")
    assert suffix(tokenizer, QWEN_VIDEO).labels == asked.labels
