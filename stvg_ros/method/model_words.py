# SPDX-License-Identifier: Apache-2.0

"""In which words a model is asked: as the user said it, or in the few that the model knows."""

from __future__ import annotations

from collections.abc import Callable

from stvg_ros.commands.plain_words import plain_words
from stvg_ros.method.model_settings import MllmSettings
from stvg_ros.method.settings import SplitConfig

Wording = Callable[[str], str]  # from a (sub-)query to the words in a question


def as_said(text: str) -> str:
    """The user's own words."""
    return text


def wording_of(config: SplitConfig, own: MllmSettings) -> Wording:
    """The wording of all questions about a command; answers keep the user's own words.

    Args:
        config: of the command.
        own: settings of the model.
    """
    plain = own.plain_words if config.plain_words is None else config.plain_words == "always"
    return plain_words if plain else as_said
