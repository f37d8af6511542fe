# SPDX-License-Identifier: Apache-2.0

"""Options of Molmo2's processor: its released files set some that are not its class's."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
import transformers
from library_reference import QUESTIONS, images, reference
from transformers.models.molmo2.processing_molmo2 import Molmo2Processor

from stvg_ros.checkpoints.image_preprocessing import ImagePreprocessing
from stvg_ros.errors import ModelError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models import load_mllm, molmo2
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.preprocess import slots_of
from stvg_ros.models.settings import ModelConfig

torch.set_num_threads(1)
PLAIN = {"do_rescale": True, "do_normalize": True}
BRACKETS = [(True, False), (False, False), (True, True), (False, True)]


def library(**given: Any) -> Any:
    pytest.importorskip("torchvision", reason="torchvision is missing: make libraries")
    return transformers.Molmo2VideoProcessor(**given)


@pytest.mark.parametrize(
    "given",
    [
        {},  # as its class has it: neither rescaled nor normalised
        {"do_rescale": True},
        {"do_normalize": True},
        PLAIN,
        {**PLAIN, "rescale_factor": 1 / 127.5, "image_mean": [0.4, 0.5, 0.6]},
        {**PLAIN, "resample": 0},
        {**PLAIN, "resample": 3},
        {**PLAIN, "pooling_size": [2, 2]},
        {**PLAIN, "pooling_size": [4, 5]},
        {**PLAIN, "pooling_size": [27, 1]},
        {**PLAIN, "size": {"height": 154, "width": 154}, "patch_size": 7},
    ],
)
@pytest.mark.parametrize("shape", [(48, 64, 3), (480, 640, 2), (90, 60, 1)])
def test_pixels_and_pooling(given: dict[str, Any], shape: tuple[int, int, int]) -> None:
    processor = library(**given)
    frames = images(shape[2], *shape[:2])
    video = torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)
    expected = processor([video], return_tensors="pt", do_sample_frames=False)
    numbers = ImagePreprocessing.from_json(processor.to_dict(), "test")
    side = numbers.size["height"] // numbers.patch
    rows, columns = (-(-side // each) for each in numbers.pooling)
    assert expected["video_grids"].tolist() == [[shape[2], rows, columns]]
    found = molmo2.patches_of(numbers, frames, numbers.size["height"])
    torch.testing.assert_close(found, expected["pixel_values_videos"].float(), atol=1e-6, rtol=1e-6)
    pooled = molmo2.pooled_patches(shape[2], side, numbers.pooling)
    assert torch.equal(pooled, expected["video_token_pooling"].to(pooled))


def test_a_file_without_the_class_s_values() -> None:
    """What the library's class adds; of other classes a missing flag is true."""
    bare = ImagePreprocessing.from_json({"video_processor_type": "Molmo2VideoProcessor"}, "test")
    assert (bare.rescale, bare.mean, bare.std, bare.resample) == (1.0, (0.0,) * 3, (1.0,) * 3, 2)
    image = ImagePreprocessing.from_json({"image_processor_type": "Molmo2ImageProcessor"}, "test")
    assert (image.rescale, image.mean, image.resample) == (1 / 255, (0.5,) * 3, 2)
    assert ImagePreprocessing.from_json({}, "test").rescale == 1 / 255
    assert ImagePreprocessing.from_json({"do_rescale": False}, "test").rescale == 1.0


def test_frames_that_the_library_refuses(tmp_path: Path) -> None:
    folder = tiny_models.save("molmo2", FAMILIES["molmo2"].class_name, tmp_path)
    file = folder / "preprocessor_config.json"
    numbers = json.loads(file.read_text())
    for changed, said in (
        ({"size": {"height": 24, "width": 28}}, "frames of 28 x 24 px: expected a square"),
        ({"resample": 1}, "resample 1 of the video processor: expected one of 0, 2, 3"),
    ):
        file.write_text(json.dumps({**numbers, **changed}))
        with pytest.raises(ModelError, match=said):  # a slot is tried while loading
            load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())


