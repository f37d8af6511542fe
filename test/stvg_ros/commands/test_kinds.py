# SPDX-License-Identifier: Apache-2.0

"""Several hundred sentences by kind, and a hundred on which no rule was made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stvg_ros.commands.parser import installed_pipeline
from stvg_ros.commands.reader import CommandReader, grammar_reader

sys.path.insert(0, str(Path(__file__).parent))
from judged import Judged, read_judged, right_counts, wrong_parts

HERE = Path(__file__).parent
ROWS = read_judged(HERE / "kinds.tsv")
UNSEEN = read_judged(HERE / "unseen.tsv")
LEAST_RIGHT = (95, 94)  # of the hundred: all fields, all fields and features


@pytest.fixture(params=["rules", "parser"], scope="module")
def reader(request: pytest.FixtureRequest) -> CommandReader:
    if request.param == "parser" and not installed_pipeline():
        pytest.skip("spaCy's English pipeline is not installed (the extra 'parser')")
    return grammar_reader(request.param)


@pytest.mark.parametrize("kind", sorted({row.kind for row in ROWS}))
def test_every_sentence_of_a_kind_is_read(reader: CommandReader, kind: str) -> None:
    wrong = {row.sentence: wrong_parts(reader, row) for row in ROWS if row.kind == kind}
    assert {sentence: parts for sentence, parts in wrong.items() if parts} == {}


def test_a_hundred_unseen_sentences(reader: CommandReader) -> None:
    assert len(UNSEEN) == 100
    fields, features = right_counts(reader, UNSEEN)
    assert fields >= LEAST_RIGHT[0]
    assert features >= LEAST_RIGHT[1]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"target": "the man"}, "target"),
        ({"others": "place=the kitchen"}, "place"),
        ({"features": "noun man"}, "features"),
        ({"intent": "other"}, "refusal"),
    ],
)
def test_a_wrong_reading_is_noticed(change: dict[str, str], part: str) -> None:
    right = {"target": "the woman in red", "others": "", "features": "noun woman; garment*"}
    values = {"intent": "find", **right, **change}
    row = Judged("k", "find the woman in red", attribute="the woman in red", action="", **values)
    reader = grammar_reader("rules")
    parts = [text.split(":")[0] for text in wrong_parts(reader, row)]
    assert part in parts
    assert not wrong_parts(reader, Judged(**{**vars(row), "intent": "find", **right}))
