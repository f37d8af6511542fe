# SPDX-License-Identifier: Apache-2.0

"""All figures of who is who, scene by scene, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class SceneFigures:
    """What was measured in one scene.

    Attributes:
        recognitions: one for each absence.
        tracks: the scores of each tracker by its name.
    """

    recognitions: list[Recognition]
    tracks: dict[str, TrackingScore]


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
        self._scenes: list[SceneFigures] = []
        self._followings: list[Following] = []

    @property
    def scenes(self) -> int:
        """Number of measured scenes."""
        return len(self._scenes)

    @property
    def streams(self) -> int:
        """Number of followed targets."""
        return len(self._followings)

    def details(self) -> dict[str, Any]:
        """Everything that was measured, for JSON; `restore` takes it back."""
        return {
            "scenes": [asdict(one) for one in self._scenes],
            "streams": [asdict(one) for one in self._followings],
        }

    def restore(self, details: Mapping[str, Any]) -> None:
        """Continues a measurement of which these are the details.

        Raises:
            KeyError, TypeError: they are of another form.
        """
        self._scenes = [
            SceneFigures(
                [Recognition(**rank) for rank in one["recognitions"]],
                {name: TrackingScore(**score) for name, score in one["tracks"].items()},
            )
            for one in details["scenes"]
        ]
        self._followings = [Following(**one) for one in details["streams"]]

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
        scores = {name: tracking_score(truth, found) for name, found in rows.items()}
        sure = [boxes[scores >= least] for boxes, scores in detected]
        (ranks,) = recognitions(made, frames, sure, [self._descriptor])
        self._scenes.append(SceneFigures(ranks, scores))

    def add_stream(self, following: Following) -> None:
        """Adds a followed target."""
        self._followings.append(following)

    def table(self) -> dict[str, Any]:
        """All figures; what was not measured is None. Differences are ours minus the other's."""
        table: dict[str, Any] = {}
        ranks = [(at, one) for at, scene in enumerate(self._scenes) for one in scene.recognitions]
        for key, shares in SHARES.items():
            chosen = [(scene, one) for scene, one in ranks if one.shares == shares]
            right = [float(one.right) for _, one in chosen]
            table[key] = self._mean(right, [scene for scene, _ in chosen], events=True)
        tracks = {name: self._scores().get(name, []) for name in (OURS, PLAIN, BYTE_TRACK)}
        for key in ("hota", "association"):
            table[key] = {
                name: self._mean([getattr(score, key) for score in scores])
                for name, scores in tracks.items()
            }
        table["id_switches"] = {
            name: self._total([score.switches for score in scores])
            for name, scores in tracks.items()
        }
        table["differences"] = {
            name: {
                "hota": self._mean([one.hota - two.hota for one, two in self._pairs(name)]),
                "id_switches": self._total(
                    [one.switches - two.switches for one, two in self._pairs(name)]
                ),
            }
            for name in self._scores()
            if name != OURS
        }
        found = [each for one in self._followings for each in one.found_again]
        table["losses"] = self._total([1] * len(found))
        table["found_again"] = self._total(found, events=True)
        delays = [each for one in self._followings for each in one.delays_s]
        table["delay_s"] = self._mean(delays)
        swaps = [each for one in self._followings for each in one.silent_swaps]
        table["silent_swaps"] = self._total(swaps, events=True)
        table["costs"] = [
            {
                "ms_an_image": dict(one.spent_ms),
                "remembered_mb": list(one.remembered_mb),
                "resident_mb": list(one.resident_mb),
            }
            for one in self._followings
        ]
        return table

    def _scores(self) -> dict[str, list[TrackingScore]]:
        """The scores of each tracker that was measured in every scene, one a scene."""
        names = [
            name
            for name in (OURS, PLAIN, BYTE_TRACK)
            if self._scenes and all(name in scene.tracks for scene in self._scenes)
        ]
        return {name: [scene.tracks[name] for scene in self._scenes] for name in names}

    def _pairs(self, name: str) -> list[tuple[TrackingScore, TrackingScore]]:
        scores = self._scores()
        return list(zip(scores[OURS], scores[name], strict=True))

    def _mean(
        self,
        values: Sequence[float],
        scenes: Sequence[int] | None = None,
        *,
        events: bool = False,
    ) -> dict[str, float | int | None] | None:
        """Mean, interval and number of samples; whole scenes are resampled.

        Args:
            values: of the samples.
            scenes: the scene of each sample; None for independent samples.
            events: samples are 1 where something happened, else 0. Resampling does not say how
                rare what never happened may be, so the interval is at least that of a proportion.
        """
        if not values:
            return None
        found = bootstrap(values, scenes, seed=self._seed)
        low, high = found.low, found.high
        if events:
            ends = proportion_interval(min(sum(map(bool, values)), len(values)), len(values))
            low = ends[0] if low is None else min(low, ends[0])
            high = ends[1] if high is None else max(high, ends[1])
        return {"mean": found.mean, "low": low, "high": high, "samples": len(values)}

    def _total(
        self, values: Sequence[float], *, events: bool = False
    ) -> dict[str, float | int | None] | None:
        """Sum, its interval, and number of samples."""
        mean = self._mean([float(value) for value in values], events=events)
        if mean is None:
            return None
        count = len(values)
        ends = {
            side: None if mean[side] is None else count * float(mean[side] or 0)
            for side in ("low", "high")
        }
        return {"total": int(sum(values)), **ends, "samples": count}


def proportion_interval(events: int, samples: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion (Wilson 1927)."""
    z = 1.959964
    share, spread = events / samples, z**2 / samples
    half = z * (share * (1 - share) / samples + spread / (4 * samples)) ** 0.5
    low, high = ((share + spread / 2 + side * half) / (1 + spread) for side in (-1, 1))
    return max(0.0, low), min(1.0, high)


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
    for cost in table["costs"]:
        spent = ", ".join(f"{part} {ms:.1f}" for part, ms in cost["ms_an_image"].items())
        lines.append(f"{'processor time an image, ms':<40}{spent}")
        for key, said in (
            ("remembered_mb", "memory beyond the window"),
            ("resident_mb", "memory of the process"),
        ):
            minutes = " ".join(f"{size:.0f}" for size in cost[key])
            lines.append(f"{said + ', MB each minute':<40} {minutes}")
    lines.append("[95 % bootstrap interval over scenes, or over losses; see docs/identity.md]")
    return "\n".join(lines)


def _interval(value: dict[str, Any] | None, digits: int) -> str:
    if value is None:
        return "not measured"
    main = str(value["total"]) if "total" in value else f"{value['mean']:.{digits}f}"
    if value["low"] is None:
        return f"{main} of {value['samples']}"
    return f"{main} [{value['low']:.{digits}f}, {value['high']:.{digits}f}] of {value['samples']}"
