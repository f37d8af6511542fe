# SPDX-License-Identifier: Apache-2.0

"""The counter of bytes and waits, by hand and against the allocator."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stvg_lab.benchmark.grounding_memory import MemoryUse, allocated_peak, memory_use, quantized
from stvg_lab.benchmark.memory_ledger import MemoryLedger, followed, storage_bytes
from stvg_lab.benchmark.random_models import (
    DEEP_TOWERS,
    SHAPES,
    SMALL_TOWER,
    TOWERS,
    Tower,
    random_mllm,
)
from stvg_lab.benchmark.side_by_side import CountingMllm, grounded, noise
from stvg_lab.cli import bench
from stvg_ros.models.hf_common import HfMllm

META, CPU = torch.device("meta"), torch.device("cpu")
FRAMES, GRID = 6, (4, 5)
DEEP = Tower(3, 64, 2, 128, deep=(0, 2))


def use(checkpointing: bool = False, device: torch.device = META) -> MemoryUse:
    mllm = random_mllm("tiny", device, torch.float32, gradient_checkpointing=checkpointing)
    return memory_use(mllm, FRAMES, GRID)


def test_ledger_counts_each_storage_while_it_lives() -> None:
    ledger = MemoryLedger()
    with followed(ledger, META):
        first = torch.ones(10, device=META)
        view = first[2:5]
        assert (ledger.live_bytes, ledger.peak_bytes) == (40, 40)
        second = first + 1
        del first
        assert ledger.live_bytes == 80  # the view keeps the first
        del view
        assert (ledger.live_bytes, ledger.restart(), ledger.peak_bytes) == (40, 80, 40)
    assert storage_bytes([second, second[:1]]) == 40


def test_ledger_leaves_out_what_was_there() -> None:
    weight, ledger = torch.ones(4, 3, device=META), MemoryLedger()
    ledger.leave_out([weight])
    with followed(ledger, META):
        product = torch.ones(2, 4, device=META) @ weight.t().t()
    assert ledger.live_bytes == product.numel() * 4
    assert ledger.peak_bytes == (8 + 6) * 4


def test_frozen_weights_save_no_inputs() -> None:
    ledger, layer = MemoryLedger(), nn.Linear(4, 4, device=META).requires_grad_(False)
    ledger.leave_out(layer.parameters())
    states = torch.ones(2, 4, device=META, requires_grad=True)
    with followed(ledger, META):
        out = layer(layer(states))
    assert ledger.live_bytes == 2 * 4 * 4  # the result; nothing waits for the backward pass
    assert out.requires_grad


def test_ledger_counts_reads_and_waits() -> None:
    ledger = MemoryLedger()
    with followed(ledger, META):
        there = torch.ones(3, device=META)
        assert (int(there.sum()), there.tolist(), there.cpu().tolist()) == (0, [0.0] * 3, [0.0] * 3)
        assert ledger.reads == 3
        torch.zeros(2).to(META, non_blocking=True)
        assert ledger.waits == 0
        torch.zeros(2).to(META)
        assert ledger.waits == 1


def test_attention_on_the_meta_device_keeps_no_maps() -> None:
    ledger, states = MemoryLedger(), torch.zeros(1, 2, 64, 8, device=META, requires_grad=True)
    ledger.leave_out([states])
    with followed(ledger, META):
        nn.functional.scaled_dot_product_attention(states, states, states, is_causal=True)
    assert ledger.peak_bytes < 4 * 2 * 64 * 64  # one float32 map of both heads


@pytest.mark.parametrize("tower", [SMALL_TOWER, DEEP], ids=["Qwen2-VL", "Qwen3-VL"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_counted_bytes_are_those_that_the_allocator_hands_out(
    checkpointing: bool, tower: Tower
) -> None:
    counted = memory_use(
        random_mllm("tiny", META, torch.float32, tower, checkpointing), FRAMES, GRID
    )
    mllm = random_mllm("tiny", CPU, torch.float32, tower, checkpointing)
    clip = noise(FRAMES, GRID, 2 * tower.patch)
    visual = mllm.encode([frame.image for frame in clip.frames])
    assert visual.grid == (3, *GRID)
    held = allocated_peak(lambda: grounded(CountingMllm(mllm), clip, visual))
    held += visual.nbytes
    assert max(counted.tuning, counted.attending) == pytest.approx(held, rel=0.05)


def test_parts_of_a_tiny_model() -> None:
    whole, again = use(), use(checkpointing=True)
    tokens = 3 * 4 * 5
    assert whole.visual_tokens == tokens
    # 3 layers, keys and values, 2 heads of 16 numbers, of the visual and a few system tokens.
    a_token = 3 * 2 * 2 * 16 * 4
    assert tokens * a_token < whole.keys < (tokens + 30) * a_token
    assert whole.keys == again.keys
    assert whole.weights == again.weights
    assert whole.keys < again.graph < 0.5 * whole.graph < whole.tuning
    assert again.attending == pytest.approx(whole.attending, rel=0.01)
    assert whole.peak == whole.weights + max(whole.tower, whole.tuning)


def test_a_graph_is_foreseen_by_its_shape() -> None:
    mllm = random_mllm("small", META, torch.bfloat16)
    short, long = (memory_use(mllm, frames, (8, 9)) for frames in (10, 20))
    more = long.visual_tokens - short.visual_tokens
    assert long.graph - short.graph == pytest.approx(mllm.graph_bytes(more), rel=0.15)


def test_host_waits_at_the_ends_of_stages_only() -> None:
    counted = use()
    # The answers of two looks, the dropped steps, and rows of question and neutral prompt for
    # three maps; none in a layer, a token or a step.
    assert counted.reads == 2 + 1 + 2 * 3
    deeper = random_mllm("tiny", META, torch.float32, Tower(4, 64, 2, 128))
    assert memory_use(deeper, 2 * FRAMES, GRID).reads == counted.reads


def test_four_bits_are_packed_bytes_and_scales() -> None:
    mllm = random_mllm("tiny", META, torch.bfloat16)
    layers = mllm.checkpoint.model.get_decoder().layers
    before = memory_use(mllm, FRAMES, GRID)
    count = sum(child.weight.numel() for child in layers.modules() if isinstance(child, nn.Linear))
    after = memory_use(quantized(mllm, 4), FRAMES, GRID)
    assert before.weights - after.weights == count * 2 - count // 2 - count // 64 * 4
    # The backward pass keeps no weight that was unpacked.
    assert after.graph == pytest.approx(before.graph, rel=0.02)


def eight_bits(recomputed: bool = False) -> HfMllm:
    return quantized(
        random_mllm("tiny", META, torch.bfloat16, gradient_checkpointing=recomputed), 8
    )


def test_eight_bits_are_bytes_and_a_scale_for_each_output() -> None:
    mllm = random_mllm("tiny", META, torch.bfloat16)
    layers = mllm.checkpoint.model.get_decoder().layers
    linear = [child.weight for child in layers.modules() if isinstance(child, nn.Linear)]
    count, outputs = sum(w.numel() for w in linear), sum(len(w) for w in linear)
    before, after = memory_use(mllm, FRAMES, GRID), memory_use(eight_bits(), FRAMES, GRID)
    assert before.weights - after.weights == count * 2 - count - outputs * 4


def test_eight_bits_keep_the_states_of_products_also_when_layers_are_recomputed() -> None:
    def kept(frames: int) -> tuple[int, int]:
        whole = random_mllm("tiny", META, torch.bfloat16, gradient_checkpointing=True)
        before, after = memory_use(whole, frames, GRID), memory_use(eight_bits(True), frames, GRID)
        return after.visual_tokens, after.graph - before.graph

    (few, less), (many, more) = kept(FRAMES), kept(2 * FRAMES)
    # A token in a layer: the inputs of q, k and v (one), of o, of the MLP (one) and of down. The
    # last layer makes keys and values only.
    shape = SHAPES["tiny"]
    layer = (3 * shape.hidden + shape.intermediate) * 2
    assert (shape.layers - 2) * layer < (more - less) / (many - few) < shape.layers * layer


def test_released_towers_have_their_size() -> None:
    for tower, millions in zip(TOWERS.values(), (676, 677), strict=True):
        visual = random_mllm("7b", META, torch.bfloat16, tower).checkpoint.model.model.visual
        assert round(sum(p.numel() for p in visual.parameters()) / 1e6) == millions


@pytest.mark.parametrize(
    ("shape", "tower", "billions"),
    [("3-2b", "small", 2.13), ("3-4b", "small", 4.44), ("3-8b", "large", 8.77)],
)
def test_released_models_with_deep_features_have_their_size(
    shape: str, tower: str, billions: float
) -> None:
    model = random_mllm(shape, META, torch.bfloat16, DEEP_TOWERS[tower]).checkpoint.model
    assert round(sum(p.numel() for p in model.parameters()) / 1e9, 2) == billions


def test_table_of_the_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "GRID", (2, 3))
    monkeypatch.setattr(bench, "WINDOW_GRID", (3, 4))
    monkeypatch.setattr(
        "stvg_lab.benchmark.random_models.TOWERS", {"small": Tower(8, 64, 2, 96, windows=True)}
    )
    monkeypatch.setattr(bench, "HOWS", ("whole", "4 bits recomputed"))
    bench.print_memory("tiny", 4)
    said = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in said if line.startswith("small  ")]
    assert [row[1] for row in rows] == ["12"] * 2 + ["24"] * 2
    assert {row[-1] for row in rows} == {"yes"}
    assert said[-1].startswith("small in float32: counted")
