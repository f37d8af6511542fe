# SPDX-License-Identifier: Apache-2.0

"""Layers on several devices: which go where, and that nothing of two devices meets.

The second device is torch's meta device, which computes shapes and refuses tensors of another
device. Values that return from it are zeros here, so no number after them is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_models
import torch
from library_reference import QUESTIONS, images
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from stvg_ros.cli import doctor
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm, load_untrained
from stvg_ros.models.device_spread import layer_devices, layer_places, place, spread
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.memory_estimate import free_bytes
from stvg_ros.models.settings import ModelConfig

torch.set_num_threads(1)
CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.mark.parametrize(
    ("layers", "rest", "free", "places"),
    [
        ([10, 10, 10, 10], 0, [100, 100], [0, 0, 1, 1]),
        ([10, 10, 10, 10], 20, [100, 100], [0, 1, 1, 1]),
        ([10, 10, 10, 10], 0, [25, 25, 25], [0, 1, 1, 2]),
        ([10, 10, 10, 10], 0, [300, 100], [0, 0, 0, 1]),
        ([10], 0, [100, 100], [0]),
        ([10, 10, 10], 0, [90, 100], [0, 1, 1]),  # the middle of the second is beyond the end
        ([90], 0, [100], [0]),  # the most that fits
    ],
)
def test_layers_fill_each_device_to_the_same_share(
    layers: list[int], rest: int, free: list[int], places: list[int]
) -> None:
    assert layer_places(layers, rest, free) == places


def test_weights_that_do_not_fit_are_refused() -> None:
    giga = 10**9
    with pytest.raises(ConfigError, match=r"needs 20.0 and 20.0 GB.*have 21.0 and 21.0 GB free"):
        layer_places([10 * giga] * 4, 0, [21 * giga] * 2)
    assert layer_places([10 * giga] * 4, 0, [23 * giga] * 2) == [0, 0, 1, 1]
    with pytest.raises(ConfigError, match=r"needs 95.0 and 2.0 GB.*have 100.0 and 100.0 GB free"):
        layer_places([giga, giga], 95 * giga, [100 * giga] * 2)
    with pytest.raises(ConfigError, match=r"needs 95.0 and 0.0 and 3.0 GB"):
        layer_places([giga] * 3, 95 * giga, [100 * giga, giga, 100 * giga])


class _Toy(nn.Module):
    """A language model of three layers, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.norm = nn.Linear(2, 2), nn.Linear(2, 2)
        self.layers = nn.ModuleList(nn.BatchNorm1d(2) for _ in range(3))
        self.register_buffer("numbers", torch.zeros(2))

    def get_decoder(self) -> _Toy:
        return self


def test_each_layer_has_its_device_and_all_else_another() -> None:
    toy = _Toy()
    place(toy, [META, CPU, META], META)
    devices = {name: each.device for name, each in (*toy.named_parameters(), *toy.named_buffers())}
    assert {name for name, device in devices.items() if device == CPU} == {
        f"layers.1.{name}" for name in toy.layers[1].state_dict()
    }
    with pytest.raises(ValueError, match="shorter"):
        place(_Toy(), [CPU, CPU], CPU)


