# SPDX-License-Identifier: Apache-2.0

"""The doctor: each trouble is named, with its remedy; a healthy node has none."""

from __future__ import annotations

import io
import json

import pytest

from stvg_ros.cli import doctor
from stvg_ros.cli.main import main
from stvg_ros.config import Config
from stvg_ros.doctor.findings import Finding, write_findings


def model(**values):
    named = {f"model.{name}": value for name, value in values.items()}
    return list(doctor.model_findings(Config.from_flat({"model.device": "cpu", **named})))


def test_a_report_has_the_remedy_below_and_says_whether_all_is_well():
    out = io.StringIO()
    assert write_findings([Finding("ok", "node", "runs")], out)
    assert not write_findings([Finding("bad", "qos", "differs", "set it")], out)
    assert out.getvalue().splitlines() == [
        "ok   node        runs",
        "bad  qos         differs",
        "                 -> set it",
    ]
    with pytest.raises(ValueError, match="'worse'"):
        Finding("worse", "x", "y")


def test_the_embedded_model_on_the_cpu_is_fine():
    found = model()
    assert [(item.level, item.about) for item in found] == [
        ("ok", "device"), ("ok", "model"), ("ok", "memory"),
    ]  # fmt: skip


def test_the_source_of_tubes_is_told_with_the_reason(monkeypatch):
    monkeypatch.setattr("stvg_ros.proposals.hub_download.fetched", lambda name: pytest.fail(name))

    def tubes(**values):
        named = {name.replace("__", "."): value for name, value in values.items()}
        return list(doctor.tubes_findings(Config.from_flat({"proposals.device": "cpu", **named})))

    (found,) = tubes(proposals__source="classical")
    assert (found.level, found.about) == ("ok", "tubes")
    assert "proposals.source says" in found.text
    (found,) = tubes(proposals__source="people_detector", proposals__people_detector="embedded")
    assert found.level == "note"
    assert "rendered people only" in found.remedy
    (found,) = tubes()
    assert "ssdlite" in found.text or found.level == "note"
    assert tubes(backend="remote", remote__address="127.0.0.1:1") == []


def weights(size):
    """A safetensors file of `size` bytes without weights."""
    return (2).to_bytes(8, "little") + b"{}" + bytes(size - 10)


@pytest.fixture
def folder(tmp_path):
    def make(kind="qwen2_vl", size=1000, **values):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, **values}))
        if size:
            (tmp_path / "model.safetensors").write_bytes(weights(size))
        return str(tmp_path)

    return make


def test_what_is_wrong_with_a_model_is_told_without_loading_it(folder, monkeypatch, tmp_path):
    assert "no such folder" in model(path="/nowhere/at/all")[-1].text
    assert "no config.json" in model(path=str(tmp_path))[-1].text
    file = tmp_path / "notes.txt"
    file.touch()
    assert f"'{file}': a file; expected the folder" in model(path=str(file))[-1].text
    assert "safetensors" in model(path=folder(size=0))[-1].text
    assert "'bert'" in model(path=folder("bert"))[-1].text
    assert model(path=folder())[-1].level == "ok"
    monkeypatch.setattr(doctor, "free_memory_bytes", lambda: 2500)
    assert model(path=folder(dtype="float32"))[-1].level == "ok"  # 1300 bytes
    assert model(path=folder(dtype="bfloat16"))[-1].level == "bad"  # 2600 bytes in float32
    assert model(path=folder(dtype="bfloat16"), dtype="bfloat16")[-1].level == "ok"
    hub = model(path="Qwen/Qwen2.5-VL-7B-Instruct")[-1]
    assert (hub.level, hub.about) == ("note", "model")


def test_a_language_model_that_loading_refuses_is_bad(folder):
    window = {"layer_types": ["full_attention", "sliding_attention"], "num_hidden_layers": 2}
    found = model(path=folder(text_config={**window, "use_sliding_window": True}))[-1]
    assert (found.level, found.about) == ("bad", "model")
    assert "sliding_attention" in found.text
    other = folder("internvl", text_config={"model_type": "gemma3_text"})
    assert "gemma3_text" in model(path=other)[-1].text
    broken = folder(text_config="x")
    assert "config.json is not as transformers expects it" in model(path=broken)[-1].text


def test_files_of_the_weights_that_are_lost_are_counted(folder, tmp_path):
    path = folder(size=0)
    names = {"a": "part-1.safetensors", "b": "part-2.safetensors", "c": "part-2.safetensors"}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    (tmp_path / "part-1.safetensors").write_bytes(weights(1000))
    found = model(path=path)[-1]
    assert (found.level, found.about) == ("bad", "weights")
    assert found.text.startswith("1 of the 2 safetensors files that model.safetensors.index.json")
    assert "part-2.safetensors" in found.text
    whole = tmp_path / "model.safetensors"
    whole.write_bytes(weights(10))  # transformers reads it, and not the index
    assert model(path=path)[-1].about == "memory"
    whole.unlink()
    (tmp_path / "part-2.safetensors").write_bytes(weights(10))
    assert model(path=path)[-1].about == "memory"


@pytest.mark.parametrize(
    ("tower", "bad"),
    [
        (None, True),
        ({"model_type": "timm_wrapper"}, True),
        ({"model_type": "clip_vision_model"}, False),
    ],
)
def test_packages_of_a_vision_tower(folder, monkeypatch, tower, bad):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    path = folder("perception_lm", vision_config=tower, text_config={"model_type": "llama"})
    about = [(item.level, item.about) for item in model(path=path)]
    assert (about[1] == ("bad", "model")) == bad
    if bad:
        assert "needs timm and torchvision" in model(path=path)[1].text


def test_a_format_that_only_another_file_names_is_bad(folder, tmp_path):
    path = folder()
    values = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4"}}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(values))
    found = model(path=path)[-1]
    assert (found.level, found.about) == ("bad", "quantized")
    assert "'modelopt'" in found.text


def test_a_device_that_is_not_here():
    (found,) = model(device="cuda:99")
    assert found.level == "bad"
    assert "cuda:99" in found.text


def test_free_memory_is_some():
    assert 2**20 < doctor.free_memory_bytes() < 2**50


def test_the_command_without_a_node(capfd):
    pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
    assert main(["doctor", "--device", "cpu", "--node", "/nobody", "--seconds", "0.5"]) == 1
    text = capfd.readouterr().out
    assert "no node /nobody" in text
    assert "grounding.launch.py" in text


def test_the_machine_alone(capfd):
    assert main(["doctor", "--device", "cpu", "--machine", "--node", "/nobody"]) == 0
    text = capfd.readouterr().out
    assert "memory" in text
    assert "/nobody" not in text and "rclpy" not in text
