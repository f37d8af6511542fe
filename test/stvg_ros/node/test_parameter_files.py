# SPDX-License-Identifier: Apache-2.0

"""Parameter files that hold nothing for the node, and files that are not there."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
from stvg_ros.errors import ConfigError
from stvg_ros.node import main
from stvg_ros.node.parameter_files import parameter_files, sections, unused

VALUES = "ros__parameters: {window.duration_s: 5.0}"
USED = [
    "'/**': {V}", "/grounding: {V}", "grounding: {V}", "'/*': {V}", "'/**/grounding': {V}",
    "'**': {V}", "'/ground*': {V}", "other: {V}\ngrounding: {V}", "'/**': {V}\nother: {V}",
    "/other: {V}\n'/**': {V}",
]  # fmt: skip
NOT_USED = [
    "grounding_node: {V}", "/robot/grounding: {V}", "robot: {grounding: {V}}", "Grounding: {V}",
    "/groundin: {V}", "'/*/grounding': {V}", "a: {V}\nb: {V}", "stvg_ros: {V}", "{}",
    "window.duration_s: 5.0", "ros_parameters: {window.duration_s: 5.0}", "- a\n- b",
]  # fmt: skip


def written(tmp_path, text):
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace("{V}", "{" + VALUES + "}"), encoding="utf-8")
    return file


@pytest.mark.parametrize("text", USED)
def test_files_with_a_section_for_the_node(tmp_path, text):
    assert list(unused([written(tmp_path, text)], "/grounding")) == []


@pytest.mark.parametrize("text", NOT_USED)
def test_files_without_one_are_named_with_what_they_have(tmp_path, text):
    file = written(tmp_path, text)
    (said,) = unused([file], "/grounding")
    assert str(file) in said
    assert "/grounding" in said
    assert "'/**" in said


def test_sections_of_nested_names_and_namespaces(tmp_path):
    file = written(tmp_path, "robot: {grounding: {V}}")
    assert list(unused([file], "/robot/grounding")) == []
    assert sections({"a": {"b": {"ros__parameters": {}}}}) == ["/a/b"]
    (said,) = unused([written(tmp_path, "grounding_node: {V}\nlidar: {V}")], "/grounding")
    assert "rename '/grounding_node' to '/grounding'" in said


@pytest.mark.parametrize("words", [
    ["--params-file", "typo.yaml"], ["--params-file:=typo.yaml"], ["--params-file", "."],
    ["--params-file", ""], ["--params-file", "/nowhere/x.yaml"],
    ["--params-file", "a\0b"], ["--params-file", "x" * 5000],
    ["--params-file", "laptop_cpu"], ["--params-file", "~/mine.yaml"], ["--params-file:="],
])  # fmt: skip
def test_a_file_that_is_not_there_is_refused(words):
    with pytest.raises(ConfigError, match="--params-file: expected a parameter file"):
        parameter_files(["node", "--ros-args", *words])


@pytest.mark.parametrize("words", [
    ["--params-file", "typo.yaml"], ["-p", "nonsense"], ["-r", "a:=b:=c"], ["-p", "a:=["],
    ["--log-level", "loud"], ["-p", "span.method:=guess"], ["-p", "window.duration_s:=text"],
    ["-p", "cameras:=1"], ["-p", "autostart:=[1, 2]"], ["--nonsense"],
])  # fmt: skip
def test_the_executable_says_what_is_wrong_and_ends_with_2(words, capsys):
    assert main.serve(["grounding_node", "--ros-args", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("grounding_node: ")
    assert "Traceback" not in said


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        list(unused([written(tmp_path, "a: [1")], "/grounding"))
