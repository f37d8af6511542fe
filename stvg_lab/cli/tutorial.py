# SPDX-License-Identifier: Apache-2.0

"""`stvg-ros tutorial`: five minutes in a terminal: a sentence, a tube, a count, following."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.queries import SceneQuery, scene_queries, split_seed
from stvg_lab.rendered.scene import STAND, Scene
from stvg_ros.build import build_grounder
from stvg_ros.cli.options import whole
from stvg_ros.commands.reader import grammar_reader
from stvg_ros.config import Config
from stvg_ros.errors import ConfigError
from stvg_ros.io.outputs import check_outputs, output
from stvg_ros.io.tube_json import table
from stvg_ros.io.video import write_video
from stvg_ros.method.interfaces import Grounder
from stvg_ros.method.query import RuleSplitter
from stvg_ros.types import Clip, Frame, Grounding, Query, Status

# The detector of rendered people; the tutorial's commands name it, too.
SETTINGS = {"proposals.source": "people_detector", "proposals.people_detector": "embedded"}
VIDEO, SHEET = "scene.mp4", "contact_sheet.png"
QUESTION = "how many people are there?"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("--seed", type=whole(0), default=7, help="which scene is rendered")
    parser.add_argument(
        "--out", type=Path, default=Path("out/tutorial"), help="folder (default out/tutorial)"
    )
    parser.add_argument(
        "--no-wait", action="store_true", help="do not wait for Enter between the steps"
    )


@dataclass(frozen=True, eq=False)
class Lesson:
    """A step: what is explained, the command that does it, and what the tutorial shows."""

    title: str
    text: str
    command: str
    show: Callable[[], str]


class World:
    """A rendered scene, the model, and the answers so far. One thread uses it."""

    def __init__(self, seed: int, out: Path) -> None:
        """Renders the scene; the model is loaded with the first answer.

        Raises:
            ConfigError: there is no such scene, or nobody in it does anything.
        """
        try:
            self.scene = Scene.from_seed(split_seed("test", seed))
        except ValueError as error:
            raise ConfigError(f"--seed: {error}") from error
        self.out = out
        self.frames = tuple(scene_frames(self.scene))
        asked = [
            item
            for item in scene_queries(self.scene)
            if item.kind == "combined" and item.target is not None and item.act != STAND
        ]
        if not asked:
            raise ConfigError(f"--seed: nobody moves in scene {seed}; choose another one")
        self.asked: SceneQuery = asked[0]
        self._grounder: Grounder | None = None
        self.found: Grounding | None = None

    @property
    def absent(self) -> SceneQuery:
        """A sentence about somebody who is not there."""
        return next(item for item in scene_queries(self.scene) if item.target is None)

    def grounder(self) -> Grounder:
        """The grounder with the embedded model, which has observed the scene."""
        if self._grounder is None:
            self._grounder = build_grounder(Config.from_flat(dict(SETTINGS)))
            proposer = self._grounder.proposer
            for frame in self.frames:
                self._grounder.observe(frame)
                if proposer is not None:
                    proposer.observe(frame)
        return self._grounder

    def ground(self, text: str) -> Grounding:
        """The answer to a sentence about the whole scene."""
        return self.grounder().ground(Clip(self.frames), Query(text), lambda stage, share: None)

    def candidates(self) -> str:
        """Writes the video; the candidate tubes."""
        images = [frame.image for frame in self.frames]
        with output("tutorial", self.out / VIDEO) as path:
            write_video(path, images, [frame.stamp_ns for frame in self.frames])
        proposer = self.grounder().proposer
        assert proposer is not None
        split = RuleSplitter().split("the person")
        tubes = proposer.propose(Clip(self.frames), split)
        return (
            f"{self.out / VIDEO}: {len(self.frames)} images with {len(self.scene.people)} people\n"
            f"{len(tubes)} candidate tubes by {proposer.name!r}"
        )

    def understood(self) -> str:
        """The parsed sentence."""
        fields = grammar_reader("rules").read(f"find {self.asked.text}").json()
        shown = ("intent", "target", "attribute", "action")
        return "\n".join(f"{name:<11} {fields[name]}" for name in shown)

    def answer(self) -> str:
        """The tube, the truth, and the contact sheet."""
        from stvg_ros.visualization.contact_sheet import contact_sheet, write_png

        self.found = self.ground(self.asked.text)
        with output("tutorial", self.out / SHEET) as path:
            sheet = contact_sheet(Clip(self.frames), self.found.best, self.found.evidence)
            write_png(path, sheet)
        start, end = self.asked.start_frame, self.asked.end_frame - 1
        times = self.frames[start].stamp_ns / 1e9, self.frames[end].stamp_ns / 1e9
        return (
            f"{table(self.found.best, rows=4)}\n"
            f"the truth   {times[0]:.2f} s to {times[1]:.2f} s\n"
            f"picture     {self.out / SHEET}"
        )

    def refusal(self) -> str:
        """The answer about somebody who is not there."""
        best = self.ground(self.absent.text).best
        outcome = best.status.name.lower().replace("_", " ")
        return f"{self.absent.text}: {outcome}, confidence {best.confidence:.2f}"

    def count(self) -> str:
        """The number of people, and the true one."""
        answer = self.ground(QUESTION)
        return f"{QUESTION} {answer.text}; in the scene are {len(self.scene.people)}"

    def follow(self) -> str:
        """Places of the found person in the images after the tube's start."""
        best = None if self.found is None else self.found.best
        proposer = self.grounder().proposer
        if best is None or best.status is not Status.FOUND or proposer is None:
            return "nobody was found, so nobody is followed"
        first = best.boxes[0]
        later = [frame for frame in self.frames if frame.stamp_ns >= first.stamp_ns]
        return self._followed(later, first.box_xyxy_px)

    def _followed(self, frames: list[Frame], box: tuple[float, float, float, float]) -> str:
        import numpy as np

        proposer = self.grounder().proposer
        assert proposer is not None
        follower = proposer.follower(frames[0], np.array(box, np.float32))
        lines, step = [], max(1, len(frames) // 5)
        for number, frame in enumerate(frames[1:], 1):
            sighting = follower.update(frame)
            if sighting is None or number % step:
                continue
            edges = "".join(f"{edge:8.1f}" for edge in sighting.box_xyxy_px)
            seen = "seen" if sighting.seen else "predicted"
            lines.append(f"{frame.stamp_ns / 1e9:8.2f} s{edges}  {seen}")
        return "\n".join(lines)


def lessons(world: World) -> tuple[Lesson, ...]:
    """The steps, in order. Their commands work in a terminal as they stand."""
    sentence, video = world.asked.text, str(world.out / VIDEO)
    chosen = "".join(f" --set {name}={value}" for name, value in SETTINGS.items())

    def line(*words: str, more: str = "") -> str:
        return f"stvg-ros {shlex.join(words)}{more}"

    return (
        Lesson(
            "A sentence is read first",
            "A sentence has a task, and a description of the target: what it looks like\n"
            "(attribute) and what it does (action). The method asks the model about both halves.",
            line("understand", f"find {sentence}"), world.understood,
        ),
        Lesson(
            "A video and its candidate tubes",
            "The scene is rendered, so the true person and time are known. The models of the\n"
            "package know such scenes only; for real video name a released checkpoint (--model).\n"
            "A detector proposes a tube of boxes for each person.",
            line("tubes", video, more=chosen), world.candidates,
        ),
        Lesson(
            "From the sentence to a tube",
            "The model's attention chooses one of the tubes, and the time span.",
            line("ground", video, sentence, "--sheet", "--out", str(world.out), more=chosen),
            world.answer,
        ),
        Lesson(
            "Somebody who is not there",
            "The model is also asked whether the target is there at all.",
            line("ground", video, world.absent.text, more=chosen), world.refusal,
        ),
        Lesson(
            "Counting",
            "A question is answered with the tubes that match. On a robot, ask the service ~/ask.",
            "ros2 service call /grounding/ask stvg_ros/srv/Ask "
            f"{shlex.quote('{text: ' + QUESTION + '}')}",
            world.count,
        ),
        Lesson(
            "Following",
            "The found person is located in each later image, without the model. On a robot, the\n"
            "topic ~/target has the place.",
            "ros2 service call /grounding/follow std_srvs/srv/SetBool '{data: true}'", world.follow,
        ),
    )  # fmt: skip


def run(given: argparse.Namespace) -> int:
    """Shows the steps one after another; 0 at the end, also if it is left early."""
    check_outputs("tutorial", [given.out / name for name in (VIDEO, SHEET)])
    world = World(given.seed, given.out)
    steps = lessons(world)
    for number, lesson in enumerate(steps, 1):
        print(f"\n[{number} of {len(steps)}] {lesson.title}\n\n{lesson.text}\n\n$ {lesson.command}")
        if not given.no_wait and not _go_on():
            return 0
        print(lesson.show(), flush=True)
    print(
        "\nThat was the way of a command. Next: `stvg-ros demo` does it over ROS 2 topics, and\n"
        "README.md, 'On a robot', with your camera."
    )
    return 0


def _go_on() -> bool:
    """Waits for Enter; whether to go on: not after "q" or the end of the input."""
    print("(Enter: run it, q: leave) ", end="", flush=True)
    answer = sys.stdin.readline()
    return bool(answer) and not answer.strip().lower().startswith("q")
