# SPDX-License-Identifier: Apache-2.0

"""The comparison with the library, with a processor that agrees, and with ones that differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
import transformers

from stvg_ros.checkpoints.library_agreement import LibraryComparison
from stvg_ros.errors import ModelError
from stvg_ros.method.settings import AttentionConfig
from stvg_ros.models import load_mllm
from stvg_ros.models.families import FAMILIES
from stvg_ros.models.hf_common import HfMllm
from stvg_ros.models.library_comparison import (
    QUESTION,
    TIMES_S,
    comparisons,
    sample_video,
    square_boxes,
)
from stvg_ros.models.settings import ModelConfig

torch.set_num_threads(1)
ABOUT = ["prompt", "pixels", "positions", "rows", "answer"]


class Processor:
    """Gives what the adapter makes itself; `change` may change that."""

    chat_template = None

    def __init__(self, mllm: HfMllm, change: Callable[[dict[str, Any]], object]) -> None:
        self._mllm, self._change = mllm, change
        self.given: dict[str, Any] = {}

    def __call__(self, **given: Any) -> dict[str, Any]:
        self.given = given
        mllm, model = self._mllm, self._mllm.checkpoint.model
        seen: list[tuple[Any, ...]] = []
        name = "get_video_features" if "videos" in given else "get_image_features"
        features = getattr(model.model, name)
        setattr(
            model.model, name, lambda *each, **more: seen.append(each) or features(*each, **more)
        )
        visual = replace(mllm.encode(sample_video()), times_s=TIMES_S)
        delattr(model.model, name)
        layout = mllm.checkpoint.layout(visual)
        suffix = mllm.prompt.suffix(layout, QUESTION)
        ids = torch.tensor([[*mllm.prompt.prefix_ids(layout)[0].tolist(), *suffix.ids]])
        found: dict[str, Any] = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if name == "get_image_features":
            pixels, shapes, mask = seen[0]
            found |= {
                "pixel_values": torch.cat([pixels, pixels.new_full((4, 3, pixels.shape[2]), 9)], 1),
                "spatial_shapes": shapes,
                "pixel_attention_mask": torch.cat([mask, mask.new_zeros(4, 3)], 1),
            }
        else:
            slots, rows, columns = visual.grid
            found |= {
                "pixel_values_videos": seen[0][0].clone(),
                "video_grid_thw": torch.tensor([[slots, 2 * rows, 2 * columns]]),
                "mm_token_type_ids": (ids == layout.token_id).int() * 2,
                "second_per_grid_ts": [2.0],
                "video_metadata": None,
            }
        self._change(found)
        return found


Compare = Callable[..., tuple[dict[str, LibraryComparison], Processor]]


def model(kind: str, folder: Path) -> HfMllm:
    tiny_models.save(kind, FAMILIES[kind].class_name, folder)
    mllm = load_mllm(ModelConfig(path=str(folder), device="cpu"), AttentionConfig())
    assert isinstance(mllm, HfMllm)
    return mllm


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> HfMllm:
    return model("qwen2_5_vl", tmp_path_factory.mktemp("qwen2_5_vl"))


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch) -> Compare:
    def compared(
        mllm: HfMllm, change: Callable[[dict[str, Any]], object] = lambda found: None
    ) -> tuple[dict[str, LibraryComparison], Processor]:
        processor = Processor(mllm, change)
        monkeypatch.setattr(
            transformers.AutoProcessor, "from_pretrained", lambda *_, **named: processor
        )
        return {found.about: found for found in comparisons(mllm)}, processor

    return compared


def differ(found: dict[str, LibraryComparison]) -> list[str]:
    return [about for about, each in found.items() if not each.equal]


def test_the_sample_video() -> None:
    images = sample_video()
    assert [image.shape for image in images] == [(240, 320, 3)] * 4
    assert TIMES_S == (0, 1, 2, 3)
    assert square_boxes() == [(40, 80, 100, 140), (100, 80, 160, 140), (160, 80, 220, 140),
                              (220, 80, 280, 140)]  # fmt: skip
    for image, (x1, y1, x2, y2) in zip(images, square_boxes(), strict=True):
        red = (image == (200, 30, 30)).all(-1)
        assert red[y1:y2, x1:x2].all() and red.sum() == 60 * 60
        # Smooth elsewhere: neighbours differ by few levels, and nothing is cut off.
        levels = image.astype(int)
        assert np.abs(np.diff(levels[: y1 - 1], axis=1)).max() <= 4
        assert np.abs(np.diff(levels[: y1 - 1], axis=0)).max() <= 2
        assert 10 < levels[:80].min() < 40 and 215 < levels[:80].max() < 245


def test_what_agrees(qwen: HfMllm, compare: Compare) -> None:
    found, processor = compare(qwen)
    assert list(found) == ABOUT and not differ(found)
    count = processor.given["videos"][0].shape
    assert count == (4, 3, 240, 320)
    (times,) = processor.given["video_metadata"]
    assert (times.total_num_frames, times.fps, times.frames_indices) == (4, 1.0, [0, 1, 2, 3])
    assert processor.given["do_sample_frames"] is False
    assert torch.equal(
        processor.given["videos"][0], torch.from_numpy(np.stack(sample_video())).permute(0, 3, 1, 2)
    )
    (text,) = processor.given["text"]
    assert text.count("<|video_pad|>") == 1 and QUESTION in text
    assert "all as the library's processor" in found["prompt"].text
    assert "within 0.0 levels of 255 of the library's, 0.00 on average" in found["pixels"].text
    assert found["positions"].text.endswith("of system and video, all as the library's")
    assert found["rows"].text.startswith("6 attention rows, at most ")


def test_the_template_of_the_processor_precedes_the_tokenizer_s(
    qwen: HfMllm, compare: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "own " + qwen.checkpoint.tokenizer.chat_template
    monkeypatch.setattr(Processor, "chat_template", own)
    _, processor = compare(qwen)
    assert processor.given["text"][0].startswith("own ")


def test_images_of_one_prompt_that_are_padded(tmp_path: Path, compare: Compare) -> None:
    found, processor = compare(model("lfm2_vl", tmp_path))
    assert list(found) == ABOUT and not differ(found), found
    assert [image.shape for image in processor.given["images"]] == [(240, 320, 3)] * 4
    assert processor.given["do_image_splitting"] is False
    assert processor.given["text"][0].count("<image>") == 4


def other_token(at: int) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        found["input_ids"][0, at] = 30

    return change


def test_another_prompt(qwen: HfMllm, compare: Compare) -> None:
    found, _ = compare(qwen, other_token(4))
    assert list(found) == ["prompt", "pixels"] and differ(found) == ["prompt"]
    assert "they differ from token 4: " in found["prompt"].text

    def longer(found: dict[str, Any]) -> None:
        found["input_ids"] = torch.cat([found["input_ids"], torch.tensor([[31, 32]])], 1)

    found, _ = compare(qwen, longer)
    tokens = int(found["prompt"].text.partition(" tokens")[0])
    decode = qwen.checkpoint.tokenizer.decode
    assert found["prompt"].text == (
        f"{tokens} tokens, the library's processor has {tokens + 2}; they differ from token "
        f"{tokens}: '', expected {decode([31, 32])!r}"
    )


def test_shown_tokens_are_six(qwen: HfMllm, compare: Compare) -> None:
    ours: list[int] = []
    tokens: list[int] = []

    def change(found: dict[str, Any]) -> None:
        ours[:] = found["input_ids"][0].tolist()
        found["input_ids"][0, 5] = 33
        tokens[:] = found["input_ids"][0].tolist()

    found, _ = compare(qwen, change)
    decode = qwen.checkpoint.tokenizer.decode
    assert found["prompt"].text.endswith(
        f"token 5: {decode(ours[5:11])!r}, expected {decode(tokens[5:11])!r}"
    )


@pytest.mark.parametrize("vision", ["<|vision_start|>", "<|vision_end|>"])
def test_one_vision_token_without_the_other(qwen: HfMllm, compare: Compare, vision: str) -> None:
    token = qwen.checkpoint.tokenizer.convert_tokens_to_ids(vision)

    def change(found: dict[str, Any]) -> None:
        found["input_ids"][found["input_ids"] == token] = 30

    found, _ = compare(qwen, change)
    assert list(found) == ["prompt", "pixels"] and differ(found) == ["prompt"]


def wrapped(found: dict[str, Any]) -> None:
    """The outer pair of vision tokens that the library's processor leaves around all slots."""
    ids = found["input_ids"][0].tolist()
    start, end = 3, 4  # of the tiny tokenizer, checked by the test
    first, last = ids.index(start), len(ids) - ids[::-1].index(end)
    longer = [*ids[:first], start, *ids[first:last], end, *ids[last:]]
    found["input_ids"] = torch.tensor([longer])
    found["mm_token_type_ids"] = torch.zeros(1, len(longer), dtype=torch.int)


