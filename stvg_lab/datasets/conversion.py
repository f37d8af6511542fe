# SPDX-License-Identifier: Apache-2.0

"""Data sets as bags with annotation files, and annotated bags as a data set."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stvg_lab.datasets.annotations import Annotations, Entry, KeyFrame, write_annotations
from stvg_lab.datasets.samples import Sample
from stvg_lab.runs.runner import asked_window
from stvg_ros.errors import AnnotationError, RecordingError, StvgError
from stvg_ros.io.bag import write_bag
from stvg_ros.io.recording import source_images
from stvg_ros.io.video import write_video
from stvg_ros.types import Frame

# Where the time of a video begins in a bag: a stamp of zero would mean "no time".
BEGIN_NS = 1_700_000_000_000_000_000
TOPIC = "/camera/image"


@dataclass
class WrittenFrames:
    """Stamps and numbers of the frames that a conversion has written."""

    stamps_ns: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    size_px: tuple[int, int] = (0, 0)

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`(F,)` each."""
        return np.array(self.stamps_ns, np.int64), np.array(self.numbers, np.int64)


def to_bag(samples: Sequence[Sample], out: Path, *, storage: str, compressed: bool) -> str:
    """Writes the part of a video that samples share as a bag, and their truth beside it.

    The result is `out/NAME` and `out/NAME.json`, the latter last: where it is, all is there.

    Args:
        samples: of one `Sample.replay_key`.
        out: folder of bags.
        storage: "mcap" or "sqlite3".
        compressed: whether to write JPEG images.

    Returns:
        The name.

    Raises:
        RecordingError: the video cannot be read, or the bag cannot be written.
        AnnotationError: a sample's annotation is wrong.
    """
    first = samples[0]
    for sample in samples:
        if sample.problem:
            raise AnnotationError(sample.problem)
    name = bag_name(first)
    if (out / f"{name}.json").exists():
        return name
    shown, part = WrittenFrames(), out / f"{name}.part"
    if part.exists():  # what a stopped conversion left
        shutil.rmtree(part)
    out.mkdir(parents=True, exist_ok=True)
    frames = _part(first, shown)
    if write_bag(part, frames, topic=TOPIC, storage=storage, compressed=compressed) == 0:
        raise RecordingError(f"{first.source.path}: no frames in its part {first.frames}")
    part.rename(out / name)
    entries = tuple(_entry(sample, shown) for sample in samples)
    write_annotations(out / f"{name}.json", Annotations(entries, name, TOPIC, shown.size_px))
    return name


def bag_name(sample: Sample) -> str:
    """The name of the bag of a sample's part of a video."""
    stem = Path(sample.source.member or sample.source.path).stem
    begin, end = sample.frames or (0, 0)
    return _file_name(f"{stem}-{begin}-{end}" if begin else stem)


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)


def _part(sample: Sample, shown: WrittenFrames) -> Iterator[Frame]:
    """The frames of the sample's part, in the bag's time."""
    begin, end = sample.frames or (0, np.inf)
    for number, image in enumerate(source_images(sample.source)):
        stamp_ns = BEGIN_NS + image.stamp_ns
        if number >= end:
            return
        if number < begin or (shown.stamps_ns and stamp_ns <= shown.stamps_ns[-1]):
            continue
        frame = replace(image.frame(), stamp_ns=stamp_ns)
        shown.stamps_ns.append(stamp_ns)
        shown.numbers.append(number)
        shown.size_px = (frame.source_width_px, frame.source_height_px)
        yield frame


def _entry(sample: Sample, shown: WrittenFrames) -> Entry:
    """The sample's truth with a key frame for every frame that has a box."""
    stamps_ns, numbers = shown.arrays()
    truth = sample.truth(stamps_ns, numbers)
    if truth is None:
        return Entry(sample.id, sample.query, None)
    span, rows = np.flatnonzero(truth.span), np.flatnonzero(truth.span & truth.present)
    if not len(rows):
        raise AnnotationError(f"{sample.id}: no frame of the video has a true box")
    keys = []
    for row in rows:
        x1, y1, x2, y2 = (round(float(edge), 2) for edge in truth.boxes_xyxy_px[row])
        keys.append(KeyFrame(int(stamps_ns[row]), (x1, y1, x2, y2)))
    span_ns = (int(stamps_ns[span[0]]), int(stamps_ns[span[-1]]))
    return Entry(sample.id, sample.query, span_ns, tuple(keys))


