# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros models`: lists by memory, fetches from a hub on loopback, verifies offline."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_models
import torch
from fake_hub import FakeHub
from huggingface_hub import constants

from stvg_ros.checkpoints import hub_fetch
from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.checkpoints.forbidden_network import forbidden_network
from stvg_ros.checkpoints.hub_fetch import damaged, fetched, hub_hashes, in_cache, listed
from stvg_ros.checkpoints.machine import Machine, this_machine
from stvg_ros.cli.main import main
from stvg_ros.cli.model_fetching import fetched_checkpoint
from stvg_ros.cli.model_list import choices, listing
from stvg_ros.errors import ModelError

torch.set_num_threads(1)
NAME = "someone/a-model"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    tiny_models.save("qwen2_vl", "Qwen2VLForConditionalGeneration", folder)
    (folder / "pytorch_model.bin").write_bytes(b"a pickle, never fetched")
    return folder


@pytest.fixture(autouse=True)
def online(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub_fetch, "CONTACT_S", 1.0)


@pytest.mark.parametrize("to_folder", [True, False])
def test_a_checkpoint_is_fetched_and_its_hashes_are_those_of_the_hub(
    checkpoint, tmp_path, to_folder
):
    with FakeHub(NAME, checkpoint) as hub:
        folder = tmp_path / "model" if to_folder else None
        where = fetched_checkpoint(NAME, folder, hub.endpoint)
        assert (where == folder) == to_folder
        wanted = {p.name for p in checkpoint.iterdir()} - {"pytorch_model.bin"}
        assert {path.name for path in where.iterdir() if path.is_file()} == wanted
        assert set(hub_hashes(where)) == wanted
        assert damaged(where, hub_hashes(where)) == []
        # The second time nothing is downloaded.
        before = len(hub.requested)
        fetched_checkpoint(NAME, folder, hub.endpoint)
        assert not any("safetensors" in path for path in hub.requested[before:])
    with forbidden_network() as attempts:
        files = CheckpointFiles.of(NAME if folder is None else str(folder), "model.path")
        assert files.path("model.safetensors") == str(where / "model.safetensors")
    assert attempts == []


def test_a_checkpoint_is_in_the_cache_when_all_its_weights_are(checkpoint, tmp_path):
    files = tmp_path / "files"
    shutil.copytree(checkpoint, files)
    (files / "model.safetensors").rename(files / "model-1.safetensors")
    (files / "model-2.safetensors").write_bytes(b"2")
    shards = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (files / "model.safetensors.index.json").write_text(json.dumps(shards))
    for folder, parts in ((checkpoint, ("model.",)), (files, ("model-1.", "model-2."))):
        with FakeHub(f"someone/{len(parts)}", folder) as hub:
            found = listed(hub.hub_id, hub.endpoint)
            assert not in_cache(hub.hub_id)
            for name in found.names:
                if not name.endswith(".safetensors"):
                    fetched(found, None, name)
            for part in parts:
                assert not in_cache(hub.hub_id)
                fetched(found, None, f"{part}safetensors")
            assert in_cache(hub.hub_id)


def test_a_damaged_file_is_named_by_verify(checkpoint, tmp_path, capsys):
    with FakeHub(NAME, checkpoint) as hub:
        where = fetched_checkpoint(NAME, tmp_path / "model", hub.endpoint)
    assert main(["models", "verify", str(where), "--device", "cpu", "--offline"]) == 0
    out = capsys.readouterr().out
    assert "ok   hashes" in out
    assert "grounding   two frames, all stages" in out
    assert out.splitlines()[-1].startswith("ok   offline")
    (where / "generation_config.json").write_text("{}")
    assert main(["models", "verify", str(where), "--device", "cpu"]) == 1
    assert "bad  hashes      not as on the hub: generation_config.json" in capsys.readouterr().out


def test_content_that_changed_on_the_way_is_refused(checkpoint, tmp_path):
    with FakeHub(NAME, checkpoint) as hub:
        content = (checkpoint / "preprocessor_config.json").read_bytes()
        hub.tampered["preprocessor_config.json"] = content.replace(b" ", b"\t", 1)
        with pytest.raises(ModelError, match="preprocessor_config.json: the content does not have"):
            fetched_checkpoint(NAME, tmp_path / "model", hub.endpoint)


def test_a_family_that_is_not_supported_is_refused_before_its_weights_come(checkpoint, tmp_path):
    folder = tmp_path / "gemma"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma3"}))
    (folder / "model.safetensors").write_bytes(bytes(100))
    with FakeHub(NAME, folder) as hub:
        with pytest.raises(ModelError, match="'gemma3' is refused"):
            fetched_checkpoint(NAME, tmp_path / "model", hub.endpoint)
        assert not any("safetensors" in path for path in hub.requested)


