# SPDX-License-Identifier: Apache-2.0

"""Held-out figures: yes/no answers, and attention of the role tokens in space and time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stvg_lab.rendered.hard.hard_queries import HardQuery, hard_queries
from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.queries import HARD_SPLITS, SceneQuery, scene_queries, split_seed
from stvg_lab.rendered.scene import Scene
from stvg_lab.runs.conventions import range_iou
from stvg_lab.training.architecture import Architecture
from stvg_lab.training.clip_kinds import ClipKind
from stvg_lab.training.clip_pool import FRAMES, TrainingClip, make_clip
from stvg_lab.training.examiner import Packer, Question
from stvg_lab.training.hard_clips import OWNERS, HardClip, make_hard_clip
from stvg_lab.training.packed_questions import COLUMNS, PAIR, ROWS, patches_of
from stvg_ros.method.attention import EPSILON
from stvg_ros.method.query import NEUTRAL, question

KINDS = ("attribute", "action", "combined", "sentence", "relation")
HeldOutAnswers = tuple[Scene | HardScene, TrainingClip | HardClip, Sequence[SceneQuery]]


def held_out(split: str, count: int) -> list[HeldOutAnswers]:
    """Scenes of a split with their clips and sentences.

    The clips are rendered at full size and resized like camera images.
    """
    return [_held_out(split, index) for index in range(count)]


def _held_out(split: str, index: int) -> HeldOutAnswers:
    seed = split_seed(split, index)
    if split in HARD_SPLITS:
        hard = HardScene.from_seed(seed)
        asked = [
            query
            for query in hard_queries(hard, split, index)
            if query.target is None or query.target < OWNERS
        ]
        return hard, make_hard_clip(hard, asked), asked
    scene = Scene.from_seed(seed)
    return scene, make_clip(scene), [q for q in scene_queries(scene, seed=1) if q.kind in KINDS]


@torch.no_grad()
def held_out_figures(
    architecture: Architecture,
    model: Any,
    packer: Packer,
    prompt: tuple[Any, ...],
    answer_ids: tuple[int, int],
    held: Sequence[HeldOutAnswers],
) -> dict[str, float]:
    """Figures over all queries of the held-out scenes (`model_card` says what they mean)."""
    model.eval()
    found: dict[str, list[float]] = defaultdict(list)
    for scene, clip, queries in held:
        neutral = Question(NEUTRAL, "", "neutral", (), None)
        asked = [Question(question(q.text), "", q.kind, (), None) for q in queries]
        packed = packer([[neutral, *asked]])
        visual = architecture.encode(model, patches_of(torch.from_numpy(clip.frames)[None]))
        attending = architecture.attending_layers
        output = architecture.run(model, visual[None], *prompt, packed.ids, attending)
        rows = packed.rows[0]  # (Q, R)
        picked = torch.arange(len(rows))[:, None]
        maps = output.attention[:, 0][:, picked, rows]  # (layers, Q, R, M)
        logits = output.logits[0, picked[:, 0], rows[:, -1]]
        yes = (logits[:, answer_ids[0]] > logits[:, answer_ids[1]])[1:].tolist()
        band = [attending.index(layer) for layer in architecture.attention_layers]
        bands = {"": maps[band].mean(0), "all layers ": maps.mean(0)}
        for index, query in enumerate(queries):
            right = yes[index] == (query.target is not None)
            found[f"yes_no/{query.kind}/{'present' if query.target is not None else 'absent'}"] += [
                float(right)
            ]
            if query.target is None:
                continue
            found[f"chance/{query.kind}"].append(1 / len(_meant(scene, query)))
            for name, rows_of in bands.items():
                heat = (rows_of[index + 1] / (rows_of[0] + EPSILON)).numpy()
                _score(found, name, heat, scene, clip, query)
    return {key: float(np.mean(values)) for key, values in sorted(found.items())}


def _score(
    found: dict[str, list[float]],
    band: str,
    heat: NDArray[np.float32],
    scene: Scene | HardScene,
    clip: TrainingClip | HardClip,
    query: SceneQuery,
) -> None:
    """Adds the figures of one present target; `heat` is `(R, M)` relative attention of its rows."""
    best = heat[int(np.argmax(heat.max(1)))]
    for name, values in (("mean row", heat.mean(0)), ("strongest row", best)):
        meant = _meant(scene, query)
        curves = person_curves(values, clip.cover[list(meant)])
        right = float(meant[int(np.argmax(curves.max(1)))] == query.target)
        found[f"person/{band}{name}/{query.kind}"].append(right)
        if band == "" and query.timed and query.act != "stand":
            assert query.target is not None
            low, high = half_peak(curves[meant.index(query.target)])
            true = (query.start_frame, query.end_frame)
            per_slot = scene.frame_count / (FRAMES // PAIR)
            found[f"tiou/{name}/{query.kind}"].append(
                range_iou((low * per_slot, high * per_slot), true)
            )
            if name == "mean row":
                whole = range_iou((0, scene.frame_count), true)
                found[f"tiou/whole window/{query.kind}"].append(whole)


def _meant(scene: Scene | HardScene, query: SceneQuery) -> range:
    """Numbers of those among whom the target is chosen: the people, or the things."""
    people = len(scene.people)
    if isinstance(scene, HardScene) and isinstance(query, HardQuery) and query.of_things:
        return range(people, min(OWNERS, people + len(scene.things)))
    return range(people)


def person_curves(values: NDArray[np.float32], cover: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maximum of the heat inside each person's box in each slot, `(P, S)`.

    A token counts as inside if it contains at least a fifth of the box.

    Args:
        values: the heat of all tokens, `(M,)`.
        cover: `(P, T, h * w)`, see `TrainingClip`.
    """
    heat = values.reshape(-1, 1, ROWS * COLUMNS)  # (S, 1, h * w)
    share = cover / np.maximum(cover.sum(-1, keepdims=True), 1e-6)
    inside = share.reshape(len(cover), -1, PAIR, ROWS * COLUMNS) >= 0.2
    return np.where(inside, heat[None], 0.0).max((-1, -2)).astype(np.float32)


def half_peak(curve: NDArray[np.float32]) -> tuple[int, int]:
    """The run of slots around the peak that are above half of it, `[low, high)`."""
    peak = int(np.argmax(curve))
    low = high = peak
    while low > 0 and curve[low - 1] >= 0.5 * curve[peak]:
        low -= 1
    while high + 1 < len(curve) and curve[high + 1] >= 0.5 * curve[peak]:
        high += 1
    return low, high + 1


def progress_figures(figures: dict[str, float], clips: ClipKind) -> dict[str, float]:
    """The figures of the progress line."""
    short = {}
    for kind in clips.kinds:
        parts = [figures.get(f"yes_no/{kind}/{state}", 0.0) for state in ("present", "absent")]
        short[f"yes/no {kind}"] = round(sum(parts) / 2, 3)
        short[f"person {kind}"] = round(figures.get(f"person/mean row/{kind}", 0.0), 3)
    short["tIoU"] = round(figures.get(f"tiou/mean row/{clips.timed}", 0.0), 3)
    return short
