# SPDX-License-Identifier: Apache-2.0

"""Writes the tables of the README and of docs/ from the code: `python docs/tables.py [--check]`.

A table is between `<!-- table: NAME -->` and `<!-- end -->`. Those of accuracy are measured, not
read from the code: `make accuracy` writes them from the files of `stvg-ros ablate --json`. The
README's summary is made from them.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stvg_lab.ablation.ablation_rows import HEAD_ROWS, METHODS, SOURCES
from stvg_lab.rendered.hard.scene_conditions import ABOUT, drawn_conditions
from stvg_ros.commands.reader import grammar_reader
from stvg_ros.config import settings
from stvg_ros.models.counted_memory import (
    ON_CPU,
    ON_GPU,
    PROCESS_BYTES,
    USUAL,
    CountedMemory,
    counts,
)
from stvg_ros.models.embedded_checkpoint import FOLDER as MODEL
from stvg_ros.models.families import families_table
from stvg_ros.models.presets import PRESETS
from stvg_ros.models.quantized_formats import formats_table

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ACCURACY, HARD = DOCS / "accuracy.md", DOCS / "hard_scenes.md"
# The README comes last: its summary is made from the page of hard scenes.
PAGES = (
    ACCURACY,
    DOCS / "body.md",
    DOCS / "commands.md",
    HARD,
    DOCS / "identity.md",
    DOCS / "models.md",
    DOCS / "parameters.md",
    DOCS / "presets.md",
    DOCS / "real_video.md",
    DOCS / "ros_interface.md",
    DOCS / "tubes.md",
    ROOT / "README.md",
)
TABLE = re.compile(r"<!-- table: (\w+) -->\n?(.*?)<!-- end -->", re.S)


def markdown(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    names = list(header)
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def parameters() -> str:
    """Every setting by group: name, default, unit and range, whether it is dynamic."""
    groups: dict[str, list[list[str]]] = {}
    for item in settings():
        allowed = ", ".join(item.choices)
        if not allowed and (item.lowest is not None or item.maximum is not None):
            allowed = f"{item.lowest:g} to {item.maximum:g} {item.unit}".strip()
        default = f"`{item.default}`" if item.default != "" else ""
        group = item.name.rpartition(".")[0] or "node"
        groups.setdefault(group, []).append(
            [
                f"`{item.name}`",
                default,
                allowed,
                "yes" if item.dynamic else "no",
                item.description,
            ]
        )
    header = ["parameter", "default", "allowed", "dynamic", "what it does"]
    return "\n\n".join(f"## {group}\n\n{markdown(header, rows)}" for group, rows in groups.items())


def families() -> str:
    """The model families."""
    header = [
        "family", "`model_type`", "transformers class", "visual tokens", "frames a slot",
        "rehearsed on the published files of",
    ]  # fmt: skip
    rows = [(name, f"`{kind}`", f"`{cls}`", *rest) for name, kind, cls, *rest in families_table()]
    rows.append(("ShareGPT4Video", "", "none in transformers, so not supported", "", "", ""))
    return markdown(header, rows)


def formats() -> str:
    """The formats of quantized weights."""
    rows = [
        (title, f"`{method}`" if method != "others" else "others", read, note)
        for title, method, read, note in formats_table()
    ]
    return markdown(["format", "`quant_method`", "with re-attention", "how, or why not"], rows)


def presets() -> str:
    """The parameter files for models on a GPU, with their counted memory in GB."""
    rows = [
        (
            f"`{each.name}.yaml`", each.machine, each.memory_gb, each.model,
            f"{each.frames} of {each.long_side_px} px", f"{each.count.weights / 1e9:.1f}",
            f"{each.count.peak / 1e9:.1f}", f"{each.needed / 1e9:.1f}",
        )
        for each in reversed(PRESETS)
    ]  # fmt: skip
    header = ["`params_file`", "machine", "GB", "model", "frames", "weights", "peak", "needs free"]
    return markdown(header, rows)


def released_memory() -> str:
    """Counted memory in GB by checkpoint and precision, and which boards have as much."""
    boards = [each for each in reversed(PRESETS) if each.shared]
    beside = PROCESS_BYTES + 1.5e9  # Linux

    def fits(count: CountedMemory) -> str:
        names = [
            str(board.memory_gb)
            for board in boards
            if count.needed_on_gpu + beside + board.window_bytes <= board.memory_gb * 1e9
        ]
        return ", ".join(names)

    rows = []
    for each in counts():
        kind = (each.weights_in, each.recomputed)
        if (each.frames, each.long_side_px) == USUAL and kind in (*ON_GPU, *ON_CPU):
            how = each.weights_in + (", recomputed" if each.recomputed else "")
            sizes = [f"{size / 1e9:.1f}" for size in (each.weights, each.peak, each.needed_on_gpu)]
            rows.append((each.checkpoint.partition("/")[2], how, *sizes, fits(each)))
    header = ["checkpoint", "weights in", "weights", "peak", "of a GPU", "boards of ... GB"]
    return markdown(header, rows)


def launch() -> str:
    """The arguments of the launch file, read without ROS launch."""
    tree = ast.parse((ROOT / "launch" / "grounding.launch.py").read_text(encoding="utf-8"))
    rows = []
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for name, second, *choices, description in ast.literal_eval(node.value):
                # Rows with choices name the setting that they override, the others a default.
                sets = f"`{second}`" if choices else ""
                default = f"`{second}`" if second and not choices else ""
                rows.append([f"`{name}`", default, sets, description])
    return markdown(["launch argument", "default", "overrides", "what it is"], rows)


def percent(row: dict[str, Any], metric: str) -> str:
    """A mean and half the width of its 95 % interval, in percent."""
    low, high = row["intervals"][metric]
    return f"{100 * row[metric]:.1f} ± {50 * (high - low):.1f}"


SUMMARY_ROWS = ("random tube", "oracle tube", "says it", "paper", "fast", "default")
SUMMARY_COLUMNS = ("", "m_tIoU", "m_vIoU", "vIoU@0.5", "right person", "absence AUROC", "passes")


def accuracy_summary() -> str:
    """Some rows and columns of a table in docs/hard_scenes.md."""
    tables = {match[1]: match[2] for match in TABLE.finditer(HARD.read_text(encoding="utf-8"))}
    header, _, *lines = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in tables["hard_many"].strip().splitlines()
    )
    found = {}
    for cells in lines:
        row = dict(zip(header, cells, strict=True))
        found[row[""]] = [row[column] for column in SUMMARY_COLUMNS[1:]]
    return markdown(SUMMARY_COLUMNS, ([name, *found[name]] for name in SUMMARY_ROWS))


FLOOR_ROWS = ("random tube", "oracle tube")
OWN_ROWS = (*FLOOR_ROWS, "+ adaptive span", *(row.name for row in METHODS))
ENTERING_ROWS = (*FLOOR_ROWS, "+ adaptive span", "+ TAS", "+ presence span", "+ body",
                 "body alone")  # fmt: skip


def accuracy(
    ablations: Sequence[dict[str, Any]], names: tuple[str, ...] = (), *, sourced: bool = False
) -> str:
    """The table of ablations: floors, the method's parts one by one, controls; or some rows.

    With `sourced`, each row has the source of the candidate tubes before its name.
    """
    metrics = {
        "m_tIoU": "m_tIoU",
        "m_vIoU": "m_vIoU",
        "vIoU@0.3": "vIoU@0.3",
        "vIoU@0.5": "vIoU@0.5",
        "gt_vIoU": "gt_vIoU",
        "spatial_accuracy": "right person",
        "spatial_accuracy_of_four": "of four",
    }
    every = [(found, row) for found in ablations for row in found["rows"]]
    every = [(found, row) for found, row in every if not names or row["name"] in names]
    counted = any(row.get("cost") for _, row in every)  # files of earlier versions count nothing
    rows = []
    for found, row in every:
        name = f"{found['tubes']}: {row['name']}" if sourced else row["name"]
        absent = "" if row["group"] == "floor" else f"{row['absence_auroc']:.3f}"
        cells = [name, *(percent(row, metric) for metric in metrics), absent]
        rows.append([*cells, *(costs(row) if counted else ())])
    header = ["", *metrics.values(), "absence AUROC"]
    return markdown([*header, *(COSTS if counted else ())], rows)


COSTS = ("passes", "gradients", "images", "generated tokens", "seconds")


def costs(row: dict[str, Any]) -> list[str]:
    """What the model computes for a sentence; "" where that was not counted or measured."""
    known, seconds = row.get("cost") or {}, row.get("seconds")
    counts = [known.get(name) for name in ("passes", "gradients", "images", "tokens")]
    cells = ["" if one is None else f"{one:.1f}".removesuffix(".0") for one in counts]
    return [*cells, "" if seconds is None else f"{seconds:.2f}"]


WHOLE = {row.name for row in (*METHODS, *SOURCES, *HEAD_ROWS)}


def parts(found: dict[str, Any]) -> str:
    """The floors, the method's parts one by one, and the controls."""
    rows = [row for row in found["rows"] if row["name"] not in WHOLE]
    return accuracy([{**found, "rows": rows}])


