# SPDX-License-Identifier: Apache-2.0

"""Every file of examples/ does what its first lines say."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import tiny_models
from paths import ROOT
from tiny_datasets import question, scene_of, write_scene

from stvg_ros.io.video import write_video

EXAMPLES = ROOT / "examples"
# Those that run as processes of their own are in test_ros_examples.py and test_serve_and_ask.py.
ELSEWHERE = {"ask_node", "subscribe_to_tubes", "serve_and_ask"}


def example(name, monkeypatch):
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("scene") / "scene.mp4"
    write_scene(path, 7)
    return path


def test_ground_a_video(scene, monkeypatch, capsys):
    sentence, truth, _ = question(7)
    example("ground_video", monkeypatch).main(str(scene), sentence)
    out = capsys.readouterr().out
    assert out.startswith("FOUND, confidence ")
    assert "by Qwen2-VL (embedded, rendered scenes only)" in out
    start_s, end_s = (float(word) for word in out.splitlines()[1].split() if word[0].isdigit())
    true_s = scene_of(7).stamps_ns[truth.span] / 1e9
    assert start_s < true_s[-1]
    assert end_s > true_s[0]


def test_own_proposer(tmp_path, monkeypatch, capsys):
    images = [np.full((120, 160, 3), 90, np.uint8) for _ in range(20)]
    for index, image in enumerate(images):
        image[40:80, 4 * index : 4 * index + 24] = (230, 20, 20)
    path = tmp_path / "factory.mp4"
    write_video(path, images, [index * 10**8 for index in range(20)])
    own = example("own_proposer", monkeypatch)
    own.main(str(path), "the red trolley that moves to the right")
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("FOUND: ")
    assert first.endswith("boxes by 'red things'")
    x1, y1, x2, y2 = map(int, last.split()[2:])
    assert (abs(y1 - 40), abs(y2 - 80)) <= (3, 3)
    assert abs(x2 - x1 - 24) <= 6


def test_own_proposer_sees_nothing_where_nothing_is_red(scene, monkeypatch, tmp_path, capsys):
    path = tmp_path / "grey.mp4"
    write_video(path, [np.full((96, 128, 3), 90, np.uint8)] * 5, [i * 10**8 for i in range(5)])
    example("own_proposer", monkeypatch).main(str(path), "the red trolley")
    assert "NOT_FOUND: 0 boxes" in capsys.readouterr().out


def test_own_family(scene, tmp_path, monkeypatch, capsys):
    from stvg_ros.models.families import FAMILIES

    monkeypatch.setitem(FAMILIES, "llava_next_video", FAMILIES["llava_next_video"])
    kind = FAMILIES["llava_next_video"]
    folder = tiny_models.save("llava_next_video", kind.class_name, tmp_path)
    own = example("own_family", monkeypatch)
    own.main(str(scene), "the man in red", str(folder))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("by LLaVA-NeXT-Video, coarse")
    assert lines[1] == "attention maps of 20 x 2 x 2"  # the library's grid is 3 x 3


def test_every_example_has_a_test():
    tests = "".join(path.read_text() for path in (ROOT / "test" / "examples").glob("test_*.py"))
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert len(names) == 6
    for name in names - ELSEWHERE:
        assert f'example("{name}"' in tests
    for name in ELSEWHERE:
        assert f'"{name}.py"' in tests
