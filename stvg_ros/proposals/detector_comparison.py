# SPDX-License-Identifier: Apache-2.0

"""Compares loaded detectors and trackers with the library's own processors, on small images.

Dimensions: N boxes, m x m the tracker's low resolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
    GroundingDinoImageProcessorPil,
)
from transformers.models.grounding_dino.processing_grounding_dino import GroundingDinoProcessor

from stvg_ros.checkpoints.files import first_line
from stvg_ros.checkpoints.library_agreement import LibraryComparison
from stvg_ros.errors import ModelError
from stvg_ros.proposals.detector_checkpoint import DetectorCheckpoint
from stvg_ros.proposals.open_vocabulary.concept_tracker import ConceptTracker
from stvg_ros.proposals.open_vocabulary.mask_tracker import MaskTracker
from stvg_ros.proposals.open_vocabulary.text_detector import TextDetector
from stvg_ros.proposals.people.transformer_detector import PeopleDetector

LEVELS = 2  # of 255: PIL and torch round resized pixels differently
SCORES, PIXELS = 1e-4, 0.5  # largest differences of scores, and of boxes in pixels
PHRASE = "person"
_BEST = 5  # boxes that are compared
_OBJECTS = 20  # most that are tracked
_BOX = (0.2, 0.2, 0.7, 0.9)  # where tracking starts, normalised
Image = NDArray[np.uint8]


@torch.no_grad()
def people_comparisons(detect: PeopleDetector, image: Image) -> Iterator[LibraryComparison]:
    """Pixels and boxes of a people detector whose threshold is 0.

    Raises:
        ModelError: the library's processor cannot be used here.
    """
    loaded = detect.checkpoint
    processor = _processor(transformers.AutoImageProcessor, loaded)
    theirs = processor(images=image, return_tensors="pt")["pixel_values"]
    ours = loaded.pixels(image, *detect.size)
    yield _pixels(loaded, ours, theirs)
    output = loaded.model(pixel_values=ours.to(loaded.device))
    # Of one class, since the library keeps the best boxes of all classes together.
    output.logits = output.logits[..., detect.person, None]
    (found,) = processor.post_process_object_detection(
        output, threshold=0.0, target_sizes=[image.shape[:2]]
    )
    yield _boxes(image, detect(image), found["boxes"], found["scores"])


@torch.no_grad()
def text_comparisons(detect: TextDetector, image: Image) -> Iterator[LibraryComparison]:
    """Prompt, pixels and boxes of a text detector whose thresholds are 0.

    Raises:
        ModelError: the library's processor cannot be used here.
    """
    loaded = detect.checkpoint
    # By class, since early releases give the image processor a name that is no longer known.
    processor: Any = GroundingDinoProcessor(
        _processor(GroundingDinoImageProcessorPil, loaded),
        _processor(transformers.AutoTokenizer, loaded),
    )
    given = processor(images=image, text=f"{PHRASE}.", return_tensors="pt")
    theirs, ours = given["input_ids"][0].tolist(), detect.prompt_ids(PHRASE)
    text = (
        f"{len(ours)} tokens of {PHRASE!r}, {'all as' if ours == theirs else 'not'} the library's"
    )
    yield LibraryComparison("prompt", text, ours == theirs)
    pixels = loaded.pixels(image, *detect.fitted(*image.shape[:2]))
    yield _pixels(loaded, pixels, given["pixel_values"])
    if ours != theirs or pixels.shape != given["pixel_values"].shape:
        return  # the boxes would differ for the same reason
    given["pixel_values"] = pixels
    output = loaded.model(**{name: each.to(loaded.device) for name, each in given.items()})
    (found,) = processor.post_process_grounded_object_detection(
        output, given["input_ids"], 0.0, 0.0, target_sizes=[image.shape[:2]]
    )
    yield _boxes(image, detect(image, PHRASE), found["boxes"], found["scores"])


@torch.no_grad()
def tracker_comparisons(
    tracker: MaskTracker, images: Sequence[Image]
) -> Iterator[LibraryComparison]:
    """Masks of one object, image by image, against the library's session over all images."""
    box = np.array(_BOX, np.float32)
    masks = []
    for frame, image in enumerate(images):
        tracker.set_image(image, frame)
        if frame == 0:
            item, seen = tracker.start(box)
        else:
            seen = tracker.step(item)
        masks.append(seen.mask)
    loaded, (height, width) = tracker.checkpoint, tracker.edges
    pixels = torch.cat([loaded.pixels(image, height, width) for image in images])
    session = type(item.session)(
        pixels.to(loaded.device), *images[0].shape[:2],
        inference_device=loaded.device, dtype=torch.float32,
    )  # fmt: skip
    corners = torch.tensor(box).reshape(1, 1, 2, 2) * torch.tensor([width, height])
    prompt = {"point_coords": corners, "point_labels": torch.tensor([[[2, 3]]], dtype=torch.int32)}
    session.add_point_inputs(session.obj_id_to_idx(1), 0, prompt)
    session.obj_with_new_inputs = [1]
    differing = 0
    for mask, output in zip(
        masks, loaded.model.propagate_in_video_iterator(session, 0), strict=True
    ):
        appears = bool(output.object_score_logits.max() > 0)
        theirs = (output.pred_masks[0, 0] > 0).cpu().numpy() & appears
        differing += int((mask != theirs).sum())
    size = len(masks) * masks[0].size
    text = f"{differing} of {size} pixels of {len(masks)} masks differ from the library's"
    yield LibraryComparison("masks", text, differing <= size // 1000)


def concept_comparisons(
    tracker: ConceptTracker, images: Sequence[Image]
) -> Iterator[LibraryComparison]:
    """Masks of a phrase's objects against a session of the library that keeps everything."""
    tracker.begin(PHRASE, _OBJECTS)
    ours = [tracker.step(image, frame).seen for frame, image in enumerate(images)]
    loaded = tracker.checkpoint
    session = tracker.session_of(PHRASE)
    objects = differing = size = 0
    for frame, (image, found) in enumerate(zip(images, ours, strict=True)):
        pixels = loaded.pixels(image, *tracker.edges)
        output = loaded.model(session, frame=pixels, frame_idx=frame)
        hidden = {*output.removed_obj_ids, *output.suppressed_obj_ids}
        theirs = {
            number: (logits[0] > 0).cpu().numpy()
            for number, logits in output.obj_id_to_mask.items()
            if number not in hidden
        }
        if theirs.keys() != found.keys():
            text = f"objects {sorted(found)} in image {frame}, the library's {sorted(theirs)}"
            yield LibraryComparison("masks", text, False)
            return
        objects += len(theirs)
        differing += sum(int((found[at].mask != mask).sum()) for at, mask in theirs.items())
        size += sum(mask.size for mask in theirs.values())
    text = f"{differing} of {size} pixels of {objects} masks differ from the library's"
    yield LibraryComparison("masks", text, differing <= size // 1000)


def _processor(kind: Any, loaded: DetectorCheckpoint) -> Any:
    """Raises: ModelError."""
    files = loaded.files
    try:
        return kind.from_pretrained(
            files.source, local_files_only=files.local, trust_remote_code=False
        )
    except Exception as error:  # transformers raises errors of many kinds
        raise ModelError(
            f"{files.source}: the library's own processor cannot be used here "
            f"({first_line(error)}); install torchvision, or complete the folder"
        ) from error


def _pixels(loaded: DetectorCheckpoint, ours: Tensor, theirs: Tensor) -> LibraryComparison:
    if ours.shape != theirs.shape:
        text = f"{tuple(ours.shape)} for the model, the library's {tuple(theirs.shape)}"
        return LibraryComparison("pixels", text, False)
    level = loaded.preprocessing.rescale / min(loaded.preprocessing.std)
    most = float((ours - theirs).abs().max()) / level
    text = f"within {most:.1f} levels of 255 of the library's, {ours.shape[3]} x {ours.shape[2]}"
    return LibraryComparison("pixels", text, most <= LEVELS)


def _boxes(
    image: Image,
    ours: tuple[NDArray[np.float32], NDArray[np.float32]],
    boxes: Tensor,
    scores: Tensor,
) -> LibraryComparison:
    """The best of our boxes `(N, 4)` and scores `(N,)` are among the library's."""
    limit = np.array([image.shape[1], image.shape[0]] * 2, np.float32)
    theirs = np.clip(boxes.cpu().numpy(), 0, limit)
    their_scores = scores.cpu().numpy()
    least = their_scores.min() if len(their_scores) else np.inf
    best = [each for each in zip(*ours, strict=True) if each[1] >= least - SCORES][:_BEST]
    if not best:
        return LibraryComparison("boxes", "none on the drawn image to compare", True)
    known = [
        bool(
            (
                (np.abs(theirs - box).max(1) <= PIXELS) & (np.abs(their_scores - score) <= SCORES)
            ).any()
        )
        for box, score in best
    ]
    text = f"{sum(known)} of the best {len(best)} are among the library's"
    return LibraryComparison("boxes", text, all(known))
