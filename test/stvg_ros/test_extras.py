# SPDX-License-Identifier: Apache-2.0

"""The packages of the extras, and the command that installs them."""

from __future__ import annotations

import ast
import shlex
import sys

from paths import ROOT

from stvg_ros.extras import PACKAGES, install_command


def test_the_packages_are_those_of_setup_py() -> None:
    (call,) = [
        node for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "setup"
    ]  # fmt: skip
    (extras,) = [item.value for item in call.keywords if item.arg == "extras_require"]
    declared = ast.literal_eval(extras)
    assert {name: list(names) for name, names in PACKAGES.items()}.items() <= declared.items()


def test_the_command_can_be_pasted_and_names_no_extra_of_this_package() -> None:
    for extra, packages in PACKAGES.items():
        words = shlex.split(install_command(extra))
        assert words == [sys.executable, "-m", "pip", "install", *packages]
        assert "stvg_ros" not in install_command(extra).removeprefix(sys.executable)
