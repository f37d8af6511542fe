# SPDX-License-Identifier: Apache-2.0

"""No command replaces what it did not write; what is written is whole."""

import json
import os
from pathlib import Path

import pytest

from stvg_ros.errors import ConfigError, RecordingError
from stvg_ros.io.outputs import (
    LEDGER,
    PART,
    check_outputs,
    claim_outputs,
    fingerprint,
    output,
    write_json_output,
    write_output,
    written_by,
)


def test_a_new_file_and_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.json"
    write_json_output("compare", path, {"a": 1})
    write_json_output("compare", path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 2}
    assert sorted(item.name for item in path.parent.iterdir()) == [LEDGER, "a.json"]
    assert written_by("compare", path) and not written_by("report", path)


def foreign(kind: str, path: Path) -> None:
    if kind == "file":
        path.write_text("by hand")
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        (path / "deep").mkdir(parents=True)
        (path / "deep" / "mine").write_text("by hand")
    elif kind == "empty folder":
        path.mkdir()
    elif kind == "another command's":
        write_output("report", path, "text")
    elif kind == "changed since":
        write_output("demo", path, "text")
        path.write_text("text, and a line by hand")
    elif kind == "same length":
        write_output("demo", path, "text")
        path.write_text("TEXT")
    elif kind == "replaced by a folder":
        write_output("demo", path, "text")
        path.unlink()
        path.mkdir()
    elif kind == "moved here":
        write_output("demo", path.with_name("other"), "text")
        path.with_name("other").rename(path)
    elif kind == "link":
        path.with_name("real").write_text("by hand")
        path.symlink_to(path.with_name("real"))
    elif kind == "damaged ledger":
        write_output("demo", path, "text")
        path.with_name(LEDGER).write_text("{")
    elif kind == "odd ledger":
        path.write_text("by hand")
        path.with_name(LEDGER).write_text(json.dumps({path.name: "demo"}))
    else:
        raise AssertionError(kind)


