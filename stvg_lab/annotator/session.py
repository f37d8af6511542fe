# SPDX-License-Identifier: Apache-2.0

"""Converts between the page (frame numbers) and the annotation file (stamps)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stvg_lab.annotator.numbered_frames import FrameSequence
from stvg_lab.datasets.annotations import (
    Annotations,
    Entry,
    KeyFrame,
    Track,
    annotations_from_json,
    annotations_to_json,
    read_annotations,
)
from stvg_lab.runs.records import write_json
from stvg_ros.errors import AnnotationError


class Session:
    """The annotations of one recording, read from and saved to one file.

    Each state of the file has a version, which a page receives with the queries and sends back with
    its changes: changes saved by another page or an editor in the meantime are not overwritten.

    Thread contract: the server's threads call it one at a time.
    """

    def __init__(self, recording: FrameSequence, source: Path, out: Path) -> None:
        """Reads `out` if it exists.

        Args:
            recording: the frames.
            source: path of the bag or video.
            out: the annotation file.

        Raises:
            AnnotationError: `out` is not an annotation file, or is about another recording.
        """
        self._recording = recording
        self._source, self.out = source, out
        self._notes: list[str] = []
        self._loaded: dict[str, Entry] = {}
        self._tracks: dict[str, Track] = {}
        self._others: dict[str, Any] = {}  # the file's fields of other programs
        self._names: dict[str, str] = {}  # of the file's people, by the page's ids
        self._version = ""
        self._pages = 0  # that were given the queries
        self._refresh()
        self._given = self._version  # the version that the latest page was given

    def _refresh(self) -> None:
        """Reads the file if it changed since it was last read or written."""
        version = self._file_version()
        if version and version == self._version:
            return
        self._notes, self._loaded = list(self._recording.notes), {}
        self._tracks, self._names, self._others = {}, {}, {}
        if version:
            self._load(read_annotations(self.out))
        self._version = version

    def _file_version(self) -> str:
        """Version of the file's content; "" if there is no file."""
        try:
            return hashlib.sha256(self.out.read_bytes()).hexdigest()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            raise AnnotationError(f"{self.out}: cannot be read ({error})") from error

    def _load(self, found: Annotations) -> None:
        """Loads a file's entries, if they can be about this recording."""
        stamps_ns, size_px = self._recording.stamps_ns, self._recording.size_px
        if found.size_px not in (None, size_px):
            raise AnnotationError(
                f"{self.out}: is about images of {found.size_px}, and {self._source} has "
                f"{size_px}; choose another --out"
            )
        keys = {f"person {name}": track for name, track in found.tracks.items()}
        keys |= {f"entry {entry.id}": entry.key_frames for entry in found.entries}
        spans = {f"entry {entry.id}": entry.span_ns or () for entry in found.entries}
        for name, track in keys.items():
            times = [*spans.get(name, ()), *(key.stamp_ns for key in track)]
            if times and not stamps_ns[0] <= min(times) <= max(times) <= stamps_ns[-1]:
                raise AnnotationError(
                    f"{self.out}: {name} has times from {min(times)} to {max(times)} ns, "
                    f"outside {self._source} ({stamps_ns[0]} to {stamps_ns[-1]} ns); it seems to "
                    "be about another recording; choose another --out"
                )
        self._loaded = {entry.id: entry for entry in found.entries}
        self._others = dict(found.others)
        self._tracks, self._names = dict(found.tracks), {name: name for name in found.tracks}
        known = set(stamps_ns.tolist())
        moved = sum(key.stamp_ns not in known for track in keys.values() for key in track)
        if moved:
            self._notes.append(
                f"{moved} key frames of {self.out.name} are not at a frame; they show at the "
                "nearest one, and saving moves them there."
            )

    def recording_json(self) -> dict[str, Any]:
        """The page's initial data: the current file. Raises: AnnotationError."""
        self._refresh()
        self._given = self._version
        self._pages += 1
        stamps_ns = self._recording.stamps_ns
        return {
            "name": self._source.name,
            "out": self.out.name,
            "exists": self.out.exists(),
            "version": self._version,
            "size_px": list(self._recording.size_px),
            "times_s": ((stamps_ns - stamps_ns[0]) / 1e9).tolist(),
            "notes": self._notes,
            "queries": [self._query_json(entry) for entry in self._loaded.values()],
            "people": [
                {"id": name, "name": name, "boxes": self._boxes_json(track)}
                for name, track in self._tracks.items()
            ],
        }

    def _query_json(self, entry: Entry) -> dict[str, Any]:
        begin = end = None
        if entry.span_ns is not None:
            begin, end = map(self._nearest, entry.span_ns)
        return {
            "id": entry.id,
            "text": entry.query,
            "absent": entry.span_ns is None,
            "begin": begin,
            "end": end,
            "person": entry.person,
            "boxes": self._boxes_json(entry.key_frames),
        }

    def _boxes_json(self, track: Track) -> dict[str, list[float]]:
        return {str(self._nearest(key.stamp_ns)): list(key.box_xyxy_px) for key in track}

    def _nearest(self, stamp_ns: int) -> int:
        """Number of the frame nearest to a stamp."""
        return int(np.argmin(np.abs(self._recording.stamps_ns - stamp_ns)))

    def save(self, values: Any) -> str:
        """Writes the page's queries to the file atomically.

        Args:
            values: `{"queries": [...], "version": ..., "kept": [...]}`: queries and version as in
                `recording_json` (without a version, the current one if there is one page, and
                what the latest page was given if there are several), and ids of queries that
                stay unchanged in the file, because their edit is incomplete. In the same way
                "people" and "kept_people"; without "people" they stay unchanged. A query names
                its person by the page's id.

        Returns:
            The new version.

        Raises:
            AnnotationError: a query is incomplete or invalid, or the file was saved by another
                program since that version.
            RecordingError: the file cannot be written. On all errors it is unchanged.
        """
        values = values if isinstance(values, Mapping) else {}
        listed, kept = values.get("queries"), values.get("kept", [])
        if not isinstance(listed, list) or not isinstance(kept, list):
            raise AnnotationError("expected a list 'queries' from the page")
        known = self._version if self._pages < 2 else self._given
        if not values.get("version", known) == self._version == self._file_version():
            raise AnnotationError(
                f"{self.out.name} was saved by somebody else since this page read it (another "
                "page, or an editor); copy what you need, then load this page again"
            )
        names, tracks = self._people(values)
        changed = {entry.id: entry for entry in (self._entry(item, names) for item in listed)}
        # In the file's order; new queries are last.
        entries = tuple(
            changed.get(name) or replace(entry, person=self._renamed(entry.person, names))
            for name, entry in self._loaded.items()
            if name in changed or name in kept
        ) + tuple(entry for name, entry in changed.items() if name not in self._loaded)
        if len(changed) < len(listed):
            raise AnnotationError("two queries from the page have one id; load the page again")
        recording = os.path.relpath(self._source.resolve(), self.out.resolve().parent)
        annotations = Annotations(
            entries, Path(recording).as_posix(), self._recording.topic, self._recording.size_px,
            tracks, self._others,
        )  # fmt: skip
        written = annotations_to_json(annotations)
        checked = annotations_from_json(written, self.out.name)
        write_json(self.out.resolve(), written)  # a link is kept
        self._loaded = {entry.id: entry for entry in checked.entries}
        self._tracks, self._names = tracks, names
        self._version = self._file_version()
        return self._version

    def _people(self, values: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Track]]:
        """The people to write: their names by the page's ids, and their tracks by name."""
        if "people" not in values:
            return self._names, self._tracks
        names, tracks = {}, {}
        try:
            for name in values.get("kept_people", []):
                if name in self._names:
                    names[name] = self._names[name]
                    tracks[self._names[name]] = self._tracks[self._names[name]]
            for item in values["people"]:
                name = " ".join(str(item["name"]).split())
                if name in tracks:
                    raise AnnotationError(f"two people have the name {name!r}; change one of them")
                names[str(item["id"])], tracks[name] = name, self._keys(item["boxes"])
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise AnnotationError(
                f"a person from the page is incomplete ({type(error).__name__}: {error}); expected "
                "a name and boxes at frames"
            ) from error
        return names, tracks

    def _renamed(self, person: str, names: Mapping[str, str]) -> str:
        """The new name of a person of the file."""
        ids = (known for known, name in self._names.items() if name == person)
        return next((names[known] for known in ids if known in names), person)

    def _keys(self, boxes: Mapping[str, Any]) -> Track:
        """Key frames by frame number, in order."""
        given = {int(frame): box for frame, box in boxes.items()}
        return tuple(KeyFrame(self._stamp(frame), _box(given[frame])) for frame in sorted(given))

    def _entry(self, item: Any, names: Mapping[str, str]) -> Entry:
        """A query of the page as an entry. Fields that the page does not show are unchanged."""
        try:
            name, text, absent = str(item["id"]), str(item["text"]), bool(item["absent"])
            keys = self._keys(item["boxes"])
            span = None if absent else (int(item["begin"]), int(item["end"]))
            person = str(item.get("person", ""))
            span_ns = None if span is None else (self._stamp(span[0]), self._stamp(span[1]))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise AnnotationError(
                f"a query from the page is incomplete ({type(error).__name__}: {error}); expected "
                "a text, a span and boxes at frames"
            ) from error
        entry = self._loaded.get(name) or Entry(name, text, None)
        return replace(
            entry, query=" ".join(text.split()), span_ns=span_ns, key_frames=keys,
            person=names.get(person, person),
        )  # fmt: skip

    def _stamp(self, frame: int) -> int:
        if not 0 <= frame < len(self._recording.stamps_ns):
            raise ValueError(f"no frame {frame}")
        return int(self._recording.stamps_ns[frame])


def _box(values: Any) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = map(float, values)
    return x1, y1, x2, y2
