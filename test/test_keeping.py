# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""Values live as long as their images."""

import gc

import numpy as np

from stvg_ros.proposals.keeping import ByImage


def test_a_value_goes_with_its_image() -> None:
    kept: ByImage[str] = ByImage()
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
    kept: ByImage[int] = ByImage()
    image = np.zeros((2, 2, 3), np.uint8)
    kept.put(image, 1)
    kept.put(image, 2)
    gc.collect()
    assert list(kept) == [2]