def methods(found: dict[str, Any]) -> str:
    """Whole methods, and a row for each source of evidence; with what an answer costs."""
    return accuracy([found], (*FLOOR_ROWS, "+ presence span", "+ body", *WHOLE))


NO_ACTION_ROWS = ("paper", "+ TAS", "+ adaptive span", "+ presence span", "default")


def without_action(ablations: Sequence[dict[str, Any]]) -> str:
    """Spans of the sentences that name no action, by source of the candidate tubes."""
    metrics = {"no_action_tIoU": "m_tIoU", "no_action_vIoU": "m_vIoU"}
    rows = [
        [f"{found['tubes']}: {row['name']}", *(percent(row, metric) for metric in metrics)]
        for found in ablations
        for row in found["rows"]
        if row["name"] in NO_ACTION_ROWS
    ]
    return markdown(["", *metrics.values()], rows)


SEED_ROWS = (
    "mean of the tokens",
    "+ token selection",
    "+ spatial prompt",
    "+ temporal prompt",
    "+ both prompts",
    "+ TAS",
    "+ adaptive span",
    "both prompts, negated gradient",
)


def training_seeds(ablations: Sequence[dict[str, Any]]) -> str:
    """Some rows of the ablations of checkpoints that were trained from different seeds."""
    tables = []
    for found in ablations:
        folder = Path(found["settings"]["model.path"])
        folder = MODEL if str(folder) == "embedded" else folder
        report = json.loads((folder / "training_report.json").read_text())
        title = f"seed {report['seed']}, {report['minutes']:.0f} min"
        lines = accuracy([found], SEED_ROWS).splitlines()
        lines = [f"| {'' if at == 0 else title} {line}" for at, line in enumerate(lines)]
        lines[1] = "| --- " + lines[1].removeprefix(f"| {title} ")
        tables.append(lines)
    return "\n".join(tables[0][:2] + [line for lines in tables for line in lines[2:]])


