# SPDX-License-Identifier: Apache-2.0

"""Where the repository lies, and what lies beside it."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"
# Where Debian's package puts the video, and where `make real` does.
_VTEST = "usr/share/doc/opencv-doc/examples/data/vtest.avi"
VTEST = next(
    (path for top in (Path("/"), ROOT / "out/real") if (path := top / _VTEST).exists()),
    Path("/", _VTEST),
)


def shared(name: str) -> Path:
    """A file or folder of material beside the checkout; without it the test is skipped."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"../shared/{name} is not here")
    return path
