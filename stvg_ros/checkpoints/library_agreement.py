# SPDX-License-Identifier: Apache-2.0

"""One thing that a checkpoint's part has in common with the library's, or not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LibraryComparison:
    """One thing that was compared with the library's.

    Attributes:
        about: what, in a word.
        text: what was found.
        equal: whether both agree.
    """

    about: str
    text: str
    equal: bool
