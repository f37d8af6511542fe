# SPDX-License-Identifier: Apache-2.0

"""Verifies the checkpoint of a detector or tracker: weights, prompt, pixels, boxes, masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stvg_ros.checkpoints.files import CheckpointFiles
from stvg_ros.doctor.findings import Finding
from stvg_ros.errors import ModelError, StvgError

SETTING = "FOLDER"
_SHOWN = 5  # names of unused weights


def verified_part(path: str, device: str) -> Iterator[Finding] | None:
    """Findings about a detector or tracker; None for a folder of anything else."""
    try:
        kind = CheckpointFiles.of(path, SETTING).config(SETTING).get("model_type")
    except StvgError:
        return None
    check = _check_of(str(kind))
    return None if check is None else _guarded(check(path, device))


def is_part(model_type: str) -> bool:
    """Whether it is a detector or tracker that is used here."""
    return _check_of(model_type) is not None


def _check_of(model_type: str) -> Callable[[str, str], Iterator[Finding]] | None:
    from stvg_ros.proposals.open_vocabulary import concept_tracker, mask_tracker, text_detector
    from stvg_ros.proposals.people import transformer_detector

    parts: tuple[tuple[dict[str, str], Callable[[str, str], Iterator[Finding]]], ...] = (
        (transformer_detector.CLASSES, _people),
        (text_detector.CLASSES, _text),
        (mask_tracker.CLASSES, _tracker),
        (concept_tracker.CLASSES, _concept),
    )
    return next((check for kinds, check in parts if model_type in kinds), None)


def _guarded(findings: Iterator[Finding]) -> Iterator[Finding]:
    """The findings; one that cannot be loaded has one finding."""
    try:
        yield from findings
    except StvgError as error:
        yield Finding("bad", "weights", str(error))


def _people(path: str, device: str) -> Iterator[Finding]:
    from stvg_ros.models.library_comparison import sample_video
    from stvg_ros.proposals.detector_comparison import people_comparisons
    from stvg_ros.proposals.people.transformer_detector import PeopleDetector

    detect = PeopleDetector(path, device, 0.0)
    yield from _weights(detect.checkpoint)
    count = len(detect.checkpoint.model.config.id2label)
    yield Finding("ok", "class", f"'person' is number {detect.person} of {count} classes")
    yield from _compared(people_comparisons(detect, sample_video()[0]))


def _text(path: str, device: str) -> Iterator[Finding]:
    from stvg_ros.models.library_comparison import sample_video
    from stvg_ros.proposals.detector_comparison import text_comparisons
    from stvg_ros.proposals.open_vocabulary.text_detector import TextDetector

    detect = TextDetector(path, device, 0.0, 0.0)
    yield from _weights(detect.checkpoint)
    yield from _compared(text_comparisons(detect, sample_video()[0]))


def _tracker(path: str, device: str) -> Iterator[Finding]:
    from stvg_ros.models.library_comparison import sample_video
    from stvg_ros.proposals.detector_comparison import tracker_comparisons
    from stvg_ros.proposals.open_vocabulary.mask_tracker import MaskTracker

    tracker = MaskTracker.load(path, device)
    yield from _weights(tracker.checkpoint)
    yield from _compared(tracker_comparisons(tracker, sample_video()))


def _concept(path: str, device: str) -> Iterator[Finding]:
    from stvg_ros.models.library_comparison import sample_video
    from stvg_ros.proposals.detector_comparison import concept_comparisons
    from stvg_ros.proposals.open_vocabulary.concept_tracker import ConceptTracker

    tracker = ConceptTracker.load(path, device)
    yield from _weights(tracker.checkpoint)
    yield from _compared(concept_comparisons(tracker, sample_video()))


def _weights(loaded: Any) -> Iterator[Finding]:
    count, kind = len(loaded.model.state_dict()), type(loaded.model).__name__
    yield Finding("ok", "weights", f"{kind}: {count} tensors, none missing or left random")
    if loaded.unused:
        names = ", ".join(loaded.unused[:_SHOWN])
        text = f"{len(loaded.unused)} tensors of the files are unused: {names}"
        yield Finding("note", "unused", text, "expected for heads of training; else a wrong class")


def _compared(found: Iterator[Any]) -> Iterator[Finding]:
    try:
        for each in found:
            yield Finding("ok" if each.equal else "bad", each.about, each.text)
    except ModelError as error:
        yield Finding("note", "library", f"not compared: {error}")
