# SPDX-License-Identifier: Apache-2.0

# ruff: noqa: E501 (the table)
from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from fakes import ToyMllm

from stvg_lab.rendered.queries import KINDS, phrased, scene_queries
from stvg_lab.rendered.scene import Scene
from stvg_ros.build import build_splitter
from stvg_ros.commands.command import Command
from stvg_ros.errors import CommandError, ConfigError
from stvg_ros.method.query import (
    EndpointSplitter,
    MllmSplitter,
    RuleSplitter,
    question,
    refuse_unseen,
    split_of,
    without_address,
)
from stvg_ros.method.settings import SplitConfig

# Command, attribute, action; "" where the part is the whole description.
TABLE = """
find the person in red who waves | the person in red | the person who waves
Find the man in the blue shirt. | the man in the blue shirt |
look for the woman who walks left | | the woman who walks left
Please look for the woman who walks left. | | the woman who walks left
where is the person in green who crouches? | the person in green | the person who crouches
Where is the child? | the child |
show me the man in purple clothes who sits down | the man in purple clothes | the man who sits down
bring me the person in yellow who jumps | the person in yellow | the person who jumps
follow the person who walks to the right | | the person who walks to the right
track the man with the hat | the man with the hat |
can you please find the person in blue who is waving? | the person in blue | the person who is waving
robot, find the person in red who waves | the person in red | the person who waves
Hey robot, could you show me the man who is jumping? | | the man who is jumping
The woman in the red coat opens the door and leaves. | The woman in the red coat | The woman who opens the door and leaves
the one who waves | | the one who waves
the man in red standing still | the man in red | the man who is standing still
the man with a bag standing without moving | the man with a bag | the man who is standing without moving
the man in red standing near the door waves | the man in red standing near the door | the man who waves
find the one who is waving | | the one who is waving
find the person wearing red | the person wearing red |
find the person waving | | the person who is waving
A boy in a striped shirt runs to the table. | A boy in a striped shirt | A boy who runs to the table
The tall man holding an umbrella walks past. | The tall man holding an umbrella | The man who walks past
the man with glasses who drinks | the man with glasses | the man who drinks
the woman in jeans sits down | the woman in jeans | the woman who sits down
find whoever waves | | the one who waves
someone jumps | | someone who jumps
somebody who crouches | | somebody who crouches
find the person in red and blue who walks left | the person in red and blue | the person who walks left
the person in red who stands still | the person in red | the person who stands still
The man in black turns around, then points up. | The man in black | The man who turns around, then points up
I want you to find the person in orange who waves | the person in orange | the person who waves
let's find the dog | the dog |
locate the red ball | the red ball |
search for the red ball please | the red ball |
find the person who walks left then waves | | the person who walks left then waves
detect the person in white that jumps, please | the person in white | the person who jumps
the person dressed in green who is walking right | the person dressed in green | the person who is walking right
the girl with long hair hugs the boy in white | the girl with long hair | the girl who hugs the boy in white
red shirt | red shirt |
waves | | waves
identify the worker next to the machine who lifts a box | the worker next to the machine | the worker who lifts a box
where's the person that is crouching | | the person who is crouching
Can you tell me where the person in red is? | the person in red |
find the person in red, who waves | the person in red | the person who waves
give me the guy with the backpack who is running | the guy with the backpack | the guy who is running
"""
CASES = [tuple(map(str.strip, line.split("|"))) for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize(("command", "attribute", "action"), CASES, ids=[c[0] for c in CASES])
def test_rules(command: str, attribute: str, action: str) -> None:
    split = RuleSplitter().split(command)
    whole = without_address(command)
    assert split.attribute == (attribute or whole)
    assert split.action == (action or whole)
    assert split.method == "rules"
    # A part is Q exactly where it is reported to be, or where Q itself is that part.
    for name in split.fallbacks:
        assert getattr(split, name) == whole


def test_the_papers_example() -> None:
    text = "The man in purple clothes takes a step forward and sits on the bench."
    split = RuleSplitter().split(text)
    assert question(split.attribute) == "Is there the man in purple clothes in this video?"
    assert split.action == "The man who takes a step forward and sits on the bench"
    assert split.fallbacks == ()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"attribute", "action", "relation"}))