def test_a_hub_that_cannot_be_used_is_named_with_the_remedy(checkpoint, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ModelError, match=f"the hub at {address} does not answer within 1 s"):
            fetched_checkpoint(NAME, tmp_path / "model", address)
    missing = pytest.raises(ModelError, match="the hub has no such repository")
    with FakeHub("someone/else", checkpoint) as hub, missing:
        fetched_checkpoint(NAME, tmp_path / "model", hub.endpoint)
    with FakeHub(NAME, checkpoint) as hub:
        full = SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=9))
        monkeypatch.setattr(hub_fetch, "shutil", full)  # not the one of huggingface_hub
        with pytest.raises(ModelError, match="are free at"):
            fetched_checkpoint(NAME, tmp_path / "other", hub.endpoint)


def test_fetch_says_what_it_takes(monkeypatch, capsys, tmp_path):
    assert main(["models", "fetch", "nothing"]) == 2
    assert "expected body, or a hub id" in capsys.readouterr().err
    assert main(["models", "fetch", "body", "--to", str(tmp_path)]) == 2
    assert "the user's cache" in capsys.readouterr().err
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert main(["models", "fetch", NAME]) == 1
    assert "HF_HUB_OFFLINE forbids to fetch it" in capsys.readouterr().err


def test_a_folder_that_came_in_another_way_has_no_hashes(checkpoint):
    assert hub_hashes(checkpoint) == {}


def test_connections_are_refused_and_counted():
    with forbidden_network() as attempts:
        assert constants.HF_HUB_OFFLINE is True
        with pytest.raises(PermissionError):
            socket.create_connection(("127.0.0.1", 9))
        with pytest.raises(PermissionError):
            socket.getaddrinfo("hub.invalid", 443)
    assert len(attempts) == 2
    assert constants.HF_HUB_OFFLINE is False
    with socket.create_server(("127.0.0.1", 0)) as server:  # allowed again
        socket.create_connection(server.getsockname()).close()


def test_an_attempt_to_connect_is_bad(monkeypatch, checkpoint, capsys):
    def calls(path: str, device: str):
        try:
            socket.create_connection(("127.0.0.1", 9))
        except OSError:
            return
        yield

    monkeypatch.setattr("stvg_ros.cli.models._verified", calls)
    assert main(["models", "verify", str(checkpoint), "--offline"]) == 1
    assert "bad  offline     1 connections were tried" in capsys.readouterr().out


GB = 1e9


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        # Qwen2-VL 2B, Qwen2.5-VL 3B and 7B, Qwen3-VL 2B, 4B and 8B
        (Machine(100 * GB, 80 * GB), ["bfloat16"] * 6),
        (Machine(100 * GB, 12 * GB), ["bfloat16", "bfloat16", "4bit", "bfloat16", "8bit", "4bit"]),
        (Machine(66 * GB), ["float32"] * 6),
        (Machine(25 * GB), ["float32", *["bfloat16"] * 2, "float32", *["bfloat16"] * 2]),
    ],
)
def test_the_most_exact_precision_that_fits(machine, expected):
    found = list(choices(machine))
    assert all(each.fits for each in found)
    assert [each.count.weights_in for each in found] == expected


def test_a_process_needs_memory_of_a_board_too():
    for shared, expected in ((False, "bfloat16"), (True, "4bit")):
        found = {each.count.checkpoint: each for each in choices(Machine(0, 11 * GB, shared))}
        assert found["Qwen/Qwen2.5-VL-3B-Instruct"].count.weights_in == expected


def test_the_list(capsys):
    small_id = "Qwen/Qwen2-VL-2B-Instruct"
    lines = list(listing(Machine(8 * GB, 5.5 * GB, shared=True), lambda name: small_id == name, {}))
    assert lines[0] == "5.5 GB free, shared by CPU and GPU"
    (small,) = (line for line in lines if "Qwen2-VL-2B" in line)
    assert "runs with model.quantization 4bit" in small
    assert small.endswith("; fetched")
    (large,) = (line for line in lines if "7B" in line)
    assert "does not fit; not fetched" in large
    lines = list(listing(Machine(25 * GB), lambda name: False, {"body": True}))
    assert lines[0] == "no GPU here; 25.0 GB of main memory free"
    names = (small_id, "3B", "7B", "body")
    says = {name: line for line in lines for name in names if name in line}
    assert "runs; not" in says[small_id]
    assert "runs with model.dtype bfloat16; not" in says["3B"]
    assert "runs with model.dtype bfloat16 and model.gradient_checkpointing true;" in says["7B"]
    assert says["body"].endswith("  fetched")
    assert main(["models", "list"]) == 0
    assert "embedded" in capsys.readouterr().out


def test_this_machine_has_memory():
    machine = this_machine()
    assert 2**20 < machine.memory_free_bytes < 2**50
    assert Path("/proc/device-tree/model").exists() == bool(machine.board)