def kinds(found: dict[str, Any]) -> str:
    """Answers and tubes of an ablation by the kind of sentence."""
    rows = []
    for row in found["by_kind"]:
        said = [row["yes_accuracy"], row["no_accuracy"]]
        cells = ["-" if share is None else f"{100 * share:.1f}" for share in said]
        cells += [f"{100 * row[name]:.1f}" for name in ("spatial_accuracy", "m_tIoU", "m_vIoU")]
        rows.append([row["name"], *cells, row["samples"]])
    header = ["", "'yes' right", "'no' right", "right person", "m_tIoU", "m_vIoU", "sentences"]
    return markdown(header, rows)


SENTENCES = (
    "please find the waving person in the living room and tell them the time",
    "go to the kitchen then look for the person raising their left arm and answer a question",
    "tell me how many people in the office are wearing red t shirts",
    "tell me the pose of the person at the desk",
    "guide the person wearing a yellow coat from the sofa to the exit",
    "say the time to the person pointing to the left in the kitchen",
    "follow Morgan from the bed to the kitchen",
    "um find the uh lady with the white bag",
    "the woman with gold earrings who sings",
    "find the two men carrying a sofa up the steps",
    "the man to the right of the woman in white takes off his jacket and then sits down",
    "find someone who is not wearing a mask",
    "anyone but the man in blue who crosses the street",
    "who fell down in the last ten seconds",
    "tell me when somebody opens the fridge",
    "is there someone lying on the floor?",
    "which of the kids has the ball",
    "the tall person in a red and black jacket raising their left arm",
    "There is a man in a grey suit. He picks up the phone. Find him.",
    "finde die Person in Rot, die springt",
)


