# SPDX-License-Identifier: Apache-2.0

"""Rendered scenes as a data set on disk: HC-STVG's own files, or recordings with annotations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stvg_lab.datasets.annotations import (
    Annotations,
    Entry,
    KeyFrame,
    write_annotations,
)
from stvg_lab.datasets.field_checks import checked_box
from stvg_lab.rendered.clips import scene_frames
from stvg_lab.rendered.hard.hard_queries import hard_queries
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.queries import (
    HARD_SPLITS,
    SceneQuery,
    scene_queries,
    split_scene,
    split_seed,
)
from stvg_lab.rendered.scene import STAND, Scene
from stvg_lab.rendered.scene_questions import ALL_KINDS
from stvg_ros.errors import RecordingError
from stvg_ros.io.bag import write_bag
from stvg_ros.io.video import write_video

FORMATS = ("hc-stvg-v1", "hc-stvg-v2", "bag")
TOPIC = "/camera/image"
HC_STVG_S = 20.0  # length of an HC-STVG video
_BAG_S = 8.0
_START_NS = 1_700_000_000 * 10**9  # start of a recording
Progress = Callable[[], None]


def write_dataset(
    folder: Path, kind: str, split: str, seed: int, count: int, progress: Progress
) -> int:
    """Writes `count` scenes of a split from number `seed` on.

    The HC-STVG formats consist of `videos/*.mp4`, 20 s each, and `<split>.json` with one sentence
    for each video, which always has a target; a scene without such a sentence is skipped. "bag"
    writes a rosbag2 recording and an annotation file for each scene, with present and absent
    targets of every kind.

    Args:
        folder: is created; must be empty.
        kind: one of `FORMATS`.
        split: one of `SPLITS` of `queries`.
        seed: number of the first scene.
        count: videos or recordings.
        progress: called after each one.

    Returns:
        The number of sentences.

    Raises:
        ValueError: an unknown format or split, or a scene outside the split.
        RecordingError: the folder is not empty or cannot be written.
    """
    if kind not in FORMATS:
        raise ValueError(f"format: expected one of {', '.join(FORMATS)}, got {kind!r}")
    split_seed(split, seed + count - 1)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RecordingError(f"{folder}: is not empty; choose a folder that does not exist yet")
        if kind == "bag":
            return _write_bags(folder, split, seed, count, progress)
        return _write_hc_stvg(folder, kind == "hc-stvg-v2", split, seed, count, progress)
    except OSError as error:
        raise RecordingError(f"{folder}: cannot be written ({error})") from error


def hc_stvg_entry(scene: Scene | HardScene, query: SceneQuery, *, second: bool) -> dict[str, Any]:
    """A sentence and its tube with HC-STVG's keys; `second` for those of version 2.

    Boxes are `[x, y, w, h]`, one for each frame of the tube; `st_frame` counts from 1.

    Raises:
        ValueError: the target is absent, which the format cannot express.
    """
    if query.target is None:
        raise ValueError(f"HC-STVG has no absent targets; the query {query.text!r} has one")
    boxes = scene.boxes_xyxy_px[query.target, query.start_frame : query.end_frame].astype(float)
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    tube = {
        "bbox": np.round(sides, 2).tolist(),
        "st_time": query.start_frame / scene.fps,
        "ed_time": query.end_frame / scene.fps,
        "st_frame": query.start_frame + 1,
        "img_num": scene.frame_count,
    }
    if second:
        return {**tube, "img_size": [scene.height, scene.width], "English": query.text}
    return {**tube, "width": scene.width, "height": scene.height, "caption": query.text}


def _write_hc_stvg(
    folder: Path, second: bool, split: str, seed: int, count: int, progress: Progress
) -> int:
    videos = folder / "videos"
    videos.mkdir()
    written: dict[str, Any] = {}
    for number, scene in _scenes(split, seed, HC_STVG_S):
        sentences = _sentences(scene, split, number)
        stories = [q for q in sentences if q.kind == "sentence" and _in_view(scene, q)]
        if not stories:
            continue
        query = stories[int(np.random.default_rng((number, 2)).integers(len(stories)))]
        name = f"{split}_{number:07d}.mp4"
        images = (frame.image for frame in scene_frames(scene))
        write_video(videos / name, images, scene.stamps_ns.tolist())
        written[name] = hc_stvg_entry(scene, query, second=second)
        progress()
        if len(written) == count:
            break
    text = json.dumps(written, indent=1)
    (folder / f"{split}.json").write_text(text + "\n", "utf-8")
    return len(written)


def _write_bags(folder: Path, split: str, seed: int, count: int, progress: Progress) -> int:
    sentences = 0
    for number, scene in _scenes(split, seed, _BAG_S):
        name = f"{split}_{number:07d}"
        frames = scene_frames(scene, _START_NS)
        write_bag(folder / name, frames, topic=TOPIC, compressed=True)
        rng = np.random.default_rng((number, 2))
        entries: list[Entry] = []
        sentences_of = _sentences(scene, split, number)
        for kind in ALL_KINDS:
            for present in (True, False):
                fitting = [
                    query
                    for query in sentences_of
                    if query.kind == kind and (query.target is not None) == present
                ]
                if fitting:
                    query = fitting[int(rng.integers(len(fitting)))]
                    label = f"{kind}-{'present' if present else 'absent'}"
                    entries.append(_entry(scene, query, label))
        annotations = Annotations(tuple(entries), name, TOPIC, (scene.width, scene.height))
        write_annotations(folder / f"{name}.json", annotations)
        sentences += len(entries)
        progress()
        if number == seed + count - 1:
            break
    return sentences


def _scenes(split: str, seed: int, duration_s: float) -> Iterator[tuple[int, Scene | HardScene]]:
    number = seed
    while True:
        if split in HARD_SPLITS:
            yield number, HardScene.from_seed(split_seed(split, number), duration_s=duration_s)
        else:
            yield number, split_scene(split, number, duration_s)
        number += 1


def _in_view(scene: Scene | HardScene, query: SceneQuery) -> bool:
    """Whether the target is present with a box in every frame of its span."""
    if query.target is None:
        return False
    boxes = scene.boxes_xyxy_px[query.target, query.start_frame : query.end_frame]
    return bool((boxes[:, 2:] - boxes[:, :2] > 1).all())


def _sentences(scene: Scene | HardScene, split: str, number: int) -> list[SceneQuery]:
    """The queries about the scene, each with its own wording; none about standing."""
    if isinstance(scene, HardScene):
        return list(hard_queries(scene, split, number))
    return [query for query in scene_queries(scene, seed=2) if query.act != STAND]


def _entry(scene: Scene | HardScene, query: SceneQuery, label: str) -> Entry:
    """The annotation of a query, with a key frame wherever the target is visible."""
    if query.target is None:
        return Entry(label, query.text, None)
    size_px = scene.width, scene.height
    stamps = (_START_NS + scene.stamps_ns).tolist()
    keys = []
    for frame in range(query.start_frame, query.end_frame):
        box = checked_box(scene.boxes_xyxy_px[query.target, frame].tolist(), size_px)
        if not isinstance(box, str):
            keys.append(KeyFrame(stamps[frame], box))
    span_ns = stamps[query.start_frame], stamps[query.end_frame - 1]
    return Entry(label, query.text, span_ns, tuple(keys))
