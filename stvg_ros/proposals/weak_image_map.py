# SPDX-License-Identifier: Apache-2.0

"""A cache of values per image, without keeping the images alive."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Value = TypeVar("Value")


class WeakImageMap(Generic[Value]):
    """A mapping from images, by identity, that does not keep them alive.

    The window determines how long frames exist; their values are released with them. A frame that
    receives its depth later has the same image and thus the same value.
    """

    def __init__(self) -> None:
        self._values: dict[int, tuple[weakref.ref[Any], Value]] = {}

    def get(self, image: NDArray[np.uint8]) -> Value | None:
        """The value of this very image, or None."""
        entry = self._values.get(id(image))
        return None if entry is None else entry[1]

    def put(self, image: NDArray[np.uint8], value: Value) -> None:
        """Stores a value until the image is released."""
        key, values = id(image), self._values

        def forget(_: Any) -> None:
            values.pop(key, None)

        values[key] = (weakref.ref(image, forget), value)

    def __iter__(self) -> Iterator[Value]:
        return iter([value for _, value in list(self._values.values())])