def test_an_outer_pair_of_vision_tokens_is_left_out(qwen: HfMllm, compare: Compare) -> None:
    config = qwen.checkpoint.model.config
    assert (config.vision_start_token_id, config.vision_end_token_id) == (3, 4)
    found, _ = compare(qwen, wrapped)
    assert list(found) == ABOUT and not differ(found)
    assert "but for the pair of vision tokens" in found["prompt"].text


@pytest.mark.parametrize(
    ("levels", "share", "equal"),
    [(3.9, 0.1, True), (4.1, 0.01, False), (0.49, 1.0, True), (0.51, 1.0, False)],
)
def test_other_pixels(
    qwen: HfMllm, compare: Compare, levels: float, share: float, equal: bool
) -> None:
    """At most 4 levels of 255, and half of one on average."""
    numbers = qwen.checkpoint.preprocessing
    level = numbers.rescale / min(numbers.std)

    def change(found: dict[str, Any]) -> None:
        pixels = found["pixel_values_videos"].view(-1)
        pixels[: int(share * len(pixels))] += levels * level

    found, _ = compare(qwen, change)
    assert list(found) == ABOUT
    assert differ(found) == ([] if equal else ["pixels"])
    assert f"within {levels:.1f} levels" in found["pixels"].text
    assert f", {levels * share:.2f} on average" in found["pixels"].text


