# SPDX-License-Identifier: Apache-2.0

"""Before any import of transformers, which imports torchvision where it is installed."""

import importlib.util

from torchvision_transforms import import_torchvision

if importlib.util.find_spec("torchvision") is not None:
    import_torchvision()
