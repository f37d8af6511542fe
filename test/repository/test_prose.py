# SPDX-License-Identifier: Apache-2.0

"""Plain English: phrases that an engineer would not write, refused in code and pages."""

from __future__ import annotations

import re
import subprocess

import pytest
from paths import ROOT

# A phrase and what to write instead.
PHRASES = {
    r"\b(?:is|are|was|were|be|been|being) (?:\w+ )?told\b": "receives, is published, is notified",
    r"\btells (?:of|whether|how|what|the|a|which|when|it|if)\b": "reports, returns",
    r"\blets? (?:\w+ ){0,4}go(?: of)?\b": "releases",
    r"\bfellows\b": "matching messages, the other items",
    r"\bmakes? way\b": "is released, is dropped",
    r"\bhears? of\b": "receives",
    r"\blooks? back\b": "reversed pass",
    r"\bforgets\b": "drops, clears",
    r"\bstands? beside\b": "is next to",
    r"\bstrangers?\b": "unknown items",
    r"\blonely\b": "single",
    r"\binsist(?:s|ing)?\b": "retries",
    r"\bno (?:\w+'s )?business\b": "does not need",
    r"\bthrown away\b": "discarded",
    r"\b(?:the|at|from|their|its) begin\b": "start, beginning",
    r"\bcomes? true\b": "becomes true",
    r"\bfor all that\b": "nevertheless",
    r"\bwent from .* over .* to\b": "rises from ... to ...",
    r"\bgoes from .* over .* to\b": "rises from ... to ...",
    r"\bgo(?:es)? along\b": "is sent with",
    r"\btakes? no more\b": "unsubscribes, refuses",
    r"\bin vain\b": "without a result",
    r"\bno news\b": "is not published",
    r"\bfalls? silent\b": "stops publishing",
    r"\b(?:is|are) left alone\b": "is not contacted",
    r"\bsign of life\b": "response",
    r"\bto have an answer sooner\b": "to get an answer sooner",
    r"\bkept the machine\b": "used the machine",
}
SUFFIXES = (".py", ".md", ".msg", ".srv", ".action", ".yaml", ".sh", ".toml", "Makefile")
# Files that still hold such phrases. This list only shrinks.
ALLOWED: set[str] = {
    "stvg_ros/commands/lexicon.py",
    "stvg_ros/commands/phrases.py",
    "test/stvg_ros/test_depth.py",
    "test/support/ros_tools.py",
    "test/support/serving_tools.py",
    "test/support/tiny_models.py",
}


def found(text: str) -> list[str]:
    """Each refused phrase with its line and the remedy."""
    whole = re.sub(r"\n\s*(?:#|//)?\s*", " ", text)  # a phrase may be broken by a line's end
    return [
        f"{match[0]!r}: write {instead!r}"
        for phrase, instead in PHRASES.items()
        for match in re.finditer(phrase, whole, re.I)
    ]


def tracked() -> list[str]:
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [
        name
        for name in listing.stdout.splitlines()
        if name.endswith(SUFFIXES) and name != "test/repository/test_prose.py"
    ]


def test_no_refused_phrase():
    wrong = {}
    for name in tracked():
        path = ROOT / name
        phrases = found(path.read_text(encoding="utf-8")) if path.is_file() else []
        if phrases and name not in ALLOWED:
            wrong[name] = phrases
    assert wrong == {}


def test_the_list_of_exceptions_only_shrinks():
    names = tracked()
    for name in ALLOWED:
        assert name in names, f"{name} is gone; remove it from ALLOWED"
        text = (ROOT / name).read_text(encoding="utf-8")
        assert found(text), f"{name} is clean; remove it from ALLOWED"


@pytest.mark.parametrize(
    "text",
    [
        "how often /diagnostics is told",
        "they are then told which are missing",
        "Lets go of the slots whose frames are gone.",
        "deactivate lets the model go",
        "messages of each topic that wait for their\n    fellows",
        "old ones make way for new ones",
        "the caller hears of it later",
        "The first look back gives the rows",
        "it tells whether the frame was stored",
        "m_vIoU went from 68.4 over 68.9 to 70.0",
        "a token of Ray's, which is no robot's business",
        "# what runs is\n# told at once",
        "settings go along with each command",
        "After this, it takes no more images",
        "after a jump of the stamps it would wait in vain",
        "a cancelled query is no news",
        "A paused recording is no reason to fall silent",
    ],
)
def test_refused(text):
    assert len(found(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The queue releases the slot.",
        "Tell a robot what to find",
        "child.tell('go')",
        "m_vIoU rises from 68.4 to 70.0",
        "the outlook",
        "let it run",
        "Let us see: the figure, and so on",
        "a goal of an action",
        "begin and end",
    ],
)
def test_accepted(text):
    assert found(text) == []
