# SPDX-License-Identifier: Apache-2.0

"""Every code block of README.md, CONTRIBUTING.md and docs/ works.

Python blocks are executed. JSON and YAML blocks are read. In shell blocks, `stvg-ros` commands are
executed where their input is at hand and the embedded model does, otherwise their arguments are
parsed by the real parser; targets of make, launch arguments, message fields, files and modules
must exist. A block with any other program has the reason why it is not executed in a comment
before it: `<!-- not run: needs a GPU -->`.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import runpy
import shlex
import sys
from dataclasses import dataclass

import pytest
import yaml
from paths import ROOT
from tiny_datasets import write_scene

from stvg_lab.datasets.annotations import read_annotations
from stvg_ros.cli.main import main, modules, parser
from stvg_ros.cli.options import flat_settings
from stvg_ros.config import Config, settings

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"(?:<!-- not run: (.*?) -->\n+)?^```(\w*)\n(.*?)^```$", re.S | re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block: the page and line, the reason why it is not run, language and text."""

    place: str
    reason: str
    language: str
    text: str


def blocks_of(name: str, page: str) -> list[Block]:
    return [
        Block(
            f"{name}:{page[: match.start(3)].count(chr(10)) + 1}",
            match[1] or "",
            match[2] or "shell",
            match[3],
        )
        for match in BLOCK.finditer(page)
    ]


BLOCKS = [
    block for page in PAGES for block in blocks_of(page.name, page.read_text(encoding="utf-8"))
]


def of(*languages: str):
    chosen = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", chosen, ids=lambda block: block.place)


def commands_of(text: str) -> list[list[str]]:
    """The simple commands of a shell block, without comments and assignments of variables."""
    lines, pending = [], ""
    for line in text.replace("\\\n", " ").splitlines():
        pending += line
        try:
            lexer = shlex.shlex(pending, posix=True, punctuation_chars="&|;<>")
            lexer.whitespace_split = True
            lines.append(list(lexer))
            pending = ""
        except ValueError:  # a quote that the next line closes
            pending += "\n"
    assert not pending, f"unbalanced quotes: {pending}"
    commands: list[list[str]] = [[]]
    for line in lines:
        for word in line:
            if word in ("&&", "||", "|", ";"):
                commands.append([])
            elif commands[-1] or "=" not in word:
                commands[-1].append(word)
        commands.append([])
    return [command for command in commands if command]


class UnknownProgramError(AssertionError):
    """A program that this test neither runs nor checks."""


def arguments_of(arguments: list[str]):
    """What the real parser makes of the arguments of `stvg-ros`; the settings are checked too."""
    given = parser(modules()).parse_args(arguments)
    if hasattr(given, "settings"):
        Config.from_flat(flat_settings(given))
    return given


def can_run(given) -> bool:
    """Whether the input of a command is in the current folder, and the embedded model does."""
    if getattr(given, "model", "embedded") != "embedded":
        return False
    if getattr(given, "rrd", None) and importlib.util.find_spec("rerun") is None:
        return False  # an extra, tested by `make libraries`
    if getattr(given, "rerun", None):
        return False  # needs a viewer
    return given.command in ("tubes", "ground") and given.video.exists()


def stvg_ros(arguments: list[str]) -> None:
    if can_run(arguments_of(arguments)):
        assert main(arguments) == 0


def make(arguments: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):.*##", makefile, re.M)
    variables = re.findall(r"^([A-Z_]+) :=", makefile, re.M)
    (target,) = (word for word in arguments if "=" not in word)
    assert target in targets, f"make {target}: no such target"
    for word in arguments:
        name, sign, value = word.partition("=")
        assert not sign or name in variables, f"make {name}=: no such variable"
        if name == "ARGS" and target in ("bench", "demo"):
            arguments_of([target, *shlex.split(value)])
        if name == "ROS_DISTRO":
            assert (ROOT / "constraints" / f"{value}.txt").is_file()


def launch_arguments(file: str) -> set[str]:
    """The names in the tables of a launch file; an included file has its own."""
    tree = ast.parse((ROOT / "launch" / file).read_text(encoding="utf-8"))
    tables = (node for node in tree.body if isinstance(node, ast.Assign))
    names = set()
    for table in tables:
        value = ast.literal_eval(table.value)
        if isinstance(value, tuple):
            names |= {row[0] for row in value}
    return names


def ros2(arguments: list[str]) -> None:
    verb = tuple(arguments[:2])
    if verb == ("launch", "stvg_ros"):
        known = launch_arguments(arguments[2])
        for word in arguments[3:]:
            name, sign, value = word.partition(":=")
            assert sign, f"expected NAME:=VALUE, got {word}"
            assert name in known, f"{arguments[2]}: no argument {name}"
            if name == "params_file":
                assert (ROOT / "config" / value).is_file()
    elif verb == ("topic", "pub"):
        _topic, kind, text = (word for word in arguments[2:] if not word.startswith("--"))
        package, _, name = kind.split("/")
        fields = yaml.safe_load(text)
        if package == "stvg_ros":
            definition = (ROOT / "msg" / f"{name}.msg").read_text(encoding="utf-8")
            known_fields = set(re.findall(r"^\S+ (\w+)", definition, re.M))
        else:
            assert kind == "std_msgs/msg/String"
            known_fields = {"data"}
        assert set(fields) <= known_fields
    elif verb == ("service", "call"):
        _service, kind, text = (word for word in arguments[2:] if not word.startswith("--"))
        package, folder, name = kind.split("/")
        assert (package, folder) == ("stvg_ros", "srv")
        request = (ROOT / "srv" / f"{name}.srv").read_text(encoding="utf-8").split("---")[0]
        assert set(yaml.safe_load(text)) <= set(re.findall(r"^\S+ (\w+)", request, re.M))
    else:
        assert verb in {("topic", "echo"), ("param", "set"), ("lifecycle", "set")}


