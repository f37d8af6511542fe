# SPDX-License-Identifier: Apache-2.0

"""Tiny data sets from rendered scenes, in the layouts of the published ones."""

from __future__ import annotations

import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from stvg_lab.rendered.clips import scene_truth
from stvg_lab.rendered.queries import scene_queries, split_seed
from stvg_lab.rendered.render import render
from stvg_lab.rendered.scene import Scene
from stvg_lab.runs.scores import FrameTube
from stvg_ros.io.video import write_video

SEEDS = (3, 7)


@lru_cache(maxsize=4)
def scene_of(seed: int) -> Scene:
    return Scene.from_seed(split_seed("test", seed))


@lru_cache(maxsize=4)
def question(seed: int) -> tuple[str, FrameTube, int]:
    """A query about somebody who is there for a while, the true tube, the person's number."""
    scene = scene_of(seed)
    for query in scene_queries(scene):
        if query.target is not None and 4 < query.start_frame < query.end_frame - 5:
            return query.text, scene_truth(scene, query), query.target
    raise AssertionError("the scene has no such query")


@lru_cache(maxsize=4)
def video_of(seed: int) -> bytes:
    """The scene as a video file, at half its size."""
    scene = scene_of(seed)
    size = (scene.width // 2, scene.height // 2)
    images = (render(scene, index, *size) for index in range(scene.frame_count))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.mp4"
        write_video(path, images, scene.stamps_ns.tolist())
        return path.read_bytes()


def write_scene(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(video_of(seed))


def half(box: np.ndarray) -> list[float]:
    return [round(float(edge) / 2, 2) for edge in box]


def hcstvg(root: Path, version: str, split: str) -> dict[str, Any]:
    """Writes videos and annotation; returns the entries."""
    entries: dict[str, Any] = {}
    for seed in SEEDS:
        scene, (text, truth, _) = scene_of(seed), question(seed)
        name = f"{seed}_scene.mp4"
        write_scene(root / "video" / name, seed)
        span = np.flatnonzero(truth.span)
        corners = [half(truth.boxes_xyxy_px[number]) for number in span]
        entry: dict[str, Any] = {
            "bbox": [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in corners],
            "st_time": float(span[0] * 20 / scene.frame_count),
            "ed_time": float((span[-1] + 1) * 20 / scene.frame_count),
            "img_num": scene.frame_count,
            "st_frame": int(span[0]) + 1,
        }
        width, height = scene.width // 2, scene.height // 2
        if version == "v1":
            entry |= {"caption": text, "width": width, "height": height}
        else:
            entry |= {"English": text, "img_size": [height, width, 3]}
        entries[name] = entry
    name = f"{split}.json" if version == "v1" else f"{split}_v2.json"
    (root / "anno").mkdir(parents=True, exist_ok=True)
    (root / "anno" / name).write_text(json.dumps(entries))
    return entries


def vidstg(root: Path) -> list[dict[str, Any]]:
    """Writes VidOR's videos and boxes and VidSTG's queries; returns the records."""
    records = []
    for seed in SEEDS:
        scene, (text, truth, target) = scene_of(seed), question(seed)
        video = f"24{seed:08d}"
        write_scene(root / "vidor" / "video" / "0001" / f"{video}.mp4", seed)
        span = np.flatnonzero(truth.span)
        trajectories = [
            [
                {
                    "tid": person,
                    "bbox": dict(
                        zip(("xmin", "ymin", "xmax", "ymax"), half(boxes[number]), strict=True)
                    ),
                    "generated": 0,
                    "tracker": "none",
                }
                for person, boxes in enumerate(scene.boxes_xyxy_px)
            ]
            for number in range(scene.frame_count)
        ]
        width, height = scene.width // 2, scene.height // 2
        shared = {
            "fps": scene.fps, "frame_count": scene.frame_count, "width": width, "height": height,
            "subject/objects": [
                {"tid": person, "category": "adult"} for person in range(len(scene.boxes_xyxy_px))
            ],
        }  # fmt: skip
        folder = root / "vidor" / "validation" / "0001"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{video}.json").write_text(
            json.dumps({"video_id": video, "trajectories": trajectories, **shared})
        )
        begin = max(0, int(span[0]) - 4)
        records.append(
            {
                "vid": video,
                **shared,
                "used_segment": {"begin_fid": begin, "end_fid": scene.frame_count},
                "used_relation": {"subject_tid": target, "predicate": "near"},
                "temporal_gt": {"begin_fid": int(span[0]), "end_fid": int(span[-1]) + 1},
                "captions": [{"description": text, "type": "subject", "target_id": target}],
                "questions": [
                    {"description": f"who is {text}?", "type": "subject", "target_id": target}
                ],
            }
        )
    root.mkdir(parents=True, exist_ok=True)
    (root / "test_annotations.json").write_text(json.dumps(records))
    return records
