# SPDX-License-Identifier: Apache-2.0

"""Values live as long as their images."""

import gc

import numpy as np

from stvg_ros.proposals.weak_image_map import WeakImageMap


def test_a_value_goes_with_its_image() -> None:
    kept: WeakImageMap[str] = WeakImageMap()
    image, equal = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2, 3), np.uint8)
    assert kept.get(image) is None
    kept.put(image, "first")
    assert kept.get(image) == "first"
    assert kept.get(equal) is None
    assert list(kept) == ["first"]
    del image
    gc.collect()
    assert list(kept) == []


def test_a_value_can_be_replaced() -> None:
    kept: WeakImageMap[int] = WeakImageMap()
    image = np.zeros((2, 2, 3), np.uint8)
    kept.put(image, 1)
    kept.put(image, 2)
    gc.collect()
    assert list(kept) == [2]
