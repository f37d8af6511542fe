# SPDX-License-Identifier: Apache-2.0

"""Word lists written as text."""


def word_set(text: str) -> frozenset[str]:
    """The words of a text, separated by white space."""
    return frozenset(text.split())
