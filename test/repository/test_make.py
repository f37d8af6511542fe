# SPDX-License-Identifier: Apache-2.0

"""What the targets of the Makefile would install, from nothing (`make --dry-run`)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from paths import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
DEMO = {"build.txt", "torch.txt", "library.txt", "people.txt", "appearance.txt", "body.txt"}
TESTS = DEMO | {"serving.txt", "development.txt"}


def planned(target: str, folder: Path, *more: str) -> str:
    """The commands of a target where no step was done."""
    words = ["make", "--dry-run", f"--directory={ROOT}", target, f"VENV={folder}/none", *more]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.replace("\\\n", " ")


def installed(commands: str) -> set[str]:
    """The requirement files that pip would install, not those that only bound versions."""
    return set(re.findall(r"--requirement requirements/(\w+\.txt)", commands))


@pytest.mark.parametrize("target", ["setup", "demo", "bench", "accuracy"])
def test_the_demo_installs_what_it_needs_only(tmp_path, target):
    assert installed(planned(target, tmp_path)) == DEMO


@pytest.mark.parametrize("target", ["test", "lint", "fuzz", "parts", "development"])
def test_tests_install_all_that_they_need(tmp_path, target):
    assert installed(planned(target, tmp_path)) == TESTS


def test_the_server_has_a_target_of_its_own(tmp_path):
    assert installed(planned("serving", tmp_path)) == DEMO | {"serving.txt"}


def test_optional_libraries_and_mutants_stand_on_the_tools(tmp_path):
    more = {"libraries.txt", "parser.txt", "agents.txt", "rerun.txt", "trackers.txt"}
    assert installed(planned("libraries", tmp_path)) == TESTS | more
    assert installed(planned("mutants", tmp_path)) == TESTS | {"mutation.txt"}


def test_the_index_of_torch_is_for_torch_alone(tmp_path):
    lines = planned("test", tmp_path, "PIP_TORCH_ARGS=-i https://cpu.example").splitlines()
    (line,) = [line for line in lines if "cpu.example" in line and " install " in line]
    assert installed(line) == {"torch.txt"}
    for line in lines:
        if " install " in line and "library.txt" in installed(line):
            assert "torch.txt" in installed(line)  # pip keeps the version that is there


def test_bytecode_is_compiled_on_request_alone(tmp_path):
    assert "--no-compile" in planned("setup", tmp_path)
    asked = planned("setup", tmp_path, "PIP_ARGS=--compile")
    assert "--no-compile" not in asked and "install --compile" in asked