def test_pixels_of_another_shape(qwen: HfMllm, compare: Compare) -> None:
    def change(found: dict[str, Any]) -> None:
        found["pixel_values_videos"] = found["pixel_values_videos"][:-4]

    found, _ = compare(qwen, change)
    assert list(found) == ["prompt", "pixels"] and differ(found) == ["pixels"]
    rows, width = (int(n) for n in found["pixels"].text.split(")")[0].lstrip("(").split(","))
    assert found["pixels"].text.endswith(f"the library's ({rows - 4}, {width})")


def test_other_times(qwen: HfMllm, compare: Compare) -> None:
    """Qwen2.5-VL tells times by positions."""
    found, _ = compare(qwen, lambda found: found.update(second_per_grid_ts=[4.0]))
    assert list(found) == ABOUT and differ(found)[0] == "positions"
    assert ", not the library's" in found["positions"].text


@pytest.mark.parametrize(("off", "equal"), [(0.9e-4, True), (1.2e-4, False)])
def test_other_rows(
    qwen: HfMllm, compare: Compare, monkeypatch: pytest.MonkeyPatch, off: float, equal: bool
) -> None:
    ask = qwen.ask

    def changed(*given: Any) -> Any:
        (reading,) = ask(*given)
        return (replace(reading, rows=reading.rows + off * reading.rows.max()),)

    monkeypatch.setattr(qwen, "ask", changed)
    found, _ = compare(qwen)
    assert differ(found) == ([] if equal else ["rows"])


@pytest.mark.parametrize("side", ["log_p_yes", "log_p_no"])
@pytest.mark.parametrize(("off", "equal"), [(0.9e-3, True), (-1.2e-3, False), (1.2e-3, False)])
def test_other_answers(
    qwen: HfMllm, compare: Compare, monkeypatch: pytest.MonkeyPatch, side: str, off: float,
    equal: bool,
) -> None:  # fmt: skip
    ask = qwen.ask

    def changed(*given: Any) -> Any:
        (reading,) = ask(*given)
        return (replace(reading, **{side: getattr(reading, side) + off}),)

    monkeypatch.setattr(qwen, "ask", changed)
    found, _ = compare(qwen)
    assert differ(found) == ([] if equal else ["answer"])


@pytest.mark.parametrize(("off", "wrong"), [(0.0, []), (0.2, ["rows", "answer"])])
def test_half_precision_has_wider_bounds(
    tmp_path: Path, compare: Compare, monkeypatch: pytest.MonkeyPatch, off: float, wrong: list[str]
) -> None:
    folder = tiny_models.save("qwen2_5_vl", FAMILIES["qwen2_5_vl"].class_name, tmp_path)
    half = load_mllm(
        ModelConfig(path=str(folder), device="cpu", dtype="bfloat16"), AttentionConfig()
    )
    assert isinstance(half, HfMllm)
    ask = half.ask

    def changed(*given: Any) -> Any:
        (reading,) = ask(*given)
        rows = reading.rows + off * reading.rows.max()
        return (replace(reading, rows=rows, log_p_yes=reading.log_p_yes + off),)

    monkeypatch.setattr(half, "ask", changed)
    assert differ(compare(half)[0]) == wrong


def test_a_narrower_band(tmp_path: Path, compare: Compare) -> None:
    folder = tiny_models.save("qwen2_5_vl", FAMILIES["qwen2_5_vl"].class_name, tmp_path)
    for first, last in ((0, 0), (1, 2), (2, 2)):
        attention = AttentionConfig(first_layer=first, last_layer=last)
        mllm = load_mllm(ModelConfig(path=str(folder), device="cpu"), attention)
        assert isinstance(mllm, HfMllm)
        assert not differ(compare(mllm)[0])


def test_a_processor_that_cannot_be_used(qwen: HfMllm, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **named: Any) -> None:
        assert named == {"local_files_only": True, "trust_remote_code": False}
        raise ImportError("torchvision is missing\nand more")

    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", missing)
    with pytest.raises(ModelError, match=r"cannot be used here \(torchvision is missing\)"):
        list(comparisons(qwen))


@pytest.mark.parametrize("kind", ["minicpmv4_6", "minicpmv4_7"])
def test_frames_of_minicpm_are_left_whole(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def processor(**named: Any) -> None:
        given.update(named)
        raise ValueError("seen")

    monkeypatch.setattr(
        transformers.AutoProcessor, "from_pretrained", lambda *_, **named: processor
    )
    with pytest.raises(ModelError, match=r"cannot be used here \(seen\)"):
        list(comparisons(model(kind, tmp_path)))
    assert given["max_slice_nums"] == 1


def test_the_model_is_left_as_it_was(qwen: HfMllm, compare: Compare) -> None:
    inner = qwen.checkpoint.model.model
    implementation = qwen._text.config._attn_implementation
    compare(qwen)
    assert not {"get_video_features", "get_image_features"} & vars(inner).keys()
    assert qwen._text.config._attn_implementation == implementation != "eager"
    assert not any("lambda" in repr(each) for each in qwen._text._forward_pre_hooks.values())
