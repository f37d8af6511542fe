# SPDX-License-Identifier: Apache-2.0

"""Compares a loaded model with the library's own processor and forward pass, on one small video.

Dimensions: T frames, N tokens of the prompt, R candidate rows, M visual tokens.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers.video_utils import VideoMetadata

from stvg_ros.checkpoints.files import first_line
from stvg_ros.checkpoints.library_agreement import LibraryComparison
from stvg_ros.errors import ModelError
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models.attention_band import attending_layers, mapped_layers
from stvg_ros.models.attention_capture import NAME
from stvg_ros.models.chat_template import rendered, turn, written
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.preprocess import Images

QUESTION = "Is there a person in red in this video?"
TIMES_S = (0.0, 1.0, 2.0, 3.0)
SIZE_PX = (240, 320)  # height, width
LEVELS = 4  # of 255: PIL and torchvision round resized pixels differently
# Arguments with which a processor leaves frames whole, by the model's type.
WHOLE_FRAMES: dict[str, dict[str, Any]] = {
    "minicpmv4_6": {"max_slice_nums": 1},
    "minicpmv4_7": {"max_slice_nums": 1},
    "lfm2_vl": {"do_image_splitting": False},
}
ROWS_TOLERANCE, ANSWER_TOLERANCE = 1e-4, 1e-3  # in float32


def square_boxes() -> list[tuple[int, int, int, int]]:
    """Box x1, y1, x2, y2 of the square in each frame of the sample video, in pixels."""
    return [(40 + 60 * frame, 80, 100 + 60 * frame, 140) for frame in range(len(TIMES_S))]


def sample_video() -> Images:
    """T smooth RGB images `(h, w, 3)`, each with a red square at another place."""
    height, width = SIZE_PX
    rows, columns = np.mgrid[0:height, 0:width]
    images = []
    for frame, (x1, y1, x2, y2) in enumerate(square_boxes()):
        waves = [90 * np.sin(columns / 37 + frame + c) + 20 * np.cos(rows / 23) for c in range(3)]
        image = (127 + np.stack(waves, -1)).astype(np.uint8)
        image[y1:y2, x1:x2] = (200, 30, 30)
        images.append(image)
    return images


def comparisons(mllm: HfMllm) -> Iterator[LibraryComparison]:
    """Prompt, pixels, positions, rows and answer of a video against the library's.

    Raises:
        ModelError: the library's processor cannot be used here.
    """
    images = sample_video()
    expected = _library_inputs(mllm, images)
    with _captured_pixels(mllm) as captured:
        visual = replace(mllm.encode(images), times_s=TIMES_S)
    prefix = mllm.prefill(visual)
    suffix = mllm.prompt.suffix(prefix.layout, QUESTION)
    ours = [*mllm.prompt.prefix_ids(prefix.layout)[0].tolist(), *suffix.ids]
    theirs = expected["input_ids"][0].tolist()
    yield _tokens(mllm, ours, theirs)
    if ours == _without_wrapper(mllm, theirs):
        theirs = ours
        expected["input_ids"] = torch.tensor([ours])
        kinds = (expected["input_ids"] == prefix.layout.token_id).int() * 2
        expected["mm_token_type_ids"] = kinds
    expected.pop("attention_mask", None)  # one prompt without padding
    name = next(key for key in expected if key.startswith("pixel_values"))
    pixels = torch.cat(captured)
    yield _pixels(mllm, pixels, expected[name])
    if ours != theirs or pixels.numel() != expected[name].numel():
        return  # the rest would differ for the same reason
    expected[name] = pixels.reshape(expected[name].shape)
    yield from _forward(mllm, visual, expected, len(ours) - len(suffix.ids))


def _library_inputs(mllm: HfMllm, images: Images) -> dict[str, Any]:
    """What the checkpoint's processor makes of video and question."""
    checkpoint = mllm.checkpoint
    try:
        processor: Any = transformers.AutoProcessor.from_pretrained(
            checkpoint.path, local_files_only=True, trust_remote_code=False
        )
        medium = {"type": checkpoint.family.medium}
        media = [medium] * (1 if medium["type"] == "video" else len(images))
        template = checkpoint.family.template or getattr(processor, "chat_template", None)
        text = rendered(
            checkpoint.tokenizer, [turn("user", *media, written(QUESTION))],
            template if isinstance(template, str) else None,
        )  # fmt: skip
        whole = WHOLE_FRAMES.get(checkpoint.model.config.model_type, {})
        found = processor(
            **_as_video(images)
            if checkpoint.family.medium == "video"
            else {"images": list(images)},
            text=[text],
            return_tensors="pt",
            **whole,
        )
    except Exception as error:  # transformers raises errors of many kinds
        raise ModelError(
            f"{checkpoint.path}: the library's own processor cannot be used here "
            f"({first_line(error)}); install torchvision, or complete the folder"
        ) from error
    kept = {key: value for key, value in found.items() if isinstance(value, Tensor | list)}
    padding = kept.get("pixel_attention_mask")
    if isinstance(padding, Tensor):  # of frames that are padded to one length
        count = int(padding.sum(-1).max())
        kept |= {"pixel_attention_mask": padding[:, :count]}
        kept |= {"pixel_values": found["pixel_values"][:, :count]}
    return kept


