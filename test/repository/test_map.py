# SPDX-License-Identifier: Apache-2.0

"""The map of CONTRIBUTING.md: the picture is that of the imports, every place named exists."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys

import pytest
from paths import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def module_at(path, monkeypatch):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def package_map(monkeypatch):
    return module_at(ROOT / "docs" / "package_map.py", monkeypatch)


def test_the_picture_is_up_to_date(package_map):
    text = package_map.svg(package_map.merged_cycles(package_map.package_graph()))
    picture = package_map.PICTURE.read_text(encoding="utf-8")
    assert picture == text, "run docs/package_map.py"
    assert "docs/packages.svg" in PAGE


def test_every_import_in_the_picture_is_allowed_by_the_table(package_map, monkeypatch):
    layers = module_at(ROOT / "test" / "repository" / "test_layers.py", monkeypatch).LAYERS
    names = {"types": "foundations", "config": "settings"}
    graph = package_map.package_graph()
    for name, others in graph.items():
        allowed = layers[names.get(name, name)].ours
        assert {names.get(other, other) for other in others} <= allowed
    known = {names.get(name, name) for name in graph}
    assert known == {*layers} - {"lab", "messages"}


def test_no_package_of_the_robot_is_above_one_of_the_laboratory(package_map):
    for name, others in package_map.package_graph().items():
        if not name.startswith("lab."):
            assert not [other for other in others if other.startswith("lab.")]


def test_every_box_says_what_it_holds(package_map):
    assert {*package_map.package_graph()} == {*package_map.ABOUT}


@pytest.mark.parametrize(
    ("graph", "rows"),
    [
        ({"a": ""}, ["a"]),
        ({"a": "b", "b": ""}, ["a", "b"]),
        ({"a": "b c", "b": "c", "c": ""}, ["a", "b", "c"]),
        ({"a": "c", "b": "c", "c": ""}, ["a b", "c"]),
        ({"a": "", "b": ""}, ["a b"]),
        ({"a": "b", "b": "a"}, ["a, b"]),
        ({"a": "b", "b": "a c", "c": ""}, ["a, b", "c"]),
        ({"a": "b", "b": "c", "c": "a", "d": "a"}, ["d", "a, b, c"]),
        ({"a": "b", "b": "a", "c": "d", "d": "c"}, ["a, b c, d"]),
        ({"a": "d", "b": "c", "c": "d", "d": ""}, ["b", "a c", "d"]),
    ],
)
def test_a_package_is_above_what_it_imports(package_map, graph, rows):
    merged = package_map.merged_cycles({k: frozenset(v.split()) for k, v in graph.items()})
    assert [" ".join(row) for row in package_map.rows_of(merged)] == rows


def test_only_imports_without_a_longer_way_are_drawn(package_map):
    graph = {"a": frozenset("bc"), "b": frozenset("c"), "c": frozenset()}
    assert package_map.reduced(graph) == {"a": ["b"], "b": ["c"], "c": []}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import numpy", set()),
        ("import stvg_ros.types", {"stvg_ros.types"}),
        ("from stvg_ros import boxes", {"stvg_ros.boxes"}),
        ("from stvg_ros.io.bag import read_frames", {"stvg_ros.io.bag"}),
        ("def f():\n    from stvg_lab.runs import scores", {"stvg_lab.runs"}),
        ("import stvg_rosette", set()),
    ],
)
def test_imports_are_found_anywhere_in_a_file(package_map, source, found):
    assert package_map.imports_of(source) == found


def defined_in(path):
    """Names that a module defines at its top."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


PATH = r"`((?:stvg_ros|stvg_lab|examples|test|docs|scripts)/[\w/.]*)`"
PLACES = re.findall(PATH + r"(?: `(\w+)`)?", PAGE)


@pytest.mark.parametrize(("path", "name"), sorted(set(PLACES)))
def test_every_place_that_the_page_names_is_there(path, name):
    assert (ROOT / path).exists()
    if name:
        assert name in defined_in(ROOT / path), f"{path} defines no {name}"


def test_ten_questions_have_one_answer_each():
    table = PAGE.partition("| question | answer |")[2].partition("\n\n")[0]
    rows = [line.strip("|").split("|") for line in table.strip().splitlines()[1:]]
    assert len(rows) == 10
    modules = [path for top in ("stvg_ros", "stvg_lab") for path in (ROOT / top).rglob("*.py")]
    for question, answer in rows:
        assert question.strip().endswith("?")
        places = re.findall(PATH + r"(?: `(\w+)`)?", answer)
        assert places
        for path, name in places:
            if name:
                homes = [module for module in modules if name in defined_in(module)]
                assert homes == [ROOT / path], f"{name} is in several modules"


def test_the_page_is_short():
    assert len(PAGE.splitlines()) < 130
