# SPDX-License-Identifier: Apache-2.0

"""A model of few words is asked in these; answers keep the user's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from fakes import FixedProposer, ToyMllm, no_checkpoint, noise_clip

from stvg_ros.config import Config
from stvg_ros.method.grounder import LocalGrounder
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.model_words import as_said, wording_of
from stvg_ros.method.query import NEUTRAL, RuleSplitter
from stvg_ros.method.settings import SplitConfig
from stvg_ros.models.embedded_checkpoint import FOLDER, SETTINGS_FILE, read_settings
from stvg_ros.types import Query

TEXT = "someone who has a red coat on and puts the left hand up"
PLAIN = "the person wearing a red coat who raises the left arm"
PARTS = ("the person wearing a red coat", "the person who raises the left arm")


class Listening(ToyMllm):
    """Keeps all texts that it is asked."""

    def __init__(self, settings: MllmSettings) -> None:
        super().__init__(settings)
        self.heard: set[str] = set()

    def ask(self, prefix: Any, questions: Sequence[str]) -> Any:
        self.heard |= {*questions}
        return super().ask(prefix, questions)

    def attention_rows(self, passes: Any, question: str) -> Any:
        self.heard.add(question)
        return super().attention_rows(passes, question)

    def option_log_p(self, prefix: Any, question: str, options: Sequence[str]) -> Any:
        self.heard.add(question)
        return super().option_log_p(prefix, question, options)

    def limits(self, texts: Sequence[str], image: Any) -> Any:
        self.heard |= {*texts}
        return super().limits(texts, image)


EVERYTHING = {
    "evidence.painted_ids": True, "evidence.stated_interval": True, "evidence.second_look": 2,
}  # fmt: skip


def heard(own: bool, text: str = TEXT, **split: str) -> tuple[set[str], Any]:
    """All that a model with a setting of its own is asked about a command, and the answer."""
    mllm = Listening(MllmSettings(split="rules", frame_count=5, plain_words=own))
    flat = {f"split.{name}": value for name, value in split.items()}
    config = Config.from_flat({**EVERYTHING, **flat})
    boxes = FixedProposer((0.0, 0.0, 40.0, 80.0), (80.0, 0.0, 120.0, 80.0))
    grounder = LocalGrounder(mllm, RuleSplitter(), boxes, config)
    found = grounder.ground(noise_clip(), Query(text), no_checkpoint)
    return mllm.heard - {NEUTRAL}, found


def test_every_question_is_in_plain_words_and_the_answer_in_the_users() -> None:
    texts, found = heard(True)
    assert len(texts) == 8  # three texts, their questions, a number and the first image
    assert all(PLAIN in text or any(part in text for part in PARTS) for text in texts)
    split = found.best.split
    assert (split.text, found.best.query.text) == (TEXT, TEXT)
    assert split.attribute == "someone who has a red coat on"
    assert {item.words for item in found.evidence.findings} <= {split.text, split.action}


def test_a_relation_is_asked_in_plain_words() -> None:
    text = "a woman in black who is left of somebody who has a blue coat on"
    texts, _ = heard(True, text)
    assert "Is there the person wearing a blue coat in this video?" in texts
    assert "Is there the woman in black in this video?" in texts
    assert not any("somebody" in one for one in texts)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("wanted", ["always", "never"])
def test_the_setting_decides_over_the_model(own: bool, wanted: str) -> None:
    texts, _ = heard(own, plain_words=wanted)
    plain = any(PLAIN in text for text in texts)
    assert plain == (wanted == "always")
    assert any(TEXT in text for text in texts) != plain


def test_only_the_model_in_the_package_asks_for_plain_words() -> None:
    assert wording_of(SplitConfig(), MllmSettings()) is as_said
    packaged = read_settings(FOLDER / SETTINGS_FILE)
    assert wording_of(SplitConfig(), packaged)(TEXT) == PLAIN
