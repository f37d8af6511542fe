# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros evaluate`: accuracy on data sets, bags and videos; resumable at any sample."""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_lab.datasets import DATASETS, QUERIES, open_dataset
from stvg_lab.runs.conventions import CONVENTIONS
from stvg_ros.cli.options import add_model_arguments, config_of, whole
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.extras import install_command

if TYPE_CHECKING:
    from stvg_lab.datasets.samples import Sample
    from stvg_lab.runs.run_folder import Run
    from stvg_lab.runs.runner import EvaluationSettings
    from stvg_ros.types import Clip, Grounding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--data", choices=tuple(DATASETS), help="a public data set, with --root")
    parser.add_argument("--root", type=Path, help="its folder or zip file, as published")
    parser.add_argument("--split", help="part of the data set (default: the one papers report)")
    parser.add_argument(
        "--queries", choices=QUERIES, default="both", help="of VidSTG (default both)"
    )
    parser.add_argument("--annotations", type=Path, nargs="+", help="annotation files")
    parser.add_argument(
        "--bag", type=Path, help="the bag or video of the annotation files, in place of their own"
    )
    parser.add_argument("--topic", help="image topic of the bag (default: its only one)")
    parser.add_argument(
        "--out", type=Path, default=Path("out/evaluation"),
        help="folder of the run; an incomplete run is resumed (default out/evaluation)",
    )  # fmt: skip
    parser.add_argument(
        "--convention", choices=tuple(CONVENTIONS),
        help="how frames are counted (default: every frame; the data set's usual one)",
    )  # fmt: skip
    parser.add_argument(
        "--tubes", choices=("found", "true"), default="found",
        help="candidate tubes: found by proposals.source, or the true boxes of everybody in the "
        "annotation files (default found)",
    )  # fmt: skip
    parser.add_argument("--limit", type=whole(1), help="only the first samples")
    parser.add_argument(
        "--shard", type=_shard, metavar="I/N", help="only part I of N, for several processes"
    )
    parser.add_argument(
        "--workers", type=whole(1), metavar="N",
        help="N models that share the recordings, on Ray: this machine, or the cluster of --ray",
    )  # fmt: skip
    parser.add_argument(
        "--ray", default="", metavar="ADDRESS",
        help="head of a Ray cluster, such as 10.0.0.5:6379, for --workers",
    )  # fmt: skip
    parser.add_argument(
        "--keep-failed", action="store_true",
        help="do not retry failed samples of a resumed run",
    )  # fmt: skip
    parser.add_argument("--evidence", action="store_true", help="keep the attention maps")
    parser.add_argument(
        "--rrd", type=Path,
        help="write the samples of this call as a recording for the viewer Rerun",
    )  # fmt: skip
    parser.add_argument(
        "--rerun", metavar="HOST:PORT", help="send the same to a running viewer, as they are done"
    )
    add_model_arguments(parser)


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(
            f"expected I/N with I from 1 to N, such as 2/4, got {text!r}"
        )
    return int(match[1]), int(match[2])


def run(given: argparse.Namespace) -> int:
    """Evaluates the remaining samples and prints the table; 1 if every sample failed."""
    config = config_of(given)
    if given.tubes == "true" and (given.data or config.place.backend != "local"):
        raise ConfigError(
            "--tubes true: expected --annotations and backend 'local'; the true boxes of "
            "everybody are in annotation files, and a server finds its own tubes"
        )
    _check_workers(given)
    samples, described, usual = chosen_samples(given)
    from stvg_lab.report import report_paths, write_report
    from stvg_lab.runs.run_folder import Run, RunConfig, part_of
    from stvg_lab.runs.runner import EvaluationSettings
    from stvg_lab.runs.summary import summary_table
    from stvg_lab.runs.true_tubes import TrueTubes

    convention = given.convention or usual
    kind = "data" if given.data else "bag"
    asked = RunConfig(kind, described, config.flat(), convention, given.evidence)
    planned = part_of(samples, given.limit, None)
    ours = part_of(samples, given.limit, given.shard)
    folder = Run(given.out, asked, given.shard)
    report = given.out / "report.html"
    report_paths(report)  # fails before the work begins if a foreign file is in the way
    left = folder.remaining(ours, keep_failed=given.keep_failed)
    again = len(left) - len(folder.remaining(ours, keep_failed=True))
    if len(left) < len(ours) or again:
        print(f"{given.out}: {len(ours) - len(left)} of {len(ours)} samples are done, resuming")
    if again:
        print(f"{again} samples that failed are tried again; --keep-failed skips them")
    if left:
        true_tubes = TrueTubes() if given.tubes == "true" else None
        job = EvaluationSettings(config.window, convention, given.evidence, true_tubes)
        if given.workers is not None:
            _work_together(folder, left, len(ours), config, job, given)
        else:
            with _shown(given.rrd, given.rerun) as show:
                _work(folder, left, len(ours), config, replace(job, show=show))
    values = folder.finish(planned)
    print(summary_table(values))
    if values["done"]:
        print(f"report: {write_report(given.out, report)[0]}")
    print(f"written to {given.out}")
    return 1 if len(values["failures"]) == values["done"] else 0