def test_parts_of_the_generated_sentences_are_told_apart(kind: str) -> None:
    for seed in range(40):
        text, look, _ = phrased(np.random.default_rng(seed), kind, "red", "wave")
        split = RuleSplitter().split(text)
        assert split.attribute.lower() == look.lower(), text
        assert "red" not in split.action, text
        assert "wav" in split.action, text


def test_looks_of_rendered_scenes_are_told_from_their_actions() -> None:
    for seed in range(12):
        for query in scene_queries(Scene.from_seed(seed), seed):
            split = RuleSplitter().split(query.text)
            if query.kind in ("combined", "command", "sentence"):
                assert split.attribute.lower() == query.attribute.lower(), query.text
                assert (query.shirt or query.bag) not in split.action.split(), query.text
            if query.kind in ("attribute", "relation"):
                assert split.attribute == query.text


@pytest.mark.parametrize("text", ["find", "robot", "...", "?", "who", "find the", "is", "的"])
def test_odd_commands_still_give_three_questions(text: str) -> None:
    split = RuleSplitter().split(text)
    assert split.text
    assert split.attribute
    assert split.action


def test_question() -> None:
    assert question("The man in red.") == "Is there the man in red in this video?"
    assert question("A dog") == "Is there a dog in this video?"
    assert question("red shirt?") == "Is there red shirt in this video?"


def test_mllm_splitter_reads_json_among_words() -> None:
    mllm = ToyMllm()
    mllm.reply = 'Sure: {"attribute": "the man in red", "action": "The man waves."} Done.'
    split = MllmSplitter(mllm).split("find the man in red who waves")
    assert (split.attribute, split.action) == ("the man in red", "The man waves.")
    assert (split.method, split.fallbacks) == ("mllm", ())


@pytest.mark.parametrize(
    ("reply", "fallbacks"),
    [
        ("", ("attribute", "action")),
        ("no idea", ("attribute", "action")),
        ("{", ("attribute", "action")),
        ('["a"]', ("attribute", "action")),
        ('{"a":' * 100_000, ("attribute", "action")),
        ('{"attribute": "the man", "action": ""}', ("action",)),
        ('{"attribute": 3, "action": "the man waves"}', ("attribute",)),
        ('{"attribute": null}', ("attribute", "action")),
        (json.dumps({"attribute": "x" * 999, "action": "the man waves"}), ("attribute",)),
    ],
)
def test_a_bad_reply_falls_back_to_the_query(reply: str, fallbacks: tuple[str, ...]) -> None:
    mllm = ToyMllm()
    mllm.reply = reply
    split = MllmSplitter(mllm).split("find the man in red who waves")
    assert split.fallbacks == fallbacks
    for name in fallbacks:
        assert getattr(split, name) == "the man in red who waves"


