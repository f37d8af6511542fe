# SPDX-License-Identifier: Apache-2.0

"""Executes the steps of a Dockerfile one by one, without a container engine.

    python scripts/run_dockerfile.py docker/Dockerfile --root FOLDER     # as root
    python scripts/run_dockerfile.py docker/Dockerfile --list

`FROM debian:12-slim` becomes a new Debian root in FOLDER, by debootstrap. RUN is executed in it
by chroot, with the user, folder, arguments and variables of the steps before it. COPY takes the
files that git tracks. Layers, caches, networks, the entry point and CMD are left out. A second run
with the same FOLDER goes on after the last step that succeeded. `--bind FOLDER` shows a folder of
this machine to RUN, such as one with wheels: `--build-arg PIP_TORCH_ARGS="-f FOLDER"`. Variables
such as APT_CONFIG and PIP_CERT (see PASSED) may name files in such a folder.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SUITES = {"11": "bullseye", "12": "bookworm", "13": "trixie", "testing": "testing"}
MOUNTS: list[tuple[str, str, tuple[str, ...]]] = [
    ("proc", "proc", ("-t", "proc")), ("/dev", "dev", ("--rbind",)),
]  # fmt: skip
# What a step sees of the machine: how packages are fetched.
PASSED = (
    "http_proxy", "https_proxy", "no_proxy", "APT_CONFIG", "PIP_CERT", "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """An instruction of a Dockerfile and its text, with continued lines joined."""

    kind: str
    text: str


def steps_of(dockerfile: str) -> list[Step]:
    """The instructions of a Dockerfile in order."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    words = [line.strip().split(None, 1) for line in joined.splitlines() if line.strip()]
    return [Step(kind.upper(), text) for kind, text in words]


@dataclass
class State:
    """What the instructions so far have set.

    Attributes:
        user: of RUN.
        folder: in the root, of RUN and COPY.
        values: arguments and variables.
    """

    user: str = "root"
    folder: str = "/"
    values: dict[str, str] = field(default_factory=dict)

    def filled(self, text: str) -> str:
        """The text with `$NAME` and `${NAME}` replaced."""
        return re.sub(r"\$\{?(\w+)\}?", lambda match: self.values.get(match[1], ""), text)

    def apply(self, step: Step, given: dict[str, str]) -> bool:
        """Follows an instruction that only sets something; whether it is one."""
        if step.kind == "USER":
            self.user = step.text
        elif step.kind == "WORKDIR":
            self.folder = os.path.join(self.folder, step.text)
        elif step.kind == "ARG":
            name, _, default = step.text.partition("=")
            self.values[name] = given.get(name, default.strip('"'))
        elif step.kind == "ENV":
            for word in shlex.split(self.filled(step.text)):
                name, _, value = word.partition("=")
                self.values[name] = value
        else:
            return step.kind in ("CMD", "ENTRYPOINT", "EXPOSE", "LABEL", "VOLUME")
        return True


