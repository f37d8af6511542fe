# SPDX-License-Identifier: Apache-2.0

"""All figures of who is who, scene by scene, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stvg_lab.identity.lost_and_found import Following
from stvg_lab.identity.reappearance_ranks import Recognition, recognitions
from stvg_lab.identity.track_rows import byte_track_rows, library_installed, true_rows, tube_rows
from stvg_lab.identity.tracking_scores import TrackingScore, tracking_score
from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.reappearances import ReappearanceScene
from stvg_lab.runs.scores import bootstrap
from stvg_ros.identity.descriptor import AppearanceDescriptor
from stvg_ros.proposals.people.streaming import StreamingTubes
from stvg_ros.types import Clip, SplitQuery

OURS, PLAIN, BYTE_TRACK = "ours", "without appearance", "ByteTrack"
SHARES = {"rank1_distinct": "", "rank1_shared": "shirt", "rank1_trousers": "trousers"}
_ANYBODY = SplitQuery("the person", "the person", "the person", "none")


class IdentityMeasurement:
    """Collects scenes, then gives the table."""

    def __init__(
        self, source: StreamingTubes, descriptor: AppearanceDescriptor, seed: int = 0
    ) -> None:
        """Starts without scenes.

        Args:
            source: the source of tubes.
            descriptor: describes people who come back.
            seed: of the bootstrap.
        """
        self._source, self._descriptor, self._seed = source, descriptor, seed
        self._ranks: list[tuple[int, Recognition]] = []  # with the number of the scene
        self._scores: dict[str, list[TrackingScore]] = {}
        self._followings: list[Following] = []
        self._scenes = 0

    def add(self, made: ReappearanceScene) -> None:
        """Measures recognition and tracks in a scene."""
        source, least = self._source.renewed(), self._source.new_track_score
        frames = tuple(scene_frames(made.scene))
        detected = [source.detected(frame) for frame in frames]
        clip = Clip(frames)
        rows = {
            OURS: tube_rows(source.propose(clip, _ANYBODY), len(frames)),
            PLAIN: tube_rows(source.by_motion().propose(clip, _ANYBODY), len(frames)),
        }
        if library_installed():
            rows[BYTE_TRACK] = byte_track_rows(detected, made.scene.fps, least)
        truth = true_rows(made)
        for name, found in rows.items():
            self._scores.setdefault(name, []).append(tracking_score(truth, found))
        sure = [boxes[scores >= least] for boxes, scores in detected]
        ranks = recognitions(made, frames, sure, self._descriptor)
        self._ranks += [(self._scenes, one) for one in ranks]
        self._scenes += 1

    def add_stream(self, following: Following) -> None:
        """Adds a followed target."""
        self._followings.append(following)

    def table(self) -> dict[str, Any]:
        """All figures; those without a sample are None. Differences are ours minus the other's."""
        table: dict[str, Any] = {}
        for key, shares in SHARES.items():
            chosen = [(scene, one) for scene, one in self._ranks if one.shares == shares]
            right = [float(one.right) for _, one in chosen]
            table[key] = self._mean(right, [scene for scene, _ in chosen])
        for key in ("hota", "association"):
            table[key] = {
                name: self._mean([getattr(score, key) for score in scores])
                for name, scores in self._scores.items()
            }
        table["id_switches"] = {
            name: self._total([score.switches for score in scores])
            for name, scores in self._scores.items()
        }
        table["differences"] = {
            name: {
                "hota": self._mean([one.hota - two.hota for one, two in self._pairs(name)]),
                "id_switches": self._total(
                    [one.switches - two.switches for one, two in self._pairs(name)]
                ),
            }
            for name in self._scores
            if name != OURS
        }
        found = [each for one in self._followings for each in one.found_again]
        table["losses"] = self._total([1] * len(found))
        table["found_again"] = self._total(found)
        delays = [each for one in self._followings for each in one.delays_s]
        table["delay_s"] = self._mean(delays)
        swaps = [each for one in self._followings for each in one.silent_swaps]
        table["silent_swaps"] = self._total(swaps)
        return table

    def _pairs(self, name: str) -> list[tuple[TrackingScore, TrackingScore]]:
        return list(zip(self._scores[OURS], self._scores[name], strict=True))

    def _mean(
        self, values: Sequence[float], scenes: Sequence[int] | None = None
    ) -> dict[str, float | int | None] | None:
        """Mean, interval and number of samples; whole scenes are resampled."""
        if not values:
            return None
        found = bootstrap(values, scenes, seed=self._seed)
        return {"mean": found.mean, "low": found.low, "high": found.high, "samples": len(values)}

    def _total(self, values: Sequence[float]) -> dict[str, float | int | None] | None:
        """Sum, its interval, and number of samples."""
        mean = self._mean([float(value) for value in values])
        if mean is None:
            return None
        count = len(values)
        ends = {
            side: None if mean[side] is None else count * float(mean[side] or 0)
            for side in ("low", "high")
        }
        return {"total": int(sum(values)), **ends, "samples": count}


def shown(table: dict[str, Any]) -> str:
    """The table as text."""
    lines = [f"{'recognised after an absence (rank 1)':<40}"]
    for key, said in (
        ("rank1_distinct", "nobody else wears the same"),
        ("rank1_shared", "one other wears the shirt"),
        ("rank1_trousers", "one other wears the trousers"),
    ):
        lines.append(f"  {said:<38}{_interval(table[key], 2)}")
    for key, said in (
        ("hota", "HOTA"),
        ("association", "association"),
        ("id_switches", "switches"),
    ):
        lines.append(f"{said}")
        lines += [f"  {name:<38}{_interval(value, 3)}" for name, value in table[key].items()]
    for key in ("losses", "found_again", "silent_swaps", "delay_s"):
        lines.append(f"{key.replace('_', ' '):<40}{_interval(table[key], 1)}")
    lines.append("[95 % bootstrap interval over scenes, or over losses]")
    return "\n".join(lines)


def _interval(value: dict[str, Any] | None, digits: int) -> str:
    if value is None:
        return "not measured"
    main = str(value["total"]) if "total" in value else f"{value['mean']:.{digits}f}"
    if value["low"] is None:
        return f"{main} of {value['samples']}"
    return f"{main} [{value['low']:.{digits}f}, {value['high']:.{digits}f}] of {value['samples']}"
