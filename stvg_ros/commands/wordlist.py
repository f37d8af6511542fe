# SPDX-License-Identifier: Apache-2.0

"""Word lists written as text."""


def word_set(text: str) -> frozenset[str]:
    """The words of a text, which white space parts."""
    return frozenset(text.split())
