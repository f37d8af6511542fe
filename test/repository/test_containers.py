# SPDX-License-Identifier: Apache-2.0

"""The files of docker/: what they copy, call and mount is in the repository.

Nothing is built: that needs a container engine, or root for scripts/run_dockerfile.py.
"""

from __future__ import annotations

import re
import shlex

import pytest
import yaml
from paths import ROOT

from stvg_ros.cli.main import modules, parser

FILES = ("Dockerfile", "robot.Dockerfile")


def instructions(name: str) -> list[tuple[str, str]]:
    """Instruction and text of each line of a Dockerfile, with continued lines joined."""
    text = (ROOT / "docker" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [tuple(line.split(None, 1)) for line in lines if line and line[0] != "#"]


@pytest.mark.parametrize("name", FILES)
def test_copied_files_are_there(name: str) -> None:
    copied = [text for kind, text in instructions(name) if kind == "COPY"]
    assert copied
    for text in copied:
        words = [word for word in text.split() if not word.startswith("--")]
        for word in words[:-1]:
            assert (ROOT / word).exists(), word


def test_the_environment_needs_nothing_that_is_copied_after_it() -> None:
    lines = instructions("Dockerfile")
    first = next(n for n, (_, text) in enumerate(lines) if "make environment" in text)
    copied = " ".join(text for kind, text in lines[:first] if kind == "COPY")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    steps = r"^\$\(STAMPS\)/(?:ros|torch|libraries|serving):(.*?)\n\t"
    rules = re.findall(steps, makefile, re.M | re.S)
    assert len(rules) == 4
    for word in " ".join(rules).replace("\\", " ").split():
        if not word.startswith("$(STAMPS)"):
            assert word.split("/")[0] in copied


def test_targets_and_options_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    made = [text.split() for kind, text in instructions("Dockerfile") if text.startswith("make ")]
    assert made
    for word in (word for words in made for word in words[1:] if "=" not in word):
        assert re.search(rf"^{word}:", makefile, re.M), word
    for name in (word.partition("=")[0] for words in made for word in words if "=" in word):
        assert re.search(rf"^{name} :=", makefile, re.M), name
    script = (ROOT / "scripts" / "install_on_robot.sh").read_text(encoding="utf-8")
    text = " ".join(text for _, text in instructions("robot.Dockerfile"))
    for option in re.findall(r"--(?:torch|torch-args|robot-only)\b", text):
        assert f"{option})" in script


def test_the_services() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    assert {*services} == {"server", "robot"}
    for service in services.values():
        assert (ROOT / service["build"]["dockerfile"]).is_file()
    program, *words = shlex.split(services["server"]["command"])
    assert program.endswith("/stvg-ros")
    assert parser(modules()).parse_args(words).command == "serve"
    preset = yaml.safe_load((ROOT / "config" / "remote_gpu.yaml").read_text(encoding="utf-8"))
    address = preset["/**"]["ros__parameters"]["remote.address"]
    assert address == f"https://{services['server']['hostname']}:8000"
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert "docker/keys" in ignored and ".venv*" in ignored