@contextmanager
def endpoint(status: int, body: bytes, length: int | None = None) -> Iterator[tuple[str, list]]:
    asked: list[dict[str, object]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            asked.append({"path": self.path, **json.loads(self.rfile.read(size))})
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def chat(content: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_endpoint_splitter() -> None:
    good = chat('{"attribute": "the man in red", "action": "the man waves"}')
    with endpoint(200, good) as (url, asked):
        split = EndpointSplitter(url, "some-model", 5.0).split("find the man in red who waves")
    assert (split.attribute, split.action) == ("the man in red", "the man waves")
    assert (split.method, split.fallbacks) == ("endpoint", ())
    assert asked[0]["path"] == "/v1/chat/completions"
    assert asked[0]["model"] == "some-model"
    assert asked[0]["messages"][-1] == {"role": "user", "content": "find the man in red who waves"}


@pytest.mark.parametrize(
    ("status", "body", "length"),
    [
        (500, b"{}", None),
        (200, b"", None),
        (200, b"\xff\xfe", None),
        (200, b"{}", None),
        (200, b'{"choices": []}', None),
        (200, b'{"choices": 3}', None),
        (200, chat(None), None),
        (200, chat([1]), None),
        (200, b'{"choices"', 500),  # the connection ends early
    ],
)
def test_a_bad_endpoint_falls_back(status: int, body: bytes, length: int | None) -> None:
    with endpoint(status, body, length) as (url, _):
        split = EndpointSplitter(url, "m", 5.0).split("the man in red who waves")
    assert split.attribute == split.action == "the man in red who waves"
    assert split.fallbacks == ("attribute", "action")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nowhere", "http://[", "http://a b"])
def test_an_unreachable_endpoint_falls_back(url: str) -> None:
    split = EndpointSplitter(url, "m", 0.5).split("the man in red who waves")
    assert split.fallbacks == ("attribute", "action")


def test_build_splitter() -> None:
    mllm = ToyMllm()  # its own choice is rules
    assert isinstance(build_splitter(SplitConfig(), mllm), RuleSplitter)
    assert isinstance(build_splitter(SplitConfig(method="mllm"), mllm), MllmSplitter)
    whole = build_splitter(SplitConfig(method="none"), mllm).split("Find the man who waves.")
    assert {whole.text, whole.attribute, whole.action} == {"the man who waves"}
    assert (whole.method, whole.fallbacks) == ("none", ())
    named = SplitConfig(method="endpoint", endpoint_url="http://host/v1")
    assert isinstance(build_splitter(named, mllm), EndpointSplitter)
    with pytest.raises(ConfigError, match=r"split\.endpoint_url"):
        build_splitter(SplitConfig(method="endpoint"), mllm)


@pytest.mark.parametrize(
    ("attribute", "action", "problems", "fallbacks"),
    [
        ("", "", (), ("action",)),  # a kind alone does not change over time
        ("", "", ("unread",), ("attribute", "action")),
        ("red", "", (), ("action",)),
        ("red", "", ("unread",), ("action",)),
        ("", "waves", (), ("attribute",)),
        ("red", "waves", (), ()),
    ],
)
def test_parts_that_a_command_does_not_have_are_the_whole(
    attribute: str, action: str, problems: tuple[str, ...], fallbacks: tuple[str, ...]
) -> None:
    command = Command("find", "the person", attribute, action, problems=problems)
    split = split_of(command, "rules")
    assert split.fallbacks == fallbacks
    assert split.attribute == (command.attribute_query or "the person")
    assert split.action == (command.action_query or "the person")
    assert split.lasts == (fallbacks == ("action",))


def test_only_what_images_cannot_answer_is_refused() -> None:
    refuse_unseen(None)
    refuse_unseen(Command("find", "the person"))
    with pytest.raises(CommandError, match="^a person's name is not in the image$"):
        refuse_unseen(Command("find", "Anna", refusal="a person's name is not in the image"))


def test_the_tokens_of_a_split_are_those_that_the_model_read_for_it() -> None:
    class Tokens:
        read = 7  # of earlier commands

        def encode(self, text: str) -> list[int]:
            return [ord(letter) for letter in text]

        def best(self, before: Sequence[int], allowed: Sequence[int]) -> int:
            self.read += 3
            self.asked = getattr(self, "asked", 0) + 1
            return allowed[0]

    mllm = ToyMllm()
    tokens = Tokens()
    mllm.token_model = tokens  # type: ignore[attr-defined]
    splitter = MllmSplitter(mllm)
    counted = splitter.split("the person in red").tokens
    assert counted == 3 * tokens.asked > 0
    assert splitter.split("the person in red").tokens == 0  # a text is read once
    assert MllmSplitter(ToyMllm()).split("the person in red").tokens == 0
