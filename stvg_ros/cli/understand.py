# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros understand ...`: parses a natural-language command, without a vision model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator

from stvg_ros.commands.command import Command
from stvg_ros.commands.endpoint import EndpointReader, token
from stvg_ros.commands.reader import CommandReader, grammar_reader
from stvg_ros.errors import ConfigError

_READERS = ("auto", "parser", "rules", "endpoint")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("sentence", nargs="?", metavar="SENTENCE", help="a command or description")
    source.add_argument("--file", help="a file with one sentence per line; - is standard input")
    parser.add_argument("--json", action="store_true", help="print JSON, one line per sentence")
    parser.add_argument(
        "--reader",
        choices=_READERS,
        default="auto",
        help="how to parse; auto is the parser if it is installed, else the rules",
    )
    parser.add_argument("--endpoint-url", default="", help="URL, such as http://host:8000/v1")
    parser.add_argument("--endpoint-model", default="", help="model name sent to the endpoint")
    parser.add_argument("--endpoint-token-file", default="", help="file with the bearer token")
    parser.add_argument("--endpoint-timeout", type=float, default=30.0, help="in seconds")


def run(given: argparse.Namespace) -> int:
    """Reads the sentence or the file; problems are part of the result and do not fail the run."""
    reader = _reader(given)
    if given.file is None:
        _show(reader.read(given.sentence), given.json)
        return 0
    for sentence in _sentences(given.file):
        _show(reader.read(sentence), as_json=True)
    return 0


def _reader(given: argparse.Namespace) -> CommandReader:
    if given.reader != "endpoint":
        return grammar_reader(given.reader)
    if not given.endpoint_url:
        raise ConfigError(
            "--endpoint-url: expected an endpoint's URL for --reader endpoint, got ''"
        )
    return EndpointReader(
        given.endpoint_url,
        given.endpoint_model,
        given.endpoint_timeout,
        token(given.endpoint_token_file),
    )


def _sentences(path: str) -> Iterator[str]:
    if path == "-":
        yield from _lines(sys.stdin)
        return
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            yield from _lines(file)
    except OSError as error:
        raise ConfigError(f"--file: {path!r} cannot be read: {error.strerror}") from error


def _lines(file: Iterable[str]) -> Iterator[str]:
    for line in file:
        if line.strip():
            yield line.rstrip("\r\n")


def _show(command: Command, as_json: bool) -> None:
    fields = command.json()
    if as_json:
        print(json.dumps(fields, ensure_ascii=False), flush=True)
        return
    features = fields.pop("features")
    problems = fields.pop("problems")
    for name, value in fields.items():
        if value not in ("", None, False):
            print(f"{name:<10} {value}")
    for feature in features if isinstance(features, list) else []:
        details = [
            f"{key} {value}" for key, value in feature.items() if key not in ("kind", "name")
        ]
        print(f"{feature['kind']:<10} {feature['name']} ({', '.join(details)})")
    for problem in problems if isinstance(problems, list) else []:
        print(f"problem    {problem}")
