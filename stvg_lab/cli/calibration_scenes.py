# SPDX-License-Identifier: Apache-2.0

"""The scenes of a calibration, with a progress bar."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def of_splits(
    given: argparse.Namespace, scenes: Callable[[str, int, int], Iterable[T]]
) -> Iterator[T]:
    """What `scenes` gives for each split of --split, from --seed on, --count of each.

    Raises:
        ValueError: seeds outside of a split.
    """
    with tqdm(
        desc="scenes", total=len(given.split) * given.count, leave=False, disable=None
    ) as bar:
        for split in given.split:
            for one in scenes(split, given.seed, given.count):
                yield one
                bar.update()