def _as_video(images: Images) -> dict[str, Any]:
    """Arguments of a processor for frames in sequence."""
    count = len(images)
    times = VideoMetadata(
        total_num_frames=count, fps=1 / TIMES_S[1], frames_indices=list(range(count))
    )
    video = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return {"videos": [video], "video_metadata": [times], "do_sample_frames": False}


@contextmanager
def _captured_pixels(mllm: HfMllm) -> Iterator[list[Tensor]]:
    """Collects what the vision tower receives."""
    inner = mllm.checkpoint.model.model
    names = [name for name in ("get_video_features", "get_image_features") if hasattr(inner, name)]
    captured: list[Tensor] = []
    depth = itertools.count()

    def wrapped(function: Any) -> Any:
        def call(pixels: Tensor, *rest: Any, **named: Any) -> Any:
            if next(depth) == 0:  # one of the two may call the other
                captured.append(pixels.detach())
            return function(pixels, *rest, **named)

        return call

    for name in names:
        setattr(inner, name, wrapped(getattr(inner, name)))
    try:
        yield captured
    finally:
        for name in names:
            delattr(inner, name)


def _without_wrapper(mllm: HfMllm, ids: list[int]) -> list[int] | None:
    """Ids without the first start and the last end of vision; None if the model has no such."""
    config = mllm.checkpoint.model.config
    start, end = (getattr(config, f"vision_{name}_token_id", None) for name in ("start", "end"))
    if start not in ids or end not in ids:
        return None
    first, last = ids.index(start), len(ids) - 1 - ids[::-1].index(end)
    return [*ids[:first], *ids[first + 1 : last], *ids[last + 1 :]]


