# SPDX-License-Identifier: Apache-2.0

"""`scripts/run_dockerfile.py` with commands that are recorded; debootstrap and chroot need root."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

TEXT = """# a comment
FROM debian:12-slim
ARG WHERE="-i x"
RUN apt-get update \\
    && apt-get install -y make
# another
ENV MODE=fast HOME_OF=$WHERE
USER robot
WORKDIR /work
COPY --chown=robot:robot Makefile lib/ ./
RUN make $WHERE
CMD ["make"]
"""


@pytest.fixture
def runner(monkeypatch):
    path = ROOT / "scripts" / "run_dockerfile.py"
    spec = importlib.util.spec_from_file_location("run_dockerfile", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "run_dockerfile", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def calls(runner, monkeypatch):
    """The commands, with the variables of each; one that has FAIL in it fails."""
    made = []

    def run(*words, variables=None):
        made.append((words, variables))
        if words[0] == "debootstrap":
            (Path(words[-1]) / "etc").mkdir(parents=True)
        if "FAIL" in words[-1]:
            sys.exit("failed")

    monkeypatch.setattr(runner, "_checked", run)
    return made


def context(folder: Path) -> Path:
    for name in ("Makefile", "lib/a/b.txt", "lib/c.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    for words in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", "-C", folder, *words], check=True)
    (folder / "lib" / "untracked.txt").touch()
    return folder


def commands(calls) -> list[str]:
    return [words[-1] for words, _ in calls if words[0] == "chroot"]


def test_the_steps(runner):
    steps = runner.steps_of(TEXT)
    assert [step.kind for step in steps] == [
        "FROM", "ARG", "RUN", "ENV", "USER", "WORKDIR", "COPY", "RUN", "CMD",
    ]  # fmt: skip
    assert steps[2].text.split() == ["apt-get", "update", "&&", "apt-get", "install", "-y", "make"]
    for name in ("Dockerfile", "robot.Dockerfile"):
        assert runner.steps_of((ROOT / "docker" / name).read_text())[-1].kind == "CMD"


def test_each_step_sees_what_those_before_it_have_set(runner, calls, tmp_path):
    root = tmp_path / "root"
    given = {"WHERE": "-i y"}
    runner.Root(root, context(tmp_path / "context"), given, [Path("/opt")]).run(
        runner.steps_of(TEXT)
    )
    assert calls[0][0] == ("debootstrap", "--variant=minbase", "bookworm", str(root))
    first, owner, last = (item for item in calls if item[0][0] == "chroot")
    assert first[0][1] == "--userspec=root" and first[0][-1].startswith("cd / && apt-get update")
    assert first[1]["WHERE"] == "-i y" and first[1]["HOME"] == "/root" and "MODE" not in first[1]
    assert owner[0][-1] == "chown -R robot:robot /work"
    assert last[0][1] == "--userspec=robot" and last[0][-1] == "cd /work && make $WHERE"
    assert (last[1]["HOME"].split("/")[1:], last[1]["MODE"]) == (["home", "robot"], "fast")
    copied = {str(p.relative_to(root / "work")) for p in (root / "work").rglob("*") if p.is_file()}
    assert copied == {"Makefile", "a/b.txt", "c.txt"}
    mounted = [words for words, _ in calls if words[0] == "mount"]
    assert len(mounted) == 9 and ("mount", "--bind", "/opt", str(root / "opt")) in mounted
    assert len([words for words, _ in calls if words[0] == "umount"]) == 9


@pytest.mark.parametrize("name", ["https_proxy", "APT_CONFIG", "PIP_CERT", "PIP_INDEX_URL"])
def test_a_step_fetches_packages_as_this_machine_does(runner, calls, monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, "/opt/given")
    monkeypatch.setenv("PYTHONPATH", "/opt/python")
    runner.Root(tmp_path / "root", context(tmp_path / "context"), {}).run(runner.steps_of(TEXT))
    step = next(variables for words, variables in calls if words[0] == "chroot")
    assert step[name] == "/opt/given" and "PYTHONPATH" not in step


def test_a_second_run_goes_on_where_the_first_one_failed(runner, calls, tmp_path):
    broken = TEXT.replace("make $WHERE", "make FAIL")
    root = runner.Root(tmp_path / "root", context(tmp_path / "context"), {})
    with pytest.raises(SystemExit):
        root.run(runner.steps_of(broken))
    assert [words[0] for words, _ in calls].count("umount") == 6  # also after the failure
    calls.clear()
    again = runner.Root(tmp_path / "root", tmp_path / "context", {})
    again.run(runner.steps_of(TEXT))
    assert commands(calls) == ["cd /work && make $WHERE"]
    assert next(words for words, _ in calls if words[0] == "chroot")[1] == "--userspec=robot"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FROM ros:jazzy", "which debootstrap can make"),
        ("FROM debian:9", "which debootstrap can make"),
        ("COPY nothing ./", "COPY nothing: expected a file or folder that git tracks"),
        ("ADD a b", "ADD: expected FROM, RUN, COPY"),
    ],
)
def test_what_it_cannot_do_is_named(runner, calls, tmp_path, text, reason):
    with pytest.raises(SystemExit, match=reason):
        runner.Root(tmp_path / "root", context(tmp_path / "c"), {}).run(runner.steps_of(text))


def test_the_command_lists_the_steps(runner, capsys):
    runner.main([str(ROOT / "docker" / "Dockerfile"), "--list"])
    said = capsys.readouterr().out
    assert said.startswith("[1] FROM debian:12") and "RUN make environment serving" in said


def test_a_run_that_is_terminated_leaves_nothing_mounted(runner, calls, monkeypatch, tmp_path):
    root = tmp_path / "root"
    made = runner._checked

    def terminated(*words, variables=None):
        made(*words, variables=variables)
        if words[0] == "chroot":
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(runner, "_checked", terminated)
    monkeypatch.setattr(runner.shutil, "which", lambda name: name)
    monkeypatch.setattr(runner.os, "geteuid", lambda: 0)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit, match="terminated"):
            runner.main([str(ROOT / "docker" / "Dockerfile"), "--root", str(root)])
    finally:
        signal.signal(signal.SIGTERM, before)
    kinds = [words[0] for words, _ in calls]
    assert kinds.count("mount") == kinds.count("umount") == 2


def test_programs_of_a_step_that_is_ended_are_ended(runner, tmp_path):
    """Of the shell's child, too, which keeps the pipe open as long as it lives."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    waited = []

    class Process(subprocess.Popen):
        def wait(self, timeout=None):
            if waited:
                return super().wait(timeout)
            waited.append(pipe.open("rb"))
            assert waited[0].read(1) == b"x"  # the child runs
            raise SystemExit("terminated")

    runner.subprocess = type("S", (), {"Popen": Process})
    with pytest.raises(SystemExit, match="terminated"):
        runner._checked("/bin/sh", "-c", f"true && (printf x; sleep 600) > {pipe}; true")
    assert waited[0].read() == b""  # the end of the file: nobody has it open
    waited[0].close()
