# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""Which tokens begin the answers "yes" and "no"."""

from __future__ import annotations

from typing import Any

from stvg_ros.errors import ModelError


def answer_ids(tokenizer: Any, before: str, word: str, path: str) -> tuple[int, ...]:
    """Ids of the single-token forms of `word` where the answer starts, sorted.

    Args:
        tokenizer: the checkpoint's.
        before: text that the answer follows, the end of the prompt.
        word: "yes" or "no".
        path: the checkpoint, for the message.

    Raises:
        ModelError: no form is a single token.
    """
    start = tokenizer(before, add_special_tokens=False)["input_ids"]
    found: set[int] = set()
    for form in (word, word.capitalize(), word.upper()):
        for variant in (form, " " + form):
            ids = tokenizer(before + variant, add_special_tokens=False)["input_ids"]
            if len(ids) == len(start) + 1 and ids[:-1] == start:
                found.add(int(ids[-1]))
    found.discard(tokenizer.unk_token_id)
    if not found:
        raise ModelError(
            f"{path}: the tokenizer has no single token for {word!r}; expected one of "
            f"'{word}', '{word.capitalize()}' or '{word.upper()}'; use another checkpoint"
        )
    return tuple(sorted(found))
