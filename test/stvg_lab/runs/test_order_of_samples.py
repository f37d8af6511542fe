# SPDX-License-Identifier: Apache-2.0

"""A result depends on its recording and its command alone: never on what else was asked, or when.

The embedded model grounds sentences about windows of two rendered scenes, which are asked about in
every order that a user can ask for: alone, shuffled, limited, in shards, and in a resumed run.
"""

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import pytest
import tiny_datasets as tiny

from stvg_lab.datasets.annotations import Annotations, Entry, KeyFrame, write_annotations
from stvg_lab.datasets.samples import Sample, annotated_samples
from stvg_lab.runs.records import result_to_json
from stvg_lab.runs.run_folder import Run, RunConfig, part_of
from stvg_lab.runs.runner import EvaluationSettings, evaluate
from stvg_ros.build import build_local
from stvg_ros.config import Config
from stvg_ros.method.grounder import LocalGrounder

SOURCES = ("people_detector", "classical")
PARTS = ((0.0, 0.5), (0.2, 0.75), (0.5, 1.0))  # of a scene: windows that overlap


@lru_cache(maxsize=2)
def local(source: str) -> LocalGrounder:
    return build_local(config(source))


def config(source: str) -> Config:
    return Config.from_flat(
        {"proposals.source": source, "window.long_side_px": 160, "window.max_rate_hz": 2.0,
         "sampling.frames": 4, "window.duration_s": 3.0, "body.people": 2}
    )  # fmt: skip


def job(source: str) -> EvaluationSettings:
    return EvaluationSettings(config(source).window, keep_evidence=True)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Three commands about each of two videos."""
    root = tmp_path_factory.mktemp("scenes")
    found = []
    for seed in tiny.SEEDS:
        tiny.write_scene(root / f"scene{seed}.mp4", seed)
        scene, (text, truth, _) = tiny.scene_of(seed), tiny.question(seed)
        stamps_ns = (scene.stamps_ns - scene.stamps_ns[0]).tolist()
        rows = truth.span.nonzero()[0].tolist()
        keys = tuple(
            KeyFrame(stamps_ns[row], tuple(tiny.half(truth.boxes_xyxy_px[row])))
            for row in (rows[0], rows[-1])
        )
        ends = [stamps_ns[round(end * (len(stamps_ns) - 1))] for _, end in PARTS]
        entries = [
            Entry(f"e{n}", text, (keys[0].stamp_ns, keys[1].stamp_ns), keys, end_ns)
            for n, end_ns in enumerate(ends)
            if end_ns >= keys[0].stamp_ns
        ]
        path = root / f"scene{seed}.json"
        write_annotations(path, Annotations(tuple(entries), f"scene{seed}.mp4"))
        found += annotated_samples(path)
    assert len(found) >= 4
    return found


def plain(result) -> str:
    """All of a result but the times that it took."""
    values = result_to_json(result)
    del values["timings_s"]
    for tube in values["tubes"]:
        del tube["timings_s"]
    return json.dumps(values, sort_keys=True)


def asked(samples, source: str) -> dict[str, str]:
    return {r.id: plain(r) for r in evaluate(samples, local(source), job(source))}


@pytest.mark.parametrize("source", SOURCES)
def test_every_order_gives_the_same_to_the_bit(samples: list[Sample], source: str) -> None:
    alone = {}
    for sample in samples:
        alone |= asked([sample], source)
    assert all(json.loads(values)["outcome"] != "failed" for values in alone.values())
    for order in (samples[::-1], samples[1::2] + samples[::2]):
        assert asked(order, source) == alone


@pytest.mark.parametrize("source", SOURCES)
def test_parts_of_a_video_do_not_disturb_one_another(samples: list[Sample], source: str) -> None:
    """VidSTG asks about several segments of one video, each with its own pass."""
    count = tiny.scene_of(tiny.SEEDS[0]).frame_count
    cuts = [(int(low * count), int(high * count)) for low, high in PARTS]
    parts = [
        replace(samples[0], id=f"p{n}", command_ns=None, frames=cut, duration_s=2.0)
        for n, cut in enumerate(cuts)
    ]
    alone = {}
    for part in parts:
        alone |= asked([part], source)
    for order in (parts[::-1], [parts[1], parts[0], parts[2]]):
        assert asked(order, source) == alone


def test_limits_shards_and_resumed_runs_give_the_same(
    samples: list[Sample], tmp_path: Path
) -> None:
    whole, source = asked(samples, "classical"), "classical"
    assert asked(part_of(samples, 2, None), source) == {s.id: whole[s.id] for s in samples[:2]}
    shards: dict[str, str] = {}
    for shard in ((1, 3), (2, 3), (3, 3)):
        shards |= asked(part_of(samples, None, shard), source)
    assert shards == whole
    # A run that is stopped after two samples and goes on.
    about = RunConfig("bag", {}, config(source).flat(), evidence=True)
    for _ in range(len(samples)):
        run = Run(tmp_path / "run", about)
        left = run.remaining(samples)
        results = evaluate(left, local(source), job(source))
        run.record((r for r, _ in zip(results, range(2), strict=False)), lambda result: None)
    run = Run(tmp_path / "run", about)
    assert run.remaining(samples) == []
    assert {result.id: plain(result) for result in run.results()} == whole