class Root:
    """A folder with a system of its own, in which commands are executed by chroot."""

    def __init__(
        self, folder: Path, context: Path, given: dict[str, str], bound: Sequence[Path] = ()
    ) -> None:
        """Names the folders.

        Args:
            folder: of the system.
            context: of the files that COPY takes.
            given: values of arguments.
            bound: folders of this machine that RUN sees at the same path.
        """
        self.folder, self._context, self._given, self._bound = folder, context, given, bound
        self._state = State()

    def run(self, steps: Sequence[Step]) -> None:
        """Executes the steps that an earlier run has not.

        Raises:
            SystemExit: a step failed.
        """
        mark = self.folder.with_name(f"{self.folder.name}.steps")
        done = int(mark.read_text()) if mark.exists() else 0
        for number, step in enumerate(steps, 1):
            if self._state.apply(step, self._given):
                continue
            if number <= done:
                print(f"[{number}] done before: {step.kind} {step.text[:70]}", flush=True)
                continue
            print(f"[{number}] {step.kind} {step.text}", flush=True)
            before_s = time.monotonic()
            self._execute(step)
            mark.write_text(str(number))
            print(f"[{number}] took {time.monotonic() - before_s:.0f} s", flush=True)

    def _execute(self, step: Step) -> None:
        if step.kind == "FROM":
            self._bootstrap(step.text)
        elif step.kind == "RUN":
            with self._mounted():
                self._chroot(step.text)
        elif step.kind == "COPY":
            self._copy(step.text)
        else:
            sys.exit(f"{step.kind}: expected FROM, RUN, COPY, USER, WORKDIR, ARG, ENV or CMD")

    def _bootstrap(self, image: str) -> None:
        match = re.fullmatch(r"debian:(\w+)(?:-slim)?", image)
        if match is None or match[1] not in SUITES:
            sys.exit(
                f"FROM {image}: expected debian:{'|'.join(SUITES)}, which debootstrap can make"
            )
        variant = ("--variant=minbase", SUITES[match[1]], str(self.folder))
        _checked("debootstrap", *variant)
        shutil.copy("/etc/resolv.conf", self.folder / "etc" / "resolv.conf")

    def _chroot(self, command: str) -> None:
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        home = "/root" if self._state.user == "root" else f"/home/{self._state.user}"
        variables = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home,
            "DEBIAN_FRONTEND": "noninteractive", **passed, **self._state.values,
        }  # fmt: skip
        inside = f"cd {shlex.quote(self._state.folder)} && {command}"
        words = [
            "chroot",
            f"--userspec={self._state.user}",
            str(self.folder),
            "/bin/sh",
            "-c",
            inside,
        ]
        _checked(*words, variables=variables)

    def _copy(self, text: str) -> None:
        words = shlex.split(self._state.filled(text))
        owner = next((w.partition("=")[2] for w in words if w.startswith("--chown=")), "root")
        *sources, target = [word for word in words if not word.startswith("--")]
        place = self.folder / os.path.join(self._state.folder, target).lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        for name in sources:
            for path in self._tracked(name):
                # A folder's content, and a file by its own name, as COPY does it.
                inside = Path(path).relative_to(name) if path != name else Path(path).name
                to = place / inside
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self._context / path, to)  # make compares times
        with self._mounted():
            self._chroot_as_root(
                f"chown -R {shlex.quote(owner)} {shlex.quote(self._inside(place))}"
            )

    def _inside(self, place: Path) -> str:
        return "/" + str(place.relative_to(self.folder))

    def _chroot_as_root(self, command: str) -> None:
        _checked("chroot", str(self.folder), "/bin/sh", "-c", command)

    def _tracked(self, name: str) -> list[str]:
        command = ["git", "-C", str(self._context), "ls-files", "-z", "--", name]
        listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = [path for path in listed.split("\0") if (self._context / path).is_file()]
        if not found:
            sys.exit(f"COPY {name}: expected a file or folder that git tracks")
        return found

    def _mounted(self) -> _Mounts:
        return _Mounts(self.folder, self._bound)


class _Mounts:
    """/proc and /dev in a root, as long as the context lasts."""

    def __init__(self, folder: Path, bound: Sequence[Path]) -> None:
        own: list[tuple[str, str, tuple[str, ...]]] = [
            (str(path), str(path).lstrip("/"), ("--bind",)) for path in bound
        ]
        self._mounts = [(source, folder / name, words) for source, name, words in [*MOUNTS, *own]]

    def __enter__(self) -> None:
        for source, place, options in self._mounts:
            place.mkdir(parents=True, exist_ok=True)
            _checked("mount", *options, source, str(place))

    def __exit__(self, *_: object) -> None:
        for mount in reversed(self._mounts):
            _checked("umount", "--recursive", "--lazy", str(mount[1]))


def _checked(*words: str, variables: dict[str, str] | None = None) -> None:
    """Runs a command; if this program is ended, so is everything that the command has started.

    Raises:
        SystemExit: it failed.
    """
    process = subprocess.Popen(words, env=variables, start_new_session=True)
    try:
        code = process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if code:
        sys.exit(f"failed with exit code {code}: {shlex.join(words)}")


def listed(steps: Sequence[Step]) -> Iterator[str]:
    """A line for each step."""
    for number, step in enumerate(steps, 1):
        yield f"[{number}] {step.kind} {step.text}"


def main(words: Sequence[str] | None = None) -> None:
    """Lists or executes the steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dockerfile", type=Path)
    parser.add_argument("--root", type=Path, help="new folder of the system")
    parser.add_argument("--list", action="store_true", help="print the steps only")
    parser.add_argument("--bind", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args(words)
    steps = steps_of(given.dockerfile.read_text(encoding="utf-8"))
    if given.list:
        print("\n".join(listed(steps)))
        return
    if given.root is None:
        parser.error("expected --root FOLDER or --list")
    if shutil.which("debootstrap") is None or os.geteuid():
        sys.exit("expected root and debootstrap: sudo apt-get install debootstrap")
    # Also when it is ended from outside, the folders of this machine leave the root.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    arguments = dict(item.partition("=")[::2] for item in given.build_arg)
    context = given.dockerfile.absolute().parent.parent
    Root(given.root.absolute(), context, arguments, given.bind).run(steps)


if __name__ == "__main__":
    main()