@contextmanager
def _shown(
    path: Path | None, viewer: str | None
) -> Iterator[Callable[[Sample, Clip, Grounding], None] | None]:
    """What receives each sample's frames and answer for `--rrd` and `--rerun`; None without."""
    if path is None and viewer is None:
        yield None
        return
    from stvg_ros.io.outputs import output
    from stvg_ros.visualization.rerun_recording import RerunRecording, check_rerun, check_viewer

    name, recordings = "stvg_ros evaluate", []
    with ExitStack() as stack:
        if viewer is not None:
            check_viewer(viewer, "--rerun")
            recordings.append(stack.enter_context(RerunRecording(name, viewer=viewer)))
        if path is not None:
            check_rerun("--rrd")
            part = stack.enter_context(output("evaluate", path))
            recordings.append(stack.enter_context(RerunRecording(name, file=part)))

        def show(sample: Sample, clip: Clip, grounding: Grounding) -> None:
            for recording in recordings:
                recording.add(clip, grounding, sample.id, every=False)

        yield show


def chosen_samples(given: argparse.Namespace) -> tuple[list[Sample], dict[str, Any], str]:
    """The requested samples, their description for the configuration, and their convention.

    Raises:
        ConfigError: incompatible arguments.
        AnnotationError: a wrong annotation file.
    """
    if (given.data is None) == (given.annotations is None):
        raise ConfigError("expected either --data with --root, or --annotations")
    from stvg_lab.datasets.samples import annotated_samples

    if given.annotations is not None:
        samples = [
            sample
            for path in given.annotations
            for sample in annotated_samples(path, given.bag, given.topic)
        ]
        described = {
            "annotations": [str(path.resolve()) for path in given.annotations],
            "bag": None if given.bag is None else str(given.bag.resolve()),
            "topic": given.topic,
            **({"tubes": "true"} if given.tubes == "true" else {}),
        }
        if len({sample.id for sample in samples}) < len(samples):
            raise ConfigError("--annotations: expected files of different names")
        return samples, described, "frames"
    if given.root is None:
        raise ConfigError(f"--root: expected the folder or zip file of {given.data}")
    data = open_dataset(given.data, given.root, given.split, given.queries)
    for line in data.report():
        print(line, file=sys.stderr)
    described = {
        "name": given.data, "root": str(given.root.resolve()), "split": data.split,
        "queries": given.queries,
    }  # fmt: skip
    return list(data.samples), described, data.convention


def _work(
    folder: Run, left: list[Sample], total: int, config: Config, job: EvaluationSettings
) -> None:
    """Evaluates the remaining samples in this process."""
    from stvg_lab.runs.evaluation_worker import EvaluationWorker, evaluation_grounder
    from stvg_lab.runs.progress import EvaluationProgress

    worker = EvaluationWorker(evaluation_grounder, config.flat(), job)
    folder.describe(worker.environment())
    with EvaluationProgress(total, total - len(left)) as progress:
        folder.record(worker.results(left), progress)


def _work_together(
    folder: Run, left: list[Sample], total: int, config: Config, job: EvaluationSettings,
    given: argparse.Namespace,
) -> None:  # fmt: skip
    """Evaluates the remaining samples by `--workers`."""
    from stvg_lab.runs import evaluation_worker
    from stvg_lab.runs.progress import EvaluationProgress
    from stvg_ros.serving import ray_environment

    # A cluster on loopback is reached only if Ray takes 127.0.0.1 as this machine's address.
    ray_environment.prepare(given.ray.rpartition(":")[0] or "127.0.0.1")
    from stvg_lab.runs.worker_pool import WorkerPool

    make = evaluation_worker.evaluation_grounder
    with WorkerPool(given.workers, make, config.flat(), job, given.ray) as pool:
        for environment in pool.environments():
            folder.describe(environment)
        with EvaluationProgress(total, total - len(left)) as progress:
            folder.record(pool.results(left), progress)


def _check_workers(given: argparse.Namespace) -> None:
    """Raises: ConfigError: arguments that do not fit `--workers`, or Ray is not installed."""
    if given.workers is None:
        if given.ray:
            raise ConfigError("--ray: expected --workers N with it, the number of models")
        return
    if given.rrd is not None or given.rerun is not None or given.shard is not None:
        raise ConfigError(
            "--workers: expected neither --rrd nor --rerun, which one process writes, nor --shard, "
            "as the workers share the samples"
        )
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(
            f"--workers: Ray is not installed; {install_command('serving')}, or make serving"
        )
