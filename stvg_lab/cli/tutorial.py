# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros tutorial`: five minutes in a terminal, from the first command to follow and count."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from stvg_ros.cli.options import whole
from stvg_ros.errors import ConfigError, RecordingError

# The detector of rendered people, and fewer images than a robot keeps, to be done sooner.
SETTINGS = (
    "--set", "proposals.source=people_detector", "--set", "proposals.people_detector=embedded",
    "--set", "window.max_rate_hz=5",
)  # fmt: skip
HALF_S = 4.0  # the target is followed from here on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--seed", type=whole(0), default=7, help="which scene is rendered")
    parser.add_argument(
        "--out", type=Path, default=Path("out/tutorial"),
        help="folder of the recording and the pictures (default out/tutorial)",
    )  # fmt: skip
    parser.add_argument(
        "--yes", action="store_true",
        help="do not wait for Enter before a command, as without a terminal",
    )  # fmt: skip


@dataclass(frozen=True)
class Lesson:
    """A step of the tutorial.

    Attributes:
        title: what it shows.
        text: the explanation before the command.
        words: the command's arguments after `stvg-ros`.
        after: what is printed after the command's output.
    """

    title: str
    text: str
    words: tuple[str, ...]
    after: str = ""


def run(given: argparse.Namespace) -> int:
    """Runs the commands one after another; 0 at the end, also if it is left early."""
    waits = not given.yes and sys.stdin.isatty()
    name = f"test_{given.seed:07d}"
    scene = given.out / f"scene_{given.seed}"
    first = _rendering(scene, given.seed)
    print(
        "This tutorial runs commands on a rendered scene. The models in the package know such\n"
        "scenes only; for real video name a released checkpoint with --model.\n"
        f"Recording and pictures: {given.out}"
    )
    if (scene / name).exists():
        print(f"\n{scene} is there from an earlier run")
    elif not _done(first, "1", waits):
        return 0
    for number, step in enumerate(_lessons(given.out, scene, name, given.seed), 2):
        if not _done(step, str(number), waits):
            return 0
    print(
        "\nNext: `stvg-ros demo` does it over ROS 2 topics, with a camera, a node and a client;\n"
        "the README, 'On a robot', has your own camera; docs/commands.md what sentences may say."
    )
    return 0


def _rendering(scene: Path, seed: int) -> Lesson:
    words = ("synthesize", "--format", "bag", "--seed", str(seed), "--count", "1", "--out")
    return Lesson(
        "A recording",
        "A scene of some people is rendered and written as a camera's rosbag2 recording, with\n"
        "sentences about it and the true answers.",
        (*words, str(scene)),
    )


def _lessons(out: Path, scene: Path, name: str, seed: int) -> Iterator[Lesson]:
    """The steps on a recording. Raises: RecordingError: the scene has no fitting sentence."""
    from stvg_lab.datasets.annotations import read_annotations
    from stvg_lab.rendered.queries import split_scene
    from stvg_ros.io.recording import open_recording

    bag = str(scene / name)
    entries = {entry.id: entry for entry in read_annotations(scene / f"{name}.json").entries}
    asked = entries.get("combined-present") or entries.get("sentence-present")
    absent = entries.get("combined-absent") or entries.get("attribute-absent")
    seen = entries.get("attribute-present")
    if asked is None or asked.span_ns is None or absent is None or seen is None:
        raise RecordingError(f"{scene}: no sentences of all kinds here; choose another --seed")
    ground = ("ground", bag)
    shirts = Counter(person.shirt for person in split_scene("test", seed).people)
    colour, number = shirts.most_common(1)[0]
    question = f"how many people are wearing a {colour} shirt?"
    with closing(open_recording(bag)) as recording:
        first_ns = next(recording.images()).stamp_ns
    yield Lesson(
        "What a sentence means",
        "A sentence has a task, and a description of the target: what it looks like\n"
        "(attribute) and what it does (action). The method asks the model about both halves.",
        ("understand", f"find {asked.query}"),
    )
    yield Lesson(
        "Candidate tubes",
        "A detector finds the people, and a tracker links their boxes: one tube for each.",
        ("tubes", bag, "--out", str(out / "tubes.png"), *SETTINGS), f"picture: {out / 'tubes.png'}",
    )  # fmt: skip
    found = out / "found"
    start_s, end_s = ((stamp_ns - first_ns) / 1e9 for stamp_ns in asked.span_ns)
    yield Lesson(
        "From the sentence to a tube",
        "The attention of the model chooses one of the tubes, and the time span. The contact\n"
        "sheet shows the attention, the tube and the time line.",
        (*ground, asked.query, "--sheet", "--out", str(found), *SETTINGS),
        f"the truth: {start_s:.2f} s to {end_s:.2f} s\npicture: {found / 'contact_sheet.png'}",
    )  # fmt: skip
    yield Lesson(
        "Somebody who is not there",
        "The model is also asked whether the target is there at all.",
        (*ground, absent.query, *SETTINGS),
    )
    counting = (*ground, question, "--targets", "8", *SETTINGS)
    yield _counting(counting, f"the truth: {number}")
    yield Lesson(
        "Following",
        f"The person is searched in the first {HALF_S:g} s and then located in each later image,\n"
        "without the model. On a robot: follow.enabled, and the topic ~/target.",
        (*ground, seen.query, "--end", f"{HALF_S:g}", "--follow", *SETTINGS),
    )


def _counting(words: tuple[str, ...], truth: str) -> Lesson:
    """The step of counting; without keypoints of people it says what is missing."""
    from stvg_ros.body.estimator_choice import build_estimator
    from stvg_ros.body.settings import BodyConfig

    text = "A question is answered with a number and the tubes. On a robot: the service ~/ask.\n"
    if build_estimator(BodyConfig()) is not None:
        text += "The colours of clothes are measured beside the attention of the model."
        return Lesson("Counting", text, (*words, "--set", "evidence.sources=both"), truth)
    text += (
        "The colours of clothes are measured where there are keypoints of people, which are not\n"
        "installed here (`stvg-ros models fetch body`). Attention alone counts less exactly."
    )
    return Lesson("Counting", text, words, truth)


def _done(step: Lesson, number: str, waits: bool) -> bool:
    """Runs a step's command; False if the reader leaves.

    Raises:
        ConfigError: the command failed.
    """
    from stvg_ros.cli.main import main

    print(f"\n--- {number}. {step.title}\n\n{step.text}\n\n$ stvg-ros {shlex.join(step.words)}")
    if waits and not _go_on():
        return False
    sys.stdout.flush()
    code = main(step.words)
    if code != 0:
        raise ConfigError(f"step {number} ended with {code}; its message is above")
    if step.after:
        print(step.after)
    return True


def _go_on() -> bool:
    """Waits for Enter; False after "q" or the end of the input."""
    print("(Enter: run it; q: leave) ", end="", flush=True)
    answer = sys.stdin.readline()
    return bool(answer) and not answer.strip().lower().startswith("q")