@pytest.mark.parametrize(("own", "start"), [(None, "<end>"), ("<begin>", "<begin>")])
def test_the_token_before_the_prompt(own: str | None, start: str) -> None:
    assert molmo2.start_of(SimpleNamespace(bos_token=own, eos_token="<end>")) == start


@pytest.mark.parametrize(("brackets", "columns"), BRACKETS)
def test_text(brackets: bool, columns: bool) -> None:
    words = {1: "<im_patch>", 2: "<frame_start>", 3: "<frame_end>", 4: "<im_start>", 5: "<im_end>"}
    config = SimpleNamespace(
        image_patch_id=1, frame_start_token_id=2, frame_end_token_id=3, image_start_token_id=4,
        image_end_token_id=5,
    )  # fmt: skip
    spelled = SimpleNamespace(convert_ids_to_tokens=lambda ids: [words[each] for each in ids])
    visual = VisualTokens(torch.zeros(2 * 6, 8), (2, 2, 3), slots_of(2, 1), times_s=(0.0, 0.5))
    options = {"use_frame_special_tokens": brackets, "video_use_col_tokens": columns}
    found = molmo2.layout(spelled, SimpleNamespace(config=config), visual, **options)
    theirs = Molmo2Processor.get_video_string(
        SimpleNamespace(**options),  # type: ignore[arg-type]
        torch.tensor([2, 2, 3]), [0.0, 0.5],
    )  # fmt: skip
    assert found.text == theirs


@pytest.mark.parametrize(("brackets", "columns"), BRACKETS)
def test_rows_and_gradient_are_exact(brackets: bool, columns: bool, tmp_path: Path) -> None:
    folder = tiny_models.save("molmo2", FAMILIES["molmo2"].class_name, tmp_path)
    options = {"use_frame_special_tokens": brackets, "video_use_col_tokens": columns}
    (folder / "processor_config.json").write_text(json.dumps(options))
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())
    assert isinstance(mllm, HfMllm) and mllm.checkpoint.markup == options
    visual = mllm.encode(images(3)).reversed()
    offset = torch.zeros(visual.features.shape, requires_grad=True)
    prefix = mllm.prefill(visual, offset)
    text = prefix.layout.text
    assert ("<frame_start>" in text, "<im_start>" in text) == (brackets, not brackets)
    assert text.count("<im_col>") == (2 * 3 if columns else 0)
    (reading,) = mllm.ask(prefix, QUESTIONS[:1])
    _, rows, yes, no = reference(mllm, visual, QUESTIONS[0], offset)
    torch.testing.assert_close(reading.rows.flatten(1), rows.detach(), atol=1e-5, rtol=0)
    ours, theirs = (
        torch.autograd.grad(margin, offset, retain_graph=True)[0]
        for margin in (reading.margin, yes - no)
    )
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_features_are_those_of_the_library_s_own_pass(tmp_path: Path) -> None:
    """The model adds what the tower finds to the embedding of the visual token."""
    folder = tiny_models.save("molmo2", FAMILIES["molmo2"].class_name, tmp_path)
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())
    assert isinstance(mllm, HfMllm)
    inner = mllm.checkpoint.model.model
    given: list[Any] = []
    features = inner.get_video_features
    inner.get_video_features = lambda *each: given.append(each) or features(*each)
    visual = mllm.encode(images(3))
    del inner.get_video_features
    ids = mllm.prompt.prefix_ids(mllm.checkpoint.layout(visual))
    seen: list[torch.Tensor] = []
    hook = mllm._text.register_forward_pre_hook(
        lambda _, __, named: seen.append(named["inputs_embeds"]), with_kwargs=True
    )
    pixels, pooling, grids = given[0]
    inner(
        input_ids=ids, pixel_values_videos=pixels, video_token_pooling=pooling, video_grids=grids,
        mm_token_type_ids=torch.zeros_like(ids),
    )  # fmt: skip
    hook.remove()
    theirs = seen[0][0, ids[0] == mllm.checkpoint.model.config.image_patch_id]
    torch.testing.assert_close(visual.features, theirs, atol=1e-6, rtol=0)
