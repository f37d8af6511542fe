# SPDX-License-Identifier: Apache-2.0

"""Which of a checkpoint's chat templates is taken, and what is said where none fits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jinja2
import pytest

from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.errors import ModelError
from stvg_ros.models.chat_template import choose_template, rendered, turn, written

VIDEO = {"type": "video"}

QUESTION = "{% if part.type == 'text' %}{{ part.text }}{% endif %}"
SHOWN = "{% if part.type == 'video' %}<video>{% endif %}"


def template(parts: str, before: str = "", after: str = "") -> str:
    each = "{% for message in messages %}{% for part in message.content %}"
    return f"{before}{each}{parts}{{% endfor %}}{{% endfor %}}{after}"


GOOD, GOOD_TOO = template(QUESTION + SHOWN), template(SHOWN + QUESTION, "also ")
TEXT_ONLY, VIDEO_ONLY, BROKEN = template(QUESTION), template(SHOWN), "{{ nothing.of.it }}"


class Tokenizer:
    """Renders as a tokenizer of transformers does."""

    def __init__(self, own: Any = None) -> None:
        self.chat_template = own

    def apply_chat_template(self, messages: Any, *, chat_template: Any, **options: Any) -> str:
        assert options.pop("tokenize") is False
        text = self.chat_template if chat_template is None else chat_template
        return jinja2.Environment().from_string(text).render(messages=messages, **options)


def files_of(folder: Path, **content: Any) -> CheckpointFiles:
    (folder / "config.json").write_text("{}")
    for name, value in content.items():
        if name == "chat_template":
            (folder / "chat_template.jinja").write_text(value)
        else:
            (folder / f"{name}.json").write_text(json.dumps(value))
    return CheckpointFiles.of(str(folder), "model.path")


def older(text: Any) -> dict[str, Any]:
    return {"chat_template": text}


def listed(**templates: str) -> list[dict[str, str]]:
    return [{"name": name, "template": text} for name, text in templates.items()]


@pytest.mark.parametrize(
    ("own", "content", "chosen"),
    [
        (GOOD, {}, GOOD),
        (GOOD, {"chat_template": GOOD_TOO}, GOOD_TOO),
        (GOOD, {"chat_template": TEXT_ONLY}, GOOD),
        (GOOD, {"chat_template": VIDEO_ONLY}, GOOD),
        (GOOD, {"chat_template": BROKEN}, GOOD),
        (GOOD, {"processor_config": older(GOOD_TOO)}, GOOD_TOO),
        (GOOD, {"processor_config": older(None)}, GOOD),
        (GOOD, {"processor_config": {}}, GOOD),
        (GOOD, {"processor_config": older(7)}, GOOD),
        ({"tools": TEXT_ONLY, "default": GOOD}, {}, GOOD),
        ({"a": GOOD_TOO, "default": GOOD}, {}, GOOD),
        ({"default": TEXT_ONLY, "b": GOOD_TOO, "a": BROKEN}, {}, GOOD_TOO),
        (None, {"processor_config": older({"x": TEXT_ONLY, "default": GOOD})}, GOOD),
        (None, {"processor_config": older({"default": None, "x": GOOD})}, GOOD),
        (GOOD, {"processor_config": older(listed(x=TEXT_ONLY, default=GOOD_TOO))}, GOOD_TOO),
        (GOOD, {"processor_config": older(listed(x=GOOD, default=GOOD_TOO))}, GOOD_TOO),
        (GOOD, {"processor_config": older([GOOD_TOO, {"name": "default"}, {}])}, GOOD),
        (GOOD, {"chat_template": "\ufeff" + GOOD_TOO}, GOOD_TOO),
        (BROKEN, {"chat_template": BROKEN, "tokenizer_config": older(GOOD)}, GOOD),
        (TEXT_ONLY, {"chat_template": TEXT_ONLY, "tokenizer_config": older(listed(a=GOOD))}, GOOD),
        (GOOD_TOO, {"chat_template": "", "tokenizer_config": {}}, GOOD_TOO),
    ],
)
def test_the_first_template_that_takes_a_video_is_chosen(
    tmp_path: Path, own: Any, content: dict[str, Any], chosen: str
) -> None:
    tokenizer = Tokenizer(own)
    choose_template(tokenizer, files_of(tmp_path, **content))
    assert tokenizer.chat_template == chosen


def test_the_older_json_file_precedes_the_processors(tmp_path: Path) -> None:
    (tmp_path / "chat_template.json").write_text(json.dumps(older(GOOD)))
    tokenizer = Tokenizer(TEXT_ONLY)
    choose_template(tokenizer, files_of(tmp_path, processor_config=older(GOOD_TOO)))
    assert tokenizer.chat_template == GOOD


def test_every_template_that_does_not_fit_is_named(tmp_path: Path) -> None:
    (tmp_path / "chat_template.json").write_text("{")
    found = files_of(tmp_path, chat_template=VIDEO_ONLY, processor_config=older(BROKEN))
    with pytest.raises(ModelError) as caught:
        choose_template(Tokenizer(TEXT_ONLY), found)
    said = str(caught.value)
    assert "chat_template.jinja (leaves out the question)" in said
    assert "chat_template.json (" in said
    assert "processor_config.json (fails: 'nothing' is undefined)" in said
    assert "tokenizer_config.json (leaves out the video)" in said


def test_a_file_of_another_encoding_is_passed_over(tmp_path: Path) -> None:
    found = files_of(tmp_path)
    (tmp_path / "chat_template.jinja").write_bytes("{# \u00e9 #}".encode("latin-1"))
    tokenizer = Tokenizer(GOOD)
    choose_template(tokenizer, found)
    assert tokenizer.chat_template == GOOD
    with pytest.raises(ModelError, match=r"chat_template\.jinja \(no text in UTF-8: "):
        choose_template(Tokenizer(), found)


def test_no_template_at_all_names_the_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"and a question; expected one in chat_template\.jinja"):
        choose_template(Tokenizer(), files_of(tmp_path))


@pytest.mark.parametrize(
    ("end", "text"),
    [
        ("<bot>", "hi<bot>"),
        ("<bot><think>\n", "hi<bot><think>\n\n</think>\n\n"),
        ("<bot><think></think>", "hi<bot><think></think>"),
        ("<think></think><bot><think>", "hi<think></think><bot><think>\n\n</think>\n\n"),
        ("<think>", "hi<think>\n\n</think>\n\n"),
        ("{% if enable_thinking %}<think>{% endif %}", "hi"),
        ("{% if add_generation_prompt %}<bot>{% endif %}", "hi<bot>"),
        ("</think>", "hi</think>"),
    ],
)
def test_the_answer_does_not_begin_with_a_thought(end: str, text: str) -> None:
    tokenizer = Tokenizer(template(QUESTION, after=end))
    assert rendered(tokenizer, [turn("user", VIDEO, written("hi"))]) == text


def test_a_thought_at_the_very_beginning_is_closed() -> None:
    assert rendered(Tokenizer("<think>"), []) == "<think>\n\n</think>\n\n"


def test_messages_are_those_of_the_chat_templates() -> None:
    assert turn("user", VIDEO, written("hi")) == {
        "role": "user",
        "content": [{"type": "video"}, {"type": "text", "text": "hi"}],
    }
