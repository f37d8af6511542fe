# SPDX-License-Identifier: Apache-2.0

"""A reader that queries an OpenAI-compatible endpoint."""

from __future__ import annotations

import http.client
import json
import os
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from stvg_ros.commands import reply
from stvg_ros.commands.command import Command
from stvg_ros.commands.tokens import cleaned, tokens
from stvg_ros.commands.understanding import unread
from stvg_ros.errors import ConfigError

TOKEN_VARIABLE = "STVG_ENDPOINT_TOKEN"
_MOST_BYTES = 2**20  # of an answer
# Tokens of a reply besides one for each byte of the sentence, of which it repeats parts.
_MORE_TOKENS = 192
_STOP = "\nSentence:"  # a base model goes on with a sentence of its own
_FORMATS = ("json_schema", "json_object", "stop", "none")  # from the most to the least demanding
_REFUSED = (400, 404, 415, 422, 501)  # a server that does not know a field of the request
_FAILURES = (
    OSError,  # time-outs, refused connections, error statuses
    http.client.HTTPException,
    ValueError,  # no JSON, no URL
    KeyError,
    IndexError,
    TypeError,
    RecursionError,
)


def token(file: str) -> str:
    """The bearer token of a file, or of the environment variable; "" if there is none.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    if not file:
        return os.environ.get(TOKEN_VARIABLE, "").strip()
    try:
        value = Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the endpoint's token file {file!r} cannot be read: {error}") from error
    if not value:
        raise ConfigError(f"the endpoint's token file {file!r} is empty; write the token into it")
    return value


class EndpointReader:
    """Requests JSON by schema from `URL/chat/completions`; `problems` lists failures.

    The schema is sent as OpenAI's `json_schema`, or, if the server rejects it, as `json_object`
    with a schema (llama-cpp-python), or not at all. The length of a reply is bounded by that of the
    sentence, and its time by the time limit.
    """

    name = "endpoint"

    def __init__(self, url: str, model: str, timeout_s: float, bearer: str = "") -> None:
        self._url = url.rstrip("/") + "/chat/completions"
        self._model = model
        self._timeout_s = timeout_s
        self._bearer = bearer
        self._format = 0  # the index of the first of `_FORMATS` that the server accepts

    def read(self, text: str) -> Command:
        """The command of a sentence; see `CommandReader`."""
        plain, problems = cleaned(text)
        if not tokens(plain):
            return unread(text, self.name, "No words to read.", *problems)
        try:
            written = self._asked(plain)
        except _FAILURES as error:
            problem = f"The endpoint {self._url} did not answer ({_reason(error)})."
            return unread(plain, self.name, f"{problem} The whole sentence is asked.", *problems)
        values = reply.parsed(written)
        if values is None:
            problem = f"The endpoint {self._url} wrote no JSON object; the whole sentence is asked."
            return unread(plain, self.name, problem, *problems)
        return reply.command_of(values, plain, self.name, problems)

    def _asked(self, sentence: str) -> str:
        deadline_s = time.monotonic() + self._timeout_s
        number = self._format
        while True:
            try:
                written = self._posted(self._body(sentence, _FORMATS[number]), deadline_s)
            except urllib.error.HTTPError as error:
                with error:  # it holds the connection
                    if number == len(_FORMATS) - 1 or not _refuses_format(error):
                        raise
                number += 1
            else:
                self._format = number
                return written

    def _body(self, sentence: str, form: str) -> dict[str, Any]:
        messages = [{"role": "system", "content": reply.SYSTEM}]
        for example, values in reply.EXAMPLES:
            answer = json.dumps(reply.ordered(values), ensure_ascii=False)
            messages += [
                {"role": "user", "content": example},
                {"role": "assistant", "content": answer},
            ]
        messages.append({"role": "user", "content": sentence})
        body: dict[str, Any] = {
            "model": self._model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": _MORE_TOKENS + len(sentence.encode()),
            "stream": False,
        }
        if form == "json_schema":
            named = {"name": "command", "strict": True, "schema": reply.schema()}
            body["response_format"] = {"type": form, "json_schema": named}
        elif form == "json_object":
            body["response_format"] = {"type": form, "schema": reply.schema()}
        if form != "none":
            body["stop"] = [_STOP]
        return body

    def _posted(self, body: dict[str, Any], deadline_s: float) -> str:
        headers = {"Content-Type": "application/json"}
        if self._bearer:
            headers["Authorization"] = f"Bearer {self._bearer}"
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        left_s = max(0.01, deadline_s - time.monotonic())
        with urllib.request.urlopen(request, timeout=left_s) as response:
            read = _read(response, deadline_s)
        answer = json.loads(read)["choices"][0]["message"]["content"]
        if not isinstance(answer, str):
            raise TypeError(f"expected a text as content, got {type(answer).__name__}")
        return answer


def _refuses_format(error: urllib.error.HTTPError) -> bool:
    """Whether a server rejects the form of a request; llama-cpp-python does so with status 500."""
    if error.code in _REFUSED:
        return True
    try:
        said = error.read(_MOST_BYTES)
    except (OSError, http.client.HTTPException):
        return False
    return error.code == 500 and b"response_format" in said


def _read(response: Any, deadline_s: float) -> bytes:
    """The body of a response. The socket's time limit is one for each read, not for all of them.

    Raises:
        TimeoutError: the deadline passed.
    """
    parts: list[bytes] = []
    while part := response.read1(2**16):
        parts.append(part)
        if time.monotonic() > deadline_s or sum(map(len, parts)) > _MOST_BYTES:
            raise TimeoutError("the answer is too slow or too long")
    if response.length:  # of http.client: bytes that did not arrive
        raise http.client.IncompleteRead(b"".join(parts), response.length)
    return b"".join(parts)


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return f"{type(error).__name__}: {str(error)[:120]}"
