# SPDX-License-Identifier: Apache-2.0

"""Converts data sets to bags with annotation files, and annotated bags to a data set."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stvg_lab.datasets.annotations import Annotations, Entry, KeyFrame, write_annotations
from stvg_lab.datasets.samples import Sample
from stvg_lab.runs.runner import asked_window
from stvg_ros.errors import AnnotationError, ImageError, RecordingError, StvgError
from stvg_ros.io.bag import write_bag
from stvg_ros.io.outputs import check_outputs, output, write_json_output, written_by
from stvg_ros.io.recording import source_images
from stvg_ros.io.video import write_video
from stvg_ros.types import Frame

# Start time of a video in a bag: a stamp of zero would mean "no time".
BEGIN_NS = 1_700_000_000_000_000_000
TOPIC = "/camera/image"
COMMAND = "convert"


@dataclass
class WrittenFrames:
    """Stamps and numbers of the frames that a conversion wrote."""

    stamps_ns: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    size_px: tuple[int, int] = (0, 0)

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """`(F,)` each."""
        return np.array(self.stamps_ns, np.int64), np.array(self.numbers, np.int64)


def to_bag(samples: Sequence[Sample], out: Path, *, storage: str, compressed: bool) -> str:
    """Writes the part of a video that samples share as a bag, with an annotation file.

    The result is `out/NAME` and `out/NAME.json`; the latter is written last and marks completion.

    Args:
        samples: samples of one `Sample.replay_key`.
        out: folder of bags.
        storage: "mcap" or "sqlite3".
        compressed: whether to write JPEG images.

    Returns:
        The name.

    Raises:
        RecordingError: the video cannot be read, or the bag cannot be written.
        AnnotationError: a sample's annotation is wrong.
        ConfigError: a foreign file has the name of one of the two.
    """
    first = samples[0]
    for sample in samples:
        if sample.problem:
            raise AnnotationError(sample.problem)
    name = bag_name(first)
    if written_by(COMMAND, out / f"{name}.json") and written_by(COMMAND, out / name):
        return name
    check_outputs(COMMAND, (out / name, out / f"{name}.json"))
    shown = WrittenFrames()
    with output(COMMAND, out / name) as part:
        frames = _part(first, shown)
        if write_bag(part, frames, topic=TOPIC, storage=storage, compressed=compressed) == 0:
            raise RecordingError(f"{first.source.path}: no frames in its part {first.frames}")
    entries = tuple(_entry(sample, shown) for sample in samples)
    with output(COMMAND, out / f"{name}.json") as path:
        write_annotations(path, Annotations(entries, name, TOPIC, shown.size_px))
    return name


def bag_name(sample: Sample) -> str:
    """The name of the bag of a sample's part of a video."""
    stem = Path(sample.source.member or sample.source.path).stem
    begin, end = sample.frames or (0, 0)
    return _file_name(f"{stem}-{begin}-{end}" if begin else stem)


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text)


def _part(sample: Sample, shown: WrittenFrames) -> Iterator[Frame]:
    """The frames of the sample's part, with the bag's times."""
    begin, end = sample.frames or (0, np.inf)
    for number, image in enumerate(source_images(sample.source)):
        stamp_ns = BEGIN_NS + image.stamp_ns
        if number >= end:
            return
        late = shown.stamps_ns and stamp_ns <= shown.stamps_ns[-1]
        if number < begin or image.stamp_ns < 0 or late:
            continue
        try:
            frame = replace(image.frame(), stamp_ns=stamp_ns)
        except ImageError:
            continue  # damaged: the true boxes of the others keep their numbers
        shown.stamps_ns.append(stamp_ns)
        shown.numbers.append(number)
        shown.size_px = (frame.source_width_px, frame.source_height_px)
        yield frame


def _entry(sample: Sample, shown: WrittenFrames) -> Entry:
    """The sample's truth with a key frame for every frame with a box."""
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
    layout has no absent targets. Nothing is written if nothing can be converted.

    Args:
        samples: samples of annotation files, with present targets.
        out: folder of the data set.
        version: "v1" or "v2".
        seconds: longest video, counted back from the command; HC-STVG's have 20.
        failed: called with each sample that cannot be written, and the reason.

    Returns:
        The number of videos.

    Raises:
        RecordingError: the annotation cannot be written.
        ConfigError: the annotation exists and was not written by this command.
    """
    annotation = out / ("test.json" if version == "v1" else "val_v2.json")
    check_outputs(COMMAND, [annotation])
    entries: dict[str, Any] = {}
    for sample in samples:
        name = f"{_file_name(sample.id)}.mp4"
        try:
            entries[name] = _hcstvg_entry(sample, out / "video" / name, version, seconds)
        except StvgError as error:
            failed(sample, error)
    if entries:
        write_json_output(COMMAND, annotation, entries)
    return len(entries)


def _hcstvg_entry(sample: Sample, path: Path, version: str, seconds: float) -> dict[str, Any]:
    """Writes a video, and returns its entry of the annotation."""
    shown = _window(sample, seconds)
    wanted = set(shown.stamps_ns)
    written: list[int] = []

    def frames() -> Iterator[Frame]:
        for image in source_images(sample.source):
            if image.stamp_ns not in wanted:
                continue
            try:
                frame = image.frame()
            except ImageError:
                continue  # damaged
            wanted.remove(image.stamp_ns)
            shown.size_px = (frame.source_width_px, frame.source_height_px)
            written.append(image.stamp_ns)
            yield frame

    with output(COMMAND, path) as part:
        pictures, times = itertools.tee(frames())
        write_video(part, (frame.image for frame in pictures), (frame.stamp_ns for frame in times))
        shown.stamps_ns, shown.numbers = written, list(range(len(written)))
        truth = sample.truth(*shown.arrays())
        if truth is None or not truth.span.any():
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
        "ed_time": float(np.append(times_s, _duration_s(times_s))[span[-1] + 1]),
        "img_num": len(shown.stamps_ns),
        "st_frame": int(span[0]) + 1,
        "duration_s": _duration_s(times_s),
        **described,
    }


def _duration_s(times_s: NDArray[np.float64]) -> float:
    """Duration of a video, including the mean duration of a frame for the last one."""
    step_s = float(times_s[-1]) / (len(times_s) - 1) if len(times_s) > 1 else 1.0
    return float(times_s[-1]) + step_s


def _window(sample: Sample, seconds: float) -> WrittenFrames:
    """The frames that the command asks about, without converting them."""
    stamps_ns: list[int] = []
    for image in source_images(sample.source):
        if not stamps_ns or image.stamp_ns > stamps_ns[-1]:
            stamps_ns.append(image.stamp_ns)
    low_ns, high_ns = asked_window(sample, stamps_ns[-1] if stamps_ns else 0, seconds)
    kept = [stamp_ns for stamp_ns in stamps_ns if low_ns <= stamp_ns <= high_ns]
    return WrittenFrames(kept, list(range(len(kept))))
