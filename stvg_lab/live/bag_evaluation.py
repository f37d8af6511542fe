# SPDX-License-Identifier: Apache-2.0

"""Evaluates a running node on bags: over the middleware, at the recorded rate, with dropped images.

The program `bag_evaluation` writes the folder of a run, like `stvg-ros evaluate`, which reads the
same bags directly.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from stvg_lab.datasets.samples import Sample, annotated_samples
from stvg_lab.live.bag_client import BagClient
from stvg_lab.live.results import expected_moments, live_result
from stvg_lab.live.ros_program import run_program, without_ros_arguments
from stvg_lab.report import write_report
from stvg_lab.runs.conventions import CONVENTIONS
from stvg_lab.runs.environment import environment
from stvg_lab.runs.progress import EvaluationProgress
from stvg_lab.runs.records import Result
from stvg_lab.runs.run_folder import Run, RunConfig
from stvg_lab.runs.runner import EvaluationSettings, failed, in_order
from stvg_lab.runs.summary import summary_table
from stvg_ros.build import checkpoint_folder
from stvg_ros.config import Config
from stvg_ros.errors import ModelError, StvgError
from stvg_ros.io.recording import Source

# Commands ask about this much less than the node's window: images that arrive before the command
# must not displace the oldest ones.
MARGIN_S = 1.0


def evaluate_live(
    node: BagClient,
    samples: Sequence[Sample],
    config: Config,
    job: EvaluationSettings,
    *,
    rate: float,
    timeout_s: float,
) -> Iterator[Result]:
    """The results of the samples, one pass through each bag.

    Args:
        node: connected.
        samples: of annotation files about bags.
        config: the node's.
        job: how to score; its window is the one that commands ask about.
        rate: how many times faster than recorded.
        timeout_s: longest wait for an answer after the last image of a bag.
    """
    bags: dict[Source, list[Sample]] = {}
    for sample in samples:
        bags.setdefault(sample.source, []).append(sample)
    duration_s = job.window.duration_s
    for group in bags.values():
        asked = in_order(group)
        try:
            published_ns, counts, answers = node.play(asked, rate, duration_s, timeout_s)
        except StvgError as error:
            yield from (failed(sample, error) for sample in asked)
            continue
        moments = expected_moments(asked, published_ns, config.window)
        for sample, moment in zip(asked, moments, strict=True):
            result = live_result(sample, moment, answers.get(sample.id), duration_s, job)
            # The bag's images count once.
            yield replace(result, images=counts if sample is asked[-1] else {})


def arguments() -> argparse.ArgumentParser:
    """The program's command line."""
    parser = argparse.ArgumentParser(prog="bag_evaluation", description=__doc__)
    parser.add_argument("--annotations", type=Path, nargs="+", required=True)
    parser.add_argument("--bag", type=Path, help="the bag, if the annotation file names none")
    parser.add_argument("--topic", help="image topic in the bag (default: its only one)")
    parser.add_argument("--node", default="/grounding", help="full name of the grounding node")
    parser.add_argument("--image", help="the node's image topic (default: NODE/image)")
    parser.add_argument("--rate", type=float, default=1.0, help="times the recorded pace")
    parser.add_argument(
        "--window-s", type=float,
        help="how far back commands ask (default: a second less than the node's window)",
    )  # fmt: skip
    parser.add_argument("--timeout", type=float, default=300.0, help="longest wait in seconds")
    parser.add_argument("--convention", choices=tuple(CONVENTIONS), default="frames")
    parser.add_argument("--evidence", action="store_true", help="keep the attention maps")
    parser.add_argument("--out", type=Path, default=Path("out/live"), help="folder of the run")
    return parser


def run(node: BagClient, given: argparse.Namespace) -> int:
    """Evaluates the remaining samples of the run; 1 if every sample failed.

    Raises:
        StvgError: the node is not ready, a wrong annotation file, or another run in the folder.
    """
    samples = [
        sample
        for path in given.annotations
        for sample in annotated_samples(path, given.bag, given.topic)
    ]
    config = node.connect(given.timeout)
    window_s = given.window_s or max(0.1, config.window.duration_s - MARGIN_S)
    data = {
        "annotations": [str(path.resolve()) for path in given.annotations],
        "bag": None if given.bag is None else str(given.bag.resolve()),
        "topic": given.topic,
        "rate": given.rate,
        "window_s": window_s,
    }
    asked = RunConfig("live", data, config.flat(), given.convention, given.evidence)
    folder = Run(given.out, asked)
    try:
        files = checkpoint_folder(config)
    except ModelError:  # the node may run on another machine
        files = None
    folder.describe(environment(config.model.path, files, None))
    window = replace(config.window, duration_s=window_s)
    job = EvaluationSettings(window, given.convention, given.evidence)
    left = folder.remaining(samples)
    results = evaluate_live(node, left, config, job, rate=given.rate, timeout_s=given.timeout)
    with EvaluationProgress(len(samples), len(samples) - len(left)) as progress:
        folder.record(results, progress)
    values = folder.finish(samples)
    print(summary_table(values))
    if values["done"]:
        print(f"report: {write_report(given.out, given.out / 'report.html')[0]}")
    print(f"written to {given.out}", flush=True)
    return 1 if len(values["failures"]) == values["done"] else 0


def main(words: Sequence[str] | None = None) -> int:
    """Entry point; 0 when the run is done, 1 for an error or when every sample failed."""
    asked = sys.argv[1:] if words is None else list(words)
    parser = arguments()
    given = parser.parse_args(without_ros_arguments(asked))
    if not given.rate > 0:
        parser.error(f"--rate: expected more than 0, got {given.rate}")
    if given.window_s is not None and not given.window_s > 0:
        parser.error(f"--window-s: expected more than 0, got {given.window_s}")

    def client() -> BagClient:
        return BagClient(given.node, given.image or f"{given.node}/image")

    return run_program("bag_evaluation", asked, client, lambda node: run(node, given))


if __name__ == "__main__":
    sys.exit(main())
