# SPDX-License-Identifier: Apache-2.0

"""Counts and results of the benchmark; never its seconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from stvg_lab.benchmark.measuring import PeakMemory, flop_counter, flops, matmul_rate
from stvg_lab.benchmark.plot import chart
from stvg_lab.benchmark.random_models import SHAPES, random_mllm
from stvg_lab.benchmark.side_by_side import ScheduleComparison, model_seconds, noise, side_by_side
from stvg_lab.benchmark.splitting import split_costs
from stvg_lab.benchmark.stages import stages
from stvg_lab.cli import bench
from stvg_ros.commands.model_reader import examples as examples_text
from stvg_ros.config import Config
from stvg_ros.errors import RecordingError
from stvg_ros.method.query import MllmSplitter
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.types import Grounding, Query, Status, Tube

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def mllm() -> HfMllm:
    return random_mllm("tiny", CPU, torch.float32)


@pytest.fixture(scope="module")
def found(mllm: HfMllm) -> ScheduleComparison:
    return side_by_side(mllm, 6, (3, 4), 4)


def test_flops_of_products_and_fused_attention() -> None:
    states = torch.randn(1, 4, 10, 8, requires_grad=True)
    keys = torch.randn(1, 4, 10, 8)
    assert flops(lambda: torch.randn(3, 4) @ torch.randn(4, 5))[1] == 2 * 3 * 4 * 5
    out, count = flops(
        lambda: torch.nn.functional.scaled_dot_product_attention(states, keys, keys, is_causal=True)
    )
    assert count == 2 * (2 * 4 * 10 * 10 * 8)
    with flop_counter() as counter:
        out.sum().backward()
    assert counter.get_total_flops() == 5 * (2 * 4 * 10 * 10 * 8)


def test_rate_and_memory_are_above_zero() -> None:
    assert matmul_rate(CPU, torch.float32, 16, 0.01) > 0
    with PeakMemory(CPU) as memory:
        kept = torch.ones(2**24).exp_()
    assert kept[0] > 1
    assert memory.bytes >= 0


def test_both_schedules_find_the_same(found: ScheduleComparison) -> None:
    assert found.difference < 1e-5  # without tuning they would differ by 3e-3
    assert found.visual_tokens == 3 * 3 * 4


def test_passes_of_both_schedules(found: ScheduleComparison) -> None:
    ours, slow = found.ours, found.slow
    assert (ours.prefills, ours.backward, ours.decodes) == (5, 3, 0)
    assert (slow.prefills, slow.backward, slow.decodes) == (18, 6, 48)
    # 8 passes and 24, and what the questions cost beside so small a video.
    assert slow.flops > 2 * ours.flops > 16 * found.pass_flops


def test_attention_is_held_as_rows_not_as_maps(mllm: HfMllm, found: ScheduleComparison) -> None:
    longer = side_by_side(mllm, 12, (3, 4), 1)
    # Twice the tokens: rows grow by less than twice (the prompt's text stays), maps by more.
    assert longer.ours.map_bytes < 2 * found.ours.map_bytes
    assert longer.slow.map_bytes > 1.5 * found.slow.map_bytes
    assert found.ours.map_bytes < found.slow.map_bytes / 4


def test_scaling_point_counts_its_tokens(mllm: HfMllm) -> None:
    tokens, seconds = model_seconds(mllm, 4, (2, 3))
    assert tokens == 2 * 2 * 3
    assert seconds > 0
    assert noise(4, (2, 3)).frames[0].image.shape == (56, 84, 3)


def test_tables_and_chart_of_the_command(
    mllm: HfMllm,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "GRID", (2, 3))
    monkeypatch.setattr(bench, "FRAMES", (2, 4))
    monkeypatch.setattr(bench, "GRIDS", ((2, 2),))
    bench.print_side_by_side(mllm, 4, 1)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("random tiny: 3 layers of width 64")
    ours, slow = (line.split() for line in said[2:4])
    assert ours[:5] == ["this", "package", "5", "3", "0"]
    assert slow[:5] == ["slow", "schedule", "18", "6", "12"]
    bench.draw_scaling(mllm, tmp_path / "new")
    assert cv2.imread(str(tmp_path / "new" / "scaling.png")).shape[2] == 3
    assert "2 frames of  2 x  3:      6 tokens" in capsys.readouterr().out
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match="cannot be written"):
        bench.draw_scaling(mllm, tmp_path / "file")


def test_stages_have_their_arithmetic(mllm: HfMllm) -> None:
    class Twice:
        """Two stages: one product of torch, then none."""

        def ground(self, clip: Any, query: Any, checkpoint: Any) -> Grounding:
            checkpoint("forward pass", 0.0)
            torch.ones(2, 3) @ torch.ones(3, 4)
            checkpoint("score", 0.5)
            return Grounding((Tube(query, Status.FOUND),))

    rows, _ = stages(Twice(), noise(1, (1, 1)), Query("x"), 2, CPU)  # type: ignore[arg-type]
    assert [(row.name, row.flops) for row in rows] == [
        ("forward pass", 48),
        ("score", 0),
        ("total", 48),
    ]
    assert all(0 < row.median_s <= row.slowest_s for row in rows)


def test_a_split_by_the_model_is_counted_in_each_run(mllm: HfMllm) -> None:
    class Splitting:
        """The stage that splits, by a model that keeps what it read."""

        def __init__(self) -> None:
            self.splitter = MllmSplitter(mllm)
            self.texts: list[str] = []

        def ground(self, clip: Any, query: Any, checkpoint: Any) -> Grounding:
            checkpoint("split", 0.0)
            self.texts.append(query.text)
            split = self.splitter.split(query.text)
            return Grounding((Tube(query, Status.FOUND, split=split),))

    grounder: Any = Splitting()
    asked = "the man in red who waves"
    (row, whole), _ = stages(grounder, noise(1, (1, 1)), Query(asked), 3, CPU)
    assert {text.rstrip(".") for text in grounder.texts} == {asked}
    assert len(set(grounder.texts)) == 4
    assert (row.name, whole.name, whole.tokens) == ("split", "total", 0)
    assert row.tokens > 10 and row.flops > 0
    assert grounder.splitter.split(asked).tokens == 0  # known


def test_costs_of_splits(mllm: HfMllm, capsys: pytest.CaptureFixture[str]) -> None:
    fresh = random_mllm("tiny", CPU, torch.float32)
    first, second, *_ = costs = split_costs(fresh)
    examples = len(fresh.token_model.encode(examples_text()))
    # The examples are read once.
    assert first.tokens > examples > second.tokens > 10
    assert first.flops > second.flops > 0
    assert fresh.token_model.read == sum(cost.tokens for cost in costs)
    config = Config.from_flat({"model.device": "cpu"})
    bench.print_splits(config, "none")
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Qwen2-VL (embedded") and len(said) == 6
    assert int(said[2].split()[-4]) > 0


def test_long_prompts_are_no_news(mllm: HfMllm, caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = mllm.checkpoint.tokenizer
    assert len(tokenizer("the person " * 4_000)["input_ids"]) > 6_476
    assert "longer than the specified maximum" not in caplog.text


def test_shapes_are_those_of_the_released_models() -> None:
    assert (SHAPES["0.5b"].hidden, SHAPES["0.5b"].layers) == (896, 24)
    assert (SHAPES["7b"].hidden, SHAPES["7b"].layers) == (3584, 28)


def test_chart_draws_each_line_in_its_colour() -> None:
    empty = chart("t", "x", "y", [("a", [(1.0, 1.0, "")])])
    image = chart(
        "t", "x", "y", [("a", [(0.0, 0.0, ""), (1.0, 1.0, "")]), ("b", [(1.0, 0.5, "n")])]
    )
    assert image.shape == empty.shape
    assert image.dtype == np.uint8
    for colour in ((31, 119, 180), (214, 90, 20)):
        assert (image == colour).all(-1).sum() > 20