def understood() -> str:
    """What the rules understand of some sentences."""
    reader = grammar_reader("rules")
    rows = []
    for sentence in SENTENCES:
        command = reader.read(sentence)
        fields = command.json()
        others = [
            f"{name}: {fields[name]}"
            for name in ("place", "then", "number", "relation", "not", "time", "asked")
            if fields[name] not in ("", "one")
        ]
        items = [
            " ".join(
                (
                    *(("not",) if item.negated else ()),
                    item.kind,
                    item.name,
                    *item.colours,
                    *((f"({item.side})",) if item.side else ()),
                    *(detail for detail in item.details),
                )
            )
            for item in command.features
        ]
        rows.append(
            [
                sentence,
                command.intent,
                command.target if not command.refusal else "",
                command.attribute,
                command.action,
                "; ".join(others) or command.refusal.split(";")[0].split(" is a name")[0],
                "; ".join(items),
            ]
        )
    header = ["sentence", "intent", "target", "attribute", "action", "other fields", "features"]
    return markdown(header, rows)


SCENES = 1200  # of which the shares of the conditions are counted


def hard_conditions() -> str:
    """What each condition of hard scenes is, and in how many it is."""
    drawn = [
        name
        for seed in range(SCENES)
        for name in drawn_conditions(np.random.default_rng((seed, 21)), seed)
    ]
    rows = [
        [name, about, f"{100 * drawn.count(name) / SCENES:.0f} %"] for name, about in ABOUT.items()
    ]
    return markdown(["condition", "what it is", "share of scenes"], rows)


def hard_counts(counts: dict[str, Any]) -> str:
    """How many numbers of people are exact."""
    rows = []
    for line in (*counts["by_number"], counts["all"]):
        low, high = line["interval"]
        half = "" if low is None else f" ± {50 * (high - low):.1f}"
        exact, wrong = f"{100 * line['exact']:.1f}{half}", f"{line['mean_error']:.2f}"
        rows.append([line["name"], exact, wrong, line["samples"]])
    return markdown(["people", "exact", "mean error", "questions"], rows)


def step_gains(found: dict[str, Any]) -> str:
    """What each row adds to another one, sentence by sentence, in points with 95 % intervals."""
    rows = []
    for gain in found["gains"]:
        cells = []
        for name in ("m_vIoU", "spatial_accuracy"):
            low, high = gain["intervals"][name]
            cells.append(f"{100 * gain[name]:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})")
        rows.append([gain["name"], gain["over"], *cells])
    return markdown(["step", "over", "m_vIoU", "right person"], rows)