def _tokens(mllm: HfMllm, ours: list[int], theirs: list[int]) -> LibraryComparison:
    if ours == theirs:
        return LibraryComparison(
            "prompt", f"{len(ours)} tokens, all as the library's processor", True
        )
    if ours == _without_wrapper(mllm, theirs):
        return LibraryComparison(
            "prompt",
            f"{len(ours)} tokens, as the library's processor but for the pair of vision tokens "
            "that it leaves around all slots since version 5; the model's release has none",
            True,
        )
    at = next(
        (i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
        min(len(ours), len(theirs)),
    )
    decode = mllm.checkpoint.tokenizer.decode
    return LibraryComparison(
        "prompt",
        f"{len(ours)} tokens, the library's processor has {len(theirs)}; they differ from token "
        f"{at}: {decode(ours[at : at + 6])!r}, expected {decode(theirs[at : at + 6])!r}",
        False,
    )


def _pixels(mllm: HfMllm, ours: Tensor, theirs: Tensor) -> LibraryComparison:
    if ours.numel() != theirs.numel():
        text = f"{tuple(ours.shape)} for the vision tower, the library's {tuple(theirs.shape)}"
        return LibraryComparison("pixels", text, False)
    numbers = mllm.checkpoint.preprocessing
    level = numbers.rescale / min(numbers.std)
    away = (ours.float().cpu() - theirs.float().reshape(ours.shape)).abs()
    most, mean = float(away.max()) / level, float(away.mean()) / level
    text = f"within {most:.1f} levels of 255 of the library's, {mean:.2f} on average"
    return LibraryComparison("pixels", text, most <= LEVELS and mean <= 0.5)


def _forward(
    mllm: HfMllm, visual: VisualTokens, named: dict[str, Any], known: int
) -> Iterator[LibraryComparison]:
    """Positions, rows and answer by the library's eager pass over the whole prompt."""
    model = mllm.checkpoint.model
    accepted = inspect.signature(model.forward).parameters
    given = {
        key: value.to(model.device) if isinstance(value, Tensor) else value
        for key, value in named.items()
        if key in accepted
    }
    positions: list[Tensor | None] = []
    text = model.get_decoder()
    hook = text.register_forward_pre_hook(
        lambda _, __, kept: positions.append(kept.get("position_ids")), with_kwargs=True
    )
    text.config._attn_implementation = "eager"
    try:
        with torch.no_grad():
            out = model(**given, use_cache=False, output_attentions=True)
    finally:
        text.config._attn_implementation = NAME
        hook.remove()
    prefix = mllm.prefill(visual)
    (reading,) = mllm.ask(prefix, [QUESTION])
    yield _positions(mllm, visual, positions[0], known)
    first, last = mllm.band
    attending = {at for at in attending_layers(text.config) if first <= at <= last}
    layers = zip(mapped_layers(text.config), out.attentions, strict=True)
    band = [layer[0].float().mean(0) for at, layer in layers if at in attending]
    maps = torch.stack(band)  # (L, N, N)
    asked = torch.tensor(mllm.prompt.suffix(prefix.layout, QUESTION).candidates) + known
    rows = maps.mean(0)[asked.to(maps.device)][:, prefix.columns]  # (R, M)
    exact = model.dtype == torch.float32
    away = float((reading.rows.flatten(1) - rows).abs().max() / rows.max())
    yield LibraryComparison(
        "rows",
        f"{len(rows)} attention rows, at most {away:.1e} of the largest value from the library's "
        "eager attention",
        away <= (ROWS_TOLERANCE if exact else 0.1),
    )
    log_p = out.logits[0, -1].float().log_softmax(-1)
    away = max(
        float((ours - log_p[ids].logsumexp(0)).abs())
        for ours, ids in zip((reading.log_p_yes, reading.log_p_no), mllm.answer_ids, strict=True)
    )
    yield LibraryComparison(
        "answer",
        f"log-probabilities of yes and no at most {away:.1e} from the library's",
        away <= (ANSWER_TOLERANCE if exact else 0.1),
    )


def _positions(
    mllm: HfMllm, visual: VisualTokens, theirs: Tensor | None, known: int
) -> LibraryComparison:
    given = mllm.inputs([(visual, None)])
    ours = given.named["position_ids"].flatten(0, -2).cpu()  # (A, N)
    if theirs is None:
        expected = torch.arange(known + 1)[None]
    else:
        expected = theirs.flatten(0, -2).cpu()[-len(ours) :]
    equal = torch.equal(ours, expected[:, :known].expand_as(ours))
    equal &= bool((expected[:, known] == given.next_position).all())
    text = f"{known} of system and video, {'all as' if equal else 'not'} the library's"
    return LibraryComparison("positions", text, equal)
