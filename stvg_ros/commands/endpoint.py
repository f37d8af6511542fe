# SPDX-License-Identifier: Apache-2.0

"""A reader that queries an OpenAI-compatible endpoint."""

from __future__ import annotations

import http.client
import json
import os
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
_MOST_TOKENS = 256
_NO_SCHEMA = (400, 404, 415, 422, 501)  # a server without response_format
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
    """Requests JSON by schema from `URL/chat/completions`; `problems` lists failures."""

    name = "endpoint"

    def __init__(self, url: str, model: str, timeout_s: float, bearer: str = "") -> None:
        self._url = url.rstrip("/") + "/chat/completions"
        self._model = model
        self._timeout_s = timeout_s
        self._bearer = bearer
        self._schema = True  # until the server rejects it

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
        if self._schema:
            try:
                return self._posted(self._body(sentence, schema=True))
            except urllib.error.HTTPError as error:
                if error.code not in _NO_SCHEMA:
                    raise
            written = self._posted(self._body(sentence, schema=False))
            self._schema = False
            return written
        return self._posted(self._body(sentence, schema=False))

    def _body(self, sentence: str, schema: bool) -> dict[str, Any]:
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
            "max_tokens": _MOST_TOKENS,
            "stream": False,
        }
        if schema:
            form = {"name": "command", "strict": True, "schema": reply.schema()}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        return body

    def _posted(self, body: dict[str, Any]) -> str:
        headers = {"Content-Type": "application/json"}
        if self._bearer:
            headers["Authorization"] = f"Bearer {self._bearer}"
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=self._timeout_s) as response:
            answer = json.loads(response.read(_MOST_BYTES))["choices"][0]["message"]["content"]
        if not isinstance(answer, str):
            raise TypeError(f"expected a text as content, got {type(answer).__name__}")
        return answer


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return f"{type(error).__name__}: {str(error)[:120]}"
