# SPDX-License-Identifier: Apache-2.0

"""The times that the models receive, against the rules of the library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
import transformers
from transformers.models.glm4v.processing_glm4v import Glm4vProcessor
from transformers.models.glm46v.processing_glm46v import Glm46VProcessor
from transformers.models.molmo2.processing_molmo2 import Molmo2Processor
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
from transformers.models.smolvlm import processing_smolvlm
from transformers.models.video_llama_3.processing_video_llama_3 import VideoLlama3Processor
from transformers.video_utils import VideoMetadata

from stvg_ros.method.encoding import Encoder
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.method.visual_tokens import VisualTokens
from stvg_ros.models import glm4v, load_mllm, molmo2, qwen3_vl, smolvlm, video_llama_3
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.frame_times import begin_times, mean_times
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.preprocess import slots_of
from stvg_ros.models.qwen2_vl import layout as layout_of_qwen2
from stvg_ros.models.qwen2_vl import positions as positions_of_qwen2
from stvg_ros.models.settings import ModelConfig
from stvg_ros.types import Clip, Frame

torch.set_num_threads(1)
RATES = [0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 30.0]
COUNTS = [1, 2, 5, 20]
ROWS, COLUMNS = 2, 3
UNEVEN = (0.0, 0.5, 1.5, 2.0, 7.0, 7.5)


def tokens(times_s: tuple[float, ...], pair: int) -> VisualTokens:
    slots = slots_of(len(times_s), pair)
    features = torch.zeros(len(slots) * ROWS * COLUMNS, 32)
    return VisualTokens(features, (len(slots), ROWS, COLUMNS), slots, times_s=times_s)


def metadata(rate: float, count: int) -> VideoMetadata:
    return VideoMetadata(total_num_frames=count, fps=rate, frames_indices=list(range(count)))


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny_models.build_tokenizer("qwen2_5_vl")


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    """Qwen2.5-VL of the library."""
    config = tiny_models.config_of("qwen2_5_vl", tokenizer)
    return transformers.Qwen2_5_VLForConditionalGeneration(config)


def positions(tokenizer: Any, model: Any, visual: VisualTokens) -> tuple[Any, torch.Tensor, int]:
    text = layout_of_qwen2(tokenizer, model, visual).text
    ids = torch.tensor([tokenizer("system <|vision_start|>" + text)["input_ids"]])
    return ids, *positions_of_qwen2(model, ids, visual)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("rate", RATES)
def test_positions_of_evenly_spaced_frames(
    tokenizer: Any, model: Any, rate: float, count: int
) -> None:
    visual = tokens(tuple(frame / rate for frame in range(count)), 2)
    for seen in (visual, visual.reversed()):
        ids, ours, following = positions(tokenizer, model, seen)
        longer = torch.cat([ids, ids.new_zeros(1, 1)], dim=1)
        theirs, _ = model.model.get_rope_index(
            longer,
            mm_token_type_ids=(longer == model.config.video_token_id).int() * 2,
            video_grid_thw=torch.tensor([[visual.grid[0], 2 * ROWS, 2 * COLUMNS]]),
            second_per_grid_ts=torch.tensor([2 / rate]),
        )
        assert torch.equal(ours, theirs[..., :-1])
        assert following == theirs[0, 0, -1]


def test_positions_of_uneven_and_of_jittering_frames(tokenizer: Any, model: Any) -> None:
    for visual, expected in [
        (tokens(UNEVEN, 2), [0, 3, 14]),
        (tokens(UNEVEN, 2).reversed(), [0, 11, 14]),
        (tokens((0.0, 0.5, 0.997, 1.5, 1.996, 2.5), 2), [0, 2, 4]),
        (replace(tokens(UNEVEN, 2), times_s=()), [0, 2, 4]),
    ]:
        _, at, _ = positions(tokenizer, model, visual)
        time = at[0, 0, 2:] - at[1, 0, 2]
        assert time[:: ROWS * COLUMNS].tolist() == expected


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("rate", RATES)
def test_stamps_in_the_text_of_qwen3(rate: float, count: int) -> None:
    visual = tokens(tuple(frame / rate for frame in range(count)), 2)
    own = SimpleNamespace(
        video_processor=SimpleNamespace(merge_size=2, temporal_patch_size=2),
        vision_start_token="5", video_token="7", vision_end_token="6",
        _calculate_timestamps=lambda *given: Qwen3VLProcessor._calculate_timestamps(own, *given),
    )  # fmt: skip
    theirs = Qwen3VLProcessor.replace_video_token(
        own, {  # type: ignore[arg-type]
            "video_grid_thw": torch.tensor([[visual.grid[0], 2 * ROWS, 2 * COLUMNS]]),
            "video_metadata": [metadata(rate, count)],
        }, 0,
    )  # fmt: skip
    ids = {"vision_start_token_id": 5, "vision_end_token_id": 6, "video_token_id": 7}
    spelled = SimpleNamespace(convert_ids_to_tokens=str)
    found = qwen3_vl.layout(spelled, SimpleNamespace(config=SimpleNamespace(**ids)), visual)
    assert found.text == theirs


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("rate", RATES)
def test_stamps_in_the_text_of_video_llama(rate: float, count: int) -> None:
    visual = tokens(tuple(frame / rate for frame in range(count)), 1)
    theirs = VideoLlama3Processor.replace_video_token(
        SimpleNamespace(video_token="7"), {  # type: ignore[arg-type]
            "video_grid_thw": torch.tensor([[count, 2 * ROWS, 2 * COLUMNS]]),
            "video_merge_sizes": torch.tensor([2]),
            "video_compression_mask": torch.ones(count * ROWS * COLUMNS, dtype=torch.int),
            "video_metadata": [metadata(rate, count)],
        }, 0,
    )  # fmt: skip
    spelled = SimpleNamespace(convert_ids_to_tokens=str)
    config = SimpleNamespace(config=SimpleNamespace(video_token_id=7))
    assert video_llama_3.layout(spelled, config, visual).text == theirs


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("kind", "processor"), [("glm4v", Glm4vProcessor), ("glm46v", Glm46VProcessor)]
)
def test_stamps_in_the_text_of_glm(kind: str, processor: Any, rate: float, count: int) -> None:
    visual = tokens(tuple(frame / rate for frame in range(count)), 2)
    own = SimpleNamespace(
        video_processor=SimpleNamespace(merge_size=2), image_token="<|image|>",
        replace_frame_token_id=lambda *given, **named: processor.replace_frame_token_id(
            own, *given, **named
        ),
    )  # fmt: skip
    theirs = processor.replace_video_token(
        own, {
            "video_grid_thw": torch.tensor([[visual.grid[0], 2 * ROWS, 2 * COLUMNS]]),
            "video_metadata": [metadata(rate, count)],
        }, 0,
    )  # fmt: skip
    words = {1: "<|image|>", 2: "<|begin_of_image|>", 3: "<|end_of_image|>", 4: "<|video|>"}
    config = SimpleNamespace(
        model_type=kind, image_token_id=1, image_start_token_id=2, image_end_token_id=3,
        video_token_id=4,
    )  # fmt: skip
    spelled = SimpleNamespace(convert_ids_to_tokens=words.get)
    found = glm4v.layout(spelled, SimpleNamespace(config=config), visual)
    assert (found.text, found.placeholder) == (theirs, "<|video|>")


@pytest.mark.parametrize("count", [*COUNTS, 130])
@pytest.mark.parametrize("rate", RATES)
def test_stamps_in_the_text_of_smolvlm(
    rate: float, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    visual = tokens(tuple(frame / rate for frame in range(count)), 1)
    monkeypatch.setattr(processing_smolvlm, "num2words", smolvlm.number_words)
    own = SimpleNamespace(
        image_seq_len=ROWS * COLUMNS, image_token="<image>", global_image_token="<global-img>",
        fake_image_token="<fake_token_around_image>",
    )  # fmt: skip
    theirs = processing_smolvlm.SmolVLMProcessor.replace_video_token(
        own, {  # type: ignore[arg-type]
            "pixel_values": torch.zeros(1, count, 3, 1, 1),
            "video_metadata": [metadata(rate, count)],
        }, 0,
    )  # fmt: skip
    config = SimpleNamespace(config=SimpleNamespace(image_token_id=1))
    spelled = SimpleNamespace(convert_ids_to_tokens={1: "<image>"}.get)
    found = smolvlm.layout(spelled, config, visual)
    assert (found.text + found.after, found.placeholder) == (theirs, "<video>")


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("rate", RATES)
def test_stamps_in_the_text_of_molmo2(rate: float, count: int) -> None:
    visual = tokens(tuple(frame / rate for frame in range(count)), 1)
    own = SimpleNamespace(
        use_frame_special_tokens=True, video_use_col_tokens=False,
        get_video_string=lambda *given: Molmo2Processor.get_video_string(own, *given),
    )  # fmt: skip
    theirs = Molmo2Processor.replace_video_token(
        own, {  # type: ignore[arg-type]
            "video_grids": torch.tensor([[count, ROWS, COLUMNS]]),
            "video_metadata": [metadata(rate, count)],
        }, 0,
    )  # fmt: skip
    words = {1: "<im_patch>", 2: "<frame_start>", 3: "<frame_end>"}
    config = SimpleNamespace(image_patch_id=1, frame_start_token_id=2, frame_end_token_id=3)
    spelled = SimpleNamespace(convert_ids_to_tokens=lambda ids: [words[each] for each in ids])
    found = molmo2.layout(spelled, SimpleNamespace(config=config), visual)
    assert (found.text, found.placeholder) == (theirs, "<|video|>")


def test_numbers_in_words() -> None:
    numbers = [0, 1, 13, 20, 21, 40, 99, 100, 101, 115, 120, 342, 999]
    assert [smolvlm.number_words(number) for number in numbers] == [
        "zero", "one", "thirteen", "twenty", "twenty-one", "forty", "ninety-nine", "one hundred",
        "one hundred and one", "one hundred and fifteen", "one hundred and twenty",
        "three hundred and forty-two", "nine hundred and ninety-nine",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "pair", "rate"),
    [(qwen3_vl, 2, 2.0), (glm4v, 2, 2.0), (video_llama_3, 1, 1.0), (smolvlm, 1, 1.0),
     (molmo2, 1, 2.0)],
)  # fmt: skip
def test_frames_without_times_have_the_family_s_own_rate(
    family: Any, pair: int, rate: float
) -> None:
    names = (
        "vision_start", "vision_end", "video", "image", "image_start", "image_end", "frame_start",
        "frame_end",
    )  # fmt: skip
    ids = {f"{name}_token_id": at for at, name in enumerate(names)}
    config = SimpleNamespace(**ids, image_patch_id=9, model_type="glm46v")

    def spelled(ids: Any) -> Any:
        return [f"[{each}]" for each in ids] if isinstance(ids, list) else f"[{ids}]"

    tokenizer, model = (
        SimpleNamespace(convert_ids_to_tokens=spelled),
        SimpleNamespace(config=config),
    )
    visual = tokens(tuple(frame / rate for frame in range(5)), pair)
    expected = family.layout(tokenizer, model, visual).text
    assert family.layout(tokenizer, model, replace(visual, times_s=())).text == expected


def test_times_of_a_video_played_backwards() -> None:
    visual = tokens(UNEVEN[:5], 2)
    assert begin_times(visual, 1.0) == [0.0, 1.5, 7.0]
    assert begin_times(visual.reversed(), 1.0) == [0.0, 5.5, 7.0]
    assert mean_times(visual, 1.0) == [0.25, 1.75, 7.0]
    assert mean_times(visual.reversed(), 1.0) == [0.25, 5.5, 7.0]
    without = replace(visual, times_s=())
    assert begin_times(without, 2.0) == begin_times(without.reversed(), 2.0) == [0.0, 1.0, 2.0]
    assert begin_times(tokens((0.0,), 1), 1.0) == [0.0]
    with pytest.raises(ValueError, match="expected 5 times, got 2"):
        replace(visual, times_s=(0.0, 1.0))


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl", "video_llama_3", "internvl"])
def test_stamps_reach_the_model_and_passes_of_other_times_share_no_batch(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny_models.save(kind, FAMILIES[kind].class_name, tmp_path)
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu", batch_passes=4), AttentionConfig())
    assert isinstance(mllm, HfMllm)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (len(UNEVEN), 16, 24, 3)).astype(np.uint8)
    stamps = [10**18 + round(1e9 * time_s) for time_s in UNEVEN]
    clip = Clip(tuple(map(Frame, stamps, images, [24] * 6, [16] * 6)))
    for total in (0, 6):
        visual = Encoder(mllm).encode(clip.frames, total)
        assert visual.times_s == UNEVEN
    batches: list[int] = []
    run = mllm._prefill
    monkeypatch.setattr(
        mllm, "_prefill", lambda some, text: batches.append(len(some)) or run(some, text)
    )
    passes = [(visual, None), (visual, None), (visual.reversed(), None)]
    together = mllm.attention_rows(passes, "Is there a man?")
    assert batches == ([3] if kind == "internvl" else [2, 1])
    alone = [mllm.attention_rows([each], "Is there a man?")[0] for each in passes]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.rows, other.rows, atol=1e-6, rtol=0)
    evenly = replace(visual, times_s=())
    layout = mllm.checkpoint.layout
    assert layout(evenly).equals(layout(visual)) == (kind == "internvl")
