# SPDX-License-Identifier: Apache-2.0

"""Annotation files of bags and videos: sentences, spans, and boxes at key frames.

docs/evaluation.md shows one. Stamps are those of the frames: header stamps of a bag's images,
presentation times of a video relative to its first frame.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stvg_lab.datasets.field_checks import Box, FieldChecks, checked_box, whole_number
from stvg_lab.runs.scores import FrameTube
from stvg_ros.boxes import paired_iou
from stvg_ros.errors import AnnotationError
from stvg_ros.io.outputs import json_text
from stvg_ros.types import MAX_QUERY_CHARACTERS

FORMAT = "stvg_ros annotations 1"


@dataclass(frozen=True)
class KeyFrame:
    """The true box at one frame."""

    stamp_ns: int
    box_xyxy_px: Box


# The key frames of one person, by stamp: boxes are linear in time between them, and the person is
# absent before the first and after the last.
Track = tuple[KeyFrame, ...]


@dataclass(frozen=True)
class Entry:
    """One sentence with its true span and boxes.

    Attributes:
        id: unique in the file.
        query: the sentence.
        span_ns: stamps of the first and the last frame (included), or None if the target is
            absent from the window.
        key_frames: by stamp, inside the span; boxes between them are interpolated. Empty if
            `person` is given.
        person: name in `Annotations.tracks` of the person whose boxes are the target's; "" for
            the entry's own key frames.
        command_ns: stamp of the last frame before the command;
            None is the recording's last.
        window_ns: the part of the window that the command asks about (both included), or None
            for all of it.
        others: fields of other programs, which are kept.
    """

    id: str
    query: str
    span_ns: tuple[int, int] | None
    key_frames: Track = ()
    command_ns: int | None = None
    window_ns: tuple[int, int] | None = None
    person: str = ""
    others: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Annotations:
    """An annotation file.

    Attributes:
        entries: the sentences.
        recording: path of the bag or video, relative to the file; "" if not given.
        topic: the bag's image topic; "" for its only one, and for a video.
        size_px: width and height of the images, which bound the boxes; None if unknown.
        tracks: people by name, also those whom no sentence describes.
        others: fields of other programs, which are kept.
    """

    entries: tuple[Entry, ...]
    recording: str = ""
    topic: str = ""
    size_px: tuple[int, int] | None = None
    tracks: Mapping[str, Track] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)

    def people(self) -> dict[str, Track]:
        """Everybody with boxes: the tracks, and the targets of entries with own key frames.

        A target is the person of a track if their boxes agree (mean IoU over 0.5 at its key
        frames), and the same for an earlier entry's target; otherwise it is named by its entry.
        """
        found = dict(self.tracks)
        for entry in self.entries:
            if not entry.key_frames or any(_same(entry.key_frames, one) for one in found.values()):
                continue
            name = f"entry {entry.id}"
            while name in found:
                name += "'"
            found[name] = _held(entry)
        return found


def _same(keys: Track, track: Track) -> bool:
    """Whether a track has the boxes of other key frames: mean IoU over 0.5 at these."""
    stamps_ns = np.array([key.stamp_ns for key in keys], np.int64)
    there = track_tube(track, stamps_ns)
    boxes = np.array([key.box_xyxy_px for key in keys], np.float32)
    overlap = np.where(there.present, paired_iou(there.boxes_xyxy_px, boxes), 0.0)
    return bool(overlap.mean() > 0.5)


def _held(entry: Entry) -> Track:
    """The entry's key frames, with the first and the last box held to the ends of its span."""
    assert entry.span_ns is not None
    first, last = entry.key_frames[0], entry.key_frames[-1]
    begin, end = (
        KeyFrame(stamp_ns, key.box_xyxy_px)
        for stamp_ns, key in zip(entry.span_ns, (first, last), strict=True)
    )
    keys = {key.stamp_ns: key for key in (begin, *entry.key_frames, end)}
    return tuple(keys.values())


def track_tube(track: Track, stamps_ns: NDArray[np.int64]) -> FrameTube:
    """A person on frames: boxes linear in time between key frames, absent outside them.

    Args:
        track: at least one key frame.
        stamps_ns: `(F,)` increasing stamps. The span of the tube is where the person is.
    """
    known_ns = np.array([key.stamp_ns for key in track], np.int64)
    known = np.array([key.box_xyxy_px for key in track], np.float64)
    # Relative to the first key frame: nanoseconds since 1970 do not fit a float.
    times = (stamps_ns - known_ns[0]).astype(np.float64)
    known_times = (known_ns - known_ns[0]).astype(np.float64)
    boxes = np.stack([np.interp(times, known_times, known[:, edge]) for edge in range(4)], axis=1)
    there = (stamps_ns >= known_ns[0]) & (stamps_ns <= known_ns[-1])
    return FrameTube(boxes.astype(np.float32), there, there.copy())