def hard_by_condition(found: dict[str, Any]) -> str:
    """Persons and tubes of an ablation by condition."""
    rows = [
        [
            row["name"],
            *(f"{100 * row[name]:.1f}" for name in ("spatial_accuracy", "m_tIoU", "m_vIoU")),
            row["samples"],
        ]
        for row in found["by_condition"]
    ]
    return markdown(["", "right person", "m_tIoU", "m_vIoU", "sentences"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "parameters": parameters,
    "families": families,
    "formats": formats,
    "launch": launch,
    "presets": presets,
    "released_memory": released_memory,
    "accuracy_summary": accuracy_summary,
    "understood": understood,
    "hard_conditions": hard_conditions,
}


def filled(text: str, tables: Mapping[str, Callable[[], str]] = TABLES) -> str:
    """A page's text with these tables written anew."""

    def table(match: re.Match[str]) -> str:
        if match[1] not in tables:
            return match[0]
        return f"<!-- table: {match[1]} -->\n{tables[match[1]]()}\n<!-- end -->"

    return TABLE.sub(table, text)


def main() -> int:
    """Writes the pages, or with `--check` says whether they are up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--accuracy", type=Path, help="an ablation among the people's true tubes")
    parser.add_argument(
        "--own", type=Path, nargs="+", help="the same among the package's own tubes, by source"
    )
    parser.add_argument(
        "--entering", type=Path, nargs="+", help="ablations on the split entering, by source"
    )
    parser.add_argument(
        "--seeds", type=Path, nargs="+", help="ablations of checkpoints of several training seeds"
    )
    parser.add_argument(
        "--methods", type=Path, help="an ablation with --seconds: whole methods and sources"
    )
    parser.add_argument("--hard", type=Path, help="an ablation on the split test-hard")
    parser.add_argument("--hard-many", type=Path, help="the same of whole methods, more scenes")
    parser.add_argument("--steps", type=Path, help="an ablation of the paper's steps")
    parser.add_argument("--counts", type=Path, help="an ablation --counts on a hard split")
    parser.add_argument("--robocup", type=Path, help="an ablation on the split robocup")
    given = parser.parse_args()
    tables = dict(TABLES)
    if given.accuracy:
        found = json.loads(given.accuracy.read_text())
        tables |= {"accuracy": lambda: parts(found), "kinds": lambda: kinds(found)}
    if given.hard:
        hard = json.loads(given.hard.read_text())
        tables |= {
            "hard": lambda: accuracy([hard]),
            "hard_kinds": lambda: kinds(hard),
            "hard_by_condition": lambda: hard_by_condition(hard),
        }
    if given.hard_many:
        many = json.loads(given.hard_many.read_text())
        tables["hard_many"] = lambda: accuracy([many])
    if given.steps:
        steps = json.loads(given.steps.read_text())
        tables["step_gains"] = lambda: step_gains(steps)
    if given.counts:
        counts = json.loads(given.counts.read_text())["counts"]
        tables["hard_counts"] = lambda: hard_counts(counts)
    if given.robocup:
        robocup = json.loads(given.robocup.read_text())
        tables |= {"robocup": lambda: accuracy([robocup]), "robocup_kinds": lambda: kinds(robocup)}
    if given.own:
        own = [json.loads(path.read_text()) for path in given.own]
        tables["own_accuracy"] = lambda: accuracy(own, OWN_ROWS, sourced=True)
        tables["without_action"] = lambda: without_action(own)
    if given.entering:
        entering = [json.loads(path.read_text()) for path in given.entering]
        tables["entering"] = lambda: accuracy(entering, ENTERING_ROWS, sourced=True)
        tables["entering_without_action"] = lambda: without_action(entering)
    if given.methods:
        whole = json.loads(given.methods.read_text())
        tables["methods"] = lambda: methods(whole)
    if given.seeds:
        trained = [json.loads(path.read_text()) for path in given.seeds]
        tables["training_seeds"] = lambda: training_seeds(trained)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        wanted = filled(text, tables)
        if not given.check:
            page.write_text(wanted, encoding="utf-8")
        elif text != wanted:
            name = page.relative_to(ROOT)
            sys.stderr.write(f"{name}: the tables are out of date; run docs/tables.py\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
