# SPDX-License-Identifier: Apache-2.0

"""The chat template of a checkpoint: the first of its files that takes a video and a question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stvg_ros.checkpoints.files import CheckpointFiles, first_line
from stvg_ros.errors import ModelError

# The order of transformers: a processor's template precedes that of its tokenizer, which is often
# the language model's own and takes text only.
JINJA_FILE = "chat_template.jinja"
JSON_FILES = ("chat_template.json", "processor_config.json")
TOKENIZER_FILE = "tokenizer_config.json"
QUESTION = "Is there anything?"  # in the place of the question where a template is tried or split
THOUGHT, END_OF_THOUGHT = "<think>", "</think>"


def choose_template(tokenizer: Any, files: CheckpointFiles, medium: str = "video") -> None:
    """Sets `tokenizer.chat_template` to the first template that renders a video and a question.

    Args:
        tokenizer: the checkpoint's, with the template that transformers found for it.
        files: the checkpoint.
        medium: "image" for a model that takes the frames of a video as images.

    Raises:
        ModelError: there is no template, or none takes a video.
    """
    refused: list[str] = []
    for file, template in _stored(tokenizer, files, refused):
        reason = _objection(tokenizer, template, medium)
        if not reason:
            tokenizer.chat_template = template
            return
        refused.append(f"{file} ({reason})")
    found = f"; found {', '.join(refused)}" if refused else ""
    a_medium = "an image" if medium == "image" else f"a {medium}"
    raise ModelError(
        f"{files.source}: no chat template that takes {a_medium} and a "
        f"question{found}; expected one in {JINJA_FILE}, {', '.join(JSON_FILES)} or "
        f"{TOKENIZER_FILE}; download the file of the released checkpoint"
    )


def rendered(tokenizer: Any, messages: list[dict[str, Any]], template: str | None = None) -> str:
    """The text of a conversation up to the answer, which does not begin with a thought.

    Templates with a switch for thinking get `enable_thinking=False`. A thought that is open all
    the same is closed empty, so that the first token of the answer is its first word.

    Raises:
        Exception: of any kind, from the template.
    """
    text = str(
        tokenizer.apply_chat_template(
            messages,
            chat_template=template,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
    )
    if text.rfind(THOUGHT) > text.rfind(END_OF_THOUGHT):
        text = f"{text.rstrip()}\n\n{END_OF_THOUGHT}\n\n"
    return text


def switch_text(tokenizer: Any, messages: list[dict[str, Any]]) -> str:
    """What a template writes behind the question to switch thoughts off, such as GLM's "/nothink".

    Args:
        tokenizer: the checkpoint's, with its template.
        messages: end with `QUESTION`.
    """
    with_switch = rendered(tokenizer, messages)
    without = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ours, plain = (
        str(text).rpartition(QUESTION)[2].partition(THOUGHT)[0].rstrip()
        for text in (with_switch, without)
    )
    return ours.removesuffix(plain) if plain and ours.endswith(plain) else ""


def turn(role: str, *content: dict[str, str]) -> dict[str, Any]:
    """One message of a conversation."""
    return {"role": role, "content": list(content)}


def written(text: str) -> dict[str, str]:
    """Text in a message."""
    return {"type": "text", "text": text}


def _stored(
    tokenizer: Any, files: CheckpointFiles, refused: list[str]
) -> Iterator[tuple[str, str]]:
    """File and text of each template; unreadable files are added to `refused`."""
    jinja = files.path(JINJA_FILE)
    if jinja is not None:
        try:
            yield JINJA_FILE, Path(jinja).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            refused.append(f"{JINJA_FILE} (no text in UTF-8: {first_line(error)})")
    # transformers drops the tokenizer's own where there is a chat_template.jinja.
    for file in (*JSON_FILES, TOKENIZER_FILE):
        try:
            values = files.json(file) or {}
        except ModelError as error:
            refused.append(f"{file} ({first_line(error)})")
            continue
        yield from ((file, text) for text in _texts(values.get("chat_template")))
    yield from ((TOKENIZER_FILE, text) for text in _texts(tokenizer.chat_template))


def _texts(value: Any) -> list[str]:
    """The templates of an entry: one, or several by name with "default" first."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):  # as the files of tokenizers have several
        pairs = [each for each in value if isinstance(each, dict)]
        value = {each.get("name", ""): each.get("template") for each in pairs}
    if isinstance(value, dict):
        ordered = (value[name] for name in sorted(value, key=lambda name: name != "default"))
        return [text for text in ordered if isinstance(text, str)]
    return []


def _objection(tokenizer: Any, template: str, medium: str) -> str:
    """Why a template cannot be used; empty if it can."""
    question = written(QUESTION)
    try:
        alone, both = (
            rendered(tokenizer, [turn("user", *content)], template)
            for content in ([question], [{"type": medium}, question])
        )
    except Exception as error:  # templates raise errors of many kinds
        return f"fails: {first_line(error)}"
    if QUESTION not in both:
        return "leaves out the question"
    return f"leaves out the {medium}" if both == alone else ""