KINDS = (
    "file", "empty", "folder", "empty folder", "another command's", "changed since", "same length",
    "replaced by a folder", "moved here", "link", "damaged ledger", "odd ledger",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_others_wrote_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out"
    foreign(kind, path)
    before = fingerprint(tmp_path)
    for attempt in (
        lambda: check_outputs("demo", [path]),
        lambda: write_output("demo", path, "new"),
        lambda: claim_outputs("demo", [path]),
    ):
        with pytest.raises(ConfigError, match=r"out: not written by stvg-ros demo, or changed"):
            attempt()
    assert fingerprint(tmp_path) == before


def test_all_conflicts_are_named_at_once(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("by hand")
    with pytest.raises(ConfigError, match=r"/a, .*/b: not written by"):
        check_outputs("demo", [tmp_path / name for name in "abc"])


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "real")
    write_output("demo", tmp_path / "link", "one")
    write_output("demo", tmp_path / "link", "two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "real").read_text() == "two"


def test_folders(tmp_path: Path) -> None:
    path = tmp_path / "bag"
    for name in ("first", "second"):
        with output("demo", path) as part:
            assert part.name == "bag"
            part.mkdir()
            (part / name).write_text(name)
    assert [item.name for item in path.iterdir()] == ["second"]
    (path / "mine").touch()
    with pytest.raises(ConfigError, match="bag: not written"):
        half_written(path)


def half_written(path: Path) -> None:
    with output("demo", path) as part:
        part.write_text("half")
        raise ZeroDivisionError


def not_written(path: Path) -> None:
    with output("demo", path):
        pass


def written_twice(path: Path) -> None:
    with output("demo", path) as part:
        part.write_text("new")
        path.write_text("by hand")


def test_what_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_output("demo", path, "old")
    with pytest.raises(ZeroDivisionError):
        half_written(path)
    with pytest.raises(RecordingError, match="cannot be written"):
        not_written(path)
    assert path.read_text() == "old"
    assert sorted(item.name for item in tmp_path.iterdir()) == [LEDGER, "a"]
    check_outputs("demo", [path])


def test_somebody_writes_in_the_meantime(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with pytest.raises(ConfigError):
        written_twice(path)
    assert path.read_text() == "by hand"


def test_claimed_files_may_change(tmp_path: Path) -> None:
    path = tmp_path / "node.log"
    claim_outputs("demo", [path])
    path.write_text("a line")
    claim_outputs("demo", [path])
    with pytest.raises(ConfigError):
        check_outputs("ground", [path])


def test_what_a_killed_command_left_goes_and_what_a_running_one_writes_stays(
    tmp_path: Path,
) -> None:
    killed, running = (tmp_path / f".a.{n}{PART}" for n in (99999999, os.getppid()))
    for folder in (killed, running):
        folder.mkdir()
    write_output("demo", tmp_path / "a", "text")
    assert running.exists() and not killed.exists()


@pytest.mark.parametrize("name", ["file/a", "file/a/b/c", "link/a", "folder/file/a"])
def test_a_file_in_the_place_of_a_folder_is_named_before_the_work(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    for file in (tmp_path / "file", tmp_path / "folder" / "file"):
        file.write_text("by hand")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    said = "cannot be written: .*file is a file, expected a folder; choose another --out"
    with pytest.raises(RecordingError, match=said):
        check_outputs("demo", [tmp_path / "other", tmp_path / name])
    with pytest.raises(RecordingError, match=said):
        write_output("demo", tmp_path / name, "text")
    assert (tmp_path / "file").read_text() == "by hand"


def test_folders_that_are_not_there_are_made(tmp_path: Path, monkeypatch) -> None:
    check_outputs("demo", [tmp_path / "a" / "b" / "c"])
    assert list(tmp_path.iterdir()) == []
    write_output("demo", tmp_path / "a" / "b" / "c", "text")
    monkeypatch.chdir(tmp_path)
    check_outputs("demo", [Path("x.json"), Path("new") / "x.json"])


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(RecordingError, match=f"no permission to write in {tmp_path};"):
        check_outputs("demo", [tmp_path / "a" / "b"])


@pytest.mark.parametrize("name", ["loop/a", "loop/a/b/c", "x" * 256, "a/" + "x" * 300 + "/b",
                                  "人" * 86, "a/" * 2100 + "b"])  # fmt: skip
def test_a_place_that_cannot_be_is_named_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    for attempt in (check_outputs, claim_outputs):
        with pytest.raises(RecordingError, match="cannot be written: .*choose another --out"):
            attempt("demo", [tmp_path / name])
    with pytest.raises(RecordingError, match="cannot be written: .*choose another --out"):
        write_output("demo", tmp_path / name, "text")
    assert [item.name for item in tmp_path.iterdir()] == ["loop"]


NAMES = (
    "x" * 255, "人" * 85, "é" * 120, "a b", " a ", "-a", "[a]*?", "a\nb", "a\\b", "%s%d", "{0}",
    "'\"", "~", ".hidden", "a..b", os.fsdecode(b"\xff\xfe"), "\u202eb", "#?&=", "LEDGER", "a.tmp",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_any_name_that_a_file_can_have_is_written_and_again(
    tmp_path: Path, name: str, kind: str
) -> None:
    for text in ("first", "second"):
        with output("demo", tmp_path / name) as part:
            if kind == "folder":
                part.mkdir()
                (part / "inside").write_text(text)
            else:
                part.write_text(text)
    found = tmp_path / name / "inside" if kind == "folder" else tmp_path / name
    assert found.read_text() == "second"
    assert written_by("demo", tmp_path / name)
    assert sorted(item.name for item in tmp_path.iterdir()) == sorted([LEDGER, name])


def test_a_link_to_itself_is_nobodys_output(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigError, match="loop: not written by stvg-ros demo"):
        write_output("demo", tmp_path / "loop", "text")
    assert (tmp_path / "loop").is_symlink()


@pytest.mark.parametrize("name", ["a", "x" * 255, "人" * 85])
def test_what_a_killed_command_left_of_a_long_name_goes_too(tmp_path: Path, name: str) -> None:
    with output("demo", tmp_path / name) as part:
        part.write_text("text")
        shown = part.parent.name
    killed = tmp_path / shown.replace(f".{os.getpid()}.", ".99999999.")
    killed.mkdir()
    write_output("demo", tmp_path / name, "text")
    assert not killed.exists()