def true_tube(
    entry: Entry, stamps_ns: NDArray[np.int64], tracks: Mapping[str, Track] | None = None
) -> FrameTube:
    """The entry's tube on frames.

    Boxes are linear in time between key frames; own ones are held before the first and after the
    last, and a person of `tracks` is absent there.

    Args:
        entry: the entry; without a span, the tube is empty.
        stamps_ns: `(F,)` increasing stamps.
        tracks: the file's people, for an entry that names one.
    """
    if entry.span_ns is None:
        return FrameTube.nothing(len(stamps_ns))
    start_ns, end_ns = entry.span_ns
    span = (stamps_ns >= start_ns) & (stamps_ns <= end_ns)
    if not entry.person:
        return replace(track_tube(entry.key_frames, stamps_ns), present=span, span=span.copy())
    tube = track_tube((tracks or {})[entry.person], stamps_ns)
    return replace(tube, present=tube.present & span, span=span)


def annotations_to_json(annotations: Annotations) -> dict[str, Any]:
    """The file's content as plain values."""
    tracks = {name: _track_to_json(track) for name, track in annotations.tracks.items()}
    return {
        "format": FORMAT,
        "recording": annotations.recording,
        "topic": annotations.topic,
        "size_px": None if annotations.size_px is None else list(annotations.size_px),
        "entries": [
            {
                "id": entry.id,
                "query": entry.query,
                "span_ns": None if entry.span_ns is None else list(entry.span_ns),
                **({"person": entry.person} if entry.person else {}),
                "key_frames": _track_to_json(entry.key_frames),
                "command_ns": entry.command_ns,
                "window_ns": None if entry.window_ns is None else list(entry.window_ns),
                **entry.others,
            }
            for entry in annotations.entries
        ],
        **({"tracks": tracks} if tracks else {}),
        **annotations.others,
    }


def _track_to_json(track: Track) -> list[dict[str, Any]]:
    return [{"stamp_ns": key.stamp_ns, "box_xyxy_px": list(key.box_xyxy_px)} for key in track]


def write_annotations(path: Path | str, annotations: Annotations) -> None:
    """Checks and writes the file. Raises: AnnotationError."""
    values = annotations_to_json(annotations)
    annotations_from_json(values, str(path))
    try:
        Path(path).write_text(json_text(values) + "\n", "utf-8")
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be written ({error})") from error