@pytest.fixture(scope="module", params=list(FAMILIES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kind = request.param
    return tiny_models.save(kind, FAMILIES[kind].class_name, tmp_path_factory.mktemp(kind))


def load(folder: Path, **model: Any) -> HfMllm:
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu", **model), AttentionConfig())
    assert isinstance(mllm, HfMllm)
    return mllm


class _ZerosFromMeta(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(
        self, operation: Any, types: Any, given: tuple[Any, ...] = (), named: Any = None
    ) -> Any:
        named = named or {}
        if operation is torch.ops.aten._to_copy.default and given[0].is_meta:
            there = named.get("device") or META
            if torch.device(there).type != "meta":
                return torch.zeros(given[0].shape, dtype=named.get("dtype") or given[0].dtype)
        return operation(*given, **named)


@contextmanager
def two_devices(mllm: HfMllm, last: int) -> Iterator[HfMllm]:
    """The `last` layers are on the second device."""
    model = mllm.checkpoint.model
    count = len(model.get_decoder().layers)
    place(model, [CPU] * (count - last) + [META] * last, CPU)
    with _ZerosFromMeta():
        yield mllm


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("last", [1, 2])
def test_no_operation_has_tensors_of_two_devices(folder: Path, last: int, recompute: bool) -> None:
    # On the meta device, expert layers are defined in bfloat16 only.
    dtype = "bfloat16" if "moe" in folder.name else "auto"
    loaded = load(folder, gradient_checkpointing=recompute, dtype=dtype)
    if last == 2 and loaded.checkpoint.family.deep:
        pytest.skip("the meta device cannot add deep features, which are placed by a mask")
    with two_devices(loaded, last) as mllm:
        visual = mllm.encode(images(4))
        offset = torch.zeros(visual.features.shape, requires_grad=True)
        prefix = mllm.prefill(visual, offset)
        at = [{each.device for each in states} for states in prefix.pairs]
        assert at == [{CPU}] * (3 - last) + [{META}] * last
        readings = mllm.ask(prefix, QUESTIONS)
        assert {each.device for r in readings for each in (r.rows, r.log_p_yes)} == {CPU}
        (gradient,) = torch.autograd.grad(readings[0].margin, offset)
        assert gradient.shape == offset.shape and gradient.device == CPU
        (rows,) = mllm.attention_rows([(visual, None)], QUESTIONS[0])
        assert rows.rows.device == CPU
        mllm.write(prefix, "What?", 2)
        mllm.complete("You are helpful.", "a man in red", 2)


def test_a_missing_transfer_is_noticed(folder: Path) -> None:
    """The test above can fail."""
    with two_devices(load(folder), 1) as mllm:
        mllm._text.layers[-1]._forward_pre_hooks.clear()
        mllm._text.layers[-1]._forward_pre_hooks_with_kwargs.clear()
        with pytest.raises(RuntimeError):
            mllm.prefill(mllm.encode(images(4)))


def test_a_spread_model_gives_the_same_numbers(folder: Path) -> None:
    mllm, other = load(folder), load(folder)
    spread(other.checkpoint.model, [CPU, CPU], [10**9, 10**9])
    visual = mllm.encode(images(4))
    found = []
    for each in (mllm, other):
        offset = torch.zeros(visual.features.shape, requires_grad=True)
        reading = each.ask(each.prefill(visual, offset), QUESTIONS[:1])[0]
        found.append((reading.rows, *torch.autograd.grad(reading.margin, offset)))
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_weights_are_counted_in_bytes(folder: Path) -> None:
    model = load(folder).checkpoint.model
    whole = sum(each.nbytes for each in model.parameters())
    text = model.get_decoder()
    spread(model, [CPU], [int(whole / 0.9) + 2])
    with pytest.raises(ConfigError, match="weights on the GPUs"):
        spread(model, [CPU], [int(whole / 0.9) - 2])
    # Half of the layers' memory, and all besides the layers, on the first device.
    layers = [sum(each.nbytes for each in layer.parameters()) for layer in text.layers]
    rest = whole - sum(layers)
    first = rest + layers[0] + layers[1] // 4
    spread(model, [CPU, META], [10 * first, 10 * (whole - first)])
    assert layer_devices(model) == [CPU, META, META]
    assert text.get_input_embeddings().weight.device == CPU
    assert {each.device for each in model.lm_head.parameters()} == {CPU}


def test_an_untrained_control_has_the_same_places(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stvg_ros.models import loading

    plain = loading.load
    places = [CPU, META, META]

    def loaded(config: ModelConfig) -> Any:
        checkpoint = plain(config)
        place(checkpoint.model, places, CPU)
        return checkpoint

    monkeypatch.setattr(loading, "load", loaded)
    config = ModelConfig(path=str(folder), device="cpu")
    fresh = load_untrained(config, AttentionConfig(), 1)
    assert isinstance(fresh, HfMllm)
    assert layer_devices(fresh.checkpoint.model) == places


def test_the_fullest_device_decides_how_many_passes_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = torch.device("cuda", 0), torch.device("cuda", 1)
    free = {one: 900, two: 500}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[device], 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    assert free_bytes([one]) == 900
    assert free_bytes([one, two, two, two]) == pytest.approx(500 * 4 / 3)
    assert free_bytes([one, one, one, two]) == 1200
    assert free_bytes([CPU]) == float("inf")


def gpus(monkeypatch: pytest.MonkeyPatch, count: int, free: int = 10**12) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    one = SimpleNamespace(is_integrated=0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: one)


@pytest.mark.parametrize("count", [0, 1])
def test_one_gpu_is_not_enough(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, count)
    with pytest.raises(ConfigError, match=f"'balanced' spreads.*at least two, found {count}"):
        load_mllm(ModelConfig(device="balanced"), AttentionConfig())
    first = next(iter(doctor.model_findings(Config.from_flat({"model.device": "balanced"}))))
    assert (first.level, first.about) == ("bad", "device")


def test_quantized_weights_are_not_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, 2)
    with pytest.raises(ConfigError, match=r"full precision; those of .* are quantized \(4bit\)"):
        load_mllm(ModelConfig(device="balanced", quantization="4bit"), AttentionConfig())
    values = {"model.device": "balanced", "model.quantization": "4bit"}
    found = {item.about: item for item in doctor.model_findings(Config.from_flat(values))}
    assert found["quantized"].level == "bad"
    found = {
        item.about: item
        for item in doctor.model_findings(Config.from_flat({"model.device": "balanced"}))
    }
    assert "cuda:0, cuda:1" in found["device"].text
    assert "on 2 GPUs" in found["memory"].text and found["memory"].level == "ok"