def to_hcstvg(
    samples: Sequence[Sample], out: Path, version: str, seconds: float,
    failed: Callable[[Sample, StvgError], None],
) -> int:  # fmt: skip
    """Writes the windows of commands as videos and their truth as an HC-STVG annotation.

    The result is `out/video/NAME.mp4` and `out/test.json` (v1) or `out/val_v2.json` (v2). The
    layout knows no absent targets.

    Args:
        samples: of annotation files.
        out: folder of the data set.
        version: "v1" or "v2".
        seconds: longest video, counted back from the command; HC-STVG's have 20.
        failed: told of each sample that cannot be written, and why.

    Returns:
        The number of videos.

    Raises:
        RecordingError: the annotation cannot be written.
    """
    entries: dict[str, Any] = {}
    (out / "video").mkdir(parents=True, exist_ok=True)
    for sample in samples:
        name = f"{_file_name(sample.id)}.mp4"
        try:
            entries[name] = _hcstvg_entry(sample, out / "video" / name, version, seconds)
        except StvgError as error:
            failed(sample, error)
    path = out / ("test.json" if version == "v1" else "val_v2.json")
    try:
        path.write_text(json.dumps(entries, indent=1) + "\n")
    except OSError as error:
        raise RecordingError(f"{path}: cannot be written ({error})") from error
    return len(entries)


def _hcstvg_entry(sample: Sample, path: Path, version: str, seconds: float) -> dict[str, Any]:
    """Writes a video, and returns its entry of the annotation."""
    if not sample.present:
        raise AnnotationError(f"{sample.id}: HC-STVG has no place for absent targets")
    shown = _window(sample, seconds)
    wanted = set(shown.stamps_ns)

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for image in source_images(sample.source):
            if image.stamp_ns in wanted:
                wanted.remove(image.stamp_ns)
                frame = image.frame()
                shown.size_px = (frame.source_width_px, frame.source_height_px)
                yield frame.image

    write_video(path, pictures(), shown.stamps_ns)
    truth = sample.truth(*shown.arrays())
    if truth is None or not truth.span.any():
        path.unlink()
        raise AnnotationError(f"{sample.id}: no frame of the video is in the true span")
    span = np.flatnonzero(truth.span)
    corners = truth.boxes_xyxy_px[span].astype(np.float64)
    corners[:, 2:] -= corners[:, :2]
    times_s = (shown.arrays()[0] - shown.stamps_ns[0]) / 1e9
    width, height = shown.size_px
    described = (
        {"caption": sample.query, "width": width, "height": height}
        if version == "v1"
        else {"English": sample.query, "img_size": [height, width, 3]}
    )
    return {
        "bbox": corners.round(2).tolist(),
        "st_time": float(times_s[span[0]]),
        "ed_time": float(times_s[span[-1]]),
        "img_num": len(shown.stamps_ns),
        "st_frame": int(span[0]) + 1,
        **described,
    }


def _window(sample: Sample, seconds: float) -> WrittenFrames:
    """The frames that the command asks about, from a pass that converts none."""
    stamps_ns: list[int] = []
    for image in source_images(sample.source):
        if not stamps_ns or image.stamp_ns > stamps_ns[-1]:
            stamps_ns.append(image.stamp_ns)
    low_ns, high_ns = asked_window(sample, stamps_ns[-1] if stamps_ns else 0, seconds)
    kept = [stamp_ns for stamp_ns in stamps_ns if low_ns <= stamp_ns <= high_ns]
    return WrittenFrames(kept, list(range(len(kept))))
