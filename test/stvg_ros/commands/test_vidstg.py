# SPDX-License-Identifier: Apache-2.0

"""Captions and questions of VidSTG's and HC-STVG's test files, where they are at hand."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

from stvg_ros.commands.parser import installed_pipeline
from stvg_ros.commands.reader import grammar_reader

DATA = ROOT.parent / "shared" / "data"
VIDSTG = DATA / "vidstg" / "test_annotations.json"
HCSTVG = DATA / "hcstvg_v1" / "test.json"
JUDGED = Path(__file__).parent / "vidstg_judged.tsv"
FIELDS = ("intent", "target", "attribute", "action", "number", "relation", "not")


def sentences() -> dict[str, str]:
    """Captions (c) and questions (q) by their numbers in the order of the file."""
    videos: list[dict[str, Any]] = json.loads(VIDSTG.read_text())
    return {
        f"{kind[0]}{number}": item["description"]
        for kind in ("captions", "questions")
        for number, item in enumerate(item for video in videos for item in video[kind])
    }


@pytest.mark.skipif(not VIDSTG.exists(), reason=f"{VIDSTG} is not there")
@pytest.mark.parametrize("name", ["rules", "parser"])
def test_every_sentence_of_vidstg_is_read(name: str) -> None:
    if name == "parser" and not installed_pipeline():
        pytest.skip("spaCy's English pipeline is not installed (the extra 'parser')")
    reader = grammar_reader(name)
    read = [(text, reader.read(text)) for text in sentences().values()]
    assert len(read) == 4610 + 5693
    for text, command in read:
        assert command.target, text
        assert command.attribute or command.action or command.asked or len(text.split()) < 5, text
        both = len(command.attribute.split()) + len(command.action.split())
        assert both <= len(command.target.split()), (text, command)
        assert not command.refusal, text


@pytest.mark.skipif(not HCSTVG.exists(), reason=f"{HCSTVG} is not there")
def test_captions_of_several_clauses_are_read() -> None:
    reader = grammar_reader("rules")
    for entry in json.loads(HCSTVG.read_text()).values():
        command = reader.read(entry["caption"])
        assert command.attribute.lower().startswith("the man in")
        assert "then" in command.action
        assert command.intent == "find"


def digest(fields: dict[str, object]) -> str:
    text = json.dumps([fields[name] for name in FIELDS])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def judged() -> list[list[str]]:
    lines = JUDGED.read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def test_a_hundred_sentences_are_judged() -> None:
    assert len(judged()) == 100
    assert sum(row[1] == "yes" for row in judged()) == 99


@pytest.mark.skipif(not VIDSTG.exists(), reason=f"{VIDSTG} is not there")
def test_what_was_judged_is_what_is_read() -> None:
    """A change of the rules that changes one of these readings has to be judged anew."""
    reader, texts = grammar_reader("rules"), sentences()
    changed = [row[0] for row in judged() if digest(reader.read(texts[row[0]]).json()) != row[2]]
    assert not changed