def read_annotations(path: Path | str) -> Annotations:
    """Reads and checks the file.

    Raises:
        AnnotationError: it is not an annotation file, or some entries are wrong; the message
            lists all of them with their fields.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
        values = json.loads(text, object_pairs_hook=_without_twins)
    except (OSError, ValueError, RecursionError) as error:
        raise AnnotationError(
            f"{path}: cannot be read as an annotation file ({error}); expected JSON as in "
            "docs/evaluation.md"
        ) from error
    return annotations_from_json(values, str(path))


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs. Raises: ValueError: a name is there twice, such as a person's."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r:.80} is there twice in one object; rename one of them")
    return found


def annotations_from_json(values: Any, name: str) -> Annotations:
    """The annotations that `annotations_to_json` described.

    Args:
        values: the parsed JSON.
        name: name of the file in messages.

    Raises:
        AnnotationError: with one line for each error.
    """
    if not isinstance(values, Mapping) or values.get("format") != FORMAT:
        got = values.get("format") if isinstance(values, Mapping) else type(values).__name__
        raise AnnotationError(f"{name}: expected the format {FORMAT!r}, got {got!r}")
    check = _Checks(name)
    size_px = check.pair(values.get("size_px"), "size_px", "whole numbers", optional=True)
    tracks = check.tracks(values.get("tracks", {}), size_px)
    listed = values.get("entries")
    if not isinstance(listed, list):
        check.wrong("entries", "a list", listed)
        listed = []
    entries: list[Entry] = []
    for index, item in enumerate(listed):
        entry = check.entry(item, index, size_px, tracks)
        if entry is not None and any(entry.id == other.id for other in entries):
            check.wrong(f"entries[{index}].id", "an id that no other entry has", entry.id)
        elif entry is not None:
            entries.append(entry)
    texts = [values.get(key, "") for key in ("recording", "topic")]
    for key, text in zip(("recording", "topic"), texts, strict=True):
        if not isinstance(text, str):
            check.wrong(key, "a text", text)
    if check.problems:
        raise AnnotationError("\n".join(check.problems))
    others = _others(values, Annotations, "format")
    return Annotations(tuple(entries), texts[0], texts[1], size_px, tracks, others)


class _Checks(FieldChecks):
    """Reads the fields of annotations."""

    def tracks(self, values: Any, size_px: tuple[int, int] | None) -> dict[str, Track]:
        """The people by name, without those that have errors."""
        if not isinstance(values, Mapping) or not all(name.strip() for name in values):
            self.wrong("tracks", "an object of key frames by the names of people", values)
            return {}
        found = {}
        for name, listed in values.items():
            before, field = len(self.problems), f"tracks ({name})"
            track = self.key_frames(listed, field, None, size_px)
            if len(self.problems) == before and not track:
                self.wrong(field, "at least one box", listed)
            found[name] = track
        return found

    def entry(
        self, item: Any, index: int, size_px: tuple[int, int] | None, tracks: Mapping[str, Track]
    ) -> Entry | None:
        """An entry, or None if it has errors."""
        before, place = len(self.problems), f"entries[{index}]"
        if not isinstance(item, Mapping):
            self.wrong(place, "an object", item)
            return None
        given = item.get("id")
        if not isinstance(given, str) or not given:
            self.wrong(f"{place}.id", "a text", given)
        else:
            place = f"entries[{index}] ({given})"
        query = item.get("query")
        if not isinstance(query, str) or not 0 < len(query.strip()) <= MAX_QUERY_CHARACTERS:
            expected = f"a sentence of at most {MAX_QUERY_CHARACTERS} characters"
            self.wrong(f"{place}.query", expected, query)
        span_ns = self.pair(item.get("span_ns"), f"{place}.span_ns", "stamps", optional=True)
        window_ns = self.pair(item.get("window_ns"), f"{place}.window_ns", "stamps", optional=True)
        command_ns = item.get("command_ns")
        if command_ns is not None and not whole_number(command_ns):
            self.wrong(f"{place}.command_ns", "a stamp or null", command_ns)
        keys = self.key_frames(item.get("key_frames", []), f"{place}.key_frames", span_ns, size_px)
        self.boxes(place, item, span_ns, tracks)
        if len(self.problems) > before:
            return None
        person = item.get("person", "")
        others = _others(item, Entry)
        return Entry(str(given), str(query), span_ns, keys, command_ns, window_ns, person, others)

    def boxes(
        self, place: str, item: Mapping[str, Any], span_ns: tuple[int, int] | None,
        tracks: Mapping[str, Track],
    ) -> None:  # fmt: skip
        """Checks that a present target has boxes: own key frames, or those of a person."""
        keys, person = item.get("key_frames", []), item.get("person", "")
        if item.get("span_ns") is None:
            for field, value in (("key_frames", keys), ("person", person)):
                if value:
                    self.wrong(f"{place}.{field}", "none, for the target is absent", value)
        elif person != "":
            if not isinstance(person, str) or person not in tracks:
                known = ", ".join(map(repr, tracks)) or "none"
                self.wrong(f"{place}.person", f"a name of tracks ({known})", person)
            elif keys:
                self.wrong(f"{place}.key_frames", "none, for the boxes are those of person", keys)
            elif span_ns is not None and not _within(tracks[person], span_ns):
                expected = f"a person with a box in the span {list(span_ns)}"
                self.wrong(f"{place}.person", expected, person)
        elif span_ns is not None and not keys:
            self.wrong(f"{place}.key_frames", "at least one box in the span", keys)

    def key_frames(
        self, listed: Any, field: str, span_ns: tuple[int, int] | None,
        size_px: tuple[int, int] | None,
    ) -> tuple[KeyFrame, ...]:  # fmt: skip
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            self.wrong(field, "a list", listed)
            return ()
        found: list[KeyFrame] = []
        for index, item in enumerate(listed):
            place = f"{field}[{index}]"
            stamp_ns = item.get("stamp_ns") if isinstance(item, Mapping) else None
            if not whole_number(stamp_ns):
                self.wrong(f"{place}.stamp_ns", "a stamp", stamp_ns)
                continue
            assert isinstance(stamp_ns, int)
            if found and stamp_ns <= found[-1].stamp_ns:
                expected = f"a stamp after {found[-1].stamp_ns}"
                self.wrong(f"{place}.stamp_ns", expected, stamp_ns)
            if span_ns is not None and not span_ns[0] <= stamp_ns <= span_ns[1]:
                expected = f"a stamp in the span {list(span_ns)}"
                self.wrong(f"{place}.stamp_ns", expected, stamp_ns)
            box = checked_box(item.get("box_xyxy_px"), size_px)
            if isinstance(box, str):
                self.wrong(f"{place}.box_xyxy_px", box, item.get("box_xyxy_px"))
                continue
            found.append(KeyFrame(stamp_ns, box))
        return tuple(found)


def _others(values: Mapping[str, Any], kind: type, *known: str) -> dict[str, Any]:
    """The fields that a class does not have."""
    own = {item.name for item in fields(kind)} - {"others"} | {*known}
    return {name: value for name, value in values.items() if name not in own}


def _within(track: Track, span_ns: tuple[int, int]) -> bool:
    """Whether a person is there at some time of a span; true for a track with errors."""
    return not track or (track[0].stamp_ns <= span_ns[1] and span_ns[0] <= track[-1].stamp_ns)
