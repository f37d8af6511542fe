# SPDX-License-Identifier: Apache-2.0

"""Selection of heads: by hand, and the command on a copy of the embedded model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from stvg_lab.ablation.head_selection import (
    HeadReader,
    HeadReading,
    head_count,
    head_scores,
    selected,
)
from stvg_lab.rendered.scene_questions import samples
from stvg_ros.cli.main import main
from stvg_ros.config import Config
from stvg_ros.method.query import RuleSplitter
from stvg_ros.models import load_mllm
from stvg_ros.models.embedded_checkpoint import FOLDER
from stvg_ros.models.hf_common import HfMllm

HEADS = ((0, 0), (0, 1), (1, 0))


def reading(tube: tuple[float, ...], span: tuple[float, ...] | None = None) -> HeadReading:
    timed = np.full(3, np.nan) if span is None else np.array(span)
    return HeadReading(HEADS, np.array(tube), timed)


def test_heads_are_ranked_by_their_mean() -> None:
    readings = [reading((1.0, -1.0, 3.0), (0.5, 0.1, 0.0)), reading((3.0, -1.0, 1.5))]
    first, second, last = head_scores(readings, "grounding")
    assert [(one.layer, one.head) for one in (first, second, last)] == [(1, 0), (0, 0), (0, 1)]
    assert (first.mean, second.mean, last.mean) == (2.25, 2.0, -1.0)
    assert (second.low, second.high, last.low) == (1.0, 3.0, -1.0)
    assert [one.head for one in head_scores(readings, "temporal")] == [0, 1, 0]


def test_heads_that_look_elsewhere_are_not_selected() -> None:
    scores = head_scores([reading((1.0, -1.0, 3.0))], "grounding")
    assert selected(scores, 1) == [[1, 0]]
    assert selected(scores, 3) == [[1, 0], [0, 0]]


def test_sentences_without_a_span_tell_nothing_of_time() -> None:
    with pytest.raises(ValueError, match="no sentence shows which heads are temporal"):
        head_scores([reading((1.0, 2.0, 3.0))], "temporal")


@pytest.mark.parametrize(("heads", "count"), [(1, 1), (16, 2), (64, 4), (784, 16)])
def test_a_table_is_small(heads: int, count: int) -> None:
    assert head_count(heads) == count


def test_a_head_that_sees_only_the_tube_has_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """One head looks at the target in its span, the others anywhere."""
    pytest.importorskip("transformers")
    mllm = load_mllm(Config().model, Config().attention)
    assert isinstance(mllm, HfMllm)
    config = Config.from_flat({"sampling.frames": 8})
    sample = next(one for data in samples("val", 0, 3) for one in data if one.timed and one.present)
    true_rows = mllm.rows_by_head
    truth = sample.truth

    def rows(prefix, asked):  # type: ignore[no-untyped-def]
        found = true_rows(prefix, asked)
        first = found[min(found)]
        first[0] = 1.0
        if not asked.startswith("Describe"):
            first[0] = 1e-3
            width, height = sample.clip.size_px
            rows, columns = first.shape[-2:]
            sampled = np.floor((np.arange(8) + 0.5) * len(sample.clip) / 8).astype(int)
            for slot in range(4):
                for frame in sampled[2 * slot : 2 * slot + 2]:
                    x1, y1, x2, y2 = truth.boxes_xyxy_px[frame]
                    if truth.span[frame]:
                        y, x = (y1 + y2) / 2 / height * rows, (x1 + x2) / 2 / width * columns
                        first[0, :, slot, int(y), int(x)] = 50.0
        return found

    monkeypatch.setattr(mllm, "rows_by_head", rows)
    found = HeadReader(mllm, RuleSplitter(), config).read(sample)
    assert found.heads[0] == (0, 0)
    assert (int(np.argmax(found.on_tube)), int(np.argmax(found.in_span))) == (0, 0)


def test_the_command_writes_a_table_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers")
    folder = shutil.copytree(FOLDER, tmp_path / "model")
    kept = json.loads((folder / "stvg.json").read_text())["presence_threshold"]
    few = ["--set", "sampling.frames=4", "--model", str(folder), "--device", "cpu"]
    assert main(["calibrate", "--heads", "--count", "1", "--write", *few]) == 0
    assert "| grounding |" in capsys.readouterr().out
    table = json.loads((folder / "stvg.json").read_text())
    assert 1 <= len(table["grounding_heads"]) <= 2
    assert table["presence_threshold"] == kept  # the others stay
    config = Config.from_flat({"model.path": str(folder), "attention.heads": "selected"})
    assert load_mllm(config.model, config.attention).settings.grounding_heads
    assert main(["calibrate", "--heads", "--seed", "100000000"]) == 2
    assert "--seed" in capsys.readouterr().err
