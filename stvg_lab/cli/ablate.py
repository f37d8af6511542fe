# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros ablate`: the contribution of each part of the method, on rendered scenes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stvg_ros.cli.options import add_model_arguments, flat_settings, whole
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError

if TYPE_CHECKING:
    from stvg_lab.ablation.ablation_rows import AblationRow
    from stvg_lab.ablation.experiment import Ablation
    from stvg_lab.ablation.row_grounders import RowGrounders
    from stvg_lab.ablation.saved_answers import SavedAnswers
    from stvg_lab.rendered.scene_questions import SceneQuestion

METRICS = {
    "m_tIoU": "m_tIoU",
    "m_vIoU": "m_vIoU",
    "vIoU@0.3": "vIoU@0.3",
    "vIoU@0.5": "vIoU@0.5",
    "gt_vIoU": "gt_vIoU",
    "spatial_accuracy": "person",
    "spatial_accuracy_of_four": "of four",
    "no_action_tIoU": "no act: tIoU",
    "no_action_vIoU": "no act: vIoU",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--data", choices=("synthetic",), default="synthetic")
    parser.add_argument(
        "--split", default="test",
        choices=("train", "val", "test", "entering", "train-hard", "val-hard", "test-hard",
                 "robocup"),
        help="entering: people also enter, leave, and are cut off by the edge; test-hard: "
        "gestures, poses, garments, relations, things; bad light, crowds, a moving camera; "
        "robocup: its 50 descriptions of a person, one after the other, among four people",
    )  # fmt: skip
    parser.add_argument("--seed", type=whole(0), default=0, help="number of the first scene")
    parser.add_argument("--count", type=whole(1), default=20, help="scenes (default 20)")
    parser.add_argument(
        "--tubes", choices=("true", "people_detector", "classical", "open_vocabulary"),
        default="true",
        help="candidates: the people's true boxes, or those of a source (proposals.source)",
    )  # fmt: skip
    parser.add_argument(
        "--rows", nargs="+", metavar="NAME",
        help='only these rows, such as: paper "says it" default fast; by default all of them',
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=whole(0), default=0, metavar="N",
        help="also ground N sentences with each row by itself, and show the median time",
    )  # fmt: skip
    parser.add_argument(
        "--counts", action="store_true",
        help="ask the default settings how many people are or do something, about a hard split, "
        "in place of the rows",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    parser.add_argument(
        "--answers", type=Path,
        help="keep the answers in this file after each scene; the same command continues from "
        "there, also with a larger --count",
    )  # fmt: skip
    add_model_arguments(parser)


def run(given: argparse.Namespace) -> int:
    """Prints the table of floors, rows and controls."""
    asked = flat_settings(given)
    if given.tubes != "true":
        asked["proposals.source"] = given.tubes
        asked.setdefault("proposals.people_detector", "embedded")  # of rendered people
    config = Config.from_flat(asked)
    from tqdm import tqdm

    from stvg_ros.io.outputs import check_outputs, write_json_output

    if given.json is not None:
        check_outputs("ablate", [given.json])

    from stvg_lab.ablation.row_grounders import RowGrounders
    from stvg_lab.rendered.queries import split_seed
    from stvg_lab.rendered.scene_questions import samples

    try:
        split_seed(given.split, given.seed + given.count - 1)
    except ValueError as error:
        raise ConfigError(f"--seed: {error}") from error
    grounders = RowGrounders(config, given.tubes, given.seed)
    if given.counts:
        return _count(given, asked, grounders)
    ablation = _ablation(grounders, given)
    saved = _saved(given, asked, ablation)
    done = 0 if saved is None else saved.restored(ablation)
    if done > given.count:
        raise ConfigError(f"--count: expected {done} or more, the scenes of --answers")
    scenes = samples(given.split, given.seed + done, given.count - done)
    with tqdm(
        total=given.count - done, desc="scenes", leave=False, disable=None,
        bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed} left {remaining}{postfix}",
    ) as bar:  # fmt: skip
        for number, data in enumerate(scenes, done + 1):
            share = 1 / max(1, len(data) * len(ablation.rows))

            def progress(name: str, share: float = share) -> None:
                bar.set_postfix_str(name, refresh=False)
                bar.update(share)

            ablation.add(data, progress)
            if saved is not None:
                saved.store(ablation, number)
    try:
        table = ablation.table()
    except ValueError as error:
        raise ConfigError(f"--count: {error}; ask for more scenes") from error
    if given.seconds:
        again = samples(given.split, given.seed, given.count)
        times = _seconds(grounders, ablation.rows, again, given.seconds)
        for row in table["rows"]:
            row["seconds"] = times.get(row["name"])
    print(shown(table))
    if given.json is not None:
        about = {name: getattr(given, name) for name in ("data", "split", "seed", "count", "tubes")}
        values = {**about, "settings": asked, **table}
        write_json_output("ablate", given.json, values)
    return 0


def _count(given: argparse.Namespace, asked: dict[str, Any], grounders: RowGrounders) -> int:
    """Prints how many numbers are exact."""
    from tqdm import tqdm

    from stvg_lab.ablation.ablation_rows import AblationRow
    from stvg_lab.ablation.counting import Counting
    from stvg_lab.rendered.scene_questions import count_samples
    from stvg_ros.io.outputs import write_json_output

    row = AblationRow("default", {}, "")
    counting = Counting(lambda sample: grounders.ground(row, sample))
    scenes = count_samples(given.split, given.seed, given.count)
    try:
        for data in tqdm(scenes, "scenes", given.count, leave=False, disable=None):
            counting.add(data)
        table = counting.table()
    except ValueError as error:
        raise ConfigError(f"--counts: {error}; ask for more scenes of a hard split") from error
    for line in (table["all"], *table["by_what"], *table["by_number"]):
        low, high = line["interval"]
        interval = "" if low is None else f" ({100 * low:.1f} to {100 * high:.1f})"
        print(
            f"{line['name']:<18} exact {100 * line['exact']:5.1f}{interval}, "
            f"mean error {line['mean_error']:.2f}, questions {line['samples']}"
        )
    if given.json is not None:
        about = {name: getattr(given, name) for name in ("data", "split", "seed", "count", "tubes")}
        write_json_output("ablate", given.json, {**about, "settings": asked, "counts": table})
    return 0


def _ablation(grounders: RowGrounders, given: argparse.Namespace) -> Ablation:
    """The table of the rows that were asked for.

    Raises:
        ConfigError: an unknown row.
    """
    from stvg_lab.ablation.ablation_rows import CONTROLS
    from stvg_lab.ablation.experiment import Ablation

    known = [row.name for row in (*grounders.rows, *CONTROLS)]
    asked = known if given.rows is None else given.rows
    if unknown := [name for name in asked if name not in known]:
        raise ConfigError(f"--rows: expected some of {', '.join(known)}, got {unknown[0]!r}")
    rows = [row for row in grounders.rows if row.name in asked]
    controls = [row for row in CONTROLS if row.name in asked]
    return Ablation(
        grounders.ground, grounders.candidates, grounders.says_yes,
        rows=rows, controls=controls, seed=given.seed,
    )  # fmt: skip


def _saved(
    given: argparse.Namespace, asked: dict[str, Any], ablation: Ablation
) -> SavedAnswers | None:
    """The file of the answers, if there is to be one."""
    from stvg_lab.ablation.saved_answers import SavedAnswers

    if given.answers is None:
        return None
    about = {name: getattr(given, name) for name in ("split", "seed", "tubes")}
    rows = [row.name for row in ablation.rows]
    return SavedAnswers(given.answers, {**about, "settings": asked, "rows": rows})


def _seconds(
    grounders: RowGrounders,
    rows: Sequence[AblationRow],
    data: Iterable[tuple[SceneQuestion, ...]],
    count: int,
) -> dict[str, float]:
    """Median seconds of a sentence by row, each with passes of its own."""
    from statistics import median

    chosen = list(islice((one for scene in data for one in scene if one.present), count))
    return {
        row.name: median(grounders.seconds(row, sample) for sample in chosen)
        for row in rows
        if row.model == "own"
    }


def shown(table: dict[str, Any]) -> str:
    """The table: percent with half the width of the 95 % interval; then the questions by kind."""
    wide = max(len(row["name"]) for row in table["rows"]) + 2
    names = "".join(f"{name:>13}" for name in METRICS.values())
    counted = ("passes", "gradients", "images", "tokens")
    counts = "".join(f"{name:>10}" for name in (*counted, "seconds"))
    lines = [f"{'':<{wide}}{names}{'absence':>9}{counts}"]
    for before, row in zip([None, *table["rows"]], table["rows"], strict=False):
        if before is not None and before["group"] != row["group"]:
            lines.append("")
        cells = ""
        for name in METRICS:
            low, high = row["intervals"].get(name, (None, None))
            text = f"{100 * row[name]:.1f}" if name in row else "-"
            half = "" if low is None else f" ±{50 * (high - low):4.1f}"
            cells += f"{text + half:>13}"
        separation = row["absence_auroc"]
        last = f"{'-' if separation is None else format(separation, '.3f'):>9}"
        cost = [row["cost"].get(name) for name in counted]
        costs = "".join(f"{'-' if one is None else format(one, '.1f'):>10}" for one in cost)
        time_s = row.get("seconds")
        costs += f"{'-' if time_s is None else format(time_s, '.2f'):>10}"
        lines.append(f"{row['name']:<{wide}}{cells}{last}{costs}")
    count = table["rows"][0]["samples"]
    lines += [
        "percent ± half the 95 % bootstrap interval; absence: AUROC; of a sentence: passes over "
        "a video, gradients, encoded images and generated tokens",
        f"tubes: {count['timed']} questions with a span of their own; "
        f"person: {count['present']} of all kinds, {count['of_four']} of them with four people; "
        f"no act: {count['no_action']} questions that name no action",
        "",
        f"{table['detailed'] + ', by kind':<{wide}}{'person':>13}{'m_tIoU':>13}{'m_vIoU':>13}"
        f"{'yes right':>13}{'no right':>13}{'questions':>13}",
    ]
    keys = ("spatial_accuracy", "m_tIoU", "m_vIoU", "yes_accuracy", "no_accuracy")
    for row in table["by_kind"]:
        cells = "".join(f"{_percent(row[key]):>13}" for key in keys)
        lines.append(f"{row['name']:<{wide}}{cells}{row['samples']:>13}")
    if table["by_condition"]:
        lines += ["", f"{table['detailed'] + ', by condition':<{wide}}"
                  f"{'person':>13}{'m_tIoU':>13}{'m_vIoU':>13}{'questions':>13}"]  # fmt: skip
    for row in table["by_condition"]:
        cells = "".join(f"{_percent(row[key]):>13}" for key in keys[:3])
        lines.append(f"{row['name']:<{wide}}{cells}{row['samples']:>13}")
    if not table["gains"]:
        return "\n".join(lines)
    lines += ["", f"{'gain, sentence by sentence':<{wide}}{'m_vIoU':>24}{'person':>24}  over"]
    for row in table["gains"]:
        cells = "".join(f"{_gain(row, name):>24}" for name in ("m_vIoU", "spatial_accuracy"))
        lines.append(f"{row['name']:<{wide}}{cells}  {row['over']}")
    return "\n".join(lines)


def _gain(row: dict[str, Any], name: str) -> str:
    """Percentage points with their interval, and the sign if the interval excludes 0."""
    low, high = row["intervals"][name]
    if low is None:
        return f"{100 * row[name]:+.1f} ?"
    sign = "+" if low > 0 else "-" if high < 0 else "?"
    return f"{100 * row[name]:+.1f} ({100 * low:+.1f} {100 * high:+.1f}) {sign}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
