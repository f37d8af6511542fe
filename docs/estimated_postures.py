# SPDX-License-Identifier: Apache-2.0

"""Measures postures of rendered people on estimated keypoints: `python docs/estimated_postures.py`.

Each gesture, pose and change is rendered, to both sides and in two colours of clothes, and the
estimator's points are compared with the true joints. Writes the table of docs/body.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from stvg_lab.rendered.character import Appearance, figure_at, figure_joints
from stvg_lab.rendered.postures import CHANGES, GESTURES, POSES, posture_at
from stvg_lab.rendered.render import drawn
from stvg_lab.rendered.room import RoomBackdrop
from stvg_ros.body import keypoints as body
from stvg_ros.body.clothes import nothing_seen
from stvg_ros.body.estimator_choice import build_estimator
from stvg_ros.body.keypoints import KeypointEstimator
from stvg_ros.body.measures import Measure, measure_of
from stvg_ros.body.settings import BodyConfig
from stvg_ros.body.track import BodyTrack
from stvg_ros.commands.command import Feature

PAGE = Path(__file__).resolve().parent / "body.md"
SIZE_PX, HEIGHT_PX, HZ, DURATION_S = (640, 480), 260.0, 10.0, 4.0
ROOM = RoomBackdrop((190, 186, 180), (170, 166, 160), (128, 112, 98), (104, 92, 82), 0.72, ())
CLOTHES = (
    Appearance((40, 75, 205), (70, 74, 82), (214, 166, 130), (84, 56, 36)),
    Appearance((190, 60, 50), (40, 44, 90), (150, 104, 78), (30, 26, 24)),
)
KINDS = {"gesture": GESTURES, "pose": POSES, "change": CHANGES}
SIDED = ("raise arm", "point", "wave", "lying", "fall", "pick up", "hand to face")


def measures(kind: str) -> dict[str, Measure]:
    """The measures that compete, by posture; a raised arm and pointing by side of the image."""
    found = {}
    for name in KINDS[kind]:
        word = "raise arm" if name == "raise both arms" else name
        sides = {name: "both" if name == "raise both arms" else ""}
        if name in ("raise arm", "point"):
            sides = {f"{name} {side}": side for side in ("left", "right")}
        for key, side in sides.items():
            measure = measure_of(Feature(kind, word, key, (), side), "image")  # type: ignore[arg-type]
            assert measure is not None
            found[key] = measure
    return found


def tracks(
    estimator: KeypointEstimator, name: str, side: int, look: Appearance
) -> tuple[BodyTrack, BodyTrack]:
    """A rendered person in a posture: with estimated keypoints, and with the true joints."""
    seconds = np.arange(round(DURATION_S * HZ)) / HZ
    foot = (SIZE_PX[0] / 2 - 60.0 * side * (name in ("lying", "fall")), 430.0)
    boxes, estimated, true = [], [], []
    for share, second in zip(np.linspace(0, 1, len(seconds)), seconds, strict=True):
        pose = posture_at(name, float(share), float(second), side)
        place = {"time_s": float(second), "foot_px": foot, "height_px": HEIGHT_PX}
        joints, seen = figure_joints(pose, **place)  # type: ignore[arg-type]
        figure = figure_at(pose, look, **place)  # type: ignore[arg-type]
        margin = 0.06 * HEIGHT_PX
        boxes.append([*(joints.min(axis=0) - margin), *(joints.max(axis=0) + margin)])
        found = estimator(drawn([figure], ROOM, *SIZE_PX), np.array(boxes[-1:], np.float32))
        estimated.append((found.points_px[0].astype(float), found.visibility[0].astype(float)))
        true.append((joints, seen))
    points, visibility = (np.array(part) for part in zip(*true, strict=True))
    known = BodyTrack(
        seconds, np.array(boxes), np.ones(len(seconds), np.bool_), points, visibility, SIZE_PX,
        nothing_seen(len(seconds)), np.zeros((len(seconds), 2)), np.full(len(seconds), np.nan),
    )  # fmt: skip
    points, visibility = (np.array(part) for part in zip(*estimated, strict=True))
    return replace(known, points_px=points, visibility=visibility), known


def postures(kind: str) -> Iterator[tuple[str, int, str]]:
    """Posture, side of the image, and the name of the measure that is right."""
    for name in KINDS[kind]:
        for side in (-1, 1) if name in SIDED else (1,):
            way = f" {'left' if side < 0 else 'right'}" if name in ("raise arm", "point") else ""
            yield name, side, f"{name}{way}"


def row(estimator: KeypointEstimator, kind: str) -> str:
    """A row of the table."""
    competing, right, wrong, errors = measures(kind), [0, 0], Counter[str](), []
    shown = [(*posture, look) for posture in postures(kind) for look in CLOTHES]
    for name, side, expected, look in tqdm(shown, desc=kind):
        both = tracks(estimator, name, side, look)
        joints = [
            *body.SHOULDERS,
            *body.ELBOWS,
            *body.WRISTS,
            *body.HIPS,
            *body.KNEES,
            *body.ANKLES,
        ]
        gap = np.linalg.norm(both[0].points_px - both[1].points_px, axis=2)[:, joints]
        errors.append(float(np.median(gap / both[1].torso_px[:, None])))
        for number, track in enumerate(both):
            nats = {
                key: one.whole(one.frames(track, []), track.seconds)
                for key, one in competing.items()
            }
            best = max(nats, key=lambda key: nats[key])
            right[number] += best == expected
            if number == 0 and best != expected:
                wrong[f"{expected} as {best}"] += 1
    text = ", ".join(f"{words} ({count})" for words, count in sorted(wrong.items())) or "-"
    return f"| {kind} | {len(shown)} | {right[1]} | {right[0]} | {np.mean(errors):.2f} | {text} |"


def main() -> None:
    """Measures and writes the table."""
    estimator = build_estimator(BodyConfig())
    assert estimator is not None
    rows = [
        f"| of rendered people | shown | right by true joints | right by {estimator.name} "
        "| error of its points, torsos | taken for another one |",
        "| --- | --- | --- | --- | --- | --- |",
        *(row(estimator, kind) for kind in KINDS),
    ]
    table = "\n".join(["<!-- table: estimated_postures -->", *rows, "<!-- end -->"])
    print(table)
    marks = r"<!-- table: estimated_postures -->.*?<!-- end -->"
    page = PAGE.read_text("utf-8")
    PAGE.write_text(re.sub(marks, lambda _: table, page, flags=re.S), "utf-8")


if __name__ == "__main__":
    main()