def python(arguments: list[str], monkeypatch, capsys) -> None:
    """The program's own help lists every option that the block gives."""
    monkeypatch.setattr(sys, "argv", [arguments[0], "--help"])
    start, name = (
        (runpy.run_module, arguments[1])
        if arguments[0] == "-m"
        else (runpy.run_path, str(ROOT / arguments[0]))
    )
    # As in a new process: runpy warns of a module that other tests have imported.
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(SystemExit, match="^0$"):
        start(name, run_name="__main__")
    text = capsys.readouterr().out
    for word in arguments:
        assert not word.startswith("--") or word in text, f"{arguments[0]}: no option {word}"


def pytest_program(path: str) -> bool:
    return path.startswith(".venv-") and path.endswith("/pytest")


def check(command: list[str], monkeypatch, capsys) -> None:
    program, *arguments = command
    if program == "stvg-ros":
        stvg_ros(arguments)
    elif program == "make":
        make(arguments)
    elif program == "ros2":
        ros2(arguments)
    elif program == "python":
        if arguments[0].startswith("examples/"):
            assert (ROOT / arguments[0]).is_file()
        else:
            python(arguments, monkeypatch, capsys)
    elif pytest_program(program):
        assert all((ROOT / word).exists() for word in arguments if not word.startswith("-"))
    else:
        raise UnknownProgramError(
            f"{program} is not executed; say why in a comment before the block, such as "
            "<!-- not run: needs a GPU -->"
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as the blocks expect it: with a video."""
    path = tmp_path_factory.mktemp("blocks")
    write_scene(path / "video.mp4", 7)
    return path


@of("shell", "sh", "bash")
def test_shell(block, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for command in commands_of(block.text):
        try:
            check(command, monkeypatch, capsys)
        except UnknownProgramError:
            if not block.reason:
                raise


@of("python")
def test_python(block, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    if not block.reason:
        exec(compile(block.text, block.place, "exec"), {"__name__": "__main__"})
        assert capsys.readouterr().out


@of("json")
def test_json(block, tmp_path):
    values = json.loads(block.text)
    if "format" in values:
        file = tmp_path / "annotations.json"
        file.write_text(block.text)
        assert len(read_annotations(file).entries) == len(values["entries"])


@of("yaml")
def test_yaml_blocks_are_settings(block):
    Config.from_flat(yaml.safe_load(block.text))


def test_every_block_has_a_language_that_is_tested():
    assert {block.language for block in BLOCKS} <= {"shell", "python", "json", "yaml", "text"}
    assert len(BLOCKS) >= 20


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_commands_and_targets_in_the_prose_exist(page):
    known = {item.name for item in settings()}
    groups = {name.partition(".")[0] for name in known if "." in name}
    text = page.read_text(encoding="utf-8")
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)):
        name = re.match(r"^([a-z_]+)\.([a-z_]+)(?=[:=]|$)", code)
        if name and name[1] in groups and name[2] not in ("py", "yaml", "json", "md"):
            assert name[0] in known, f"{page.name}: no setting {name[0]}"
        words = code.split()
        if words[0] == "stvg-ros" and len(words) > 1:
            assert words[1] in modules(), f"{page.name}: no command {words[1]}"
        if words[0] == "make" and len(words) > 1:
            make(shlex.split(code)[1:])


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("", []),
        ("# only a comment", []),
        ("make test  # and a comment", [["make", "test"]]),
        ("a b\nc d", [["a", "b"], ["c", "d"]]),
        ("a b \\\n  c", [["a", "b", "c"]]),
        ("a && b c", [["a"], ["b", "c"]]),
        ("a | b", [["a"], ["b"]]),
        ('a "x && y"', [["a", "x && y"]]),
        ('a "x\ny" b', [["a", "x\ny", "b"]]),
        ("NAME=value a b=c", [["a", "b=c"]]),
        ("NAME=value", []),
        ("a x:='y z'", [["a", "x:=y z"]]),
    ],
)
def test_shell_blocks_are_cut_into_commands(text, commands):
    assert commands_of(text) == commands


@pytest.mark.parametrize(
    "line",
    [
        "stvg-ros fly",
        "stvg-ros ground",
        "stvg-ros ground a.mp4 x --fast",
        "stvg-ros ground a.mp4 x --set span.method=magic",
        "stvg-ros ground a.mp4 x --set spam.method=top_k",
        "make tea",
        "make test TEA=1",
        "make test ROS_DISTRO=hydro",
        "make bench ARGS='--fast'",
        "ros2 launch stvg_ros nothing.launch.py",
        "ros2 launch stvg_ros grounding.launch.py picture:=/camera",
        "ros2 launch stvg_ros grounding.launch.py params_file:=none.yaml",
        "ros2 topic pub --once /grounding/query stvg_ros/msg/Query '{txt: box}'",
        "ros2 fly",
        "python nothing.py",
        "python -m stvg_lab.benchmark.fleet --fast",
        "python examples/nothing.py",
        ".venv-jazzy/bin/pytest test/nothing.py",
        "cowsay hello",
    ],
)
def test_a_wrong_command_is_found(line, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    (command,) = commands_of(line)
    with pytest.raises((Exception, SystemExit)):
        check(command, monkeypatch, capsys)


def test_the_reason_stands_before_its_block():
    page = "<!-- not run: needs a GPU -->\n```\na\n```\n\n```python\nb\n```\n"
    first, second = blocks_of("x.md", page)
    assert (first.reason, first.language, first.text) == ("needs a GPU", "shell", "a\n")
    assert (second.reason, second.language, second.place) == ("", "python", "x.md:7")
    assert first.place == "x.md:3"
